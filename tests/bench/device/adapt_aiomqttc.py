# aiomqttc: an asyncio client of 2025. It logs what it does to stdout.
import aiomqttc

aiomqttc.log = lambda *_: None


class Client:
    def __init__(self, host, port, name, on_message, settings):
        self.client = aiomqttc.MQTTClient(name, host, port)
        self.on_message = on_message

    async def connect(self):
        if not await self.client.connect():
            raise OSError("not connected")

    async def subscribe(self, topic, qos):
        await self.client.subscribe(topic, qos)
        self.client.subscriptions[topic]["callback"] = self.on_message

    async def publish(self, topic, message, qos):
        if not await self.client.publish(topic, message, qos):
            raise OSError("not published")

    async def wait(self, done):
        await done.wait()
