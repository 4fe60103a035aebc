# Publishes one message and ends.
from umqtt.simple import MQTTClient

SERVER = "192.168.0.10"  # The address of your broker


def main(server=SERVER, port=0):
    c = MQTTClient("umqtt_client", server, port)
    c.connect()
    c.publish("foo_topic", "hello")
    c.disconnect()


if __name__ == "__main__":
    main()
