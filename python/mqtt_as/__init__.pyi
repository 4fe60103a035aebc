"""A resilient asyncio MQTT client for MicroPython.

Topics are `str` (sent as UTF-8) or bytes. Times in `config` are in seconds.
Properties of MQTT 5 are a dict by identifier (MQTT 5, 2.2.2.2): integers as
int, text as str, binary data as bytes, user properties (0x26) as a dict or a
list of pairs, subscription identifiers (0x0B) as an int or a list of them.
In 3.1.1 they are ignored. docs/MQTT5.md has examples.
"""

import asyncio
from typing import Any, AsyncIterator, Awaitable, Callable, Coroutine, Iterator, Optional, Union, overload

VERSION: tuple[int, int, int]
IBUFSIZE: int
"""Bytes of the receive buffer at rest, 1 to 16777216. Read at construction."""
OBUFSIZE: int
"""Bytes of the send buffer at rest; as long as the longest packet it spares a fragmented heap. Read at construction."""
MSG_BYTES: bool
"""False: callbacks get a memoryview of the receive buffer, valid until they return."""
ESP32: bool
ESP8266: bool
RP2: bool
PYBOARD: bool

Data = Union[str, bytes, bytearray, memoryview]
Properties = dict[int, Any]
Topics = Union[list[Union[Data, tuple[Data, int]]], tuple[Union[Data, tuple[Data, int]], ...]]
"""1 to 255 topics, each with a QoS of its own if need be."""
AuthCoro = Callable[[Optional[int], Optional[Properties]], Awaitable[Optional[Properties]]]
"""(None, None): begin; (0x18, properties): go on. Both give properties for the next packet, 0x16 is the data.

(0, properties): the server agrees; raises an exception unless it is content (MQTT 5, 4.12).
"""

config: dict[str, Any]
"""The defaults, to be changed in place. Keys of an application's own are left alone.

`server` (mandatory) an address, or a list of addresses or (address, port) that are tried in turn, `port` [0: 1883, or 8883
with ssl], `client_id`, `user`, `password`, `keepalive` [60],
`ping_interval` [0: a quarter of keepalive], `response_time` [10], `max_repubs` [4], `clean` [True], `clean_init` [True],
`will` [None] (topic, message, retain, qos[, properties]), `ssl` [False] True or an SSLContext, `ssl_params` [{}],
`queue_len` [0] messages held for `client.queue`; 0: callbacks `subs_cb(topic, msg, retained[, properties])`,
`wifi_coro(up)`, `connect_coro(client)`; `ssid`, `wifi_pw`, `hostname` [None], `ifconfig` [None] a static (address, netmask,
gateway, DNS server), `gateway` [False] ESP-NOW beside the station, as `client._espnow`, and the link is left up in an outage,
`max_packet` [268435455] bytes,
`piece_cb` [None] `(topic, piece, retained, properties, offset, length)` takes messages whose packet exceeds 2048 bytes, or
IBUFSIZE if that is more, as they arrive: piece a memoryview, valid until it returns, properties None in 3.1.1,
`link` [None] `link.NoLink()`, `link.Interface(nic)` or an object as described in link.py.

MQTT 5: `mqttv5` [False], `mqttv5_con_props` [None] properties of CONNECT, `topic_aliases` [0] topics that get an alias, 0 to
65535, `auth_coro` [None] an AuthCoro, with 0x15 in `mqttv5_con_props`. `clean_init` is ignored there.
"""

class MQTTException(Exception):
    """The broker refuses a request, or announced that it cannot serve it (MQTT 5, 2.4; 3.1.1, 3.9.3)."""

    reason_code: Optional[int]
    properties: Optional[Properties]

class MsgQueue:
    discards: int
    """Messages that gave way to newer ones."""
    def __aiter__(self) -> AsyncIterator[tuple[Any, ...]]: ...

class MQTT_base:
    DEBUG: bool
    REPUB_COUNT: int
    """Publications repeated with the same identifier, of all clients since the start."""
    server: str
    """The one in use, or to be tried next."""
    port: int
    mqttv5: bool
    lock: asyncio.Lock
    queue: Optional[MsgQueue]
    up: asyncio.Event
    """Set when a connection is made; with `queue_len` > 0."""
    down: asyncio.Event
    """Set when a connection is lost; with `queue_len` > 0."""
    session_present: bool
    """The server had kept the session when this connection began."""
    connack_properties: Properties
    """Of the last CONNACK, a refusal included."""
    ack_properties: Optional[Properties]
    """Of the answer to the request that returned last."""
    last_error: Optional[Exception]
    """What ended the last connection: MQTTException if the server said so, in DISCONNECT or by refusing CONNECT."""
    topic_alias_maximum: int
    """Aliases that the server takes."""
    mqttv5_con_props: Optional[Properties]
    """Of the next CONNECT. May be changed between connections."""
    last_rx: int
    """When bytes last came in, in ticks_ms."""
    newpid: Iterator[int]
    rcv_pids: set[int]

    def publish(
        self,
        topic: Data,
        msg: Data,
        retain: bool = False,
        qos: int = 0,
        properties: Optional[Properties] = None,
        timeout: Optional[float] = None,
    ) -> Coroutine[Any, Any, Optional[int]]:
        """Returns when the message is written (QoS 0: None) or acknowledged (QoS 1, 2: the reason code, below 0x80).

        To be awaited, or made a task; outages are waited out. ValueError, TypeError: it cannot be sent. MQTTException:
        refused. OSError: after disconnect() or close(). asyncio.TimeoutError: not within `timeout` seconds, and it is not
        sent again.
        """
    @overload
    async def subscribe(
        self,
        topic: Data,
        qos: int = 0,
        properties: Optional[Properties] = None,
        *,
        no_local: bool = False,
        retain_as_published: bool = False,
        retain_handling: int = 0,
    ) -> int:
        """The QoS granted. Errors as for publish. Options: MQTT 5, 3.8.3.1."""
    @overload
    async def subscribe(
        self,
        topic: Topics,
        qos: int = 0,
        properties: Optional[Properties] = None,
        *,
        no_local: bool = False,
        retain_as_published: bool = False,
        retain_handling: int = 0,
    ) -> list[int]:
        """The code for each topic: the QoS granted, or 0x80 and above, without an exception."""
    @overload
    async def unsubscribe(self, topic: Data, properties: Optional[Properties] = None) -> int:
        """0, or 0x11 if there was no such subscription."""
    @overload
    async def unsubscribe(self, topic: Topics, properties: Optional[Properties] = None) -> list[int]: ...
    async def reauthenticate(self) -> None:
        """Authenticates once more (MQTT 5, 4.12.1), by `auth_coro`. ValueError: there is none.

        MQTTException: the server refuses and disconnects. OSError: no connection, or no answer.
        """
    async def broker_up(self) -> bool: ...
    def dprint(self, msg: Any, *args: Any) -> None: ...

class MQTTClient(MQTT_base):
    def __init__(self, config: dict[str, Any] = ...) -> None:
        """ValueError, TypeError: something in config cannot be used."""
    async def connect(self, *, quick: bool = False) -> None:
        """OSError: no link, no broker, or it refuses. Later connections are made by themselves."""
    async def disconnect(self, reason: int = 0, properties: Optional[Properties] = None) -> None:
        """Ends the connection. 0x04: the server publishes the will (MQTT 5, 3.14.2.1).

        ValueError, TypeError: that cannot be sent, and nothing has happened.
        """
    def close(self) -> None: ...
    async def __aenter__(self) -> "MQTTClient":
        """connect()"""
    async def __aexit__(self, *args: Any) -> None:
        """disconnect()"""
    def isconnected(self) -> bool: ...
    async def wifi_connect(self, quick: bool = False) -> None: ...
    async def wan_ok(self, packet: bytes = ...) -> bool: ...

async def eliza(*args: Any) -> None: ...
