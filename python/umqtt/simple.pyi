"""A blocking MQTT client. docs/UMQTT.md tells what differs from micropython-lib's umqtt.simple."""

from typing import Any, Callable

# Properties of MQTT 5 by identifier, as in mqtt_as
Properties = dict[int, Any] | None
Text = str | bytes | bytearray | memoryview

class MQTTException(Exception):
    """The broker refuses: args[0] is the return code of CONNACK (1 to 5), 128 of a subscription, or a reason code of MQTT 5;
    -1: the connection ended before CONNACK."""

class MQTTClient:
    client_id: Text
    sock: Any  # The socket or TLS stream, None before connect(); any object with read, write, setblocking and close
    server: str
    port: int
    ssl: Any
    ssl_params: dict[str, Any]
    pid: int  # The packet identifier used last
    cb: Callable[..., Any] | None
    user: Text | None
    pswd: Text | None
    keepalive: int  # Seconds, read by connect()
    lw_topic: Text | None
    lw_msg: Text | None
    lw_qos: int
    lw_retain: bool
    properties: Properties  # Of CONNECT

    def __init__(
        self,
        client_id: Text,
        server: str,
        port: int = 0,
        user: Text | None = None,
        password: Text | None = None,
        keepalive: int = 0,
        ssl: Any = None,
        ssl_params: dict[str, Any] | None = None,
        version: int = 4,
        properties: Properties = None,
        response_time: float = 10,
    ) -> None: ...
    def set_callback(self, f: Callable[..., Any]) -> None:
        """f(topic, msg), both bytes; with version=5 f(topic, msg, retained, properties)."""
    def set_last_will(self, topic: Text, msg: Text, retain: bool = False, qos: int = 0) -> None: ...
    def connect(self, clean_session: bool = True, timeout: float | None = None) -> int:
        """1 if the broker has kept the session. timeout: seconds, of opening and of each wait from then on."""
    def disconnect(self) -> None: ...
    def ping(self) -> None: ...
    def publish(self, topic: Text, msg: Text, retain: bool = False, qos: int = 0, properties: Properties = None) -> None:
        """At QoS 1 and 2 returns when the broker has it; messages that come meanwhile go to the callback."""
    def subscribe(self, topic: Text, qos: int = 0, properties: Properties = None) -> None: ...
    def unsubscribe(self, topic: Text, properties: Properties = None) -> None: ...
    def wait_msg(self, timeout: float | None = None) -> int | None:
        """One packet: its first byte, None for an answer to a ping and where none came in `timeout` seconds."""
    def check_msg(self) -> int | None:
        """As wait_msg(), but None at once where no packet is there."""
