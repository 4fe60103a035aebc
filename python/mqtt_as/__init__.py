# mqtt_as: a resilient asyncio MQTT client. Packets and protocol state are the
# native module _mqtt_as; here are tasks, the link, waiting and callbacks.
# MIT licence: see LICENSE.
import asyncio
import errno
import gc
import socket
import sys
from asyncio import core
from time import ticks_add, ticks_diff, ticks_ms

from micropython import const

try:
    from _mqtt_as import Session
except ValueError as e:  # Of another architecture: name the folder of the right one
    _m = sys.implementation._mpy
    _n = "- x86 x64 - armv6m armv7m armv7m armv7emsp armv7emdp xtensa xtensawin rv32imc rv64imc".split()[_m >> 10 & 15]
    raise ImportError("_mqtt_as.mpy: %s: take that of %s_%d.%d" % (e, _n, _m & 0xFF, _m >> 8 & 3))

from . import link

VERSION = (0, 9, 0)
IBUFSIZE = 50  # Bytes: the receive buffer's size at rest
MSG_BYTES = True  # False: callbacks get a memoryview of the receive buffer

_MAX_PACKET = const(0x0FFFFFFF)
_BURST = const(16)  # Messages taken before other tasks get their turn

# What Session.receive() answers; above _DONE: identifier << 8 | reason code
_WAIT = const(0)  # Nothing there: wait for the socket
_MORE = const(1)  # The limit is reached
_CLOSED = const(2)  # By the peer
_CONNACK = const(3)
_DISCONNECT = const(4)  # From the broker (MQTT 5)
_AUTH = const(5)
_DONE = const(0x100)
_NOTED = const(0x1000000)  # Added: it is not over, but a PUBREC says more
# What Session.publish() and the like answer beside the identifier
_BACKLOG = const(0x10000)  # Added: not all is written yet
_REFUSED = const(-0x100)  # Less a reason code: the broker said that it can't

_DNS = const(("8.8.8.8", 53))


def __getattr__(name):  # What few applications ask for
    if name == "MsgQueue":
        from .queue import MsgQueue

        return MsgQueue
    if name in ("ESP32", "ESP8266", "PYBOARD", "RP2"):
        return link.platform == name.lower()
    try:  # A module of the package: who imports one asks here first
        return __import__(name, None, None, (name,), 1)
    except ImportError:
        raise AttributeError(name)


# The broker refuses a request. reason_code: see MQTT 5, 2.4
class MQTTException(Exception):
    reason_code = None
    properties = None


async def eliza(*_):  # Null coroutine
    pass


def _defaults():
    return {
        "client_id": link.unique_id(),
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
        "subs_cb": lambda *_: None,
        "piece_cb": None,
        "wifi_coro": eliza,
        "connect_coro": eliza,
        "ssid": None,
        "wifi_pw": None,
        "queue_len": 0,
        "gateway": False,
        "mqttv5": False,
        "mqttv5_con_props": None,
        "topic_aliases": 0,
        "auth_coro": None,
        "link": None,
        "max_packet": _MAX_PACKET,
    }


config = _defaults()


def _number(c, key, least, most, unit="seconds"):
    v = c[key]
    if not isinstance(v, (int, float)):
        raise TypeError("config['%s'] must be a number of %s" % (key, unit))
    if not least <= v <= most:
        raise ValueError("config['%s'] must be %s to %s %s" % (key, least, most, unit))
    return v


async def _guard(coro, client=None):  # No task of the application's ends unseen
    try:
        await coro
    except Exception as e:
        sys.print_exception(e)
    if client and client._handler is core.cur_task:
        client._handler = None


def _readable(s):  # A coroutine
    yield core._io_queue.queue_read(s)


def _writable(s):  # A coroutine
    yield core._io_queue.queue_write(s)


def _why(props):  # What a broker says in words
    return ", reason: %s" % props[0x1F] if props and 0x1F in props else ""


def _refusal(reason, props=None, msg="refused"):
    e = MQTTException("%s by the broker: 0x%02x%s" % (msg, reason, _why(props)))
    e.reason_code = reason
    e.properties = props
    return e


def _offline():
    return OSError(errno.ENOTCONN, "not connected: call connect()")


# A packet does not wait until the one before is acknowledged, which takes 40 ms
def _undelayed(sock):
    try:
        sock.setsockopt(6, getattr(socket, "TCP_NODELAY", 1), 1)  # IPPROTO_TCP
    except OSError:  # Not every port has it
        pass


def _begin_connect(sock, address):
    try:
        sock.connect(address)
    except OSError as e:
        # Under way, or done: EISCONN is 106 or 127
        if e.errno not in (errno.EINPROGRESS, errno.EALREADY, errno.EAGAIN, 106, 127):
            raise


# What publish() gives back when all is done: a coroutine that has ended, which
# can be awaited, made a task and so on, again and again, and costs nothing
_sent = eliza()
try:
    _sent.send(None)
except StopIteration:
    pass


async def _breathe():
    await asyncio.sleep_ms(0)


async def _raise(e):  # To who awaits it
    raise e


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


# One connection to the broker. A firmware has classes without variables in
# flash (ports/freeze): hence those below
class _Connection:
    def __init__(self, config=None):
        if config is None:
            from . import config
        c = _defaults()
        c.update(config)
        self._ssl = c["ssl"]
        self._ssl_params = c["ssl_params"]
        self._servers = _servers(c["server"], c["port"] or (8883 if self._ssl else 1883))
        self._next_server()
        self.mqttv5 = c["mqttv5"]
        self._clean = c["clean"]
        self._clean_init = c["clean_init"]
        keepalive = int(_number(c, "keepalive", 0, 65535))
        ping = _number(c, "ping_interval", 0, 65535) or keepalive / 4 or 20
        if keepalive:
            ping = min(ping, keepalive)
        self._response_ms = int(_number(c, "response_time", 0.1, 65535) * 1000)
        props = c["mqttv5_con_props"]
        max_packet = _number(c, "max_packet", 16, _MAX_PACKET, "bytes")
        self._auth = None
        if self.mqttv5:  # The server is told what is taken here
            if not isinstance(props or {}, dict):
                raise TypeError("config['mqttv5_con_props'] must be a dict by identifier")
            props = dict(props or {})
            max_packet = min(props.get(0x27, max_packet), max_packet)
            if max_packet < _MAX_PACKET:
                props[0x27] = max_packet
            if c["auth_coro"]:
                from .auth import Auth

                self._auth = Auth(self, c["auth_coro"], props.get(0x15))
        # Of CONNECT: all but the clean session flag
        self._identity = (
            c["client_id"],
            keepalive,
            c["user"],
            c["password"],
            c["will"],
            props,
        )
        self._core = Session(
            bool(self.mqttv5),
            IBUFSIZE,
            max_packet,
            keepalive * 1000,
            int(ping * 1000),
            self._response_ms,
            _number(c, "max_repubs", 0, 255, "repeats"),
            _number(c, "topic_aliases", 0, 65535, "topics"),
            (props or {}).get(0x21, 65535),
            c["piece_cb"],
        )
        if not isinstance(c["will"] or (), (list, tuple)):
            raise TypeError("config['will'] must be (topic, message, retain, qos)")
        try:
            self._core.connect(0, self._clean, *self._identity)  # Would it do?
        except (TypeError, ValueError) as e:
            raise type(e)("config: client_id, user, password, will or mqttv5_con_props: %s" % e)
        self._core.close()
        if _number(c, "queue_len", 0, 65535, "messages"):
            self.up = asyncio.Event()
            self.down = asyncio.Event()
            from .queue import MsgQueue

            self.queue = MsgQueue(c["queue_len"])
            self._cb = self.queue.put
        else:
            self.queue = None
            self._cb = c["subs_cb"] or (lambda *_: None)
        self._new_locks()
        self.connack_properties = {}
        self.session_present = False
        self.ack_properties = None  # Of the request that returned last
        self.last_error = None  # What ended the connection
        self._sock = None
        self._tcp = None  # The socket below it, of TLS
        self._isconnected = False
        self._stopped = False  # By disconnect() or close()
        self._connections = 0
        self._requests = {}  # By packet identifier
        self._tasks = []  # Of this connection
        self._draining = False
        self._sent = 0
        self._error = None
        self._wake = asyncio.Event()  # CONNACK came or the connection ended
        self._turn = asyncio.Event()  # Pulses when something moved on
        self._prepare(c)

    def _prepare(self, c):
        pass

    # Those of a run of asyncio that was broken off are held for ever
    def _new_locks(self):
        self.lock = asyncio.Lock()
        self._line = asyncio.Lock()  # Of those who wait until there is room

    # *** Names that applications use ***

    @property
    def last_rx(self):
        now = ticks_ms()
        return ticks_add(now, -min(self._core.idle(now), 0x1FFFFFFF))

    @property
    def newpid(self):  # next(client.newpid)
        while True:
            yield self._core.new_pid()

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

    # *** The connection ***

    def _next_server(self):
        self.server, self.port = address = self._servers.pop(0)
        self._servers.append(address)

    async def _open(self):  # A connected socket
        er = None
        addresses = socket.getaddrinfo(self.server, self.port, 0, socket.SOCK_STREAM)
        for i, ai in enumerate(addresses):
            sock = socket.socket(*ai[:3])
            try:
                sock.setblocking(False)
                _undelayed(sock)
                _begin_connect(sock, ai[-1])
                await asyncio.wait_for_ms(_writable(sock), self._response_ms)
                if i + 1 < len(addresses):  # Refused? The last one shows on writing
                    _begin_connect(sock, ai[-1])
                return sock
            except asyncio.TimeoutError:
                er = OSError(errno.ETIMEDOUT)
            except OSError as e:
                er = e
            except:
                sock.close()
                raise
            sock.close()
        raise er or OSError(-1, "no address for %s" % self.server)

    def _secure(self, sock):
        params = self._ssl_params
        for ctx in (self._ssl, params):
            if hasattr(ctx, "wrap_socket"):
                return ctx.wrap_socket(sock, do_handshake_on_connect=False, **(params if ctx is not params else {}))
        import ssl

        params = dict(params)
        params.setdefault("do_handshake", False)  # Not while other tasks wait
        return ssl.wrap_socket(sock, **params)

    # One attempt. OSError: no broker, or it refuses
    async def _connect(self, clean):
        try:
            await self._attempt(clean)
        except:
            if len(self._servers) > 1:
                self._next_server()
            raise

    async def _attempt(self, clean):
        self._drop()
        identity = self._identity
        if self._auth:
            identity = identity[:-1] + (await self._auth.begin(identity[-1]),)
        self.dprint("Connecting to %s port %s" % (self.server, self.port))
        sock = self._sock = self._tcp = await self._open()
        self._check_stopped()
        if self._ssl:
            self._sock = self._secure(sock)
        self._wake.clear()
        self._error = None
        self._connections += 1
        session = self._core
        session.open(self._sock, bool(self._ssl))
        try:
            self._unsent(session.connect(ticks_ms(), clean, *identity))
            self._own(self._read())
        except ValueError as e:  # Of a TLS stream
            self._fail(e)
        while not await self._ended(self._response_ms):
            if not (self._auth and self._auth.moved()):
                raise OSError(errno.ETIMEDOUT, "no CONNACK from the broker")
        self._check_stopped()
        er = self._error
        if er:  # A TLS stream may raise other than OSError
            raise er if isinstance(er, OSError) else OSError(-1, str(er))
        self._wake.clear()
        self._set_connected(True)
        self._resend()
        self._pulse()

    def _accepted(self):  # CONNACK
        reason = self._core.reason()
        props = self.connack_properties = self._core.properties() or {}
        if reason & 0xFF:
            msg = "Connection refused by the broker: 0x2002 %d" % reason
            self.last_error = _refusal(reason, props)
            self._fail(OSError(-1, msg + _why(props)))
            return
        self.dprint("Connected")
        self.session_present = reason > 0xFF
        if 0x12 in props:  # Assigned client identifier: ours from now on
            self._identity = (props[0x12],) + self._identity[1:]
        if self._auth:
            self._auth.step(0, props)  # Sets _wake when it agrees
        else:
            self._wake.set()

    def _dismissed(self):  # DISCONNECT
        reason = self._core.reason()
        props = self._core.properties()
        er = _refusal(reason, props, "disconnected")
        self._fail(er)
        if reason == 0x8E:  # Another client took the session: no fight over it
            self._taken_over(er)

    def _taken_over(self, er):
        pass

    def _own(self, coro):  # A task that lives as long as the connection
        self._tasks.append(asyncio.create_task(coro))

    def _broke(self, e):  # Such a task
        if not isinstance(e, (OSError, ValueError)):  # Else a stream broke
            sys.print_exception(e)
        self._fail(e)

    async def _ended(self, ms):  # CONNACK or the end came within that time
        try:
            await asyncio.wait_for_ms(self._wake.wait(), ms)
            return True
        except asyncio.TimeoutError:
            return False

    # DISCONNECT, after which the broker closes: to close first could undo it.
    # ValueError: nothing has happened
    def _leave(self, reason=0, properties=None):
        r = self._call(self._core.control, False, reason, properties)
        self._set_connected(False)
        self._wake.clear()
        self._unsent(r)
        return self._ended(min(500, self._response_ms))  # A coroutine

    def _set_connected(self, yes):
        if yes is not self._isconnected:
            self._isconnected = yes
            MQTT_base._online += 1 if yes else -1

    # The connection ended: er says why
    def _fail(self, er):
        if self._error is None:
            self._error = er
            if self._isconnected or isinstance(er, MQTTException):
                self.last_error = er
            self._set_connected(False)
            self._wake.set()
            self._pulse()

    # Leaves nothing of the connection behind
    def _drop(self):
        self._set_connected(False)
        self._core.close()
        while self._tasks:
            _cancel(self._tasks.pop())
        self._draining = False
        _close(self._sock)
        _close(self._tcp)  # A TLS stream that broke forgot it
        self._sock = self._tcp = None
        self._wake.set()
        self._pulse()

    # The reader: waits in asyncio's poll, takes what is there. A generator in
    # place of a coroutine, since that waits without allocating
    def _read(self):
        sock = self._sock
        session = self._core
        queue = self.queue
        r = failures = 0
        try:
            while True:
                limit = _BURST
                if queue is not None:
                    limit = queue.room()
                    if not limit:
                        yield from asyncio.sleep_ms(0)  # Let a consumer make room
                        limit = queue.room() or 1
                    limit = min(limit, _BURST)
                try:
                    r = session.receive(ticks_ms(), self._cb, limit, MSG_BYTES or queue is not None)
                    failures = 0
                except BaseException as e:  # A tuple here would allocate
                    if not isinstance(e, Exception) and not (session.calling() and _cancelled(e)):
                        raise
                    if session.calling():  # It is the application's
                        sys.print_exception(e)
                        r = _MORE
                    elif isinstance(e, MemoryError) and failures < 8:
                        gc.collect()
                        failures += 1
                        yield from asyncio.sleep_ms(20 * failures)
                        continue
                    else:
                        return self._fail(e)
                if r >= _DONE:
                    if r >= _NOTED:
                        self._note(r - _NOTED)
                    else:
                        self._finish(r >> 8, r & 0xFF)
                    continue  # There may be more, and answers to write
                if r == _CONNACK:
                    self._accepted()
                    if self._auth:  # Nothing from who has yet to be agreed to
                        yield from self._wake.wait()
                        if self._error:
                            return
                elif r == _DISCONNECT:
                    return self._dismissed()
                elif r == _AUTH:
                    if self._auth is None:
                        return self._fail(OSError(-1, "the broker wants AUTH: set config['auth_coro']"))
                    self._auth.step(session.reason(), session.properties() or {})
                elif r == _CLOSED:
                    return self._fail(OSError(errno.ECONNRESET, "closed by the broker"))
                elif r < 0:
                    return self._fail(_wire_error(r))
                self._unsent(session.unsent())
                if r == _WAIT:
                    yield core._io_queue.queue_read(sock)
                elif r == _MORE:
                    yield from asyncio.sleep_ms(0)
        except Exception as e:
            self._broke(e)

    # Sends again what is to be sent again, after a reconnection in order, and
    # pings. Milliseconds to the next time; 0: no answer in time; below 0: the
    # socket has to take more first
    def _due(self):
        while True:
            ms = self._core.due(ticks_ms())
            if ms >= 0:
                self._unsent(self._core.unsent())
                return ms
            if not self._again(-ms):
                return ms

    # *** Sending ***

    def _unsent(self, r):  # 0: all is written
        if r < 0:
            self._fail(_wire_error(r))
        elif r and not self._draining:
            self._draining = True
            self._own(self._drain())

    async def _drain(self):  # The one that waits for the socket to take more
        lock = self.lock
        await lock.acquire()
        try:  # As async with, which allocates to release it
            while True:
                await _writable(self._sock)
                r = self._core.flush(ticks_ms())
                if r <= 0:
                    break
                if self._ssl:  # May be writable and yet wait for the peer
                    await asyncio.sleep_ms(5)
        except Exception as e:
            return self._broke(e)
        finally:
            lock.release()
        self._draining = False
        self._tasks.remove(core.cur_task)
        self._unsent(r)
        self._resend()
        self._pulse()

    def _resend(self):
        if self._isconnected:
            self._due()

    def _pulse(self):
        self._turn.set()
        self._turn.clear()

    async def _connection(self):  # Waits for connectivity
        while not self._isconnected:
            self._check_stopped()
            await self._turn.wait()

    def _check_stopped(self):
        if self._stopped:
            raise _offline()

    # What a method of the session answers; -1 if the connection ends by it: a
    # TLS stream that breaks may raise, where others return an error
    def _call(self, method, *args):
        try:
            return method(ticks_ms(), *args)
        except OSError as e:
            self._fail(e)
            return -1

    # A packet out: its identifier or 0
    async def _send(self, method, args):
        while True:
            r = self._offer(method, args)
            if r >= 0:
                return r
            if self._isconnected:
                await self._turn.wait()
            else:
                await self._connection()

    def _offer(self, method, args):  # -1: not now
        self._check_stopped()
        r = -1  # Nothing over a connection that begins or ends
        if self._isconnected or self._sock is None:
            r = self._call(method, 0, *args)
        if r <= _REFUSED:
            raise _refusal(_REFUSED - r)
        return r

    # A packet out and its answer in, across any number of outages
    async def _request(self, several, method, *args):
        r = -1
        if several is not None:
            r = await self._send(method, args)
        else:  # A publication: in order, and nothing else waits with them
            line = self._line
            if not line.locked():
                r = self._offer(method, args)
            if r < 0:
                await line.acquire()
                try:
                    r = await self._send(method, args)
                finally:
                    line.release()
        if r & _BACKLOG:
            r -= _BACKLOG
            self._unsent(1)
        request = self._requests[r] = _Request(r, several, method, args)
        try:
            await request.wait()
        finally:
            if self._requests.get(request.pid) is request:  # Cancelled
                del self._requests[request.pid]
                self._core.abandon(request.pid)
        reason = request.reason
        if reason is None:
            raise OSError(errno.ENOTCONN, "disconnected before the broker answered")
        self.ack_properties = request.properties
        if isinstance(reason, Exception):
            raise reason
        if type(reason) is int and reason >= 0x80:
            raise _refusal(reason, request.properties)
        return reason

    def _note(self, r):
        request = self._requests.get(r >> 8)
        if request:
            request.reason = r & 0xFF
            request.properties = self._core.properties()

    def _finish(self, pid, reason):
        request = self._requests.pop(pid, None)
        if request:
            reason = reason or request.reason or 0
            try:
                if self.mqttv5:
                    request.properties = self._core.properties() or request.properties
                if request.several:  # An UNSUBACK of 3.1.1 has no codes
                    reason = list(self._core.codes() or bytes(len(request.args[0])))
            except MemoryError as e:
                if request.several:
                    reason = e
            request.done(reason)
        self._resend()
        self._pulse()

    # Sends a request once more. False: not now
    def _again(self, pid):
        request = self._requests.get(pid)
        if request is None:
            self._core.abandon(pid)
            return True
        try:
            r = request.method(ticks_ms(), pid, *request.args)
        except (TypeError, ValueError) as e:  # They have changed
            del self._requests[pid]
            self._core.abandon(pid)
            request.done(e)
            return True
        if r <= _REFUSED:  # Another broker than before
            del self._requests[pid]
            self._core.abandon(pid)
            request.done(_REFUSED - r)
            return True
        if r < 0:
            return False
        if r & _BACKLOG:
            r -= _BACKLOG
            self._unsent(1)
        if r == pid:
            MQTT_base.REPUB_COUNT += 1
            self.dprint("Repeat of packet %d" % pid)
        else:  # The broker has no session: a new packet
            del self._requests[pid]
            request.pid = r
            self._requests[r] = request
        return True

    def _end_requests(self):
        for pid in list(self._requests):
            self._requests.pop(pid).done(None)
            self._core.abandon(pid)
        self._pulse()

    async def _ping(self):
        self._unsent(self._call(self._core.ping))

    # timeout: seconds, then asyncio.TimeoutError, and it is not sent again
    def publish(self, topic, msg, retain=False, qos=0, properties=None, timeout=None):
        if qos:
            coro = self._request(None, self._core.publish, topic, msg, retain, qos, properties)
        else:
            r = -1
            if self._isconnected:
                try:  # As _call does, but without garbage
                    r = self._core.publish(ticks_ms(), 0, topic, msg, retain, qos, properties)
                except OSError as e:
                    self._fail(e)
                except Exception as e:
                    return _raise(e)
            if r == 0:  # The common case
                self._sent += 1
                return _sent if self._sent & 15 else _breathe()
            coro = self._publish(r, topic, msg, retain, qos, properties)
        return coro if timeout is None else asyncio.wait_for(coro, timeout)

    async def _publish(self, r, *args):  # QoS 0. r: what came of it so far
        while r:
            if r > 0:
                # Not all of it is written. If the connection ends: once more
                self._unsent(1)
                n = self._connections
                while self._core.unsent():
                    await self._turn.wait()
                if n == self._connections and self._isconnected:
                    return
            r = await self._send(self._core.publish, args)

    # topic: one, or a list of them or of (topic, qos): then the codes in a list
    async def subscribe(self, topic, qos=0, properties=None, *, no_local=False, retain_as_published=False, retain_handling=0):
        options = 0
        if self.mqttv5:
            options = bool(no_local) << 2 | bool(retain_as_published) << 3 | retain_handling << 4
        several = isinstance(topic, (list, tuple))
        topics, levels = _topics(topic if several else (topic,), qos)
        levels = bytes(level | options for level in levels)
        return await self._request(several, self._core.subscribe, topics, levels, properties)

    async def unsubscribe(self, topic, properties=None):
        several = isinstance(topic, (list, tuple))
        topics, _ = _topics(topic if several else (topic,), 0)
        return await self._request(several, self._core.subscribe, topics, None, properties)

    # Authenticates once more (MQTT 5, 4.12.1), by config["auth_coro"]
    async def reauthenticate(self):
        if self._auth is None:
            raise ValueError("config['auth_coro'] is missing")
        await self._auth.again()

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


def _servers(servers, port):  # Names, or (name, port): a list of the latter
    pairs = []
    if isinstance(servers, (str, bytes)):
        servers = (servers,)
    if not isinstance(servers or (), (list, tuple)):
        raise TypeError("config['server'] must be a name, or a list of names or (name, port)")
    for server in servers or ():
        if isinstance(server, (str, bytes)):
            server = (server, port)
        name, number = server
        if not name:
            continue
        if not isinstance(number, int) or not 0 < number < 65536:
            raise ValueError("the port must be 1 to 65535; config['port'] 0 is the default")
        pairs.append((name, number))
    if not pairs:
        raise ValueError("config['server'] is missing: set it to the broker's address")
    return pairs


def _topics(items, qos):  # Topics, or (topic, qos): two lists
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


def _close(sock):
    if sock is not None:
        try:
            sock.close()
        except OSError:
            pass


def _cancelled(e):
    return isinstance(e, asyncio.CancelledError)


def _cancel(task):
    if task is not None and task is not core.cur_task:
        task.cancel()


def _wire_error(r):
    if r > -1000:
        return OSError(-r)
    return OSError(-1, "bad packet from the broker: error %d" % (-r - 1000))


class MQTT_base(_Connection):
    REPUB_COUNT = 0
    DEBUG = False
    _online = 0  # Clients that are connected


# Keeps up the connection and the link below it
class _Resilient(MQTT_base):
    def _prepare(self, c):
        self._link = link.make_link(c)
        self._sta_if = getattr(self._link, "interface", self._link)
        self._wifi_handler = c["wifi_coro"] or eliza
        self._connect_handler = c["connect_coro"] or eliza
        self._has_connected = False
        self._connector = None  # The task in connect()
        self._keeper = None
        self._handler = None  # The running connect_coro
        self._since = ticks_ms()

    async def wifi_connect(self, quick=False):
        if self._has_connected:  # It is down, or of no use: start afresh
            self._link.disconnect()
        await self._link.connect(quick)

    async def connect(self, *, quick=False):
        while self._connector:
            await self._turn.wait()
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
        _cancel(self._keeper)
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
                        await self._leave()
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
        asyncio.create_task(_guard(self._wifi_handler(True)))
        _cancel(self._handler)
        self._handler = asyncio.create_task(_guard(self._connect_handler(self), self))

    def _announce_down(self):
        if self.queue is not None:
            self.down.set()
        else:
            asyncio.create_task(_guard(self._wifi_handler(False)))

    # Owns the connection's life from the first connect() to disconnect()
    async def _keep(self, up=True):
        most = min(1000, self._response_ms // 4)
        n = 0  # Attempts since the last connection that held
        while True:
            try:
                while self._isconnected:  # Pings, repeats, giving up
                    ms = self._due()
                    if ms:
                        await asyncio.sleep_ms(min(abs(ms), most))  # _fail() ends it
                        self.isconnected()
                    else:
                        self._fail(OSError(errno.ETIMEDOUT, "no answer from the broker"))
                if up:
                    up = False
                    self.dprint("Connection lost: %s" % self._error)
                    self._drop()
                    self._announce_down()
                    if not 0 <= ticks_diff(ticks_ms(), self._since) < 2000:  # Days may be negative
                        n = 0
                await asyncio.sleep_ms(_backoff(n))
                # A link that serves another client is good
                if not self._link.isconnected() or n and not n % 5 and not MQTT_base._online:
                    await self.wifi_connect()
                n += 1
                await self._connect(self._clean)
                self._announce_up()
                up = True
            except BaseException as e:  # A tuple here would allocate
                # wait_for() without memory cancels who waits: it was not us
                if not isinstance(e, Exception) and (self._keeper is not core.cur_task or not _cancelled(e)):
                    raise
                if self._isconnected:
                    self._broke(e)
                    continue
                self._drop()
                if self.DEBUG:
                    self.dprint("Reconnect failed: %s", e)

    def _fail(self, er):
        keeper = self._isconnected and self._keeper
        MQTT_base._fail(self, er)
        if keeper and keeper is not core.cur_task:  # Then it sleeps
            core._task_queue.remove(keeper)
            core._task_queue.push(keeper)

    def _reconnect(self):
        self._fail(OSError(errno.ENOTCONN, "the link is down"))

    def isconnected(self):
        if self._isconnected and not self._link.isconnected():
            self._reconnect()
        return self._isconnected

    def _taken_over(self, er):
        self.dprint(str(er))
        self._release()
        self._drop()
        self._end_requests()
        self._announce_down()

    async def __aenter__(self):
        await self.connect()
        return self

    async def __aexit__(self, *_):
        await self.disconnect()

    def _release(self):
        self._stopped = True
        self._has_connected = False
        _cancel(self._keeper)
        _cancel(self._handler)
        _cancel(self._connector)
        self._keeper = self._handler = self._connector = None

    # reason and properties: of MQTT 5. 0x04: the broker publishes the will
    async def disconnect(self, reason=0, properties=None):
        if self.mqttv5 and isinstance(properties, dict) and properties.get(0x11) and not self._identity[-1].get(0x11):
            raise ValueError("session expiry (0x11) on disconnect needs one in config['mqttv5_con_props']")
        connected = self._isconnected
        end = self._leave(reason, properties)
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
        if not self.isconnected() or not await self.broker_up():
            return False
        s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        try:
            s.setblocking(False)
            s.connect(socket.getaddrinfo(*_DNS)[0][-1])
            s.send(packet)
            await asyncio.wait_for_ms(_readable(s), 3000)
            answer = s.recv(32)
            # The same query, answered
            return answer[:2] == packet[:2] and len(answer) > 3 and bool(answer[2] & 0x80)
        except (OSError, asyncio.TimeoutError):
            return False
        finally:
            s.close()


class MQTTClient(_Resilient):
    pass


# Milliseconds before attempt n: at once, then doubling to ten seconds
def _backoff(n):
    from random import getrandbits

    ms = min(10_000, 250 << min(n, 6)) if n else 100
    return ms // 2 + getrandbits(8) * ms // 512
