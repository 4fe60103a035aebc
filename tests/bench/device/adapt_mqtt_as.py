# This client, in callback mode. Settings: ibufsize, msg_bytes, v5.
import mqtt_as


class Client:
    def __init__(self, host, port, name, on_message, settings):
        mqtt_as.IBUFSIZE = settings.get("ibufsize", mqtt_as.IBUFSIZE)
        mqtt_as.MSG_BYTES = bool(settings.get("msg_bytes", 1))
        config = dict(mqtt_as.config)
        config["server"] = host
        config["port"] = port
        config["client_id"] = name
        config["subs_cb"] = on_message
        config["mqttv5"] = bool(settings.get("v5", 0))
        self.client = mqtt_as.MQTTClient(config)
        self.connect = self.client.connect
        self.subscribe = self.client.subscribe
        self._publish = self.client.publish

    def publish(self, topic, message, qos):  # A coroutine
        return self._publish(topic, message, False, qos)

    def wait(self, done):  # A coroutine
        return done.wait()
