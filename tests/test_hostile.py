"""Peers that send what they must not: nothing is delivered, the connection is made anew, the client lives."""

import time

import pytest
from fixtures.client import end

SCRIPT = """
    config["subs_cb"] = show

    async def main(client):
        while not client.isconnected():
            if await outcome(client.connect()) == "OSError":
                print("refused")
        print("connected")
        await told()
"""

# What no server may send in 3.1.1, with the section that says so.
MALFORMED = {
    # 2.2.1, 2.2.2: types and flags
    "type 0": "00 00",
    "type 15": "f0 00",
    "type 15 with a body": "f0 02 00 00",
    "DISCONNECT": "e0 00",
    "CONNECT": '10 # "MQTT" 04 02 00 3c "id"',
    "SUBSCRIBE": '82 # 00 01 "t" 00',
    "UNSUBSCRIBE": 'a2 # 00 01 "t"',
    "PINGREQ": "c0 00",
    "PUBACK flags": "41 02 00 01",
    "PUBREC flags": "52 02 00 01",
    "PUBREL flags": "60 02 00 01",
    "PUBCOMP flags": "72 02 00 01",
    "SUBACK flags": "92 03 00 01 00",
    "UNSUBACK flags": "b2 02 00 01",
    "PINGRESP flags": "d1 00",
    # 2.2.3: remaining length
    "length of five bytes": "30 80 80 80 80 01",
    "length that never ends": "30 ff ff ff ff",
    "PINGRESP with a body": "d0 01 00",
    "PUBACK short": "40 01 00",
    "PUBACK empty": "40 00",
    "PUBACK long": "40 03 00 01 00",
    "PUBREC short": "50 01 00",
    "PUBREL long": "62 03 00 01 00",
    "PUBCOMP empty": "70 00",
    "SUBACK without codes": "90 02 00 01",
    "SUBACK short": "90 01 00",
    "UNSUBACK long": "b0 03 00 01 00",
    "UNSUBACK short": "b0 01 00",
    # 2.3.1: packet identifiers
    "PUBACK 0": "40 02 00 00",
    "PUBREL 0": "62 02 00 00",
    "SUBACK 0": "90 03 00 00 00",
    # 3.9.3
    "SUBACK code 3": "90 03 00 01 03",
    "SUBACK code 0x7f": "90 03 00 01 7f",
    "SUBACK code 0x81": "90 03 00 01 81",
    # 3.3: PUBLISH
    "PUBLISH of QoS 3": "36 # \"t\" 00 01 'm'",
    "PUBLISH of QoS 0 with DUP": "38 # \"t\" 'm'",
    "PUBLISH with identifier 0": "32 # \"t\" 00 00 'm'",
    "PUBLISH empty": "30 00",
    "PUBLISH of one byte": "30 01 00",
    "PUBLISH without a topic": "30 # \"\" 'm'",
    "PUBLISH with a topic beyond the packet": "30 05 00 10 't' 'mm'",
    "PUBLISH with a topic of 65535": "30 05 ff ff 't' 'mm'",
    "PUBLISH without its identifier": '32 # "t"',
    "PUBLISH with half an identifier": '32 # "t" 00',
    "PUBLISH to +": "30 # \"a/+\" 'm'",
    "PUBLISH to #": "30 # \"#\" 'm'",
    "PUBLISH with NUL": "30 04 00 02 't' 00",
    # 1.5.3: UTF-8
    "PUBLISH with a lone continuation": "30 03 00 01 80",
    "PUBLISH with a cut sequence": "30 03 00 01 c3",
    "PUBLISH with an over-long sequence": "30 04 00 02 c0 af",
    "PUBLISH with a surrogate": "30 05 00 03 ed a0 80",
    "PUBLISH beyond Unicode": "30 06 00 04 f4 90 80 80",
    # 3.2: the second CONNACK
    "CONNACK": "20 02 00 00",
}


@pytest.mark.parametrize("before", ["", "30 # \"t\" 'fine'"], ids=["alone", "behind a good one"])
@pytest.mark.parametrize("packet", MALFORMED.values(), ids=MALFORMED)
def test_malformed(clients, peer, packet, before):
    p = clients.start(peer, SCRIPT)
    c = peer.accept()
    c.accept_connect()
    p.expect("connected")
    c.send(before, packet, "30 # \"t\" 'never'")
    c.closed()
    c = peer.accept()
    c.accept_connect()
    c.send("30 # \"t\" 'after'")
    p.expect("message b't' b'after'")
    r = end(p)
    assert "never" not in r.out
    assert r.out.count("message") == 1 + (before != "")


@pytest.mark.parametrize(
    "packet",
    [
        "30 # \"t\" 'm'",
        "20 00",
        "20 01 00",
        "20 03 00 00 00",
        "20 02 02 00",
        "20 02 ff 00",
        "20 02 01 05",
        "20 02 01 00",
        "20 02 00 06",
        "20 02 00 ff",
        "21 02 00 00",
        "40 02 00 01",
        "90 03 00 01 00",
        "d0 00",
        "e0 00",
        "00 00",
        "30 80 80 80 80 01",
        "'HTTP/1.1 400 Bad Request' 0d 0a 0d 0a",
        "15 03 01 00 02 02 46",  # a TLS alert
    ],
)
def test_instead_of_a_connack(clients, peer, packet):
    p = clients.start(peer, SCRIPT)
    c = peer.accept()
    c.accept_connect(packet)
    assert c.closed() == b""
    p.expect("refused")
    c = peer.accept()
    c.accept_connect()
    p.expect("connected")
    c.send("30 # \"t\" 'after'")
    p.expect("message b't' b'after'")
    assert end(p).out.count("message") == 1


@pytest.mark.core(few=True)
@pytest.mark.parametrize("packet", ["40 02 00 01", "70 02 00 01", "b0 02 00 01", "90 03 00 01 00", "d0 00"])
def test_unasked_but_harmless(clients, peer, packet):
    """Answers to what was not asked, or was asked of another connection."""
    p = clients.start(peer, SCRIPT)
    c = peer.accept()
    c.accept_connect()
    c.send(packet, packet, "30 # \"t\" 'fine'")
    p.expect("message b't' b'fine'")
    c.quiet(0.1)
    end(p)


@pytest.mark.core(few=True)
def test_suback_with_too_many_codes(clients, peer):
    """3.9.3: a code for each topic filter of the SUBSCRIBE, and it had one."""
    script = """
        async def main(client):
            await client.connect()
            await client.subscribe("t", 1)
            print("subscribed")
            await told()
    """
    p = clients.start(peer, script)
    c = peer.accept()
    c.accept_connect()
    c.send("90 05", c.expect("82 # *")[2:4], "00 01 02")
    c.closed()
    assert "subscribed" not in p.out
    c = peer.accept()
    c.accept_connect()
    c.send("90 03", c.expect("82 # *")[2:4], "01")
    p.expect("subscribed")
    end(p)


@pytest.mark.core(few=True)
def test_answers_of_the_wrong_kind(clients, peer):
    """A PUBACK does not end a publication of QoS 2, nor a SUBACK one of QoS 1, and so on."""
    script = """
        async def main(client):
            await client.connect()
            for qos in (1, 2):
                asyncio.create_task(client.publish("t", "m", qos=qos))
            asyncio.create_task(client.subscribe("t"))
            asyncio.create_task(client.unsubscribe("t"))
            await told()
            print("waiting", len(client.rcv_pids))
            await told()
    """
    p = clients.start(peer, script)
    c = peer.accept()
    c.accept_connect()
    one, two, sub, unsub = (c.packet() for _ in range(4))
    one, two, sub, unsub = one[5:7], two[5:7], sub[2:4], unsub[2:4]
    for pid in (two, sub, unsub):
        c.send("40 02", pid)
    for pid in (one, sub, unsub):
        c.send("70 02", pid)
    for pid in (one, two, unsub):
        c.send("90 03", pid, "00")
    for pid in (one, two, sub):
        c.send("b0 02", pid)
    c.send("d0 00")
    time.sleep(0.3)
    p.send("go")
    p.expect("waiting 4")
    p.kill()


@pytest.mark.core(few=True)
def test_flood_of_pubrels_and_of_qos_2(clients, peer):
    """A peer that asks for answers and does not read them; one that opens exchanges without end."""
    p = clients.start(peer, SCRIPT, config={"response_time": 1})
    c = peer.accept()
    c.accept_connect()
    p.expect("connected")
    flood = b"".join(b"\x62\x02" + n.to_bytes(2, "big") for n in range(1, 60_000))
    c.sock.settimeout(10)
    try:
        c.sock.sendall(flood * 20)
    except OSError:
        pass
    c.reset()
    c = peer.accept()
    c.accept_connect()
    c.sock.settimeout(10)
    try:
        c.send(*(b"\x34\x06\0\x01t" + n.to_bytes(2, "big") + b"m" for n in range(1, 2000)))
    except OSError:
        pass
    c.reset()
    c = peer.accept()
    c.accept_connect()
    c.send("30 # \"t\" 'after'")
    p.expect("message b't' b'after'")
    end(p)
