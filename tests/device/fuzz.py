# Feeds _mqtt_as.Session with streams that are damaged and cut as chance has it.
# SEED SECONDS [FILE]...: a round from each seed on, for so long (0: one round), with the seeds of src/codec/fuzz if given.
#
# Each stream goes through two sessions, in other pieces and over other memory: what comes of it must be the same, and must
# have been in the stream. Every connection begins with a message that has to arrive, whatever the one before went through.
import gc
import io
import random
import sys
from time import ticks_diff, ticks_ms

from _mqtt_as import Session, decode_properties, encode_properties

WAIT, MORE, CLOSED, CONNACK, DISCONNECT, AUTH, DONE, NOTED = 0, 1, 2, 3, 4, 5, 0x100, 0x1000000
ERRORS = set(range(1, 25)) | set(range(50, 54))  # of the codec, and of what comes when it must not
STREAMS = 50  # in a round
NO_LIMIT = 65535
GROWTH = 20_000  # bytes of the heap that may differ between rounds
PLACES = {2: 0x20, 4: 0x30, 5: 0x40, 9: 0xE0, 10: 0xF0}  # of the target `properties`: the packet they are in

corpus = {"packet": [], "properties": [], "stream": []}
counts = {"rounds": 0, "streams": 0, "messages": 0, "in pieces": 0, "requests answered": 0, "refused": 0, "properties": 0}


def upto(n):
    return random.getrandbits(24) % n


def pick(things):
    return things[upto(len(things))]


def rubbish(n):
    return bytes(upto(256) for _ in range(n))


def string(text):
    return bytes((len(text) >> 8, len(text) & 0xFF)) + text


def packet(first, body):
    n, length = len(body), b""
    while n > 0x7F:
        length, n = length + bytes((n & 0x7F | 0x80,)), n >> 7
    return bytes((first,)) + length + bytes((n,)) + body


def check(right, why):
    if not right:
        raise AssertionError(why)


class Raised(Exception):
    pass


class Stream(io.IOBase):
    """Gives `data` in pieces; what it does not use of the room it is given it fills. Takes all, or pieces too."""

    def __init__(self, fill, whole):
        self.fill, self.whole = fill, whole
        self.data, self.at, self.ended = b"", 0, False
        self.written = b""

    def feed(self, data):
        self.data, self.at = data, 0

    def readinto(self, buf):
        n = min(len(buf), len(self.data) - self.at)
        if n and not self.whole:
            n = min(n, pick((1, 1, 2, 3, 7, 60, 1000)))
        buf[:n] = self.data[self.at : self.at + n]
        buf[n:] = self.fill * (len(buf) - n)
        self.at += n
        return n if n or self.ended else None

    def write(self, data):
        n = len(data)
        if not self.whole:
            n = min(n, pick((0, 1, 3, 1000)))
        self.written += bytes(data[:n])
        return n or None

    def ioctl(self, request, arg):
        return 0


class Player:
    """A session, and what came of its streams: `events`, and the error that it then `refused` the rest with."""

    def __init__(self, whole, divides, v5, ibufsize, max_packet, receive_maximum):
        self.whole, self.divides, self.v5 = whole, divides, v5
        self.most = max(2048, ibufsize)
        take = self.take if divides else None
        self.session = Session(v5, ibufsize, max_packet, 0, 0, 1000, 4, 0, receive_maximum, take)
        self.fill = rubbish(1)
        self.given_up = set()

    def callback(self, topic, msg, retained, *properties):
        self.events.append((bytes(topic), bytes(msg), retained, properties))
        self.may_raise()

    def take(self, topic, piece, retained, properties, offset, length):
        if not offset:
            self.taken = b""
        check(len(self.taken) == offset and 0 < len(piece) <= min(self.most, length - offset), "not the next piece")
        self.taken += bytes(piece)
        if len(self.taken) == length:
            counts["in pieces"] += 1
            self.events.append((bytes(topic), self.taken, retained, (properties,) if self.v5 else ()))
        self.may_raise()

    def may_raise(self):
        if not self.whole and upto(8) == 0:
            raise Raised

    def open(self, clean, connect_properties):
        self.events = []
        self.taken = self.refused = None
        self.stream = Stream(self.fill, self.whole)
        self.session.open(self.stream, not self.whole)
        self.session.connect(0, clean, b"id", 60, None, None, None, connect_properties)
        self.flush()

    def flush(self):
        for _ in range(100_000):
            if self.session.flush(0) <= 0:
                return
        check(False, "never done with writing")

    def play(self, data):
        """Takes it all, or up to an error."""
        session, stream = self.session, self.stream
        stream.feed(data)
        calls = 0
        while True:
            calls += 1
            check(calls < 10 * len(data) + 1000, "never done with reading")
            limit = 16 if self.whole else upto(4)
            try:
                r = session.receive(0, self.callback, limit, self.whole)
            except Raised:
                continue
            if r > MORE or r < 0:
                self.answered(r)
                if r < 0 or r == CLOSED or r == DISCONNECT:
                    break
            elif r == MORE or stream.at < len(data):
                session.flush(0)
            else:
                break
        self.flush()
        return r

    def answered(self, r):
        if r >= DONE:
            counts["requests answered"] += 1
            pid = r % NOTED >> 8
            check(pid in self.requests or pid in self.given_up, "an answer to what nobody asked: %d" % r)
            if r < NOTED and pid in self.requests:
                self.requests.remove(pid)
        elif r < 0:
            counts["refused"] += 1
            check(-1000 - r in ERRORS, "no such error: %d" % r)
            self.refused = r
            return
        else:
            check(r <= AUTH, "no such answer: %d" % r)
        s = self.session
        self.events.append((r, (s.reason(), s.properties(), s.codes())))

    def repeat(self):
        """What the session wants sent again is given up."""
        while True:
            self.flush()
            r = self.session.due(0)
            if r >= 0:
                return
            self.events.append(r)
            self.given_up.add(-r)
            self.session.abandon(-r)

    def ask(self):
        """Requests, for their answers to be in the stream."""
        s = self.session
        asked = [(s.publish, "t", b"m", False, qos, None) for qos in (1, 2)]
        asked += [(s.subscribe, topics, bytes(len(topics)), None) for topics in (["a"], ["b", "c", "d"])]
        asked += [(s.subscribe, ["a", "b"], None, None)]
        self.requests = []
        for method, *arguments in asked:
            self.flush()
            r = method(0, 0, *arguments)
            if r > 0:
                self.requests.append(r & 0xFFFF)
        self.flush()
        return self.requests


def block(v5):
    if not v5:
        return b""
    blocks = (b"", b"", b"\x01\x01", b"\x02\0\0\0\x09", b"\x26\0\x01a\0\x01b", b"\x23\0\x01", b"\x0b\x07\x0b\x08")
    return (lambda b: bytes((len(b),)) + b)(pick(blocks))


def valid(v5, requests, sent):
    """A packet that a server may send, not always when it may; what answers a request has its identifier."""
    if upto(2):
        qos = upto(3)
        topic = pick((b"t", b"t", b"topic/of/some/length", b"" if upto(8) == 0 else b"u"))
        msg = rubbish(pick((0, 1, 20, 60, 300, 3000)))
        sent.append((topic, msg))
        body = string(topic) + (bytes((0, 1 + upto(6))) if qos else b"") + block(v5)
        return packet(0x30 | qos << 1 | upto(2), body + msg)
    which = upto(7)
    pid = requests[min(which, 4)] if requests and upto(4) else 1 + upto(6)
    head = bytes((pid >> 8, pid & 0xFF))
    reason = b""
    if v5:
        reason = pick((b"", b"", b"\0", b"\0\0", b"\x87" if which < 2 else b"\x92", b"\0\x06\x1f\0\x03why"))
    if which == 0:
        return packet(0x40, head + reason)
    if which == 1:
        return packet(pick((0x50, 0x50, 0x62)), head + reason) + packet(0x70, head)
    if which == 2 or which == 3:
        codes = bytes(pick((0, 0, 1, 2, 0x80)) for _ in range(1 if which == 2 else 3))
        return packet(0x90, head + (b"\0" if v5 else b"") + codes)
    if which == 4:
        return packet(0xB0, head + (b"\0\0\x11" if v5 else b""))
    return packet(0x62, bytes((0, 1 + upto(6)))) if which == 5 else b"\xd0\0"


def seeded(v5):
    """Packets from the corpora of the fuzz targets of the codec."""
    target = pick(("packet", "properties", "stream"))
    data = pick(corpus[target])
    if len(data) < 5:
        return data
    if target == "stream":
        return data[5 + data[4] :]
    if target == "packet":
        return packet(data[1], data[2:])
    first = PLACES.get(data[0] % 11, 0x30)
    head = string(b"t") if first == 0x30 else b"\0\x01\0" if first == 0x40 else b"\0\0" if first == 0x20 else b"\0"
    n = len(data) - 1
    return packet(first, head + bytes((n,)) + data[1:] if n < 0x80 else head + bytes((n & 0x7F | 0x80, n >> 7)) + data[1:])


def damage(data):
    at, n, kind = upto(len(data)), 1 + upto(8), upto(6)
    if kind == 0:
        data[at] ^= 1 << upto(8)
    elif kind == 1:
        data[at] = pick((0, 1, 0x7F, 0x80, 0xFF))
    elif kind == 2:
        data[at : at + n] = b""
    elif kind == 3:
        data[at:at] = rubbish(n)
    elif kind == 4:
        data[at:at] = data[at : at + 10 * n]
    else:
        data[at:] = b""
    return data


def made(v5, requests):
    """A stream; the messages in it, as far as that is known."""
    data, sent = bytearray(), []
    seeds = corpus["packet"] and upto(3)
    for _ in range(1 + upto(12)):
        data += seeded(v5) if seeds and upto(3) == 0 else valid(v5, requests, sent)
    damages = pick((0, 0, 1, 1, 2, 5))
    for _ in range(damages):
        data = damage(data or bytearray(1))
    return bytes(data), None if seeds or damages else sent


def within(value, data):
    """Is all text, and all bytes, of a property's value in the stream?"""
    if isinstance(value, (list, tuple)):
        return all(within(v, data) for v in value)
    if isinstance(value, dict):
        return all(within(item, data) for item in value.items())
    return isinstance(value, int) or (value.encode() if isinstance(value, str) else value) in data


def check_messages(events, data, sent):
    """In their order they were in the stream; some may be missing."""
    at = 0
    for event in events:
        if isinstance(event, tuple) and len(event) == 4:
            topic, msg, _, properties = event
            counts["messages"] += 1
            check(topic in data, "a topic that was not sent: %r" % topic)
            check(data.find(msg, at) >= 0, "a message that was not sent: %r" % msg)
            at = data.find(msg, at) + len(msg)
            check(all(within(list(p.values()), data) for p in properties if p), "properties that were not sent")
            while sent is not None:
                check(sent, "a message of other bytes: %r" % msg)
                if sent.pop(0) in ((topic, msg), (b"", msg)):
                    break


def check_written(written, v5):
    """Acknowledgements, and a DISCONNECT at the end."""
    at = 0
    while at < len(written):
        first, n = written[at], written[at + 1]
        end = at + 2 + n
        last = v5 and first == 0xE0 and n == 1 and end == len(written)
        check(last or first in (0x40, 0x50, 0x62, 0x70) and 2 <= n <= 2 + v5, "wrote %r" % written)
        at = end
    check(at == len(written), "wrote half a packet")


def stream(players, v5):
    clean = bool(upto(2))
    greeted = upto(8) != 0
    connack = packet(0x20, (b"\0\0" if clean or upto(2) else b"\1\0") + (b"\x06\x22\0\x02\x21\0\x0a" if v5 else b""))
    alive = packet(0x30, string(b"alive") + (b"\0" if v5 else b"") + b"yes")
    properties = {0x22: 2} if v5 else None
    if v5 and upto(2):
        properties[0x15] = "method"
    data = sent = None
    for p in players:
        p.open(clean, properties)
        p.requests = []
        if greeted:
            p.play(connack + alive)
            check(p.events[0][0] == CONNACK and p.events[1][:2] == (b"alive", b"yes") and len(p.events) == 2, "not alive")
            p.repeat()
            p.ask()
            p.events = p.events[2:]
        asked, p.stream.written = list(p.requests), b""
        if data is None:
            data, sent = made(v5, asked)
        if p.play(data) == WAIT:
            p.stream.ended = True
            check(p.session.receive(0, p.callback, 16, True) == CLOSED, "the end was not seen")
        check_messages(p.events, data + connack + alive, sent and list(sent))
        if greeted:
            check_written(p.stream.written, v5)
        p.session.close()
    counts["streams"] += 1


def compare(one, other):
    check(one.events == other.events, "in pieces: %r, whole: %r" % (one.events, other.events))
    if one.refused != other.refused:
        # who takes a message in pieces sees before all of it is here that it is bad
        if other.divides and not one.divides:
            one, other = other, one
        check(one.divides and not other.divides and not other.refused, "errors %r and %r" % (one.refused, other.refused))
        check(one.stream.written.startswith(other.stream.written), "wrote more where it was not refused")
    else:
        check(one.stream.written == other.stream.written, "wrote %r and %r" % (one.stream.written, other.stream.written))


def properties():
    data = bytearray(pick(corpus["properties"])[1:])
    for _ in range(upto(4)):
        data = damage(data or bytearray(1))
    n = upto(len(data) + 1)
    try:
        found = decode_properties(data, n)
    except ValueError:
        return
    counts["properties"] += 1
    check(within(list((found or {}).values()), bytes(data)), "properties that were not there")
    again = encode_properties(found)
    check(len(again) == n and decode_properties(again, n) == found, "encodes otherwise")


def play_round(seed):
    random.seed(seed)
    v5 = bool(upto(2))
    # with a receive maximum it counts how many messages came before acknowledgements could be sent
    maximum = pick((NO_LIMIT, NO_LIMIT, 3))
    how = v5, pick((1, 5, 50, 300)), pick((100, 1000, 5000)), maximum
    players = [Player(False, upto(2), *how), Player(True, upto(2), *how)]
    for _ in range(STREAMS):
        stream(players, v5)
        if maximum == NO_LIMIT:
            compare(*players)
        if corpus["properties"]:
            properties()


def main(seed, seconds, *files):
    for name in files:
        with open(name) as f:
            corpus[name.split("/")[-1].split(".")[0]] = [bytes.fromhex(line) for line in f if line.strip() and line[0] != "#"]
    begun, at_first = ticks_ms(), None
    while True:
        try:
            play_round(seed)
        except BaseException:
            print("round of seed", seed)
            raise
        seed += 1
        counts["rounds"] += 1
        gc.collect()
        gc.collect()
        if counts["rounds"] == 5:
            at_first = gc.mem_alloc()
        elif at_first:
            check(gc.mem_alloc() - at_first < GROWTH, "grows: %d bytes, from %d" % (gc.mem_alloc(), at_first))
        if ticks_diff(ticks_ms(), begun) >= 1000 * seconds:
            break
    print(*("%s %d" % item for item in counts.items()), sep=", ")


main(int(sys.argv[1]), int(sys.argv[2]), *sys.argv[3:])
