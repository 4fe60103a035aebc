# A session that outlives the connection: what is published for "foo_topic" at QoS 1 while the board is away comes when it
# is back. After a restart of the board it begins anew (clean_init), or a long absence would end in a flood of messages.
#     import mqtt_as.unclean
import asyncio

from mqtt_as import MQTTClient
from mqtt_local import blue_led, config, wifi_led

PERIOD = 5  # Seconds


def message(topic, msg, retained):
    print("Topic: %s Message: %s Retained: %s" % (topic.decode(), msg.decode(), retained))
    blue_led(not blue_led())


async def network(up):
    wifi_led(up)
    print("Connected" if up else "Disconnected")


async def connected(client):
    if client.session_present:
        print("The broker still knows the subscriptions")
    else:
        await client.subscribe("foo_topic", 1)


async def main(client):
    await client.connect()
    n = 0
    while True:
        print("Publish", n)
        await client.publish("result", str(n), qos=1)
        n += 1
        await asyncio.sleep(PERIOD)


config["subs_cb"] = message
config["wifi_coro"] = network
config["connect_coro"] = connected
config["clean_init"] = True
config["clean"] = False
client = MQTTClient(config)
try:
    asyncio.run(main(client))
finally:
    client.close()
