# The layout before 0.8.1: from mqtt_as.mqtt_as import MQTTClient, config
from . import *
from . import MQTT_base, MQTTException, MsgQueue, asyncio
