"""What umqtt takes of the heap: for good, and for each message."""

import pytest

# Bytes for import, construction, connection and subscription; umqtt.simple 1.3.4, compiled, takes 3024
CONNECTED = 2048

HEAP = """
import gc, sys
import errno, socket, time
gc.collect()
before = gc.mem_alloc()
from umqtt.simple import MQTTClient
c = MQTTClient("id", sys.argv[1], int(sys.argv[2]))
c.set_callback(print)
c.connect()
c.subscribe("t", 1)
c.publish("other", "m", qos=1)
gc.collect()
print(gc.mem_alloc() - before)
c.disconnect()
"""


@pytest.mark.firmware("rv32imc", "xtensa", only=True)
def test_connected(mp, broker):
    """In a firmware less than the original's bytecode."""
    taken = int(mp(HEAP, broker.host, broker.port).out)
    assert 0 < taken <= CONNECTED


GARBAGE = """
import gc, sys
from umqtt.simple import MQTTClient
came = 0
def count(topic, msg):
    global came
    came += 1
c = MQTTClient("id", sys.argv[1], int(sys.argv[2]))
c.set_callback(count)
c.connect()
c.subscribe("t", 1)
message = bytes(100)
def published(n, qos):
    for _ in range(n):
        c.publish("other", message, False, qos)
def received(n):
    global came
    came = 0
    for _ in range(n):
        c.publish("t", message, False, 1)
    while came < n:
        c.wait_msg()
def looked(n):
    for _ in range(n):
        c.check_msg()
def garbage(f, *args):
    f(20, *args)
    gc.collect()
    before = gc.mem_alloc()
    f(100, *args)
    return (gc.mem_alloc() - before) // 100
gc.collect()
gc.disable()
before = gc.mem_alloc()
copy = b"%s" % message
own = gc.mem_alloc() - before
print(garbage(published, 0), garbage(published, 1), garbage(published, 2), garbage(looked), garbage(received) <= own)
c.disconnect()
"""


@pytest.mark.core(few=True)
def test_garbage(mp, broker):
    """None for what is sent; for what is received no more than the message, which is the application's."""
    assert mp(GARBAGE, broker.host, broker.port).out == "0 0 0 0 True\n"
