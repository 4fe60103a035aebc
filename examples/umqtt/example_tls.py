# Publishes over TLS, to a broker that proves with its certificate who it is. The board's clock has to be right.
import ssl

from umqtt.simple import MQTTClient

SERVER = "broker.example.com"  # The name that stands in its certificate
CA = "ca.der"  # Who signed that


def main(server=SERVER, port=0, ca=CA):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.verify_mode = ssl.CERT_REQUIRED
    with open(ca, "rb") as f:
        context.load_verify_locations(f.read())
    c = MQTTClient("umqtt_client", server, port, ssl=context)
    c.connect(timeout=10)
    c.publish("foo_topic", "hello", qos=1)
    c.disconnect()


if __name__ == "__main__":
    main()
