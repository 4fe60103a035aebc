# A board that stays on, and joins the Wi-Fi for all those that do not: it speaks MQTT for the nodes that reach it over
# ESP-NOW (mqtt_node.py), and keeps messages for those that sleep. For an ESP32; MIT licence: see LICENSE.
#     import gateway
#     gateway.run(config, {b"\x24\x0a\xc4\x00\x00\x02": None})  # The nodes' addresses, and their keys
import asyncio
import os
import sys
from binascii import hexlify
from time import ticks_add, ticks_diff, ticks_ms

from mqtt_as import MQTTClient, MQTTException
from mqtt_node import (
    ANSWER,
    DONE,
    FETCH,
    MESSAGE,
    NOT_NOW,
    PUBLISH,
    REFUSED,
    SUBSCRIBE,
    UNSUBSCRIBE,
    decode,
    encode,
    frame,
    parse,
)

KEPT = 20  # Messages for a node that sleeps; the oldest goes when there are more
WAIT = 4  # Seconds for the broker, less than a node waits
FRESH = 10_000  # ms after a subscription in which retained messages are for who has subscribed
AGAIN = 100  # ms without an answer, then a message is sent once more
TRIES = 5  # Then the node sleeps, until it is heard of


def matches(pattern, topic):  # MQTT 4.7; both bytes
    if pattern[:1] in b"#+" and topic[:1] == b"$":
        return False
    levels = topic.split(b"/")
    parts = pattern.split(b"/")
    for i, part in enumerate(parts):
        if part == b"#":
            return True
        if i == len(levels) or part not in (b"+", levels[i]):
            return False
    return len(parts) == len(levels)


class _Node:
    def __init__(self, address, key):
        self.address = address
        self.key = key
        self.filters = {}  # Topic filter: (QoS, until when retained messages are for this node)
        self.queue = []  # (number, frame) of messages
        self.discards = 0
        self.request = None  # Number of the one that came last,
        self.outcome = None  # and what came of it; None: under way
        self.number = int.from_bytes(os.urandom(4), "big")  # Of the last message: not those of a gateway before
        self.answered = None
        self.heard = asyncio.Event()  # It is awake, or there is something for it

    def wants(self, topic, retained):
        now = ticks_ms()
        return any(matches(f, topic) and (not retained or ticks_diff(until, now) > 0) for f, (_, until) in self.filters.items())

    def put(self, body):
        if len(self.queue) == KEPT:
            self.queue.pop(0)
            self.discards += 1
        self.number = self.number + 1 & 0xFFFFFFFF
        self.queue.append((self.number, frame(MESSAGE, self.number, body)))
        self.heard.set()


class Gateway:
    # nodes: by address, 6 bytes; a key of 16 bytes, or None. Others are not listened to
    def __init__(self, client, nodes):
        self.client = client
        self.nodes = {address: _Node(address, key) for address, key in nodes.items()}

    async def run(self):
        await self.client.connect()
        print("Gateway", hexlify(self.client._sta_if.config("mac"), ":").decode())
        tasks = [asyncio.create_task(coro) for coro in (self._up(), self._messages())]
        tasks += [asyncio.create_task(self._deliver(node)) for node in self.nodes.values()]
        try:
            await self._listen()
        finally:
            for task in tasks:
                task.cancel()

    async def _up(self):
        client = self.client
        while True:
            await client.up.wait()
            client.up.clear()
            for node in self.nodes.values():
                for topic, (qos, _) in node.filters.items():  # Retained messages may have changed meanwhile
                    node.filters[topic] = (qos, ticks_add(ticks_ms(), FRESH))
                    await client.subscribe(topic, qos)

    async def _messages(self):
        async for topic, msg, retained in self.client.queue:
            try:
                body = encode(topic, msg, retained, 0)
                frame(MESSAGE, 0, body)
            except ValueError as e:
                print("Not for nodes:", topic, e)
                continue
            for node in self.nodes.values():
                if node.wants(topic, retained):
                    node.put(body)

    async def _send(self, node, f):  # True: its radio has it
        radio = self.client._espnow
        try:
            return await radio.asend(node.address, f)
        except OSError:  # It is not known: at first, and after the radio was off
            try:
                radio.add_peer(node.address, *(node.key,) if node.key else ())
                return await radio.asend(node.address, f)
            except OSError as e:
                print("ESP-NOW:", e)
                return False

    async def _listen(self):
        while True:
            address, f = await self.client._espnow.arecv()
            node = self.nodes.get(bytes(address)) if address else None
            parsed = node and parse(f)
            if not parsed:
                continue
            what, number, body = parsed
            if what == ANSWER:
                node.answered = number
                node.heard.set()
            elif number != node.request:
                node.request = number
                node.outcome = None
                asyncio.create_task(self._serve(node, what, number, body))
            elif node.outcome is not None:  # It has not got the answer
                await self._send(node, frame(ANSWER, number, node.outcome))

    async def _serve(self, node, what, number, body):
        try:
            outcome = min(255, len(node.queue)) if what == FETCH else await self._do(node, what, *decode(body))
        except asyncio.TimeoutError:
            outcome = NOT_NOW
        except (MQTTException, ValueError, TypeError):
            outcome = REFUSED
        except Exception as e:
            sys.print_exception(e)
            outcome = NOT_NOW
        if number == node.request:
            node.outcome = bytes((outcome,))
            await self._send(node, frame(ANSWER, number, node.outcome))
        node.heard.set()

    async def _do(self, node, what, topic, msg, retain, qos):
        client = self.client
        if what == PUBLISH:
            if not qos and not client.isconnected():
                return NOT_NOW
            await client.publish(topic, msg, retain, qos, timeout=WAIT)
        elif what == SUBSCRIBE:
            for other in self.nodes.values():  # They have had the retained messages that come once more now
                if topic in other.filters:
                    other.filters[topic] = (other.filters[topic][0], ticks_ms())
            node.filters[topic] = (qos, ticks_add(ticks_ms(), FRESH))
            await asyncio.wait_for(client.subscribe(topic, qos), WAIT)
        elif what == UNSUBSCRIBE:
            node.filters.pop(topic, None)
            if not any(topic in other.filters for other in self.nodes.values()):
                await asyncio.wait_for(client.unsubscribe(topic), WAIT)
        else:
            return REFUSED
        return DONE

    async def _deliver(self, node):  # One message after the other, each until it is answered
        while True:
            await node.heard.wait()
            node.heard.clear()
            while node.queue:
                number, f = message = node.queue[0]
                if not await self._deliver_one(node, number, f):
                    break
                if node.queue and node.queue[0] is message:  # Else it was discarded meanwhile
                    node.queue.pop(0)

    async def _deliver_one(self, node, number, f):
        for _ in range(TRIES):
            if await self._send(node, f):
                until = ticks_add(ticks_ms(), AGAIN)
                while node.answered != number and ticks_diff(until, ticks_ms()) > 0:
                    await asyncio.sleep_ms(5)
                if node.answered == number:
                    return True
            else:
                await asyncio.sleep_ms(5)
        return False


def run(config, nodes):
    config["gateway"] = True
    config["queue_len"] = 20
    client = MQTTClient(config)
    try:
        asyncio.run(Gateway(client, nodes).run())
    finally:
        client.close()
