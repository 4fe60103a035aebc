# What all programs of this board share. Edit it and save it as mqtt_local.py, on the board in / or /lib.
from sys import platform

from machine import Pin, Signal
from mqtt_as import config

config["server"] = "192.168.0.10"  # The broker: address or name
config["ssid"] = "your_network"  # May be left out where the network is up already, and on an ESP8266 that knows it
config["wifi_pw"] = "your_password"

# A pin, and whether it is low that lights the LED: "wifi" shows the connection, "blue" a message
LEDS = {
    "esp8266": ((0, True), (2, True)),  # Feather Huzzah
    "esp32": ((13, False), (2, False)),
    "rp2": (("LED", False), ("LED", False)),  # Pico W has one
    "pyboard": (("LED_GREEN", True), ("LED_BLUE", True)),  # Pyboard D
}

wifi, blue = LEDS.get(platform, LEDS["esp32"])
wifi_led = Signal(Pin(wifi[0], Pin.OUT), invert=wifi[1])  # wifi_led(True) lights it
blue_led = Signal(Pin(blue[0], Pin.OUT), invert=blue[1])
wifi_led(False)
blue_led(False)
