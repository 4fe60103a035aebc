# This project's umqtt.simple. Settings: v5.
import adapt_umqtt_simple
from umqtt.simple import MQTTClient


class Client(adapt_umqtt_simple.Client):
    def __init__(self, host, port, name, on_message, settings):
        self.client = MQTTClient(name, host, port, version=5 if settings.get("v5") else 4)
        self.client.set_callback(on_message)
        self.publish_now = self.client.publish
