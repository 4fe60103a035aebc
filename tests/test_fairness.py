"""A flood of messages: other tasks get their turn, and publishing goes on. Counted in messages, not in time."""

import pytest
from fixtures.client import end
from fixtures.peer import encode

pytestmark = pytest.mark.firmware("x64")

MESSAGES = 4000
BURST = 16  # messages taken before other tasks get their turn

FLOODED = """
n = 0

def count(*_):
    global n
    n += 1

config["subs_cb"] = count

async def some(least):
    while n < least:
        await asyncio.sleep_ms(0)

async def main(client):
    await client.connect()
    await client.subscribe("t", QOS)
    await some(1)
    await beside(client)
    await told()
"""


def flooded(clients, peer, beside, qos=0, ibufsize=50):
    """A client with so many messages in its socket, beside which it does what the coroutine `beside` says."""
    p = clients.start(peer, f"QOS = {qos}\nmqtt_as.IBUFSIZE = {ibufsize}\n" + FLOODED + beside)
    c = peer.accept()
    c.accept_connect()
    packet = c.expect('82 # .. .. "t" *')
    identifiers = range(1, MESSAGES + 1)
    flood = [f'3{2 * qos} # "t" {f"{n >> 8:02x} {n & 255:02x}" if qos else ""} {"00 " * 10}' for n in identifiers]
    c.send(b"\x90\x03" + packet[2:4] + bytes([qos]) + b"".join(map(encode, flood)))
    return p, c


@pytest.mark.parametrize("ibufsize", [50, 4096])
@pytest.mark.parametrize("qos", [0, 1])
def test_other_tasks_get_their_turn(clients, peer, qos, ibufsize):
    beside = f"""
async def beside(client):
    most = 0
    while n < {MESSAGES}:
        before = n
        await asyncio.sleep_ms(0)
        most = max(most, n - before)
    print("most", most)
"""
    p, _ = flooded(clients, peer, beside, qos, ibufsize)
    assert p.expect(r"most (\d+)")[1] == str(BURST)
    end(p)


def test_publishing_goes_on(clients, peer):
    """publish() at QoS 0 returns at once, the flood going on; what it writes does not wait for the flood's end."""
    beside = """
async def beside(client):
    before = n
    for _ in range(32):
        await client.publish("u", "m")
    print("meanwhile", n - before)
"""
    p, c = flooded(clients, peer, beside)
    for _ in range(32):
        c.expect("30 # \"u\" 'm'")
    assert int(p.expect(r"meanwhile (\d+)")[1]) <= 2 * BURST
    end(p)
