# chumicro-mqtt: a state machine, turned in a loop without waiting, as its first example does it.
from time import ticks_ms

from chumicro_mqtt import MQTTBackpressureError, MQTTClient, ProtocolState


class Client:
    def __init__(self, host, port, name, on_message, settings):
        where = {"mqtt.broker.host": host, "mqtt.broker.port": port, "mqtt.client_id": name}
        self.client = MQTTClient.from_config(where)
        if on_message:
            self.client.on_message = on_message
        self.came = False

    def turn(self):
        now = ticks_ms()
        if self.client.check(now):
            self.client.handle(now)

    def happened(self, *_):
        self.came = True

    def until(self):
        while not self.came:
            self.turn()
        self.came = False

    async def connect(self):
        self.client.connect()
        while self.client.state != ProtocolState.CONNECTED:
            self.turn()

    async def subscribe(self, topic, qos):
        self.client.subscribe(topic, qos, on_subscribe=self.happened)
        self.until()

    def publish_now(self, topic, message):
        self.client.publish(topic, message)

    async def publish(self, topic, message, qos):
        if qos:
            self.client.publish(topic, message, qos=qos, on_publish=self.happened)
            return self.until()
        while True:
            try:
                return self.client.publish(topic, message)
            except MQTTBackpressureError:
                self.turn()

    async def wait(self, done):
        while not done.is_set():
            self.turn()
