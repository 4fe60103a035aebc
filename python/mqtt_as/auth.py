# Enhanced authentication (MQTT 5, 4.12): the exchange between the broker and
# config["auth_coro"], a coroutine (reason, properties). It is called with
#   None, None  to begin: gives properties for CONNECT or AUTH, 0x16 the data
#   0x18, {}    as the broker goes on: gives properties for AUTH
#   0, {}       as the broker agrees: raises an exception unless it is content
# MIT licence: see LICENSE.
import asyncio
import errno
from time import ticks_diff, ticks_ms


class Auth:
    def __init__(self, client, coro, method):
        if not method:
            raise ValueError("config['auth_coro'] needs a method: config['mqttv5_con_props'] = {0x15: 'NAME'}")
        self._client = client
        self._coro = coro
        self._method = method
        self._again = False  # Under way over a connection that is up
        self._moved = False
        self._lock = asyncio.Lock()

    # The properties of a packet: what the coroutine says, over those there are
    async def begin(self, props):
        props = dict(props or {})
        props.update(await self._coro(None, None) or {})
        props[0x15] = self._method
        return props

    # Something came since it was asked last
    def moved(self):
        moved = self._moved
        self._moved = False
        return moved

    # CONNACK (reason 0) or AUTH came
    def step(self, reason, props):
        self._moved = True
        client = self._client
        conn = client._conn
        connecting = not client._isconnected
        # An AUTH that agrees, or goes on, is for who asked for it
        if props.get(0x15, self._method) != self._method or not (connecting or self._again):
            if not connecting:
                conn.watch(conn.call(client._session.control, False, 0x82, None))
            conn.fail(OSError(-1, "AUTH out of turn or of another method"))
        else:
            conn.start(self._answer(conn, reason, props))

    async def _answer(self, conn, reason, props):
        client = self._client
        try:
            answer = await self._coro(reason, props)
            if reason:
                answer = dict(answer or {})
                answer[0x15] = self._method
                client._send_auth(reason, answer)
            elif self._again:
                self._again = False
                client._pulse()
            else:
                conn.settled.set()
        except Exception as e:
            conn.task_failed(e)

    async def again(self):
        async with self._lock:
            await self._reauthenticate()

    async def _reauthenticate(self):
        client = self._client
        props = await self.begin({})
        if not client._isconnected:
            raise OSError(errno.ENOTCONN, "not connected")
        conn = client._conn
        self._again = self._moved = True
        try:
            client._send_auth(0x19, props)
            while self._again:
                if conn is not client._conn or not client._isconnected:
                    raise client.last_error or OSError(errno.ENOTCONN)
                if self.moved():
                    t = ticks_ms()
                ms = client._response_ms - ticks_diff(ticks_ms(), t)
                if ms <= 0:
                    raise OSError(errno.ETIMEDOUT, "no AUTH from the broker")
                try:
                    await asyncio.wait_for_ms(client._progress.wait(), ms)
                except asyncio.TimeoutError:
                    pass
        finally:
            self._again = False
