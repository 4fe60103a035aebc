# umqtt.simple: a blocking MQTT client. Packets and protocol state are a native
# module; here are the socket, the waiting, and the names that programs use.
# MIT licence: see LICENSE.
import errno
import socket
import sys
from time import sleep_ms, ticks_diff, ticks_ms

from micropython import const

try:
    from _mqtt_as import Session
except ImportError:  # Nobody else needs it: the smaller one, of MQTT 3.1.1 alone
    from _umqtt import Session

_IBUFSIZE = const(64)  # Bytes: the receive buffer's size at rest
_MAX_PACKET = const(0x10000004)

# Traits of a stream, for Session.open()
_EXACT = const(8)  # Not a byte beyond the packet in hand is read: others poll the socket and read from it
_CONNECTED = const(16)  # CONNACK came before

# What Session.receive() answers beside the first byte of a packet; from _DONE on identifier << 8 | reason code
_WAIT = const(0)  # Nothing came: the socket does not block, or its timeout has passed
_MORE = const(1)  # The same within a packet
_CLOSED = const(2)  # By the peer
_CONNACK = const(3)
_DISCONNECT = const(4)  # From the broker (MQTT 5)
_READY = const(6)  # A packet is here and was not yet looked at
_PART = const(7)  # A packet comes in many pieces: time to look at the clock, not to give up
_BAD = const(-999)  # Below it: a bad packet
_FIRST = const(0x10)  # From here on it is the first byte of a packet
_DONE = const(0x100)
_NOTED = const(0x1000000)  # Added: it is not over, but a PUBREC says more
_STRAY = const(0x2000000)  # Added to two bytes of a packet that nobody waits for
# What Session.publish() and subscribe() answer beside the identifier
_BACKLOG = const(0x10000)  # Added: not all is written yet
_BUSY = const(-1)
_REFUSED = const(-0x100)  # Less a reason code: the broker said that it can't

_ANY = const(0)  # Waiting for whatever packet comes
_ACCEPTED = const(0x10000)  # Waiting for CONNACK: no identifier

# TCP_NODELAY, None where it does harm (docs/SOCKETS.md): where it has no name, and over MicroPython's own lwIP, whose
# queue has room for 32 packets then, while nothing here bounds what is under way
_NODELAY = getattr(socket, "TCP_NODELAY", 1 if sys.platform in ("linux", "darwin") else None)
if socket.__name__ == "lwip":
    _NODELAY = None


class MQTTException(Exception):
    pass


class MQTTClient:
    # response_time: seconds that a broker has to answer where keepalive says that it must be alive, and to take what
    # is written. version: 4, or 5 for MQTT 5, with properties, those of CONNECT.
    def __init__(
        self,
        client_id,
        server,
        port=0,
        user=None,
        password=None,
        keepalive=0,
        ssl=None,
        ssl_params=None,
        version=4,
        properties=None,
        response_time=10,
    ):
        self.client_id = client_id
        self.sock = None
        self.server = server
        self.port = port or (8883 if ssl else 1883)
        self.ssl = ssl
        self.ssl_params = ssl_params or {}
        self.pid = 0  # The packet identifier used last
        self.cb = None
        self.user = user
        self.pswd = password
        self.keepalive = keepalive
        self.lw_topic = None
        self.lw_msg = None
        self.lw_qos = 0
        self.lw_retain = False
        self.properties = properties
        self._v5 = version == 5
        self._response_ms = int(response_time * 1000)
        self._timeout = None  # Milliseconds, of connect()
        self._slice = None  # Seconds after which a read returns, to look at the clock
        self._tcp = None  # The socket below sock
        self._hurries = False
        self._opened = None  # The sock that the session reads from and writes to
        self._answers = None  # To requests that wait while a callback runs that waits itself
        self._core = Session(self._v5, _IBUFSIZE, _MAX_PACKET, 0, 0, self._response_ms, 0, 0, 65535, None)

    def set_callback(self, f):
        self.cb = f

    def set_last_will(self, topic, msg, retain=False, qos=0):
        if not topic or not 0 <= qos <= 2:
            raise ValueError("a will needs a topic, and qos 0, 1 or 2")
        self.lw_topic = topic
        self.lw_msg = msg
        self.lw_qos = qos
        self.lw_retain = retain

    # timeout: seconds that opening may take, and each wait for an answer from then on
    def connect(self, clean_session=True, timeout=None):
        if self.sock:
            self.sock.close()
        self._timeout = None if timeout is None else int(timeout * 1000)
        self._connect_socket(timeout)
        will = (self.lw_topic, self.lw_msg, self.lw_retain, self.lw_qos) if self.lw_topic else None
        core = self._core
        self._open(_EXACT)
        password = self.pswd if self.user is not None or self._v5 else None  # MQTT 3.1.1 has none without a user
        if core.connect(ticks_ms(), clean_session, self.client_id, self.keepalive, self.user, password, will, self.properties):
            self._flush()
        reason = self._wait(_ACCEPTED)
        if reason & 0xFF:
            self.sock.close()
            raise MQTTException(reason)
        while True:  # What was under way over the connection before
            r = core.due(ticks_ms())
            if r >= 0:
                return reason >> 8
            self._again(-r)

    # A publication for which no answer came: its caller was told so
    def _again(self, pid):
        self._core.abandon(pid)

    def _connect_socket(self, timeout):
        for address in socket.getaddrinfo(self.server, self.port, 0, socket.SOCK_STREAM):
            self.sock = self._tcp = sock = socket.socket(*address[:3])
            try:
                if timeout is not None:
                    sock.settimeout(timeout)
                sock.connect(address[-1])
                error = None
                break
            except OSError as e:
                error = e
                sock.close()
        if error:
            raise error
        self._hurries = False
        if self.ssl:
            if self.ssl is True:
                import ssl

                self.sock = ssl.wrap_socket(sock, **self.ssl_params)
            else:
                self.sock = self.ssl.wrap_socket(sock, server_hostname=self.server)
        self._slice = timeout and timeout / 4  # From the first byte on a wait takes no longer
        if self.keepalive:
            self._slice = min(self._slice or 60, self._response_ms / 4000, self.keepalive / 8)
        if self._slice:
            sock.settimeout(self._slice)

    # Packets that are answered do not wait until the peer has acknowledged the one before. Others do, and go together.
    def _hurry(self, flag):
        self._hurries = flag
        if _NODELAY is not None and hasattr(self._tcp, "setsockopt"):
            self._tcp.setsockopt(6, _NODELAY, int(flag))

    # The session, over what the application has put into sock
    def _attach(self):
        sock = self.sock
        core = self._core
        if sock is None:
            raise OSError(errno.ENOTCONN)
        if hasattr(sock, "unread"):  # See Rest: nobody took the bytes
            self.sock = sock.sock
            if self.sock is self._opened:
                return core
        self._slice = self._tcp = None
        self._open(_EXACT + _CONNECTED)
        return core

    def _open(self, traits):
        sock = self.sock
        try:
            self._core.open(sock, traits)
        except OSError:  # No stream, but an object that looks like a socket
            from ._streams import Stream

            self._core.open(Stream(sock), traits)
        self._opened = sock

    def publish(self, topic, msg, retain=False, qos=0, properties=None):
        core = self._core if self.sock is self._opened else self._attach()
        if self._hurries != (qos > 0):
            self._hurry(qos > 0)
        r = core.publish(ticks_ms(), 0, topic, msg, retain, qos, properties)
        if r:
            while r == _BUSY:
                self._flush_rest()
                r = core.publish(ticks_ms(), 0, topic, msg, retain, qos, properties)
            self._finish(r)

    def subscribe(self, topic, qos=0, properties=None):
        if self.cb is None:
            raise AssertionError("set_callback() comes before subscribe()")
        self._subscribe(topic, bytes((qos,)), properties)

    def unsubscribe(self, topic, properties=None):
        self._subscribe(topic, None, properties)

    def _subscribe(self, topic, options, properties):
        core = self._core if self.sock is self._opened else self._attach()
        if not self._hurries:
            self._hurry(True)
        while True:
            r = core.subscribe(ticks_ms(), 0, [topic], options, properties)
            if r != _BUSY:
                break
            self._flush_rest()
        self._finish(r)

    # Brings a request to its end that Session.publish() or subscribe() has begun
    def _finish(self, r):
        if r <= _REFUSED:
            raise MQTTException(_REFUSED - r)
        pid = r & 0xFFFF
        try:
            reason = self._written(r) and self._wait(pid)
        except:
            self._core.abandon(pid)
            raise
        if reason >= 0x80:
            raise MQTTException(reason)

    # All of it is; its identifier, 0 at QoS 0
    def _written(self, r):
        pid = r & 0xFFFF
        if pid:
            self.pid = pid
            if self._answers:  # To one before it, that nobody waited for any more
                self._answers.pop(pid, None)
        if r & _BACKLOG:
            self._flush()
        return pid

    # timeout: seconds, then None
    def wait_msg(self, timeout=None):
        if timeout is not None:
            return self._wait_for(timeout)
        if self.sock is not self._opened:
            self._attach()
        asked = ticks_ms()
        r = self._receive(1)
        if r >> 4 == 3:
            return r
        return self._wait(_ANY, None, r, asked)

    def _wait_for(self, timeout):
        if not timeout:
            return self.check_msg()
        if self.sock is not self._opened:
            self._attach()
        sock = self._tcp or self.sock
        sock.settimeout(min(timeout, self._slice or timeout))
        try:
            return self._wait(_ANY, int(timeout * 1000))
        finally:
            sock.settimeout(self._slice)

    def check_msg(self):
        if type(self).wait_msg is not MQTTClient.wait_msg:  # A class that extends this one wants to see each packet
            if not self.sock:
                self._attach()
            self.sock.setblocking(False)
            try:
                return self.wait_msg()
            finally:
                try:
                    self._block()
                except OSError:  # Closed meanwhile
                    pass
        return self._check()

    def _check(self):
        if self.sock is not self._opened or not self.sock:
            self._attach()
        self.sock.setblocking(False)
        try:
            while True:
                r = self._receive(-1)
                if r != _PART:
                    break
        finally:
            self._block()
        if r == _READY:
            r = self._receive(1)
            if r >> 4 == 3:
                return r
        if not _WAIT <= r <= _MORE:
            return self._wait(_ANY, None, r)
        if self.keepalive:
            self._ping_if_due()

    # Reads wait again, after the application or check_msg() has said that they shall not
    def _block(self):
        if self._slice:
            self._tcp.settimeout(self._slice)
        else:
            self.sock.setblocking(True)

    # A short frame, which needs no heap
    def _receive(self, limit):
        try:
            return self._core.receive(ticks_ms(), self.cb, limit, True)
        except:
            self._recover()
            raise

    # Of a callback, or KeyboardInterrupt in a read: the session goes on
    def _recover(self):
        if self.sock is self._opened:
            try:
                self._core.open(self.sock, _EXACT + _CONNECTED)
            except OSError:
                self._opened = None

    # Waits for one packet: its first byte, or None; or for the answer to a request, its reason code. r: what
    # came already, to a read that began at `asked`
    def _wait(self, pid, limit=None, r=None, asked=0):
        if self.sock is not self._opened:
            self._attach()
        core = self._core
        began = 0
        if limit is None:
            limit = self._timeout
            if pid == _ACCEPTED and self.keepalive:
                limit = limit or self._response_ms
        if limit or pid:
            began = ticks_ms()
        sock = self.sock
        while True:
            if self._answers and pid in self._answers:
                return self._answers.pop(pid)
            if r is None:
                asked = ticks_ms()
                r = self._receive(1)
            if _FIRST <= r < _DONE:
                if not pid:
                    return None if r == 0xD0 else r
                if sock is not self.sock:  # A callback has connected anew
                    raise OSError(errno.ECONNRESET)
            elif r >= _STRAY:
                if not pid:
                    from ._streams import Rest

                    self.sock = Rest(self, r >> 8 & 0xFF)
                    return r & 0xFF
            elif r >= _NOTED:
                self._flush()
            elif r >= _DONE:
                if r >> 8 == pid:
                    return r & 0xFF
                if self._answers is None:
                    self._answers = {}
                self._answers[r >> 8] = r & 0xFF
                if not pid:
                    return 0x40
            elif r == _CONNACK:
                return core.reason()
            elif r == _PART:
                pass
            elif r > _MORE or r < _WAIT:
                if r == _CLOSED and pid == _ACCEPTED:
                    raise MQTTException(-1)
                if r < _BAD:
                    sock.close()  # A packet that breaks the protocol ends the connection
                raise _failure(r, core)
            else:
                took = ticks_diff(ticks_ms(), asked)
                part = took / 1000 / self._slice if self._slice else 0
                # Another time than ours: the application has set a timeout, or not to block
                if part < 0.9 or part > 1.5 and not pid and r == _WAIT:
                    if took < 10:
                        self._block()
                    elif pid:
                        raise OSError(errno.ETIMEDOUT)
                    if not pid:
                        if self.keepalive:
                            self._ping_if_due()
                        return None
            if self.keepalive and pid != _ACCEPTED:
                self._ping_if_due()
            if limit and ticks_diff(ticks_ms(), began) >= limit:
                if r == _WAIT and not pid:
                    return None
                raise OSError(errno.ETIMEDOUT)
            r = None

    def _ping_if_due(self):
        core = self._core
        if not core.due(ticks_ms()):
            raise OSError(errno.ETIMEDOUT)
        if core.unsent():
            self._flush()

    # Writes what a timeout has left over; an error where there is nothing
    def _flush_rest(self):
        if not self._core.unsent():
            raise OSError(errno.ENOTCONN)
        self._flush()

    def _flush(self):
        began = ticks_ms()
        while True:
            r = self._core.flush(ticks_ms())
            if not r:
                return
            if r < 0:
                raise _failure(r, self._core)
            if ticks_diff(ticks_ms(), began) >= (self._timeout or self._response_ms):
                raise OSError(errno.ETIMEDOUT)
            sleep_ms(1 if r == 1 else 20)  # 2: the port's queue is full

    def ping(self):
        core = self._core if self.sock is self._opened else self._attach()
        if core.ping(ticks_ms()):
            self._flush()

    def disconnect(self):
        core = self._core if self.sock is self._opened else self._attach()
        try:
            if core.control(ticks_ms(), False, 0, None):
                self._flush()
        finally:
            self.sock.close()

    # *** For classes that extend this one and write to sock themselves ***

    def _send_str(self, s):
        self.sock.write(bytes((len(s) >> 8, len(s) & 0xFF)))
        self.sock.write(s)

    def _recv_len(self):
        n = shift = 0
        while True:
            digit = self.sock.read(1)[0]
            n |= (digit & 0x7F) << shift
            if digit < 0x80:
                return n
            shift += 7


def _failure(r, core):
    if r == _CLOSED:
        return OSError(-1)
    if r == _DISCONNECT:
        return OSError(-1, "disconnected by the broker: 0x%02x" % (core.reason() & 0xFF))
    if r < _BAD:
        return OSError(-1, "bad packet from the broker: error %d" % (-1000 - r))
    return OSError(-r)
