# The client: makes a connection, keeps it up and the link below it, and tells
# the application what becomes of them.
import asyncio
import errno
from asyncio import core
from time import ticks_diff, ticks_ms

from micropython import const

from .connection import Connection
from .requests import MQTT_base, MQTTException

_SILENT = const(20)  # Attempts without any answer, after which Wi-Fi is joined anew


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
            await conn.open(server, port, clean, self._identity + (props,))
        except BaseException as e:
            if len(self._servers) > 1:
                self._next_server()
            if isinstance(e, OSError) and (self.DEBUG or not self._has_connected):
                try:
                    from .explain import connect_error

                    e = connect_error(e, server, port)
                except MemoryError:
                    pass
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
        self._transport.confirm_address(self.server, self.port)
        reason = self._session.reason()
        props = self.connack_properties = self._properties("CONNACK") or {}
        if reason & 0xFF:
            self.last_error = self._refusal(reason, props)
            conn.fail(OSError(-1, "Connection refused by the broker: 0x2002 %d%s" % (reason, self._reason_string(props))))
            return
        self._connections += 1
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
        error = self._refusal(reason, self._properties("DISCONNECT"), "disconnected")
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
            self._auth.step(self._session.reason(), self._properties("AUTH") or {})

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
            raise self._offline()
        finally:
            if self._connector is core.cur_task:
                self._connector = None
                self._pulse()

    async def _connect_once(self, quick):
        self._cancel(self._keeper)
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
        asyncio.create_task(self._report_errors(self._wifi_handler(True)))
        self._cancel(self._handler)
        self._handler = asyncio.create_task(self._report_errors(self._connect_handler(self)))

    def _announce_down(self):
        if self.queue is not None:
            self.down.set()
        else:
            asyncio.create_task(self._report_errors(self._wifi_handler(False)))

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
        told = None
        while self._isconnected:
            if self.DEBUG:
                from .explain import print_ram

                told = print_ram(self, told)
            ms = self._due()
            if ms:
                await asyncio.sleep_ms(min(ms, most) if ms > 0 else most)  # _accept_failure() ends it
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
        self._cancel(self._keeper)
        self._cancel(self._handler)
        self._cancel(self._connector)
        self._keeper = self._handler = self._connector = None

    # reason and properties: of MQTT 5. 0x04: the broker publishes the will
    async def disconnect(self, reason=0, properties=None):
        if (
            self.mqttv5
            and isinstance(properties, dict)
            and properties.get(0x11)
            and not (self.mqttv5_con_props or {}).get(0x11)
        ):
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
        from .transport import query_answered

        return self.isconnected() and await self.broker_up() and await query_answered(packet)


# Milliseconds before attempt n: at once, then doubling to ten seconds
def _backoff(n):
    from random import getrandbits

    ms = min(10_000, 250 << min(n, 6)) if n else 100
    return ms // 2 + getrandbits(8) * ms // 512
