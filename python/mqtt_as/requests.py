# Requests: publishing, subscribing and the like, answered across outages, over
# whatever connection there is.
import asyncio
import errno
from asyncio import core
from time import ticks_add, ticks_diff, ticks_ms

from micropython import const

from .connection import Connection

# What Session.publish() and the like answer, besides an identifier
_BUSY = const(-1)  # Not now
_REFUSED = const(-0x100)  # Less a reason code: the broker said that it can't
_BACKLOG = const(0x10000)  # Added: not all is written yet


async def eliza(*_):  # Null coroutine
    pass


def ignore(*_):  # Null callback
    pass


# The broker refuses a request. reason_code: see MQTT 5, 2.4
class MQTTException(Exception):
    reason_code = None
    properties = None


# What publish() gives back when all is done: a coroutine that has ended, which
# can be awaited, made a task and so on, again and again, and costs nothing
_sent = eliza()
try:
    _sent.send(None)
except StopIteration:
    pass


# A request that waits for its answer: the packet that asks, and its outcome
class _Request:
    def __init__(self, pid, several, method, args):
        # Room for all there will be: setting it must not fail
        self.reason = self.properties = self.task = None
        self.pid = pid
        self.several = several  # Topics in a list: the answer is one too
        self.method = method
        self.args = args
        self.over = False

    # A coroutine. To asyncio this object is the queue that the task waits in
    def wait(self):
        while not self.over:
            self.task = core.cur_task
            core.cur_task.data = self
            yield

    def remove(self, _):  # The task is cancelled
        self.task = None

    def done(self, reason):  # None: there will be no answer
        self.reason = reason
        self.over = True
        if self.task:
            core._task_queue.push(self.task)
            self.task = None


class MQTT_base:
    REPUB_COUNT = 0
    DEBUG = False
    _online = 0  # Clients that are connected

    def __init__(self, config=None):
        from . import settings
        from .link import make_link
        from .transport import Transport

        if config is None:
            from . import config
        c = settings.checked(config)
        self._servers = settings.servers(c)
        self._next_server()
        self._session, self._identity = settings.make_session(c)
        settings.let_go()
        self.mqttv5 = c["mqttv5"]
        self.mqttv5_con_props = c["mqttv5_con_props"]
        self._clean = c["clean"]
        self._clean_init = c["clean_init"]
        self._response_ms = int(c["response_time"] * 1000)
        self._transport = Transport(c["ssl"], c["ssl_params"], self._response_ms)
        self._auth = None
        if c["auth_coro"]:
            from .auth import Auth

            self._auth = Auth(self, c["auth_coro"], self.mqttv5_con_props.get(0x15))
        self.queue = None
        self._cb = c["subs_cb"] or ignore
        if c["queue_len"]:
            from .queue import MsgQueue

            self.up = asyncio.Event()
            self.down = asyncio.Event()
            self.queue = MsgQueue(c["queue_len"])
            self._cb = self.queue.put
        self._wifi_handler = c["wifi_coro"] or eliza
        self._connect_handler = c["connect_coro"] or eliza
        self._handler = None  # The running connect_coro
        self._link = make_link(c)
        self._sta_if = getattr(self._link, "interface", self._link)
        if c["gateway"]:
            self._espnow = getattr(self._link, "espnow", None)
        self._new_locks()
        self._progress = asyncio.Event()  # Pulses when something moved on
        self._conn = Connection(self)  # The last one there was, here none yet
        self._connections = 0  # That the broker accepted
        self._isconnected = False
        self._has_connected = False
        self._stopped = False  # By disconnect() or close()
        self._connector = None  # The task in connect()
        self._keeper = None
        self._since = ticks_ms()  # When the last connection was made
        self._requests = {}  # By packet identifier
        self._sent = 0  # At QoS 0
        self.session_present = False
        self.connack_properties = {}
        self.ack_properties = None  # Of the request that returned last
        self.last_error = None  # What ended the connection

    def _next_server(self):
        self.server, self.port = address = self._servers.pop(0)
        self._servers.append(address)

    # Made when they are needed. Those of a run of asyncio that was broken off are
    # held for ever
    def _new_locks(self):
        self._lock = None
        self._publish_order = None  # A lock of those who wait until there is room, once some do

    @property
    def lock(self):  # Held while a packet is written in parts
        if self._lock is None:
            self._lock = asyncio.Lock()
        return self._lock

    @property
    def last_rx(self):
        if not self._connections:
            return self._since
        now = ticks_ms()
        return ticks_add(now, -min(self._session.idle(now), 0x1FFFFFFF))

    @property
    def newpid(self):  # next(client.newpid)
        while True:
            yield self._session.new_pid()

    @property
    def topic_alias_maximum(self):
        return self.connack_properties.get(0x22, 0)

    @property
    def rcv_pids(self):
        return set(self._requests)

    def dprint(self, *args):  # As print, or a format and its values
        if self.DEBUG:
            try:
                print(args[0] % args[1:])
            except (IndexError, TypeError, ValueError):
                print(*args)
            except MemoryError:
                pass

    def _cancel(self, task):
        if task is not None and task is not core.cur_task:
            task.cancel()

    def _print_exception(self, e):
        import sys

        sys.print_exception(e)

    # No task of the application's ends unseen
    async def _report_errors(self, coro):
        try:
            await coro
        except Exception as e:
            self._print_exception(e)
        if self._handler is core.cur_task:
            self._handler = None

    def _reason_string(self, props):
        return ", reason: %s" % props[0x1F] if props and 0x1F in props else ""

    def _refusal(self, reason, props=None, msg="refused"):
        e = MQTTException("%s by the broker: 0x%02x%s" % (msg, reason, self._reason_string(props)))
        e.reason_code = reason
        e.properties = props
        return e

    def _offline(self):
        return OSError(errno.ENOTCONN, "not connected: call connect()")

    # Those of the packet that came last, which answers a request or has that name
    def _properties(self, packet):
        props = self._session.properties()
        if self.DEBUG and props:
            from .explain import print_properties

            print_properties(self, packet, props)
        return props

    def _pulse(self):
        self._progress.set()
        self._progress.clear()

    def _check_stopped(self):
        if self._stopped:
            raise self._offline()

    async def _connection(self):  # Waits for connectivity
        while not self._isconnected:
            self._check_stopped()
            await self._progress.wait()

    # *** Sending ***

    # A packet out: its identifier or 0
    async def _send(self, method, args):
        while True:
            r = self._try_to_send(method, args)
            if r >= 0:
                return r
            if self._isconnected:
                await self._progress.wait()
            else:
                await self._connection()

    def _try_to_send(self, method, args):  # _BUSY: not now
        self._check_stopped()
        r = _BUSY  # Nothing over a connection that begins or ends
        if self._isconnected or self._conn.stream is None:
            r = self._conn.call(method, 0, *args)
        if r <= _REFUSED:
            raise self._refusal(_REFUSED - r)
        return r

    # A packet out and its answer in, across any number of outages
    async def _request(self, several, method, *args):
        r = _BUSY
        if several is not None:
            r = await self._send(method, args)
        else:  # A publication: in order, and nothing else waits with them
            order = self._publish_order
            if order is None or not order.locked():
                r = self._try_to_send(method, args)
            if r < 0:
                if order is None:
                    order = self._publish_order = asyncio.Lock()
                await order.acquire()
                try:
                    r = await self._send(method, args)
                finally:
                    order.release()
        r = self._take_backlog(r)
        request = self._requests[r] = _Request(r, several, method, args)
        try:
            await request.wait()
        finally:
            if self._requests.get(request.pid) is request:  # Cancelled
                del self._requests[request.pid]
                self._session.abandon(request.pid)
        reason = request.reason
        if reason is None:
            raise OSError(errno.ENOTCONN, "disconnected before the broker answered")
        self.ack_properties = request.properties
        if isinstance(reason, Exception):
            raise reason
        if type(reason) is int and reason >= 0x80:
            raise self._refusal(reason, request.properties)
        return reason

    def _take_backlog(self, r):  # Of what the session answered: the identifier
        if r & _BACKLOG:
            r -= _BACKLOG
            self._conn.write_rest()
        return r

    def _note_pubrec(self, pid, reason):  # It says more than that all is well
        request = self._requests.get(pid)
        if request:
            request.reason = reason
            request.properties = self._properties("PUBREC")

    def _end_request(self, pid, reason):
        request = self._requests.pop(pid, None)
        if request:
            reason = reason or request.reason or 0
            try:
                if self.mqttv5:
                    request.properties = self._properties(request) or request.properties
                if request.several:  # An UNSUBACK of 3.1.1 has no codes
                    reason = list(self._session.codes() or bytes(len(request.args[0])))
            except MemoryError as e:
                if request.several:
                    reason = e
            request.done(reason)
        self._send_due()
        self._pulse()

    def _end_requests(self):  # Without an answer
        for pid in list(self._requests):
            self._requests.pop(pid).done(None)
            self._session.abandon(pid)
        self._pulse()

    def _send_due(self):
        if self._isconnected:
            self._due()

    # Sends again what is to be sent again, after a reconnection in order, and
    # pings. Milliseconds to the next time; 0: no answer in time; below 0: the
    # socket has to take more first
    def _due(self):
        session = self._session
        while True:
            ms = session.due(ticks_ms())
            if ms >= 0:
                self._conn.watch(session.unsent())
                return ms
            if not self._repeat_request(-ms):
                return ms

    # False: not now
    def _repeat_request(self, pid):
        request = self._requests.get(pid)
        if request is None:
            self._session.abandon(pid)
            return True
        outcome = None
        try:
            r = request.method(ticks_ms(), pid, *request.args)
            if r <= _REFUSED:  # Another broker than before
                outcome = _REFUSED - r
            elif r < 0:
                return False
        except (TypeError, ValueError) as e:  # The arguments have changed
            outcome = e
        if outcome is not None:
            del self._requests[pid]
            self._session.abandon(pid)
            request.done(outcome)
            return True
        r = self._take_backlog(r)
        if r == pid:
            MQTT_base.REPUB_COUNT += 1
            self.dprint("Repeat of packet %d" % pid)
        else:  # The broker has no session: a new packet
            del self._requests[pid]
            request.pid = r
            self._requests[r] = request
        return True

    # *** Requests ***

    # timeout: seconds, then asyncio.TimeoutError, and it is not sent again
    def publish(self, topic, msg, retain=False, qos=0, properties=None, timeout=None):
        if qos:
            coro = self._request(None, self._session.publish, topic, msg, retain, qos, properties)
        else:
            r = _BUSY
            if self._isconnected:
                try:  # As Connection.call() does, but without garbage
                    r = self._session.publish(ticks_ms(), 0, topic, msg, retain, qos, properties)
                except OSError as e:
                    self._conn.fail(e)
                except Exception as e:
                    return self._raise(e)
            if r == 0:  # The common case
                self._sent += 1
                return _sent if self._sent & 15 else self._yield_once()
            coro = self._publish(r, topic, msg, retain, qos, properties)
        return coro if timeout is None else asyncio.wait_for(coro, timeout)

    async def _raise(self, e):  # To who awaits it
        raise e

    async def _yield_once(self):
        await asyncio.sleep_ms(0)

    async def _publish(self, r, *args):  # QoS 0. r: what came of it so far
        while r:
            if r > 0:
                # Not all of it is written. If the connection ends: once more
                conn = self._conn
                conn.write_rest()
                while self._session.unsent():
                    await self._progress.wait()
                if conn is self._conn and self._isconnected:
                    return
            r = await self._send(self._session.publish, args)

    # Topics, or (topic, qos): two lists
    def _topics(self, items, qos):
        topics = []
        levels = []
        for item in items:
            level = qos
            if isinstance(item, (list, tuple)):
                item, level = item
            if not 0 <= level <= 2:
                raise ValueError("qos must be 0, 1 or 2")
            topics.append(item)
            levels.append(level)
        return topics, levels

    # topic: one, or a list of them or of (topic, qos): then the codes in a list
    async def subscribe(self, topic, qos=0, properties=None, *, no_local=False, retain_as_published=False, retain_handling=0):
        options = 0
        if self.mqttv5:
            options = bool(no_local) << 2 | bool(retain_as_published) << 3 | retain_handling << 4
        several = isinstance(topic, (list, tuple))
        topics, levels = self._topics(topic if several else (topic,), qos)
        levels = bytes(level | options for level in levels)
        return await self._request(several, self._session.subscribe, topics, levels, properties)

    async def unsubscribe(self, topic, properties=None):
        several = isinstance(topic, (list, tuple))
        topics, _ = self._topics(topic if several else (topic,), 0)
        return await self._request(several, self._session.subscribe, topics, None, properties)

    # Authenticates once more (MQTT 5, 4.12.1), by config["auth_coro"]
    async def reauthenticate(self):
        if self._auth is None:
            raise ValueError("config['auth_coro'] is missing")
        await self._auth.again()

    async def _ping(self):
        conn = self._conn
        conn.watch(conn.call(self._session.ping))

    async def broker_up(self):
        if not self._isconnected:
            return False
        if ticks_diff(ticks_ms(), self.last_rx) < 1000:
            return True
        seen = self.last_rx
        await self._ping()
        t = ticks_ms()
        while ticks_diff(ticks_ms(), t) < self._response_ms and self._isconnected:
            await asyncio.sleep_ms(50)
            if self.last_rx != seen:
                return True
        return False
