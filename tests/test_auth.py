"""Enhanced authentication (MQTT 5, 4.12)."""

import hashlib
import hmac
import time

import pytest
from fixtures.auth import METHOD, auth, connect, send_auth, send_connack
from fixtures.client import end
from fixtures.peer import encode
from fixtures.v5 import answer, publish, start

KEY = b"secret"

# Three steps, in which each side proves that it knows the key: the client names itself, the server asks, the client
# answers, the server answers too.
AUTH = """
    import hashlib, binascii

    def sign(text):
        return binascii.hexlify(hashlib.sha256(b"secret" + text).digest())

    class Auth:
        asked = None

        async def __call__(self, reason, properties):
            print("step", reason, properties and properties.get(0x16))
            await asyncio.sleep_ms(20)  # as for a database, or the work of a hash
            if reason is None:
                return {0x16: b"who"}
            data = properties.get(0x16)
            if reason == 0x18:
                self.asked = data
                return {0x16: sign(data)}
            if data != sign(b"server" + self.asked):
                raise OSError("the server does not know the key")

    config["auth_coro"] = Auth()
    config["mqttv5_con_props"] = {0x15: "SCRAM"}
"""

MAIN = """
    config["subs_cb"] = lambda topic, msg, *_: print("message", msg)

    async def up(client):
        print("up", client.connack_properties.get(0x16))
    config["connect_coro"] = up

    async def main(client):
        print("connect", await outcome(client.connect()))
        while call := await told():
            try:
                r = eval(call, {"client": client, "asyncio": asyncio, "outcome": outcome})
                print("result", await r if hasattr(r, "send") else r)
            except Exception as e:
                print("raised", type(e).__name__, getattr(e, "reason_code", None), e)
"""

SCRIPT = AUTH + MAIN


def sign(text):
    return hashlib.sha256(KEY + text).hexdigest().encode()


def exchange(c, question=b"q1"):
    """All three steps of a connection."""
    assert connect(c) == b"who"
    send_auth(c, question)
    assert hmac.compare_digest(auth(c), sign(question))
    send_connack(c, sign(b"server" + question))


def authenticated(clients, peer, script=SCRIPT, *args, **how):
    p = start(clients, peer, script, *args, **how)
    c = peer.accept()
    exchange(c)
    p.expect("^up")
    return p, c


# --- connecting


def test_three_steps(clients, peer):
    p = start(clients, peer, SCRIPT)
    c = peer.accept()
    exchange(c)
    p.expect("^step None None")
    p.expect("^step 24 b'q1'")
    p.expect(f"^step 0 b'{sign(b'serverq1').decode()}'")
    p.expect("^connect None")
    publish(c)
    p.expect("^message b'm'")
    end(p)


def test_many_steps(clients, peer):
    p = start(clients, peer, SCRIPT)
    c = peer.accept()
    assert connect(c) == b"who"
    for n in range(30):
        send_auth(c, b"%d" % n, more='1f "more" 26 "k" "v"')
        assert auth(c) == sign(b"%d" % n)
    send_connack(c, sign(b"server29"))
    p.expect("^connect None")
    end(p)


def test_one_step(clients, peer):
    """Data in CONNECT, and all is said."""
    script = (
        """
    async def auth(reason, properties):
        print("step", reason, properties)
        return {0x16: b"token"} if reason is None else None
    config.update(auth_coro=auth, mqttv5_con_props={0x15: "SCRAM", 0x11: 60})
"""
        + MAIN
    )
    p = start(clients, peer, script)
    c = peer.accept()
    assert connect(c) == b"token"
    send_connack(c)
    p.expect("^step None None")
    p.expect("^step 0 {21: 'SCRAM'}")
    p.expect("^connect None")
    end(p)


@pytest.mark.parametrize("begin", ["None", "{}", "{0x15: 'OTHER'}", "{0x26: {'k': 'v'}}"])
def test_nothing_to_say(clients, peer, begin):
    """No data is data enough; the method stays."""
    script = (
        f"""
    async def auth(reason, properties):
        return {begin} if reason != 0 else None
    config.update(auth_coro=auth, mqttv5_con_props={{0x15: "SCRAM"}})
"""
        + MAIN
    )
    p = start(clients, peer, script)
    c = peer.accept()
    assert connect(c) is None
    send_auth(c)
    assert auth(c) is None
    send_connack(c)
    p.expect("^connect None")
    end(p)


def test_large_data(clients, peer):
    script = (
        """
    async def auth(reason, properties):
        if reason != 0:
            return {0x16: bytes(60000) + (properties[0x16] if reason else b"")}
    config.update(auth_coro=auth, mqttv5_con_props={0x15: "SCRAM"})
"""
        + MAIN
    )
    p = start(clients, peer, script)
    c = peer.accept()
    assert c.packet().count(b"\0") >= 60000
    send_auth(c, b"x" * 5000)
    assert auth(c) == bytes(60000) + b"x" * 5000
    send_connack(c)
    p.expect("^connect None")
    end(p)


def test_refused(clients, peer):
    p = start(clients, peer, SCRIPT)
    c = peer.accept()
    connect(c)
    send_auth(c, b"q")
    auth(c)
    send_connack(c, reason=0x87, method=None, more='1f "wrong key"')
    assert c.closed() == b""
    p.expect("^connect OSError")
    p.send("(client.last_error.reason_code, client.last_error.properties)")
    p.expect(r"^result \(135, {31: 'wrong key'}\)")
    with pytest.raises(AssertionError, match="no client has connected"):
        peer.accept(1)  # the first connection is the application's to repeat
    end(p)


def test_client_that_does_not_trust_the_server(clients, peer):
    p = start(clients, peer, SCRIPT)
    c = peer.accept()
    connect(c)
    send_auth(c, b"q")
    auth(c)
    send_connack(c, b"guessed")
    c.closed()
    p.expect("^connect OSError")
    p.send("client.isconnected()")
    p.expect("^result False")
    assert "up" not in end(p, tracebacks=True).out


@pytest.mark.parametrize("error", ["ValueError", "KeyError", "OSError"])
@pytest.mark.parametrize("step", [None, 0x18, 0])
def test_coroutine_that_raises(clients, peer, error, step):
    """connect() fails, nothing is left behind, and the next attempt may do better."""
    script = AUTH.replace("await asyncio.sleep_ms(20)", "fail(reason)") + MAIN
    script = (
        f"""
    left = 1
    def fail(reason):
        global left
        if reason == {step} and left:
            left = 0
            raise {error}("no")
"""
        + script
    )
    p = start(clients, peer, script)
    if step is not None:
        c = peer.accept()
        connect(c)
        send_auth(c, b"q")
        if step == 0:
            auth(c)
            send_connack(c, sign(b"serverq"))
        assert c.closed()[:1] in (b"", b"\xe0")
    p.expect(f"^connect ({'OSError|' if step is not None else ''}{error})")
    p.send("client.connect()")
    exchange(peer.accept())
    p.expect("^result None")
    end(p, tracebacks=True)


def test_messages_of_a_server_that_is_not_trusted(clients, peer):
    """Nothing is taken from a server that could not prove who it is."""
    p = start(clients, peer, SCRIPT)
    c = peer.accept()
    connect(c)
    send_auth(c, b"q")
    auth(c)
    send_connack(c, b"guessed")
    publish(c, message="'forged'")
    c.closed()
    p.expect("^connect OSError")
    assert "forged" not in end(p, tracebacks=True).out


@pytest.mark.parametrize("properties", ["{0x7f: 1}", "{0x11: 'x'}", "[1]", "{0x16: 5}", "'x'"])
def test_wrong_properties_of_the_coroutine(clients, peer, properties):
    script = (
        f"""
    async def auth(reason, properties):
        return {properties}
    config.update(auth_coro=auth, mqttv5_con_props={{0x15: "SCRAM"}})
"""
        + MAIN
    )
    p = start(clients, peer, script)
    p.expect("^connect (OSError|ValueError|TypeError)")
    end(p, tracebacks=True)


def test_wrong_properties_in_a_later_step(clients, peer):
    script = AUTH.replace("return {0x16: sign(data)}", "return {0x11: 5}") + MAIN
    p = start(clients, peer, script)
    c = peer.accept()
    connect(c)
    send_auth(c, b"q")
    assert c.closed()[:1] in (b"", b"\xe0")
    p.expect("^connect OSError")
    end(p, tracebacks=True)


def test_slow_exchange(clients, peer):
    """response_time is the time for one answer, not for all."""
    p = start(clients, peer, SCRIPT, config={"response_time": 1})
    c = peer.accept()
    connect(c)
    for n in range(4):
        c.quiet(0.7)
        send_auth(c, b"%d" % n)
        assert auth(c) == sign(b"%d" % n)
    c.quiet(0.7)
    send_connack(c, sign(b"server3"))
    p.expect("^connect None")
    end(p)


@pytest.mark.parametrize("steps", [0, 1])
def test_server_that_falls_silent(clients, peer, steps):
    p = start(clients, peer, SCRIPT, config={"response_time": 1})
    c = peer.accept()
    connect(c)
    for _ in range(steps):
        send_auth(c, b"q")
        auth(c)
    assert c.closed(5) == b""
    p.expect("^connect OSError")
    end(p)


def test_coroutine_that_never_ends(clients, peer):
    """It is cancelled with the connection it was for."""
    script = AUTH.replace("await asyncio.sleep_ms(20)", "await stuck(reason)") + MAIN
    script = (
        """
    async def stuck(reason):
        if reason:
            try:
                await asyncio.sleep(1000)
            finally:
                print("cancelled")
"""
        + script
    )
    p = start(clients, peer, script, config={"response_time": 1})
    c = peer.accept()
    connect(c)
    send_auth(c, b"q")
    assert c.closed(8) == b""
    p.expect("^connect OSError")
    assert "cancelled" in end(p).lines


def test_closed_while_the_coroutine_works(clients, peer):
    """What it says afterwards is for nobody."""
    script = SCRIPT.replace("sleep_ms(20)", "sleep_ms(500 if reason else 0)")
    p = start(clients, peer, script)
    c = peer.accept()
    connect(c)
    send_auth(c, b"q")
    c.reset()
    p.expect("^connect OSError")
    p.send("client.connect()")
    c = peer.accept()
    assert connect(c) == b"who"
    send_auth(c, b"again")
    assert auth(c) == sign(b"again")
    send_connack(c, sign(b"serveragain"))
    p.expect("^result None")
    assert not end(p).err


def test_disconnect_while_the_coroutine_works(clients, peer):
    """The application gives up."""
    script = (
        SCRIPT.replace("sleep_ms(20)", "sleep_ms(1000 if reason else 0)")
        + """
    both = main
    async def main(client):
        t = asyncio.create_task(outcome(client.connect()))
        await told()
        await client.disconnect()
        print("disconnected", await t)
        await told()
"""
    )
    p = start(clients, peer, script)
    c = peer.accept()
    connect(c)
    send_auth(c, b"q")
    p.expect("^step 24")
    p.send("go")
    assert c.closed()[:1] in (b"", b"\xe0")
    p.expect("^disconnected OSError")
    end(p)


# --- a server that breaks the rules


@pytest.mark.parametrize(
    "first",
    [
        "f0 00",  # success before anything was said
        'f0 # 00 # 15 "SCRAM"',
        "f0 02 18 00",  # without a method
        "f0 # 18 # 16 00 01 'x'",
        'f0 # 19 # 15 "SCRAM"',  # only a client says so
        'f0 # 01 # 15 "SCRAM"',
        'f0 # 18 # 15 "OTHER"',
        'f0 # 18 # 15 "scram"',
        'f0 # 18 # 15 "SCRAM" 15 "SCRAM"',
        'f0 # 18 # 15 "SCRAM" 11 00 00 00 01',
        'f1 # 18 # 15 "SCRAM"',
        "30 # \"t\" 00 'm'",
        "e0 00",
        "d0 00",
        '20 # 00 00 # 15 "OTHER"',
    ],
)
def test_wrong_packet_while_connecting(clients, peer, first):
    """connect() fails; the coroutine is not asked."""
    p = start(clients, peer, SCRIPT)
    c = peer.accept()
    connect(c)
    c.send(first)
    assert c.closed()[:1] in (b"", b"\xe0")
    p.expect("^connect OSError")
    assert [line for line in end(p).lines if line.startswith(("step", "message"))] == ["step None None"]


@pytest.mark.parametrize(
    "wrong",
    [
        "f0 02 18 00",
        'f0 # 19 # 15 "SCRAM"',
        'f0 # 8c # 15 "SCRAM"',
        "f0 # 00 # 16 00 01 'x'",
        "f0 00",
        'f0 # 00 # 15 "SCRAM"',
        "f0 # 18 # 15 \"SCRAM\" 16 00 01 'x'",
        'f0 # 18 # 15 "OTHER"',
    ],
)
def test_auth_out_of_turn(clients, peer, wrong):
    """The server does not begin, and it is told so (4.12.1, 4.13.1)."""
    p, c = authenticated(clients, peer)
    c.send(wrong)
    data = c.closed()
    exchange(peer.accept())
    p.expect("^up")
    assert end(p).out.count("step") == 6  # none for that
    assert data[:2] == b"\xe0\x01" and data[2] in (0x81, 0x82)


@pytest.mark.parametrize("wrong", ["f0 00", 'f0 # 18 # 15 "SCRAM"'])
@pytest.mark.parametrize("version", [4, 5])
def test_auth_for_who_named_no_method(clients, peer, version, wrong):
    p = start(clients, peer, MAIN, config={"mqttv5": version == 5})
    c = peer.accept()
    connack = "20 02 00 00" if version == 4 else "20 03 00 00 00"
    c.accept_connect(connack)
    p.expect("^up")
    c.send(wrong)
    if version == 5:
        c.expect("e0 01 82")
    assert c.closed() == b""
    peer.accept().accept_connect(connack)
    p.expect("^up")
    end(p)


def test_method_without_a_coroutine(clients, peer):
    """It may do if the server is content with CONNECT."""
    config = {"mqttv5_con_props": {0x15: METHOD, 0x16: b"token"}}
    p = start(clients, peer, MAIN, config=config)
    c = peer.accept()
    assert connect(c) == b"token"
    send_connack(c)
    p.expect("^connect None")
    p.send("client.reauthenticate()")
    p.expect("^raised ValueError")
    c.reset()
    c = peer.accept()
    assert connect(c) == b"token"
    send_auth(c, b"q")
    assert c.closed()[:1] in (b"", b"\xe0")
    c = peer.accept()
    connect(c)
    send_connack(c)
    p.expect("^up")
    end(p)


# --- configuration


@pytest.mark.parametrize(
    "config",
    [
        "{}",
        '{"mqttv5_con_props": {0x11: 5}}',
        '{"mqttv5_con_props": {0x15: ""}}',
        '{"mqttv5_con_props": {0x16: b"x"}}',
        '{"mqttv5_con_props": {0x15: 5}}',
    ],
)
def test_coroutine_without_a_method(mp, config):
    r = mp(f"""
        from mqtt_as import MQTTClient
        async def auth(*_): pass
        config = {{"server": "localhost", "mqttv5": True, "auth_coro": auth}}
        config.update({config})
        try:
            MQTTClient(config)
        except (TypeError, ValueError) as e:
            print("raised")
    """)
    assert r.out == "raised\n"


def test_ignored_in_3_1_1(clients, peer):
    p = clients.start(peer, SCRIPT)
    c = peer.accept()
    assert c.accept_connect() == encode('10 # "MQTT" 04 02 00 3c "id"')
    p.expect("^connect None")
    p.send("client.reauthenticate()")
    p.expect("^raised ValueError")
    assert "step" not in end(p).out


def test_only_what_authenticates_is_loaded(mp):
    """mqtt_as.auth takes no room where it is not asked for."""
    r = mp("""
        import sys
        from mqtt_as import MQTTClient
        MQTTClient({"server": "localhost", "mqttv5": True})
        print("mqtt_as.auth" in sys.modules)
    """)
    assert r.out == "False\n"


# --- outages


def test_each_connection_authenticates(clients, peer):
    p, c = authenticated(clients, peer)
    for n in range(3):
        if n:
            c.reset()
        else:
            c.send("e0 01 8b")
            c.closed()
        c = peer.accept()
        exchange(c, b"question %d" % n)
        p.expect(f"^step 0 b'{sign(b'serverquestion %d' % n).decode()}'")
        p.expect("^up")
    end(p)


@pytest.mark.parametrize("how", ["reset", "silent", "refused", "wrong", "distrust"])
def test_exchange_that_breaks_off_while_reconnecting(clients, peer, how):
    """It begins anew until it succeeds; a publication waits for that."""
    p, c = authenticated(clients, peer, config={"response_time": 1})
    p.send("client.publish('t', 'm', qos=1)")
    c.expect("32 *")
    c.reset()
    for _ in range(2):
        c = peer.accept()
        assert connect(c) == b"who"
        send_auth(c, b"q")
        if how == "wrong":
            send_auth(c, b"q", method="OTHER")
        else:
            auth(c)
        if how == "reset":
            c.reset()
            continue
        if how == "refused":
            send_connack(c, reason=0x87, method=None)
        elif how == "distrust":
            send_connack(c, b"guessed")
        assert c.closed()[:1] in (b"", b"\xe0")
    c = peer.accept()
    exchange(c, b"at last")
    answer(c, c.expect("32 *"))
    p.expect("^result 0")
    end(p)


def test_publications_wait_for_the_coroutine(clients, peer):
    """Nothing but AUTH goes out before CONNACK (3.1.2-30), nor before the coroutine agrees."""
    script = SCRIPT.replace("sleep_ms(20)", "sleep_ms(400 if reason == 0 else 0)")
    p, c = authenticated(clients, peer, script)
    p.send("client.publish('t', 'm', qos=1)")
    c.expect("32 *")
    c.reset()
    c = peer.accept()
    connect(c)
    send_auth(c, b"q")
    auth(c)
    c.quiet(0.3)
    send_connack(c, sign(b"serverq"))
    c.quiet(0.3)
    answer(c, c.expect("32 *"))
    p.expect("^result 0")
    end(p)


def test_keep_alive_of_a_long_exchange(clients, peer):
    """No ping may go out before CONNACK, however long it takes."""
    p = start(clients, peer, SCRIPT, config={"keepalive": 2, "ping_interval": 1, "response_time": 3})
    c = peer.accept()
    connect(c)
    for n in range(3):
        c.quiet(1.3)
        send_auth(c, b"%d" % n)
        assert auth(c) == sign(b"%d" % n)
    send_connack(c, sign(b"server2"))
    p.expect("^connect None")
    c.expect("c0 00")
    c.send("d0 00")
    end(p)


# --- authenticating again (4.12.1)


def test_reauthenticate(clients, peer):
    p, c = authenticated(clients, peer)
    for n in range(2):
        p.send("client.reauthenticate()")
        assert auth(c, 0x19) == b"who"
        send_auth(c, b"again %d" % n)
        assert auth(c) == sign(b"again %d" % n)
        send_auth(c, sign(b"serveragain %d" % n), 0)
        p.expect("^step 0")
        p.expect("^result None")
    publish(c)
    p.expect("^message")
    assert end(p).out.count("step") == 9


def test_reauthenticate_in_one_step(clients, peer):
    """AUTH without a body: success, and there is nothing else to say (3.15.2.1)."""
    script = (
        """
    async def auth(reason, properties):
        print("step", reason, properties)
        return {0x16: b"token"} if reason is None else None
    config.update(auth_coro=auth, mqttv5_con_props={0x15: "SCRAM"})
"""
        + MAIN
    )
    p = start(clients, peer, script)
    c = peer.accept()
    connect(c)
    send_connack(c)
    p.expect("^connect None")
    p.send("client.reauthenticate()")
    assert auth(c, 0x19) == b"token"
    c.send("f0 00")
    p.expect("^step 0 {}")
    p.expect("^result None")
    end(p)


def test_messages_go_on_meanwhile(clients, peer):
    """In both directions (4.12.1)."""
    p, c = authenticated(clients, peer)
    p.send("asyncio.gather(client.reauthenticate(), client.publish('t', 'm', qos=1))")
    packets = [c.packet(), c.packet()]
    assert {packet[0] for packet in packets} == {0x32, 0xF0}
    publish(c)
    p.expect("^message")
    answer(c, next(packet for packet in packets if packet[0] == 0x32))
    send_auth(c, b"q")
    assert auth(c) == sign(b"q")
    publish(c, message="'n'")
    p.expect("^message b'n'")
    send_auth(c, sign(b"serverq"), 0)
    p.expect(r"^result \[None, 0\]")
    end(p)


def test_in_the_middle_of_a_large_message(clients, peer):
    """AUTH is a packet by itself, behind the one that is being written."""
    p, c = authenticated(clients, peer, options=("-X", "heapsize=32M"))
    p.send("asyncio.gather(client.publish('t', bytes(6000000)), client.reauthenticate())")
    p.expect("^step None")
    assert len(c.packet()) > 6000000
    assert auth(c, 0x19) == b"who"
    send_auth(c, b"q")
    auth(c)
    send_auth(c, sign(b"serverq"), 0)
    p.expect(r"^result \[None, None\]")
    end(p)


def test_reauthentication_that_is_refused(clients, peer):
    """The server says why and closes; the connection is made anew."""
    p, c = authenticated(clients, peer)
    p.send("client.reauthenticate()")
    auth(c, 0x19)
    c.send('e0 # 87 # 1f "not any more"')
    c.closed()
    p.expect("^raised MQTTException 135 .*not any more")
    exchange(peer.accept())
    p.expect("^up")
    end(p)


def test_reauthentication_of_a_server_that_is_not_trusted(clients, peer):
    p, c = authenticated(clients, peer)
    p.send("client.reauthenticate()")
    auth(c, 0x19)
    send_auth(c, b"q")
    auth(c)
    send_auth(c, b"guessed", 0)
    c.closed()
    p.expect("^raised OSError .*does not know the key")
    exchange(peer.accept())
    p.expect("^up")
    end(p, tracebacks=True)


@pytest.mark.parametrize("step", [1, 2])
def test_reauthentication_that_breaks_off(clients, peer, step):
    """Connecting authenticates anyhow: it is not begun again."""
    p, c = authenticated(clients, peer)
    p.send("client.reauthenticate()")
    auth(c, 0x19)
    if step == 2:
        send_auth(c, b"q")
        auth(c)
    c.reset()
    p.expect("^raised OSError")
    c = peer.accept()
    exchange(c)
    c.quiet(0.3)
    p.send("client.reauthenticate()")
    auth(c, 0x19)
    send_auth(c, b"q")
    auth(c)
    send_auth(c, sign(b"serverq"), 0)
    p.expect("^result None")
    end(p)


@pytest.mark.parametrize("steps", [0, 1])
def test_reauthentication_without_an_answer(clients, peer, steps):
    """It is given up, and the connection stays."""
    p, c = authenticated(clients, peer, config={"response_time": 1})
    p.send("client.reauthenticate()")
    auth(c, 0x19)
    for _ in range(steps):
        send_auth(c, b"q")
        auth(c)
    p.expect("^raised OSError .*AUTH", 5)
    publish(c)
    p.expect("^message")
    end(p)


def test_reauthentication_without_an_answer_while_messages_flow(clients, peer):
    script = (
        SCRIPT
        + """
    async def busy(client):
        while True:
            await client.publish("t", "m", qos=1)
            await asyncio.sleep_ms(200)

    both = main
    async def main(client):
        asyncio.create_task(busy(client))
        await both(client)
"""
    )
    p, c = authenticated(clients, peer, script, config={"response_time": 1})
    p.send("client.reauthenticate()")
    for _ in range(20):
        packet = c.packet()
        if packet[0] == 0x32:
            answer(c, packet)
    p.expect("^raised OSError", 1)
    end(p)


def test_reauthenticate_without_a_connection(clients, peer):
    p, c = authenticated(clients, peer)
    c.reset()
    c = peer.accept()
    c.expect("10 *")
    p.send("client.reauthenticate()")
    p.expect("^raised OSError")
    c.reset()
    exchange(peer.accept())
    p.expect("^up")
    end(p)


def test_wrong_method_while_reauthenticating(clients, peer):
    p, c = authenticated(clients, peer)
    p.send("client.reauthenticate()")
    auth(c, 0x19)
    send_auth(c, b"q", method="OTHER")
    assert c.closed()[:1] in (b"", b"\xe0")
    p.expect("^raised OSError")
    exchange(peer.accept())
    p.expect("^up")
    end(p)


def test_two_at_once(clients, peer):
    """One after the other, or the second is refused; the connection stays."""
    p, c = authenticated(clients, peer)
    p.send("asyncio.gather(outcome(client.reauthenticate()), outcome(client.reauthenticate()))")
    for n in range(2):
        if n:
            time.sleep(0.3)  # the first one is over
        packet = c.packet()
        while packet[0] == 0xF0:  # as many steps as it takes
            if packet[2] == 0x19:
                send_auth(c, b"q")
            else:
                send_auth(c, sign(b"serverq"), 0)
                break
            packet = c.packet()
    p.expect("^result", 5)
    publish(c)
    p.expect("^message", 3)
    end(p)


def test_cancelled_reauthentication(clients, peer):
    """What the server answers then ends the connection at worst; it is mended."""
    p, c = authenticated(clients, peer)
    p.send("asyncio.wait_for_ms(client.reauthenticate(), 300)")
    auth(c, 0x19)
    p.expect("^raised TimeoutError")
    publish(c)
    p.expect("^message")
    send_auth(c, b"q")
    c.closed()
    exchange(peer.accept())
    p.expect("^up")
    end(p)
