# A client whose publications are given up rather than sent late. MQTTClient itself does that today:
#     await client.publish(topic, msg, qos=1, timeout=5)  # asyncio.TimeoutError; it is not sent again
# This class is for programs that want to be told by what publish() returns. It is safe at any time, without a lock: a packet
# is written whole or not at all.
#     from mqtt_as.mqtt_as_timeout import MQTTClient
import asyncio

import mqtt_as


class MQTTClient(mqtt_as.MQTTClient):
    # True: sent, at QoS 1 acknowledged. False: not within `timeout` seconds
    async def publish(self, topic, msg, retain=False, qos=0, timeout=None):
        try:
            await super().publish(topic, msg, retain, qos, timeout=timeout)
            return True
        except asyncio.TimeoutError:
            return False
