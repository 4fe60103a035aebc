# The client over a network that somebody else keeps up: Ethernet, PPP, Wi-Fi that
# was joined elsewhere. close() closes the socket and leaves the network alone.
# The same as mqtt_as with config["link"] = NoLink().
import mqtt_as
from mqtt_as import MQTTException
from mqtt_as.link import NoLink

VERSION = mqtt_as.VERSION
IBUFSIZE = mqtt_as.IBUFSIZE  # As those of mqtt_as: read when a client is made
MSG_BYTES = mqtt_as.MSG_BYTES

config = dict(mqtt_as.config)
for _key in ("ssid", "wifi_pw", "ifconfig", "hostname", "gateway"):
    del config[_key]


class MQTTClient(mqtt_as.MQTTClient):
    def __init__(self, config=config):
        mqtt_as.IBUFSIZE = IBUFSIZE
        mqtt_as.MSG_BYTES = MSG_BYTES
        super().__init__(dict(config, link=config["link"] or NoLink()))
