# umqtt.robust: the client of umqtt.simple, which connects again by itself.
# MIT licence: see LICENSE.
from time import sleep, ticks_ms

from . import simple


class MQTTClient(simple.MQTTClient):
    DELAY = 2  # Seconds
    DEBUG = False
    RESUBSCRIBE = False  # True: what was subscribed to is again where the broker has lost the session
    _pending = ()  # Publications that wait for their answers: [identifier, topic, ...]
    _topics = None

    def delay(self, i):
        sleep(self.DELAY)

    def log(self, in_reconnect, e):
        if self.DEBUG:
            print("mqtt reconnect:" if in_reconnect else "mqtt:", repr(e))

    # Programs override it: reconnect() calls what is there
    def connect(self, clean_session=True, timeout=None):
        if timeout is None and self._timeout:
            timeout = self._timeout / 1000
        kept = simple.MQTTClient.connect(self, clean_session, timeout)
        if self._topics and not kept:
            for topic, how in list(self._topics.items()):
                simple.MQTTClient.subscribe(self, topic, *how)
        return kept

    def reconnect(self):
        i = 0
        while True:
            sock = self.sock
            try:
                try:
                    return self.connect(False)
                except TypeError:  # Of a class whose connect() takes no argument: the original calls none of its own
                    if sock is not self.sock:
                        raise
                    return MQTTClient.connect(self, False)
            except OSError as e:
                self.log(True, e)
            except simple.MQTTException as e:
                if e.args[0] != -1:  # The broker refuses; at -1 it has ended before it could
                    raise
                self.log(True, e)
            i += 1
            self.delay(i)

    # A connection failed. A callback may have made another one meanwhile
    def _failed(self, e, sock):
        self.log(False, e)
        if sock is self.sock:
            self.reconnect()

    def publish(self, topic, msg, retain=False, qos=0, properties=None):
        if not qos:
            while True:
                sock = self.sock
                try:
                    return simple.MQTTClient.publish(self, topic, msg, retain, qos, properties)
                except OSError as e:
                    self._failed(e, sock)
        p = [0, topic, msg, retain, qos, properties]
        if not self._pending:
            self._pending = []
        self._pending.append(p)
        try:
            while True:
                sock = self.sock
                try:
                    if not p[0]:
                        self._send(p)
                    reason = self._wait(p[0])
                    break
                except OSError as e:
                    self._failed(e, sock)
        finally:
            self._pending.remove(p)
            self._core.abandon(p[0])
        if reason >= 0x80:
            raise simple.MQTTException(reason)

    def _send(self, p):
        core = self._core if self.sock is self._opened else self._attach()
        if not self._hurries:
            self._hurry(True)
        while True:
            r = core.publish(ticks_ms(), *p)
            if r != -1:
                break
            self._flush_rest()
        if r < 0:
            raise simple.MQTTException(-0x100 - r)
        p[0] = r & 0xFFFF
        self._written(r)

    def _again(self, pid):
        for p in self._pending:
            if p[0] == pid:
                return self._send(p)
        self._core.abandon(pid)

    def subscribe(self, topic, qos=0, properties=None):
        simple.MQTTClient.subscribe(self, topic, qos, properties)
        if self.RESUBSCRIBE:
            if self._topics is None:
                self._topics = {}
            self._topics[topic] = qos, properties

    def unsubscribe(self, topic, properties=None):
        simple.MQTTClient.unsubscribe(self, topic, properties)
        if self._topics:
            self._topics.pop(topic, None)

    def wait_msg(self, timeout=None):
        while True:
            sock = self.sock
            try:
                return simple.MQTTClient.wait_msg(self, timeout)
            except OSError as e:
                self._failed(e, sock)

    def check_msg(self, attempts=2):
        while attempts:
            sock = self.sock
            try:
                return self._check()  # It calls no wait_msg() that does not end
            except OSError as e:
                self._failed(e, sock)
            attempts -= 1
