# Shows what comes in. Two ways: waiting for a message, or looking now and then beside other work.
import time

from umqtt.simple import MQTTClient

SERVER = "192.168.0.10"  # The address of your broker


def show(topic, msg):
    print(topic, msg)


def main(server=SERVER, port=0, blocking=True):
    c = MQTTClient("umqtt_client", server, port)
    c.set_callback(show)
    c.connect()
    c.subscribe("foo_topic")
    print("subscribed")
    while True:
        if blocking:
            c.wait_msg()
        else:
            c.check_msg()
            time.sleep_ms(100)  # The other work


if __name__ == "__main__":
    main()
