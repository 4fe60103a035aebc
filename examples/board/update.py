# A file to flash over MQTT, of any length: it is taken in pieces, as it arrives, and never lies in RAM as a whole. Behind the
# file comes its SHA-256; only what fits that takes the place of the old file. From a PC (examples/pc/send_file):
#     send_file 192.168.0.10 update/app.mpy app.mpy
# A hash tells of damage, not of who sent it: that is up to the broker's access control, and TLS.
#     import mqtt_as.update
import asyncio
import hashlib
import os

from mqtt_as import MQTTClient
from mqtt_local import config

FOLDER = "update/"  # Topics begin with it; the file's name follows
PARTIAL = "update.part"
DIGEST = 32  # Bytes

arrived = asyncio.Event()
outcomes = []


# One file at a time. offset, length: bytes, of the piece in the message and of the message
class Receiver:
    def begin(self):
        self.file = open(PARTIAL, "wb")
        self.hash = hashlib.sha256()
        self.digest = b""

    def __call__(self, topic, piece, retained, properties, offset, length):
        if not offset:  # Also where a connection broke and it begins anew
            self.begin()
        content = piece[: max(0, length - DIGEST - offset)]
        self.file.write(content)
        self.hash.update(content)
        self.digest += bytes(piece[len(content) :])
        if offset + len(piece) == length:
            self.end(topic.decode()[len(FOLDER) :], length - DIGEST)

    def end(self, name, size):
        self.file.close()
        if "/" in name or name in ("", ".", ".."):
            outcome = "refused: %s is not a name" % name
        elif self.digest != self.hash.digest():
            outcome = "refused: %s is damaged" % name
        else:
            os.rename(PARTIAL, name)
            outcome = "written: %s, %d bytes" % (name, size)
        outcomes.append(outcome)
        arrived.set()


receiver = Receiver()


def short(topic, msg, retained, properties=None):  # Messages below 2 KB come whole
    receiver(topic, msg, retained, properties, 0, len(msg))


async def connected(client):
    await client.subscribe(FOLDER + "+", 1)
    print("Ready")


async def main(client):
    await client.connect()
    while True:
        await arrived.wait()
        arrived.clear()
        while outcomes:
            outcome = outcomes.pop(0)
            print(outcome)
            await client.publish("result", outcome, qos=1)
        # An update of the program itself would call machine.reset() here


config["subs_cb"] = short
config["piece_cb"] = receiver
config["connect_coro"] = connected
client = MQTTClient(config)
try:
    asyncio.run(main(client))
finally:
    client.close()
