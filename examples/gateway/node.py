# A sensor that wakes once in ten minutes: it publishes a reading, takes what waits for it, and sleeps. Save it as main.py,
# with mqtt_node.py beside it.
import machine
from mqtt_node import Node

GATEWAY = b"\x24\x0a\xc4\x00\x00\x01"  # What the gateway prints when it starts
SLEEP = 600  # Seconds

memory = machine.RTC().memory()  # Outlives deep sleep: the channel that was right the last time
node = Node(GATEWAY, channel=memory[0] if memory else 1)
try:
    if not memory:  # It has been switched on
        node.subscribe("garden/valve", 1)
    node.publish("garden/soil", str(machine.ADC(machine.Pin(34)).read_u16()), qos=1)
    for topic, msg, retained in node.fetch():
        print(topic.decode(), msg.decode(), retained)
    machine.RTC().memory(bytes((node.channel,)))
except OSError as e:
    print("Not sent:", e)
node.close()
machine.deepsleep(SLEEP * 1000)
