# Properties of MQTT 5 as the original offers them to applications:
# encode_properties(dict or None): bytes, the property length first
# decode_properties(data, length): a dict, of properties without their length
import _mqtt_as
from _mqtt_as import decode_properties


def encode_properties(properties):
    block = _mqtt_as.encode_properties(properties)
    head = bytearray()
    n = len(block)
    while n > 0x7F:
        head.append(n & 0x7F | 0x80)
        n >>= 7
    head.append(n)
    return bytes(head) + block
