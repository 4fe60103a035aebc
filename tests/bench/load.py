"""The other side of a measurement: what sends to a client, through mosquitto or, faster than it can, to the client itself."""

import select
import socket
import time

from fixtures.peer import Peer, encode, matches

TOPIC = "bench/to"
ANSWER = "bench/back"
TIMEOUT = 60  # seconds until the other end must have moved
BLOCK = 128  # messages to a write
WINDOW = 128 * BLOCK
PROPERTIES = '01 01 02 00 00 0e 10 03 "text/plain" 26 "key" "%s"'  # format, expiry, content type, user property
COUNTED = 20  # messages to a client before something is counted, as in device/measure.py


def publication(qos=0, size=100, v5=False, pid=0, topic=TOPIC, value="value"):
    properties = PROPERTIES % value
    properties = f"{len(encode(properties)):02x} {properties}" if v5 else ""
    identifier = f"{pid >> 8:02x} {pid & 255:02x}" if qos else ""
    return encode(f'3{qos * 2} # "{topic}" {identifier} {properties} {bytes(size).hex(" ")}')


def block(first, messages, qos, size, v5, topics, stamped=0):
    """Publications in a row, with the packet identifiers from `first` on. `stamped`: a property that changes."""
    if stamped:
        return b"".join(publication(qos, size, v5, value=f"2026-01-01 00:00:{n:02}") for n in range(messages))
    names = [f"{TOPIC}/{n}" if topics > 1 else TOPIC for n in range(topics)]
    packets = [publication(qos, size, v5, topic=name) for name in names[:messages]]
    if qos:
        at = packets[0].index(TOPIC.encode()) + len(TOPIC)
        numbers = range(first, first + messages)
        return b"".join(packets[0][:at] + pid.to_bytes(2, "big") + packets[0][at + 2 :] for pid in numbers)
    return b"".join(packets[n % topics] for n in range(messages))


class Load:
    """A client of the broker that sends packets made beforehand."""

    def __init__(self, broker, name="load"):
        self.sock = socket.create_connection((broker.host, broker.port), TIMEOUT)
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.sock.sendall(encode('10 # "MQTT" 04 02 00 00 "%s"' % name))
        self.read(4)

    def read(self, n):
        data = b""
        while len(data) < n:
            part = self.sock.recv(n - len(data))
            if not part:
                raise RuntimeError("the broker has closed the connection of the load")
            data += part
        return data

    def subscribe(self, topic):
        self.sock.sendall(encode(f'82 # 00 01 "{topic}" 00'))
        self.read(5)

    def send(self, ended, qos):
        """As fast as the broker takes it, until ended() says so."""
        packets = block(1, BLOCK, qos, 100, False, 1)
        try:
            while not ended():
                self.sock.sendall(packets)
                if qos:
                    self.read(4 * BLOCK)  # PUBACK
        except OSError:
            pass  # the broker is gone

    def trickle(self, count, qos):
        """One message at a time, each after the one before has long come."""
        for n in range(count):
            self.sock.sendall(publication(qos, pid=n % 100 + 1))
            if qos:
                self.read(4)
            time.sleep(0.004)

    def echoes(self, seconds, most=2000, warm=10):
        """Round-trip times in ms, sorted."""
        self.subscribe(ANSWER)
        out = publication()
        times = []
        end = time.perf_counter() + seconds
        while len(times) < warm + 5 or len(times) < most and times[-1][0] < end:
            started = time.perf_counter()
            self.sock.sendall(out)
            self.read(len(out) + 2)  # the other topic is longer by two
            now = time.perf_counter()
            times.append((now, (now - started) * 1e3))
        return sorted(ms for _, ms in times[warm:])

    def close(self):
        self.sock.close()


class Flood(Peer):
    """In a broker's place, for one client that subscribes: messages as fast as it takes them.

    At QoS 1 there are at most WINDOW that it has not acknowledged. What it publishes is acknowledged.
    """

    def serve(self, ended, qos=0, size=100, v5=0, topics=1, stamped=0, count=None):
        """Until ended() says so; `count`: so many messages and no more."""
        connection, packet = self._subscribed("20 03 00 00 00" if v5 else "20 02 00 00")
        connection.send(bytes([0x90, 3 + v5]) + packet[2:4] + b"\0" * v5 + bytes([qos]))
        messages = max(topics, min(BLOCK, (1 << 20) // max(1, size)), 1)
        blocks = [
            block(1 + n * messages, messages, qos, size, v5, topics, stamped) for n in range(WINDOW // messages if qos else 1)
        ]
        self.unread, self.sent, self.unacknowledged, self.answers = b"", 0, 0, b""
        try:
            self._feed(connection.sock, ended, blocks, messages, qos, count)
        except OSError:
            pass  # the client has seen enough

    def _subscribed(self, connack):
        """The connection on which a client subscribes, and how it does; some make one before to clear the session."""
        while True:
            connection = self.accept(TIMEOUT)
            connection.accept_connect(connack)
            try:
                while not matches("82 *", packet := connection.packet(TIMEOUT)):
                    pass
                return connection, packet
            except AssertionError:
                connection.close()

    def _feed(self, sock, ended, blocks, messages, qos, count):
        sock.setblocking(False)
        rest = memoryview(b"")
        turn = 0
        while not ended():
            if not rest and self.answers:
                rest, self.answers = memoryview(self.answers), b""
            elif not rest and (not count or self.sent < count) and (not qos or self.unacknowledged <= WINDOW - messages):
                data = blocks[turn % len(blocks)]
                turn += 1
                number = min(messages, count - self.sent) if count else messages
                rest = memoryview(data)[: len(data) * number // messages]
                self.sent += number
                self.unacknowledged += number
            readable, writable, _ = select.select([sock], [sock] if rest else [], [], 0.1)
            if readable:
                data = sock.recv(1 << 16)
                if not data:
                    return
                self._taken(data)
            if writable:
                rest = rest[sock.send(rest) :]

    def _taken(self, data):
        """What the client sends: acknowledgements as a rule."""
        if not self.unread and len(data) % 4 == 0 and data[::4].count(0x40) * 4 == len(data):
            self.unacknowledged -= len(data) // 4
            return
        self.unread += data
        while len(self.unread) >= 2 and len(self.unread) >= (total := 2 + self.unread[1]):
            packet, self.unread = self.unread[:total], self.unread[total:]
            if packet[0] == 0x40:
                self.unacknowledged -= 1
            elif packet[0] == 0x32:  # PUBLISH, QoS 1
                at = 4 + int.from_bytes(packet[2:4], "big")
                self.answers += b"\x40\x02" + packet[at : at + 2]
            elif packet[0] == 0xC0:
                self.answers += b"\xd0\0"
