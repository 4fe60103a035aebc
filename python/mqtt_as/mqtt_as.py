# The layout before 0.8.1: from mqtt_as.mqtt_as import MQTTClient, config
from . import *
from . import ESP32, ESP8266, PYBOARD, RP2, MQTT_base, MQTTException, MsgQueue, asyncio
