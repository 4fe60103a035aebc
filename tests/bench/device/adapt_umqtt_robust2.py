# umqtt.robust2: umqtt.simple2 that keeps what it could not send.
import adapt_umqtt_simple2
from umqtt.robust2 import MQTTClient


class Client(adapt_umqtt_simple2.Client):
    new = MQTTClient
