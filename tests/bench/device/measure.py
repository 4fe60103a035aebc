# MicroPython: one measurement of one client. Arguments: adapter, measurement, host, port, count, QoS, tasks.
# Prints "ready" when the other side is to send, and in the end "result" and the number.
import asyncio
import gc
import sys
from time import ticks_diff, ticks_us

_, adapter, measurement, host, port, count, qos, tasks = sys.argv
port, count, qos, tasks = int(port), int(count), int(qos), int(tasks)
TOPIC = "bench/to"
ECHO = "bench/back"
MESSAGE = bytes(100)
WARM = 20  # Messages before memory is measured: first-time allocations are not per message


def ready():
    print("ready")


def result(value):
    print("result", value)
    sys.exit()  # No goodbye: some clients take seconds for it


def new_client(on_message=None):
    return __import__("adapt_" + adapter).Client(host, port, on_message)


async def start(on_message=None):
    client = new_client(on_message)
    await client.connect()
    return client


# Messages a second, from the first to the last
async def receive():
    n = started = ended = 0
    done = asyncio.Event()

    def on_message(message):
        nonlocal n, started, ended
        if n == 0:
            started = ticks_us()
        n += 1
        if n == count:
            ended = ticks_us()
            done.set()

    client = await start(on_message)
    await client.subscribe(TOPIC, qos)
    ready()
    await client.wait(done)
    return (count - 1) * 1e6 / ticks_diff(ended, started)


# Messages a second, each task waiting for one before it publishes the next
async def publish():
    client = await start()

    async def one(n):
        for _ in range(n):
            await client.publish(TOPIC, MESSAGE, qos)

    started = ticks_us()
    await asyncio.gather(*(one(count // tasks) for _ in range(tasks)))
    return count // tasks * tasks * 1e6 / ticks_diff(ticks_us(), started)


# Sends back each message; the other side takes the time
async def echo():
    if adapter == "umqtt":
        client = await start(lambda message: client.client.publish(ECHO, message))
        await client.subscribe(TOPIC, 0)
        ready()
        await client.wait(asyncio.Event())
    came = asyncio.Event()
    last = None

    def on_message(message):
        nonlocal last
        last = message
        came.set()

    client = await start(on_message)
    await client.subscribe(TOPIC, 0)
    ready()
    while True:
        await came.wait()
        came.clear()
        await client.publish(ECHO, last, 0)


# Bytes of heap a received message takes, the client's and its arguments to the application
async def heap_receive():
    n = before = after = 0
    done = asyncio.Event()

    def on_message(message):
        nonlocal n, before, after
        n += 1
        if n == WARM:
            before = gc.mem_alloc()
        elif n == WARM + count:
            after = gc.mem_alloc()
            done.set()

    client = await start(on_message)
    await client.subscribe(TOPIC, qos)
    gc.collect()
    gc.disable()
    ready()
    await client.wait(done)
    return (after - before) / count


# Bytes of heap a published message takes
async def heap_publish():
    client = await start()
    for _ in range(WARM):
        await client.publish(TOPIC, MESSAGE, qos)
    gc.collect()
    gc.disable()
    before = gc.mem_alloc()
    for _ in range(count):
        await client.publish(TOPIC, MESSAGE, qos)
    return (gc.mem_alloc() - before) / count


# Bytes of heap a second takes in which nothing happens
async def idle():
    client = await start(lambda message: None)
    await client.subscribe(TOPIC, 0)
    await asyncio.sleep(1)
    gc.collect()
    gc.disable()
    before = gc.mem_alloc()
    await asyncio.sleep(count)
    return (gc.mem_alloc() - before) / count


# Bytes of heap that import, construction and connection have taken for good. asyncio is there before.
async def ram():
    await asyncio.sleep(0)
    gc.collect()
    before = gc.mem_alloc()
    client = await start(lambda message: None)
    await client.subscribe(TOPIC, 0)
    gc.collect()
    return gc.mem_alloc() - before


result(asyncio.run(globals()[measurement]()))
