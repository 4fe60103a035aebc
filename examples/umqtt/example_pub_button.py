# Publishes whenever a button is pressed. The button lies between a pin and ground.
import time
from binascii import hexlify

from machine import Pin, unique_id
from umqtt.simple import MQTTClient

SERVER = "192.168.0.10"  # The address of your broker
BUTTON = 0  # ESP8266 and ESP32: the one marked FLASH or BOOT


def main(server=SERVER, port=0):
    button = Pin(BUTTON, Pin.IN, Pin.PULL_UP)
    c = MQTTClient(b"button_" + hexlify(unique_id()), server, port, keepalive=30)
    c.connect()
    while True:
        while button.value():
            c.check_msg()  # Tells the broker now and then that we live
            time.sleep_ms(20)
        c.publish("button", "toggle", qos=1)
        print("pressed")
        while not button.value():
            time.sleep_ms(20)


if __name__ == "__main__":
    main()
