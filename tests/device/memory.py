# What the client takes of the heap, step by step. Arguments: host and port of a broker without limits.
#     tests/mp x86 tests/device/memory.py 127.0.0.1 1883
import asyncio
import gc
import sys


def used():
    gc.collect()
    gc.collect()
    return gc.mem_alloc()


def tell(what, bytes):
    print("%-60s %6d" % (what, bytes))


before = used()
mqtt_as = __import__("mqtt_as")
MQTTClient = mqtt_as.MQTTClient
tell("import mqtt_as", used() - before)
config = mqtt_as.config
config["server"] = sys.argv[1]
config["port"] = int(sys.argv[2])
config["subs_cb"] = lambda *_: None
MsgQueue = mqtt_as.MsgQueue


async def connected(what, **more):
    start = used()
    client = MQTTClient(dict(config, **more))
    made = used()
    await client.connect()
    await client.subscribe("topic/of/twenty/b", 1)
    await asyncio.sleep_ms(200)
    tell(what, used() - start)
    return client, made - start


async def grown(client, what, coro):
    start = used()
    await coro
    tell(what, used() - start)


async def main():
    first, _ = await connected("the first client, connected and subscribed", client_id="a")
    await first.disconnect()
    client, made = await connected("a client, connected and subscribed", client_id="b")
    tell("    of which it has when it is made", made)
    start = used()
    await client.publish("t", bytes(100), qos=1)
    tell("after a publication at QoS 1", used() - start)
    await client.disconnect()
    five, _ = await connected("a client of MQTT 5", client_id="c", mqttv5=True)
    await five.disconnect()

    start = used()
    queue = MsgQueue(20)
    tell("a place in the queue", (used() - start) // 20)
    start = used()
    for _ in range(20):
        queue.put(bytes(20), bytes(100), False)
    tell("a message in it: a topic of 20 bytes, 100 of payload", (used() - start) // 20)

    seen = []
    big = MQTTClient(dict(config, client_id="d", subs_cb=lambda t, m, r: seen.append(len(m))))
    await big.connect()
    await big.subscribe("big", 1)
    await asyncio.sleep_ms(200)
    start = used()
    for size in (1000, 20_000):
        await big.publish("big", bytes(size), qos=1)
        while seen[-1:] != [size]:
            await asyncio.sleep_ms(10)
        tell("just after a message of %d bytes" % size, used() - start)
        await asyncio.sleep_ms(2500)
        tell("    two seconds later", used() - start)
    await big.disconnect()


asyncio.run(main())
