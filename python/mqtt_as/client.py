# The client: requests across outages, events for the application, and the
# keeper, who makes a new connection whenever one is lost.
import asyncio
import errno
import sys
from asyncio import core
from time import ticks_add, ticks_diff, ticks_ms

from micropython import const

from .connection import NOT_WRITABLE, Connection, cancel
from .link import make_link
from .transport import Transport, query_answered

# What Session.publish() and the like answer, besides an identifier
_BUSY = const(-1)  # Not now
_REFUSED = const(-0x100)  # Less a reason code: the broker said that it can't
_BACKLOG = const(0x10000)  # Added: not all is written yet

_SILENT = const(20)  # Attempts without any answer, after which Wi-Fi is joined anew


async def eliza(*_):  # Null coroutine
    pass


def ignore(*_):  # Null callback
    pass


# The broker refuses a request. reason_code: see MQTT 5, 2.4
class MQTTException(Exception):
    reason_code = None
    properties = None


def _reason_string(props):
    return ", reason: %s" % props[0x1F] if props and 0x1F in props else ""


def _refusal(reason, props=None, msg="refused"):
    e = MQTTException("%s by the broker: 0x%02x%s" % (msg, reason, _reason_string(props)))
    e.reason_code = reason
    e.properties = props
    return e


def _offline():
    return OSError(errno.ENOTCONN, "not connected: call connect()")


async def _yield_once():
    await asyncio.sleep_ms(0)


# What publish() gives back when all is done: a coroutine that has ended, which
# can be awaited, made a task and so on, again and again, and costs nothing
_sent = eliza()
try:
    _sent.send(None)
except StopIteration:
    pass


async def _raise(e):  # To who awaits it
    raise e


# No task of the application's ends unseen
async def _report_errors(coro, client=None):
    try:
        await coro
    except Exception as e:
        sys.print_exception(e)
    if client and client._handler is core.cur_task:
        client._handler = None


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


# Topics, or (topic, qos): two lists
def _topics(items, qos):
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


# Requests and what applications know of a client, over whatever connection there is
class MQTT_base:
    REPUB_COUNT = 0
    DEBUG = False
    _online = 0  # Clients that are connected

    def __init__(self, config=None):
        from . import settings

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
        self._new_locks()
        self._progress = asyncio.Event()  # Pulses when something moved on
        self._conn = Connection(self)  # The last one there was, here none yet
        self._connections = 0
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

    # Those of a run of asyncio that was broken off are held for ever
    def _new_locks(self):
        self.lock = asyncio.Lock()
        self._publish_order = asyncio.Lock()  # Of those who wait until there is room

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

    def _pulse(self):
        self._progress.set()
        self._progress.clear()

    def _check_stopped(self):
        if self._stopped:
            raise _offline()

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
            raise _refusal(_REFUSED - r)
        return r

    # A packet out and its answer in, across any number of outages
    async def _request(self, several, method, *args):
        r = _BUSY
        if several is not None:
            r = await self._send(method, args)
        else:  # A publication: in order, and nothing else waits with them
            order = self._publish_order
            if not order.locked():
                r = self._try_to_send(method, args)
            if r < 0:
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
            raise _refusal(reason, request.properties)
        return reason

    def _take_backlog(self, r):  # Of what the session answered: the identifier
        if r & _BACKLOG:
            r -= _BACKLOG
            self._conn.watch(NOT_WRITABLE)
        return r

    def _note_pubrec(self, pid, reason):  # It says more than that all is well
        request = self._requests.get(pid)
        if request:
            request.reason = reason
            request.properties = self._session.properties()

    def _end_request(self, pid, reason):
        request = self._requests.pop(pid, None)
        if request:
            reason = reason or request.reason or 0
            try:
                if self.mqttv5:
                    request.properties = self._session.properties() or request.properties
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
                    return _raise(e)
            if r == 0:  # The common case
                self._sent += 1
                return _sent if self._sent & 15 else _yield_once()
            coro = self._publish(r, topic, msg, retain, qos, properties)
        return coro if timeout is None else asyncio.wait_for(coro, timeout)

    async def _publish(self, r, *args):  # QoS 0. r: what came of it so far
        while r:
            if r > 0:
                # Not all of it is written. If the connection ends: once more
                conn = self._conn
                conn.watch(NOT_WRITABLE)
                while self._session.unsent():
                    await self._progress.wait()
                if conn is self._conn and self._isconnected:
                    return
            r = await self._send(self._session.publish, args)

    # topic: one, or a list of them or of (topic, qos): then the codes in a list
    async def subscribe(self, topic, qos=0, properties=None, *, no_local=False, retain_as_published=False, retain_handling=0):
        options = 0
        if self.mqttv5:
            options = bool(no_local) << 2 | bool(retain_as_published) << 3 | retain_handling << 4
        several = isinstance(topic, (list, tuple))
        topics, levels = _topics(topic if several else (topic,), qos)
        levels = bytes(level | options for level in levels)
        return await self._request(several, self._session.subscribe, topics, levels, properties)

    async def unsubscribe(self, topic, properties=None):
        several = isinstance(topic, (list, tuple))
        topics, _ = _topics(topic if several else (topic,), 0)
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


# Keeps up the connection and the link below it
class MQTTClient(MQTT_base):
    # *** One connection ***

    # One attempt. OSError: no broker, or it refuses
    async def _connect(self, clean):
        server, port = self.server, self.port
        try:
            self._drop()
            props = self.mqttv5_con_props
            if self._auth:
                props = await self._auth.begin(props)
            self.dprint("Connecting to %s port %s" % (server, port))
            conn = self._conn = Connection(self)
            self._connections += 1
            await conn.open(server, port, clean, self._identity + (props,))
        except BaseException as e:
            if len(self._servers) > 1:
                self._next_server()
            if isinstance(e, OSError) and (self.DEBUG or not self._has_connected):
                from .explain import connect_error

                e = connect_error(e, server, port)
            raise e
        self._set_connected(True)
        self._send_due()
        self._pulse()

    # Leaves nothing of the connection behind
    def _drop(self):
        self._set_connected(False)
        self._conn.close()
        self._pulse()

    def _set_connected(self, yes):
        if yes is not self._isconnected:
            self._isconnected = yes
            MQTT_base._online += 1 if yes else -1

    # The connection failed: the keeper does the rest
    def _accept_failure(self, error):
        keeper = self._isconnected and self._keeper
        if self._isconnected or isinstance(error, MQTTException):
            self.last_error = error
        self._set_connected(False)
        self._pulse()
        if keeper and keeper is not core.cur_task:  # Then it sleeps
            core._task_queue.remove(keeper)
            core._task_queue.push(keeper)

    def _accept_connack(self, conn):
        self._transport.confirm_address()
        reason = self._session.reason()
        props = self.connack_properties = self._session.properties() or {}
        if reason & 0xFF:
            self.last_error = _refusal(reason, props)
            conn.fail(OSError(-1, "Connection refused by the broker: 0x2002 %d%s" % (reason, _reason_string(props))))
            return
        self.dprint("Connected")
        self.session_present = reason > 0xFF
        if 0x12 in props:  # Assigned client identifier: ours from now on
            self._identity = (props[0x12],) + self._identity[1:]
        if self._auth:
            self._auth.step(0, props)  # Sets conn.settled when it agrees
        else:
            conn.settled.set()

    def _accept_disconnect(self, conn):
        reason = self._session.reason()
        error = _refusal(reason, self._session.properties(), "disconnected")
        conn.fail(error)
        if reason == 0x8E:  # Another client took the session: no fight over it
            self.dprint(str(error))
            self._release()
            self._drop()
            self._end_requests()
            self._announce_down()

    def _accept_auth(self, conn):
        if self._auth is None:
            conn.fail(OSError(-1, "the broker wants AUTH: set config['auth_coro']"))
        else:
            self._auth.step(self._session.reason(), self._session.properties() or {})

    def _send_auth(self, reason, props):
        conn = self._conn
        conn.watch(conn.call(self._session.control, True, reason, props))

    # DISCONNECT, after which the broker closes: to close first could undo it.
    # ValueError: nothing has happened
    def _send_disconnect(self, reason=0, properties=None):
        conn = self._conn
        r = conn.call(self._session.control, False, reason, properties)
        self._set_connected(False)
        conn.settled.clear()
        conn.watch(r)
        return conn.settled_within(min(500, self._response_ms))  # A coroutine

    # *** Connecting ***

    async def wifi_connect(self, quick=False):
        if self._has_connected:  # It is down, or of no use: start afresh
            self._link.disconnect()
        await self._link.connect(quick)

    async def connect(self, *, quick=False):
        while self._connector:
            await self._progress.wait()
            self._check_stopped()
        if self._isconnected and self._keeper:
            return
        self._stopped = False
        self._connector = core.cur_task
        try:
            await self._connect_once(quick)
        except asyncio.CancelledError:
            if self._connector is core.cur_task:  # By the application
                raise
            for _ in range(2):  # A wait_for() within soon cancels once more
                try:
                    await asyncio.sleep_ms(0)
                except asyncio.CancelledError:
                    pass
            raise _offline()
        finally:
            if self._connector is core.cur_task:
                self._connector = None
                self._pulse()

    async def _connect_once(self, quick):
        cancel(self._keeper)
        self._keeper = None
        try:
            if not self._has_connected:
                await self.wifi_connect(quick)
            more = len(self._servers)
            while more:
                more -= 1
                try:
                    if not self._has_connected and self._clean_init and not self._clean and not self.mqttv5:
                        # The broker forgets the old session, then keeps a new one
                        await self._connect(True)
                        await self._send_disconnect()
                    await self._connect(self._clean)
                    break
                except OSError:
                    if not more or self._stopped:
                        raise
        except:
            if self._stopped or self._connector is core.cur_task:  # Else another one connects by now
                self._drop()
                if self._has_connected:  # It was an outage
                    self._keeper = asyncio.create_task(self._keep(False))
            raise
        self._has_connected = True
        self._keeper = asyncio.create_task(self._keep())
        self._announce_up()

    def _announce_up(self):
        self._since = ticks_ms()
        if self.queue is not None:
            self.up.set()
            return
        asyncio.create_task(_report_errors(self._wifi_handler(True)))
        cancel(self._handler)
        self._handler = asyncio.create_task(_report_errors(self._connect_handler(self), self))

    def _announce_down(self):
        if self.queue is not None:
            self.down.set()
        else:
            asyncio.create_task(_report_errors(self._wifi_handler(False)))

    # *** Keeping it up ***

    # Owns the connection's life from the first connect() to disconnect()
    async def _keep(self, up=True):
        attempts = 0  # Since the last connection that held
        silent = 0  # Of these, the last ones to which nothing answered
        while True:
            try:
                await self._supervise()
                if up:
                    up = False
                    self.dprint("Connection lost: %s" % self._conn.error)
                    self._drop()
                    self._announce_down()
                    if not 0 <= ticks_diff(ticks_ms(), self._since) < 2000:  # Days may be negative
                        attempts = 0
                await asyncio.sleep_ms(_backoff(attempts))
                attempts += 1
                # A link that serves another client is good
                if not self._link.isconnected() or silent >= _SILENT and not MQTT_base._online:
                    silent = 0
                    await self.wifi_connect()
                silent += 1
                await self._connect(self._clean)
                self._announce_up()
                up = True
                silent = 0
            except BaseException as e:  # A tuple here would allocate
                # wait_for() without memory cancels who waits: it was not us
                if not isinstance(e, Exception) and (
                    self._keeper is not core.cur_task or not isinstance(e, asyncio.CancelledError)
                ):
                    raise
                if self._isconnected:
                    self._conn.task_failed(e)
                    continue
                if self._transport.reached:
                    silent = 0
                self._drop()
                try:
                    self.dprint("Reconnect failed: %s", e)
                except Exception:
                    pass  # No memory for it, or the application's own does not work

    # Pings, repeats and gives up, until the connection ends
    async def _supervise(self):
        most = min(1000, self._response_ms // 4)
        while self._isconnected:
            ms = self._due()
            if ms:
                await asyncio.sleep_ms(min(abs(ms), most))  # _accept_failure() ends it
                self.isconnected()
            else:
                self._conn.fail(OSError(errno.ETIMEDOUT, "no answer from the broker"))

    def _reconnect(self):
        self._conn.fail(OSError(errno.ENOTCONN, "the link is down"))

    def isconnected(self):
        if self._isconnected and not self._link.isconnected():
            self._reconnect()
        return self._isconnected

    # *** The end ***

    async def __aenter__(self):
        await self.connect()
        return self

    async def __aexit__(self, *_):
        await self.disconnect()

    def _release(self):
        self._stopped = True
        self._has_connected = False
        cancel(self._keeper)
        cancel(self._handler)
        cancel(self._connector)
        self._keeper = self._handler = self._connector = None

    # reason and properties: of MQTT 5. 0x04: the broker publishes the will
    async def disconnect(self, reason=0, properties=None):
        if self.mqttv5 and isinstance(properties, dict) and properties.get(0x11) and not self.mqttv5_con_props.get(0x11):
            raise ValueError("session expiry (0x11) on disconnect needs one in config['mqttv5_con_props']")
        connected = self._isconnected
        end = self._send_disconnect(reason, properties)
        self._release()
        try:
            if connected:
                await end
        finally:
            self._drop()
            self._end_requests()

    def close(self):
        self._release()
        self._drop()
        self._end_requests()
        self._new_locks()
        self._link.close()

    # Is the internet there? packet: a DNS query
    async def wan_ok(
        self,
        packet=b"\x4d\x51\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00\x03dns\x06google\x00\x00\x01\x00\x01",
    ):
        return self.isconnected() and await self.broker_up() and await query_answered(packet)


# Milliseconds before attempt n: at once, then doubling to ten seconds
def _backoff(n):
    from random import getrandbits

    ms = min(10_000, 250 << min(n, 6)) if n else 100
    return ms // 2 + getrandbits(8) * ms // 512
