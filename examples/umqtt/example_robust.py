# Survives a lost connection: a last will, subscriptions that are renewed, and check_msg() beside other work.
import time

from umqtt.robust import MQTTClient

SERVER = "192.168.0.10"  # The address of your broker


class Client(MQTTClient):
    DELAY = 1  # Seconds between attempts
    DEBUG = True  # Tell of lost connections
    RESUBSCRIBE = True  # A broker that restarts may have forgotten us

    def connect(self, clean_session=True, timeout=None):
        kept = super().connect(clean_session, timeout)
        self.publish("status", "online", True, 1)
        return kept


def show(topic, msg):
    print(topic, msg)


def main(server=SERVER, port=0):
    c = Client("umqtt_robust", server, port, keepalive=10)
    c.set_last_will("status", "offline", True, 1)
    c.set_callback(show)
    if not c.connect(clean_session=False, timeout=5):
        c.subscribe("foo_topic", 1)
    print("subscribed")
    n = 0
    while True:
        c.check_msg()
        n += 1
        if n % 10 == 0:
            c.publish("result", str(n // 10), qos=1)
        time.sleep_ms(100)


if __name__ == "__main__":
    main()
