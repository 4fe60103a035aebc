# TLS with a broker that is verified: by the certificate of its authority, its name, and the date. On ports with Mbed TLS,
# which are all but the ESP8266. ca.der lies on the board, made of ca.pem by
#     openssl x509 -in ca.pem -outform DER -out ca.der
# and the broker is named in mqtt_local.py as its certificate names it.
#     import mqtt_as.tls
import asyncio
import ssl
import time

import ntptime
from mqtt_as import MQTTClient
from mqtt_local import config

PERIOD = 20  # Seconds


async def set_clock():  # A board starts in the year 2000, in which no certificate is valid yet
    while True:
        try:
            ntptime.settime()
            return
        except OSError as e:
            print("No time yet:", e)
            await asyncio.sleep(2)


async def up(client):
    while True:
        await client.up.wait()
        client.up.clear()
        await client.subscribe("foo_topic", 1)
        print("Connected, encrypted")


async def messages(client):
    async for topic, msg, retained in client.queue:
        print(topic.decode(), msg.decode(), retained)


async def main(client):
    await client.wifi_connect()
    await set_clock()
    print("It is %d-%02d-%02d" % time.gmtime()[:3])
    await client.connect()
    asyncio.create_task(up(client))
    asyncio.create_task(messages(client))
    n = 0
    while True:
        await client.publish("result", str(n), qos=1)
        n += 1
        await asyncio.sleep(PERIOD)


with open("ca.der", "rb") as f:
    authority = f.read()
config["ssl"] = True
config["ssl_params"] = {"server_hostname": config["server"], "cert_reqs": ssl.CERT_REQUIRED, "cadata": authority}
config["queue_len"] = 4
client = MQTTClient(config)
try:
    asyncio.run(main(client))
finally:
    client.close()
