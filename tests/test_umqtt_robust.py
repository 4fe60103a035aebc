"""umqtt.robust: connections that end, and what programs override."""

import threading
import time

import pytest
from fixtures.peer import encode

SCRIPT = """
class Client(MQTTClient):
    DEBUG = True
    def delay(self, i):
        print("delay", i)
        time.sleep(0.05)
"""


def start(umqtt, peer, script, connack="20 02 00 00", **how):
    p = umqtt.start(peer, SCRIPT + script, module="robust", **how)
    c = peer.accept()
    c.accept_connect(connack)
    return p, c


@pytest.mark.parametrize("kept", [False, True])
@pytest.mark.parametrize("end", ["close", "reset"])
def test_publication_is_sent_again(umqtt, peer, kept, end):
    """At QoS 1 and 2, over the next connection: as a duplicate if the broker has kept the session."""
    script = """
c = connected(Client)
for qos in 1, 2:
    c.publish("t", "m", qos=qos)
    print("done", c.pid)
told()
"""
    p, c = start(umqtt, peer, script)
    for qos, number in (1, 1), (2, 2 + (not kept)):
        first = c.expect(f"3{2 * qos} # \"t\" 00 0{number} 'm'")
        getattr(c, end)()
        p.expect("mqtt: OSError")
        c = peer.accept()
        assert c.accept_connect("20 02 01 00" if kept else "20 02 00 00")[9] == 0  # Not a clean session
        again = c.packet()
        if kept:
            assert again == bytes([first[0] | 8]) + first[1:]
        else:
            number += 1
            assert again == first[:6] + bytes([number]) + first[7:]
        if qos == 2:
            c.send(f"50 02 00 0{number}")
            c.expect(f"62 02 00 0{number}")
            if kept:  # Once more: it is released, not published
                c.close()
                c = peer.accept()
                c.accept_connect("20 02 01 00")
                c.expect(f"62 02 00 0{number}")
            c.send(f"70 02 00 0{number}")
        else:
            c.send(f"40 02 00 0{number}")
        p.expect(f"done {number}$")
    p.wait()


def test_reconnects(umqtt, peer):
    """wait_msg, check_msg, publish at QoS 0; delay(i) from 1; log()."""
    script = """
c = connected(Client)
c.log = lambda in_reconnect, e: print("log", in_reconnect, e.args[0])
print(c.wait_msg())
told()
print(c.check_msg())
told()
print(c.check_msg(attempts=1))
for n in range(3):
    c.publish("t", "m")
print("published")
"""
    p, c = start(umqtt, peer, script)
    c.close()
    p.expect("log False -1")
    c = peer.accept()
    c.expect("10 # *")
    c.close()  # Before CONNACK
    p.expect("log True -1")
    p.expect("delay 1")
    c = peer.accept()
    c.expect("10 # *")
    c.reset()
    p.expect("log True 104")
    p.expect("delay 2")
    c = peer.accept()
    c.accept_connect()
    c.send("30 # \"t\" 'm'")
    p.expect("^48$")
    c.close()
    p.send("")
    c = peer.accept()
    c.accept_connect()
    p.expect("^None$")
    c.close()
    p.send("")
    c = peer.accept()
    c.accept_connect()
    p.expect("^None$")
    c.expect("30 # *")
    c.expect("30 # *")
    c.expect("30 # *")
    p.expect("published")
    p.wait()


def test_refused(umqtt, peer):
    """A broker that refuses is not asked again."""
    p, c = start(umqtt, peer, "c = connected(Client)\nprint(outcome(c.wait_msg))")
    c.close()
    peer.accept().accept_connect("20 02 00 05")
    p.expect(r"\('MQTTException', 5\)")
    p.wait()


def test_never_connected(umqtt, peer):
    """publish() before connect() connects."""
    p = umqtt.start(peer, "c = new()\nc.publish('t', 'm', qos=1)\nprint('done')", module="robust")
    c = peer.accept()
    c.accept_connect()
    c.expect("32 # *")
    c.send("40 02 00 01")
    p.expect("done")
    p.wait()


def test_connect_overridden(umqtt, peer):
    """It subscribes and publishes; a publication that failed goes first."""
    script = """
class Mine(Client):
    def connect(self, clean_session=True):
        r = super().connect(clean_session)
        if not r:
            self.subscribe("s", 1)
        self.publish("up", "", qos=1)
        return r
c = new(Mine)
c.set_callback(show)
print(c.connect(False))
c.publish("t", "m", qos=1)
print("done")
"""
    p = umqtt.start(peer, SCRIPT + script, module="robust")
    for n in range(2):
        c = peer.accept()
        c.accept_connect()
        if n:
            pid = c.expect("32 # \"t\" .. .. 'm'")[5:7]
            c.send(b"\x40\2" + pid)
        pid = c.expect('82 # .. .. "s" 01')[2:4]
        c.send(b"\x90\3" + pid + b"\1")
        pid = c.expect('32 # "up" .. ..')[6:8]
        c.send(b"\x40\2" + pid)
        if not n:
            p.expect("^0$")
            c.expect("32 # \"t\" .. .. 'm'")
            c.close()
    p.expect("done")
    p.wait()


def test_connect_without_argument(umqtt, peer):
    """A connect() of the application's that takes none is passed over; what goes wrong within one is not."""
    script = """
class Mine(Client):
    def connect(self):
        print("mine")
        super().connect()
class Wrong(Client):
    def connect(self, clean_session=True):
        super().connect(clean_session)
        if not clean_session:
            raise TypeError("wrong")
for Some in Mine, Wrong:
    c = new(Some)
    c.connect()
    print("connected", outcome(c.wait_msg))
"""
    p, c = start(umqtt, peer, script)
    for answer in "None", r"\('TypeError', 'wrong'\)":
        c.close()
        c = peer.accept()
        assert c.accept_connect()[9] == 0
        if answer == "None":
            c.send("d0 00")
        p.expect(f"^connected {answer}$")
        if answer == "None":
            c = peer.accept()
            c.accept_connect()
    assert p.wait().lines.count("mine") == 1


def test_callback_reconnects(umqtt, peer):
    """The connection ends while a callback publishes within a publish: each of them is sent again, in order."""
    script = """
c = new(Client)
def again(topic, msg):
    print("message", msg)
    c.publish("inner", msg, qos=1)
    print("inner done")
c.set_callback(again)
c.connect()
c.publish("outer", "x", qos=1)
print("outer done", c._pending)
"""
    p, c = start(umqtt, peer, script)
    c.expect("32 # \"outer\" 00 01 'x'")
    c.send("30 # \"t\" 'a'")
    c.expect("32 # \"inner\" 00 02 'a'")
    c.close()
    c = peer.accept()
    c.accept_connect("20 02 01 00")
    c.expect("3a # \"outer\" 00 01 'x'")
    c.expect("3a # \"inner\" 00 02 'a'")
    c.send("40 02 00 01", "40 02 00 02")
    p.expect("inner done")
    p.expect(r"outer done \[\]")
    p.wait()


@pytest.mark.parametrize("kept", [False, True])
def test_resubscribes(umqtt, peer, kept):
    """With RESUBSCRIBE, where the broker has lost the session."""
    script = """
Client.RESUBSCRIBE = True
c = connected(Client)
c.subscribe("a", 1)
c.subscribe(b"b")
c.subscribe("gone")
c.unsubscribe("gone")
c.wait_msg()
c.publish("t", "m")
"""
    p, c = start(umqtt, peer, script)
    for first in '82 # 00 01 "a" 01', '82 # 00 02 "b" 00', '82 # 00 03 "gone" 00':
        c.expect(first)
        c.send("90 03 00 0" + first[9] + " 01")
    c.expect('a2 # 00 04 "gone"')
    c.send("b0 02 00 04")
    c.close()
    c = peer.accept()
    c.accept_connect("20 02 01 00" if kept else "20 02 00 00")
    if not kept:
        seen = set()
        for _ in range(2):
            packet = c.expect("82 *")
            seen.add(packet[4:])
            c.send(b"\x90\3" + packet[2:4] + b"\0")
        assert seen == {encode('"a" 01'), encode('"b" 00')}
    c.send("d0 00")
    c.expect("30 # *")
    p.wait()


def test_timeout_is_kept(umqtt, peer):
    """Of connect(), for the connections that follow: a peer that says nothing is left."""
    p, c = start(umqtt, peer, "c = connected(Client, timeout=0.3)\nc.publish('t', 'm', qos=1)\nprint('done')")
    for _ in range(2):
        c.expect("3. *".replace("3.", "32") if _ == 0 else "3a *")
        p.expect("OSError")
        c = peer.accept()
        c.accept_connect("20 02 01 00")
    c.expect("3a *")
    c.send("40 02 00 01")
    p.expect("done")
    p.wait()


def test_soak(umqtt, broker, proxy, observers):
    """A connection that breaks all the time: at QoS 1 nothing is lost, at QoS 2 nothing comes twice either."""
    script = """
class Client(MQTTClient):
    def delay(self, i):
        time.sleep(0.02)
c = connected(Client, False)
c.subscribe("back", 2)
for n in range(300):
    c.publish("t/%d" % (1 + n % 2), str(n), qos=1 + n % 2)
    c.check_msg()
print("published")
while len(set(m for _, m in messages)) < 100:
    c.wait_msg()
print("twice" if len(messages) > 100 else "once")
"""
    observer = observers(broker)
    observer.subscribe("t/#", 2)
    p = umqtt.start(proxy, script, module="robust")
    p.expect("connected")
    ended = threading.Event()

    def break_it():
        while not ended.wait(0.15):
            proxy.cut()

    thread = threading.Thread(target=break_it)
    thread.start()
    try:
        time.sleep(0.2)
        for n in range(100):
            observer.publish("back", str(n), 2)
            time.sleep(0.01)
        p.expect("published", 60)
    finally:
        ended.set()
        thread.join()
    p.expect("^once$", 30)
    p.wait()
    came = {1: [], 2: []}
    deadline = time.monotonic() + 5
    while len({m.payload for m in observer.messages}) < 300 and time.monotonic() < deadline:
        time.sleep(0.05)
    for message in observer.messages:
        came[int(message.topic[2:])].append(int(message.payload))
    assert set(came[1]) == set(range(0, 300, 2))
    assert came[2] == list(range(1, 300, 2))
