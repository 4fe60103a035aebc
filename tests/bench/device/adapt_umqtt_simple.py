# umqtt.simple: blocking, so one task and nothing beside it.
from umqtt.simple import MQTTClient


class Client:
    def __init__(self, host, port, name, on_message, settings):
        self.client = MQTTClient(name, host, port)
        self.client.set_callback(on_message)
        self.publish_now = self.client.publish

    async def connect(self):
        self.client.connect()

    async def subscribe(self, topic, qos):
        self.client.subscribe(topic, qos)

    async def publish(self, topic, message, qos):
        self.client.publish(topic, message, qos=qos)

    async def wait(self, done):
        while not done.is_set():
            self.client.wait_msg()
