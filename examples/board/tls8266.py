# TLS with a certificate and key of the board's own, in files, for a broker that asks for one. With the axTLS of an ESP8266
# the broker is not verified: it has no cert_reqs. Key and certificate as DER:
#     openssl rsa -in client.key.pem -outform DER -out client.key.der -traditional
#     openssl x509 -in client.pem -outform DER -out client.der
#     import mqtt_as.tls8266
import asyncio
import gc

from mqtt_as import MQTTClient
from mqtt_local import config

PERIOD = 20  # Seconds


def read(name):
    with open(name, "rb") as f:
        return f.read()


async def connected(client):
    await client.subscribe("foo_topic", 1)
    print("Connected, encrypted")


async def main(client):
    await client.connect()
    n = 0
    while True:
        await client.publish("result", "%d free: %d" % (n, gc.mem_free()), qos=1)
        n += 1
        await asyncio.sleep(PERIOD)


config["ssl"] = True
config["ssl_params"] = {"server_hostname": config["server"], "key": read("client.key.der"), "cert": read("client.der")}
config["subs_cb"] = lambda topic, msg, retained: print(topic.decode(), msg.decode())
config["connect_coro"] = connected
client = MQTTClient(config)
gc.collect()
try:
    asyncio.run(main(client))
finally:
    client.close()
