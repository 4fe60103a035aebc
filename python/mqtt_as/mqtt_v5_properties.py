# Properties of MQTT 5 as the original offers them to applications:
# encode_properties(dict or None): bytes, the property length first
# decode_properties(data, length): a dict, of properties without their length
from _mqtt_as import decode_properties, encode_properties
