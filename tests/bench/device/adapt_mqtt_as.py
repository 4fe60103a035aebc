# This client, in callback mode.
from mqtt_as import MQTTClient, config


class Client:
    def __init__(self, host, port, on_message):
        config["server"] = host
        config["port"] = port
        config["client_id"] = "bench"
        config["subs_cb"] = lambda topic, message, retained: on_message(message)
        self.client = MQTTClient(config)
        self.connect = self.client.connect
        self.subscribe = self.client.subscribe

    def publish(self, topic, message, qos):  # A coroutine
        return self.client.publish(topic, message, qos=qos)

    def wait(self, done):  # A coroutine
        return done.wait()
