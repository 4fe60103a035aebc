# MQTT for boards that sleep: by way of a gateway, over ESP-NOW, without joining the Wi-Fi. For ESP32 and ESP8266.
#     from mqtt_node import Node
#     node = Node(b"\x24\x0a\xc4\x00\x00\x01", channel=6)  # The gateway's address
#     node.publish("garden/soil", "0.41", qos=1)
#     for topic, msg, retained in node.fetch():
# It does not need asyncio, and waits no longer than `timeout`. MIT licence: see LICENSE.
import os
import time

import espnow
import network

TIMEOUT = 5  # Seconds for an answer of the gateway
AGAIN = 200  # ms without an answer, then it is sent once more
CHANNELS = 13
LONGEST = 250  # Bytes in a frame

# A frame: what it is, one byte; a number, four bytes, that its answer repeats; what follows it
PUBLISH, SUBSCRIBE, UNSUBSCRIBE, FETCH = b"P", b"S", b"U", b"F"  # From a node
MESSAGE = b"M"  # From the gateway
ANSWER = b"A"  # From either; a byte follows that says how it went, to FETCH how many messages wait
DONE, NOT_NOW, REFUSED = 0, 1, 2


def frame(what, number, body=b""):
    f = what + number.to_bytes(4, "big") + body
    if len(f) > LONGEST:
        raise ValueError("too long for a frame: %d bytes, of %d" % (len(f), LONGEST))
    return f


def parse(f):  # None: not one of these
    if 5 <= len(f) <= LONGEST:
        return bytes(f[:1]), int.from_bytes(f[1:5], "big"), bytes(f[5:])


def encode(topic, msg, retain, qos):  # What follows in PUBLISH and MESSAGE
    topic = topic.encode() if isinstance(topic, str) else topic
    msg = msg.encode() if isinstance(msg, str) else msg
    if not 0 < len(topic) < 256:
        raise ValueError("a topic has 1 to 255 bytes")
    return bytes((qos | bool(retain) << 2, len(topic))) + topic + msg


def decode(body):  # ValueError: it is not of that form
    if len(body) < 3 or len(body) < 2 + body[1] or body[0] & 3 == 3:
        raise ValueError("not a publication")
    end = 2 + body[1]
    return body[2:end], body[end:], bool(body[0] & 4), body[0] & 3  # topic, msg, retain, qos


class Node:
    # gateway: the address of its station, 6 bytes. key: 16 bytes that the gateway knows, then frames are encrypted
    def __init__(self, gateway, channel=1, key=None, timeout=TIMEOUT):
        self._station = network.WLAN()  # A station
        self._station.active(True)
        try:
            self._station.disconnect()  # An ESP8266 would connect by itself
        except OSError:
            pass
        self._radio = espnow.ESPNow()
        self._radio.active(True)
        self._radio.add_peer(gateway, *(key,) if key else ())
        self._gateway = gateway
        self._timeout = int(timeout * 1000)
        self._number = int.from_bytes(os.urandom(4), "big")  # Not those of the time before it slept
        self._last = None  # Number of the last message
        self._messages = []
        self._tune(channel)

    def _tune(self, channel):
        self._station.config(channel=channel)
        self.channel = channel  # To be kept: it is tried first

    # OSError: no gateway, or it has no broker now
    def publish(self, topic, msg, retain=False, qos=0):
        if not 0 <= qos <= 2:
            raise ValueError("qos must be 0, 1 or 2")
        self._ask(PUBLISH, encode(topic, msg, retain, qos))

    def subscribe(self, topic, qos=0):
        self._ask(SUBSCRIBE, encode(topic, b"", False, qos))

    def unsubscribe(self, topic):
        self._ask(UNSUBSCRIBE, encode(topic, b"", False, 0))

    # What waits at the gateway: a list of (topic, msg, retained)
    def fetch(self):
        until = time.ticks_add(time.ticks_ms(), self._timeout)
        while time.ticks_diff(until, time.ticks_ms()) > 0:
            waiting = self._ask(FETCH)
            if not waiting:
                break
            quiet = 0
            while waiting and quiet < 2:
                n = len(self._messages)
                self._take(AGAIN)
                came = len(self._messages) - n
                waiting -= came
                quiet = 0 if came else quiet + 1
        messages, self._messages = self._messages, []
        return messages

    # The next message, for a node that stays awake; None: none within that time
    def receive(self, ms):
        until = time.ticks_add(time.ticks_ms(), ms)
        while not self._messages:
            left = time.ticks_diff(until, time.ticks_ms())
            if left <= 0:
                return None
            self._take(left)
        return self._messages.pop(0)

    def close(self):
        self._radio.active(False)
        self._station.active(False)

    def _ask(self, what, body=b""):
        self._number = number = self._number + 1 & 0xFFFFFFFF
        f = frame(what, number, body)
        until = time.ticks_add(time.ticks_ms(), self._timeout)
        unheard = 0
        while time.ticks_diff(until, time.ticks_ms()) > 0:
            if self._radio.send(self._gateway, f):
                unheard = 0
            else:  # Nobody there has got it: the access point may have changed its channel
                unheard += 1
                if unheard == 3:
                    unheard = 0
                    self._tune(self.channel % CHANNELS + 1)
                    continue
            again = time.ticks_add(time.ticks_ms(), 10 if unheard else AGAIN)
            while True:
                left = time.ticks_diff(again, time.ticks_ms())
                if left <= 0:
                    break
                answer = self._take(left)
                if answer and answer[0] == number:
                    outcome = answer[1]
                    if what != FETCH and outcome != DONE:
                        raise OSError(-1, "refused by the broker" if outcome == REFUSED else "the gateway has no broker")
                    return outcome
        raise OSError(110, "no answer from the gateway")

    # One frame. Messages are kept, and answered: one whose answer was lost comes again
    def _take(self, ms):
        sender, f = self._radio.recv(ms)
        parsed = sender == self._gateway and parse(f)
        if not parsed:
            return None
        what, number, body = parsed
        if what == ANSWER and body:
            return number, body[0]
        if what == MESSAGE:
            self._radio.send(self._gateway, frame(ANSWER, number, b"\0"))
            if number != self._last:
                self._last = number
                self._messages.append(decode(body)[:3])
        return None
