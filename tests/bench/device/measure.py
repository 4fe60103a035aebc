# MicroPython: one measurement of one client. Arguments: adapter, measurement, host, port, settings ("qos=1 ms=500").
# Prints "ready" when the other side is to send, "begin" and "end" around what is counted from outside, and "result" with
# numbers.
import asyncio
import gc
import sys
from time import ticks_diff, ticks_us

_, adapter, measurement, host, port, words = sys.argv
settings = {key: int(value) for key, value in (word.split("=") for word in words.split())}
qos = settings.get("qos", 0)
count = settings.get("count", 0)  # Messages to measure
duration = settings.get("ms", 0) * 1000
tasks = settings.get("tasks", 1)
TOPIC = "bench/to"
ECHO = "bench/back"
MESSAGE = bytes(settings.get("size", 100))
WARM = 20  # Messages before something is counted: first-time allocations are not per message


def result(*values):
    print("result", *values)
    sys.exit()  # No goodbye: some clients take seconds for it


def cpu(process="self"):  # Nanoseconds that a process has had a processor
    with open("/proc/%s/schedstat" % process) as f:
        return int(f.read().split()[0])


def resident(process):  # Bytes of its memory
    with open("/proc/%s/statm" % process) as f:
        return int(f.read().split()[1]) * 4096


def new_client(on_message=None, name="bench"):
    return __import__("adapt_" + adapter).Client(host, int(port), name, on_message, settings)


async def start(on_message=None):
    client = new_client(on_message)
    await client.connect()
    return client


async def subscribed(on_message):
    client = await start(on_message)
    await client.subscribe(TOPIC, qos)
    return client


class Rate:
    # result(): messages a second, and microseconds of processor time for each; then what else there is
    def __init__(self):
        self.used = cpu()
        self.started = ticks_us()

    def over(self):
        return ticks_diff(ticks_us(), self.started) >= duration

    def result(self, n, *more):
        elapsed = ticks_diff(ticks_us(), self.started)
        result(n * 1e6 / elapsed, (cpu() - self.used) / 1e3 / n, *more)


# The rate over the time given; or just as many messages as `count` says
async def receive():
    n = since = 0
    until = count or 100
    rate = None
    done = asyncio.Event()

    def on_message(topic, message, retained=None, more=None):
        nonlocal n
        n += 1
        if n >= until:
            look()

    def look():
        nonlocal rate, since, until
        if count:
            done.set()
            result(n)
        if rate is None:
            rate = Rate()
            since = n
        elif rate.over():
            done.set()
            rate.result(n - since)
        until = n + max(1, min(500, n // 4))

    client = await subscribed(on_message)
    print("ready")
    await client.wait(done)


# The rate of publishing, each task waiting for one message before the next
async def publish():
    client = await start()
    n = 0
    for _ in range(WARM if qos == 0 or tasks > 1 else 1):
        await client.publish(TOPIC, MESSAGE, qos)

    async def one():
        nonlocal n
        if hasattr(client, "publish_now"):  # It blocks: a coroutine would only cost
            while not rate.over():
                client.publish_now(TOPIC, MESSAGE, False, qos)
                n += 1
        while not rate.over():
            await client.publish(TOPIC, MESSAGE, qos)
            n += 1

    rate = Rate()
    if tasks == 1:
        await one()
    else:
        await asyncio.gather(*(one() for _ in range(tasks)))
    rate.result(n)


# Sends back each message; the other side takes the time
async def echo():
    came = asyncio.Event()
    last = None

    def on_message(topic, message, retained=None, more=None):
        nonlocal last
        last = message
        came.set()

    def on_message_at_once(topic, message, retained=None, more=None):
        client.publish_now(ECHO, message)

    blocking = hasattr(new_client(), "publish_now")
    client = await subscribed(on_message_at_once if blocking else on_message)
    print("ready")
    if blocking:
        await client.wait(asyncio.Event())
    while True:
        await came.wait()
        came.clear()
        await client.publish(ECHO, last, 0)


# Bytes of heap a received message takes, the client's and its arguments to the application
async def count_received():
    n = before = after = 0
    done = asyncio.Event()

    def on_message(topic, message, retained=None, more=None):
        nonlocal n, before, after
        n += 1
        if n == WARM:
            print("begin")
            before = gc.mem_alloc()
        elif n == WARM + count:
            after = gc.mem_alloc()
            print("end")
            done.set()
            result((after - before) / count)

    client = await subscribed(on_message)
    gc.collect()
    gc.disable()
    print("ready")
    await client.wait(done)


# Bytes of heap a published message takes
async def count_published():
    client = await start()
    for _ in range(WARM):
        await client.publish(TOPIC, MESSAGE, qos)
    gc.collect()
    gc.disable()
    print("begin")
    before = gc.mem_alloc()
    if hasattr(client, "publish_now"):
        for _ in range(count):
            client.publish_now(TOPIC, MESSAGE, False, qos)
    else:
        for _ in range(count):
            await client.publish(TOPIC, MESSAGE, qos)
    after = gc.mem_alloc()
    print("end")
    result((after - before) / count)


# Bytes of heap a second takes in which nothing happens
async def idle():
    client = await subscribed(lambda *_: None)
    await asyncio.sleep(1)
    gc.collect()
    gc.disable()
    print("begin")
    before = gc.mem_alloc()
    await asyncio.sleep_ms(duration // 1000)
    after = gc.mem_alloc()
    print("end")
    result((after - before) * 1e6 / duration, client and 0)


# Bytes of heap that import, construction and connection have taken for good. asyncio is there before; the adapter is
# loaded once more to know what is its own.
async def ram():
    await asyncio.sleep(0)
    gc.collect()
    before = gc.mem_alloc()
    client = await subscribed(lambda *_: None)
    gc.collect()
    taken = gc.mem_alloc() - before
    del sys.modules["adapt_" + adapter]
    again = __import__("adapt_" + adapter)
    gc.collect()
    result(2 * taken + before - gc.mem_alloc(), client and again and 0)


# Bytes of heap in use while the application has a message, over those before it came
async def message_ram():
    def on_message(topic, message, retained=None, more=None):
        nonlocal before
        gc.collect()
        if before:
            result(gc.mem_alloc() - before)

    before = 0
    client = await subscribed(on_message)
    gc.collect()
    before = gc.mem_alloc()
    print("ready")
    await client.wait(asyncio.Event())


# Bytes of heap that publications take while they wait for their answers
async def publications_ram():
    client = await start()
    await client.publish(TOPIC, MESSAGE, qos)
    gc.collect()
    before = gc.mem_alloc()
    for _ in range(tasks):
        asyncio.create_task(client.publish(TOPIC, MESSAGE, qos))
    await asyncio.sleep_ms(0)
    gc.collect()
    result(gc.mem_alloc() - before)


# A ticker of 10 ms and a publisher beside a flood: how late the ticker is in the middle and at worst (ms), messages
# received and published a second
async def flood():
    received = published = 0
    late = []

    def on_message(topic, message, retained=None, more=None):
        nonlocal received
        received += 1

    async def publisher():
        nonlocal published
        while True:
            await client.publish(ECHO, MESSAGE, 1)
            published += 1

    client = await subscribed(on_message)
    print("ready")
    while received < 1000:
        await asyncio.sleep_ms(1)
    received = 0
    asyncio.create_task(publisher())
    started = ticks_us()
    while ticks_diff(ticks_us(), started) < duration:
        due = ticks_us() + 10_000
        await asyncio.sleep_ms(10)
        late.append(max(0, ticks_diff(ticks_us(), due)))
    seconds = ticks_diff(ticks_us(), started) / 1e6
    late.sort()
    result(late[len(late) // 2] / 1000, late[-1] / 1000, received / seconds, published / seconds)


# Many clients in this process, each publishing to itself, one message at a time: messages a second in all, bytes of heap
# for each client, the broker's time and memory
async def fleet():
    n = 0
    members = []

    def member(number):
        came = asyncio.Event()
        topic = "bench/%d" % number

        async def run():
            nonlocal n
            while not rate.over():
                await client.publish(topic, MESSAGE, qos)
                await came.wait()
                came.clear()
                n += 1

        client = new_client(lambda *_: came.set(), "bench%d" % number)
        return client, topic, run

    async def join(number):
        members.append(member(number))
        client, topic, _ = members[-1]
        await client.connect()
        await client.subscribe(topic, qos)

    await join(0)
    gc.collect()
    before = gc.mem_alloc()
    for number in range(1, tasks):
        await join(number)
    gc.collect()
    each = (gc.mem_alloc() - before) / max(1, tasks - 1)
    broker = settings["broker"]
    brokers = cpu(broker)
    rate = Rate()
    await asyncio.gather(*(run() for _, _, run in members))
    rate.result(n, each, (cpu(broker) - brokers) / 1e3 / n, resident(broker))


# Turns of a task a second, beside other tasks that wait for sockets on which nothing comes: no client takes part
async def turns():
    n = 0
    for _ in range(tasks):
        reader, _ = await asyncio.open_connection(host, int(port))
        asyncio.create_task(reader.read(1))
    await asyncio.sleep_ms(10)
    rate = Rate()
    while not rate.over():
        await asyncio.sleep_ms(0)
        n += 1
    rate.result(n)


asyncio.run(globals()[measurement]())
