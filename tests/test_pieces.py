"""Messages that exceed the receive buffer, taken in pieces as they arrive: config["piece_cb"]."""

import os
import random
import time

import pytest
from fixtures.client import end
from fixtures.peer import encode

# Writes what comes to a file, tells of each message that is whole.
TAKE = """
    config["subs_cb"] = lambda topic, msg, retained, *properties: print("whole", topic, len(msg), retained, *properties)
    most = pieces = 0
    def take(topic, piece, retained, properties, offset, length):
        global most, pieces, file
        if not offset:
            file = open(sys.argv[1], "wb")
            pieces = 0
            print("begin", length)
        assert file.tell() == offset and len(piece)
        file.write(piece)
        most = max(most, len(piece))
        pieces += 1
        if offset + len(piece) == length:
            file.close()
            print("end", topic, retained, properties, length, most <= 2048, pieces)
    config["piece_cb"] = take

    async def main(client):
        await client.connect()
        print("connected")
        await told()
"""


@pytest.fixture
def file(tmp_path):
    return tmp_path / "message"


def publish(payload, head="30", pid="", properties=""):
    return encode(f'{head} # "t" {pid} {properties} {payload.hex(" ")}')


def connected(clients, peer, *args, script=TAKE, answer="20 02 00 00", **how):
    p = clients.start(peer, script, *args, **how)
    c = peer.accept()
    c.accept_connect(answer)
    p.expect("connected")
    return p, c


@pytest.mark.parametrize("size", [2049, 5000, 100_000])
@pytest.mark.parametrize("reads", ["whole", "split"])
def test_pieces(clients, peer, file, size, reads):
    p, c = connected(clients, peer, file)
    payload = random.Random(size).randbytes(size)
    stream = publish(payload, "33", "00 07") + encode("30 # \"t\" 'short'") + publish(payload[:2049])
    if reads == "whole":
        c.send(stream)
    else:
        cuts = [0, 1, 2, 5, 8, 9, 10, 500, 2047, 2049, len(stream) - 3, len(stream)]
        for a, b in zip(cuts, cuts[1:]):
            c.send(stream[a:b])
            time.sleep(0.02)
    p.expect(f"end b't' True None {size} True")
    p.expect("whole b't' 5 False")
    c.expect("40 02 00 07")
    p.expect("end b't' False None 2049 True")
    assert file.read_bytes() == payload[:2049]
    end(p)


def test_shorter_ones_come_whole(clients, peer, file):
    """The limit is the length of the packet: 2048 bytes."""
    p, c = connected(clients, peer, file)
    c.send(publish(bytes(2048 - 3 - 3)))
    p.expect("whole b't' 2042 False")
    c.send(publish(bytes(2048 - 3 - 3 + 1)))
    p.expect("end b't' False None 2043 True")
    end(p)


def test_properties(clients, peer, file):
    """Also some that exceed the buffer themselves: what it has grown to is no measure of the pieces."""
    for pairs in (1, 1000):
        p, c = connected(clients, peer, file, config={"mqttv5": True}, answer="20 03 00 00 00")
        properties = encode("# " + '26 "a" "b" ' * pairs)
        c.send(publish(bytes(30_000), properties=properties.hex(" ")))
        p.expect(r"end b't' False {38: .*} 30000 True")
        c.send(publish(b"", properties=properties.hex(" ")))
        p.expect(r"whole b't' 0 False {38: .*}")
        end(p)


def test_acknowledged_after_the_last_piece(clients, peer, file):
    p, c = connected(clients, peer, file)
    payload = os.urandom(10_000)
    message = publish(payload, "34", "00 09")
    c.send(message[:9000])
    p.expect("begin")
    c.quiet(0.3)
    c.send(message[9000:])
    p.expect("end b't' False None 10000")
    c.expect("50 02 00 09")
    assert file.read_bytes() == payload
    # again, since the PUBREC was lost: the application has it
    c.send(publish(payload, "3c", "00 09"), "30 # \"t\" 'next'")
    c.expect("50 02 00 09")
    p.expect("whole b't' 4 False")
    c.send("62 02 00 09")
    c.expect("70 02 00 09")
    assert end(p).out.count("begin") == 1


def test_a_lost_connection_starts_it_over(clients, peer, file):
    p, c = connected(clients, peer, file, config={"clean": False, "clean_init": False})
    payload = os.urandom(10_000)
    c.send(publish(payload, "32", "00 09")[:9000])
    p.expect("begin")
    time.sleep(0.1)
    c.reset()
    c = peer.accept()
    c.accept_connect("20 02 01 00")
    c.send(publish(payload, "3a", "00 09"))
    p.expect("begin 10000")
    p.expect("end b't' False None 10000")
    c.expect("40 02 00 09")
    assert file.read_bytes() == payload
    end(p)


def test_a_callback_that_raises_gets_the_rest(clients, peer):
    script = """
        total = 0
        def take(topic, piece, retained, properties, offset, length):
            global total
            total += len(piece)
            if offset + len(piece) == length:
                print("all", total, offset > 0)
            raise ValueError("not me")
        config["piece_cb"] = take

        async def main(client):
            await client.connect()
            print("connected")
            await told()
    """
    p, c = connected(clients, peer, script=script)
    c.send(publish(bytes(20_000), "32", "00 09"))
    p.expect("all 20000 True")
    c.expect("40 02 00 09")
    assert "not me" in end(p, tracebacks=True).out


def test_with_the_queue(clients, peer, file):
    script = TAKE.replace("await told()", "print('queue', *await client.queue.__anext__()); await told()")
    p, c = connected(clients, peer, file, script=script, config={"queue_len": 1})
    c.send(publish(bytes(20_000)), "30 # \"t\" 'short'")
    p.expect("end b't' False None 20000")
    p.expect("queue b't' b'short' False")
    end(p)


def test_memory(clients, broker, observer, file):
    """A megabyte through a heap of 300 KB, and the next message too; memory is given back."""
    script = TAKE.replace('print("connected")', 'await client.subscribe("big", 1); print("connected")')
    p = clients.start(broker, script, file, options=("-X", "heapsize=300k"))
    p.expect("connected")
    payload = os.urandom(1_000_000)
    for _ in range(2):
        observer.publish("big", payload, 1)
        p.expect("end b'big' False None 1000000 True", 30)
        assert file.read_bytes() == payload
    end(p)


def test_disconnect_from_the_callback(clients, peer):
    script = """
        def take(*args):
            client.close()
            print("closed")
        config["piece_cb"] = take

        async def main(client):
            await client.connect()
            print("connected")
            await told()
            await client.connect()
            print("connected")
            await told()
    """
    p, c = connected(clients, peer, script=script)
    c.send(publish(bytes(5000), "32", "00 09")[:4000])
    p.expect("closed")
    c.closed()
    p.send("go")
    c = peer.accept()
    c.accept_connect()
    p.expect("connected")
    c.send("d0 00")
    c.quiet(0.2)
    end(p)
