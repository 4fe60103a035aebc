# What config may hold: its defaults, its checks, and the session made of it.
# Loaded when it is needed and let go of again, since it is a tenth of the whole:
# nothing that is kept may come from here.
import sys

import mqtt_as
from _mqtt_as import Session
from micropython import const

from .requests import eliza, ignore
from .link import unique_id

_MAX_PACKET = const(0x0FFFFFFF)


def defaults():
    return {
        "client_id": unique_id(),
        "server": None,
        "port": 0,
        "user": "",
        "password": "",
        "keepalive": 60,
        "ping_interval": 0,
        "ssl": False,
        "ssl_params": {},
        "response_time": 10,
        "clean_init": True,
        "clean": True,
        "max_repubs": 4,
        "will": None,
        "subs_cb": ignore,
        "piece_cb": None,
        "wifi_coro": eliza,
        "connect_coro": eliza,
        "ssid": None,
        "wifi_pw": None,
        "ifconfig": None,
        "hostname": None,
        "queue_len": 0,
        "gateway": False,
        "mqttv5": False,
        "mqttv5_con_props": None,
        "topic_aliases": 0,
        "auth_coro": None,
        "link": None,
        "max_packet": _MAX_PACKET,
    }


# All entries, of a kind that will do. TypeError, ValueError: one is not, and
# which. What a packet can carry is seen by make_session()
def checked(config):
    c = defaults()
    c.update(config)
    for key in ("subs_cb", "piece_cb", "wifi_coro", "connect_coro", "auth_coro"):
        if c[key] is not None and not callable(c[key]):
            raise TypeError("config['%s'] must be a function or None" % key)
    _number(c, "keepalive", 0, 65535)
    _number(c, "ping_interval", 0, 65535)
    _number(c, "response_time", 0.1, 65535)
    _number(c, "max_repubs", 0, 255, "repeats")
    _number(c, "queue_len", 0, 65535, "messages")
    _number(c, "topic_aliases", 0, 65535, "topics")
    _number(c, "max_packet", 16, _MAX_PACKET, "bytes")
    if not isinstance(c["ssl_params"], dict) and not hasattr(c["ssl_params"], "wrap_socket"):
        raise TypeError("config['ssl_params'] must be a dict")
    if not isinstance(c["will"] or (), (list, tuple)):
        raise TypeError("config['will'] must be (topic, message, retain, qos)")
    if c["link"] and not hasattr(c["link"], "isconnected"):
        raise TypeError("config['link'] must have connect, isconnected, disconnect and close")
    if c["ifconfig"] and (not isinstance(c["ifconfig"], (list, tuple)) or len(c["ifconfig"]) != 4):
        raise ValueError("config['ifconfig'] must be (address, netmask, gateway, DNS server)")
    props = c["mqttv5_con_props"]
    if not c["mqttv5"]:
        c["auth_coro"] = None
    elif not isinstance(props or {}, dict):
        raise TypeError("config['mqttv5_con_props'] must be a dict by identifier")
    else:  # The server is told what is taken here
        props = dict(props or {})
        c["max_packet"] = min(props.get(0x27, _MAX_PACKET), c["max_packet"])
        if c["max_packet"] < _MAX_PACKET:
            props[0x27] = c["max_packet"]
    c["mqttv5_con_props"] = props
    return c


def _number(c, key, least, most, unit="seconds"):
    v = c[key]
    if not isinstance(v, (int, float) if unit == "seconds" else int):
        raise TypeError("config['%s'] must be a number of %s" % (key, unit))
    if not least <= v <= most:
        raise ValueError("config['%s'] must be %s to %s %s" % (key, least, most, unit))


# (name, port) of each server
def servers(c):
    pairs = []
    names = c["server"]
    default = c["port"] or (8883 if c["ssl"] else 1883)
    if isinstance(names, (str, bytes)):
        names = (names,)
    if not isinstance(names or (), (list, tuple)):
        raise TypeError("config['server'] must be a name, or a list of names or (name, port)")
    for server in names or ():
        if isinstance(server, (str, bytes)):
            server = (server, default)
        name, port = server
        if not name:
            continue
        if not isinstance(port, int) or not 0 < port < 65536:
            raise ValueError("the port must be 1 to 65535; config['port'] 0 is the default")
        pairs.append((name, port))
    if not pairs:
        raise ValueError("config['server'] is missing: set it to the broker's address")
    return pairs


# The native session, and what CONNECT says of this client besides its flag
# clean session and its properties
def make_session(c):
    keepalive = int(c["keepalive"])
    ping = c["ping_interval"] or keepalive / 4 or 20
    props = c["mqttv5_con_props"]
    session = Session(
        bool(c["mqttv5"]),
        mqtt_as.IBUFSIZE,
        c["max_packet"],
        keepalive * 1000,
        int(min(ping, keepalive or ping) * 1000),
        int(c["response_time"] * 1000),
        c["max_repubs"],
        c["topic_aliases"],
        (props or {}).get(0x21, 65535),
        c["piece_cb"],
        mqtt_as.OBUFSIZE,
    )
    # A packet that is thrown away gets one entry more at a time: would it do?
    connect = [b"", keepalive, "", "", None, None]
    for i, key in enumerate(("client_id", "keepalive", "user", "password", "will", "mqttv5_con_props")):
        connect[i] = keepalive if i == 1 else c[key]
        try:
            session.connect(0, c["clean"], *connect)
        except (TypeError, ValueError) as e:
            raise type(e)("config['%s']: %s" % (key, e))
        session.close()
    return session, tuple(connect[:5])


def let_go():
    if __name__ != "mqtt_as":  # That it is in firmwares, where its code takes no RAM
        del sys.modules[__name__]
        del mqtt_as.settings
