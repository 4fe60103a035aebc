# umqtt.simple2: blocking, but publish() does not wait for the answer; who wants it waits for messages.
from umqtt.simple2 import MQTTClient


class Client:
    new = MQTTClient

    def __init__(self, host, port, name, on_message, settings):
        self.client = self.new(name, host, port)
        self.client.set_callback(on_message)
        self.publish_now = self.client.publish

    async def connect(self):
        self.client.connect()

    def answered(self, pid):
        while pid in self.client.rcv_pids:
            self.client.wait_msg()

    async def subscribe(self, topic, qos):
        self.answered(self.client.subscribe(topic, qos))

    async def publish(self, topic, message, qos):
        self.answered(self.client.publish(topic, message, qos=qos))

    async def wait(self, done):
        while not done.is_set():
            self.client.wait_msg()
