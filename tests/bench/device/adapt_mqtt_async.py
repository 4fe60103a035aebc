# mqtt-async: an asyncio client of 2020, made from the mqtt_as of its time.
from mqtt_async import MQTTClient, config


class Client:
    def __init__(self, host, port, name, on_message, settings):
        config.server = host
        config.port = port
        config.client_id = name
        config.subs_cb = on_message
        self.client = MQTTClient(config)
        self.connect = self.client.connect
        self.subscribe = self.client.subscribe
        self._publish = self.client.publish

    def publish(self, topic, message, qos):  # A coroutine
        return self._publish(topic, message, qos=qos)

    def wait(self, done):  # A coroutine
        return done.wait()
