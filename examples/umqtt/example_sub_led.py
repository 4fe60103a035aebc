# Switches an LED by messages: on, off, toggle.
from binascii import hexlify

from machine import Pin, unique_id
from umqtt.simple import MQTTClient

SERVER = "192.168.0.10"  # The address of your broker
LED = 2

led = Pin(LED, Pin.OUT, value=0)


def switch(topic, msg):
    if msg == b"on":
        led.value(1)
    elif msg == b"off":
        led.value(0)
    elif msg == b"toggle":
        led.value(not led.value())


def main(server=SERVER, port=0):
    c = MQTTClient(b"led_" + hexlify(unique_id()), server, port, keepalive=60)
    c.set_callback(switch)
    c.connect()
    c.subscribe("led", 1)
    print("subscribed")
    try:
        while True:
            c.wait_msg()
    finally:
        c.disconnect()


if __name__ == "__main__":
    main()
