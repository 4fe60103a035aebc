# mqtt-async: an asyncio client of 2020, made from the mqtt_as of its time.
from mqtt_async import MQTTClient, config


class Client:
    def __init__(self, host, port, on_message):
        config.server = host
        config.port = port
        config.client_id = "bench"
        config.subs_cb = lambda topic, message, retained, qos: on_message(message)
        self.client = MQTTClient(config)
        self.connect = self.client.connect
        self.subscribe = self.client.subscribe

    def publish(self, topic, message, qos):  # A coroutine
        return self.client.publish(topic, message, qos=qos)

    def wait(self, done):  # A coroutine
        return done.wait()
