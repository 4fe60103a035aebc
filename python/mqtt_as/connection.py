# One connection to the broker, from CONNECT to its end: the task that reads
# what comes, and the one that writes what the stream did not take at once.
import asyncio
import errno
from asyncio import core
from time import ticks_ms

from micropython import const

from . import transport

_BURST = const(16)  # Messages taken before other tasks get their turn

# What Session.receive() answers, besides errors below 0
_WAIT = const(0)  # Nothing is there: wait for the stream
_MORE = const(1)  # The limit is reached
_CLOSED = const(2)  # By the peer
_CONNACK = const(3)
_DISCONNECT = const(4)  # From the broker (MQTT 5)
_AUTH = const(5)
_DONE = const(0x100)  # From here on: identifier << 8 | reason code
_NOTED = const(0x1000000)  # Added: it is not over, but a PUBREC says more

# What Session.flush(), unsent() and others answer, besides errors below 0
_WRITTEN = const(0)  # All of it
_NOT_WRITABLE = const(1)  # Wait for the stream
_HELD_BACK = const(2)  # The stream's queue may be full: wait for the peer


class Connection:
    def __init__(self, client):
        self._client = client
        self._session = client._session
        self.stream = None
        self._tcp = None  # The socket below it, of TLS
        self._tasks = []
        self._writing = False  # There is a task that does
        self.error = None  # What ended it
        self.settled = asyncio.Event()  # Set when CONNACK came or the connection ended

    # Leaves once the broker has accepted the client. OSError: there is none, or
    # it refuses
    async def open(self, server, port, clean, identity):
        client = self._client
        session = self._session
        self.stream, self._tcp = await client._transport.open(server, port)
        client._check_stopped()
        session.open(self.stream, client._transport.traits)
        try:
            self.watch(session.connect(ticks_ms(), clean, *identity))
            if self.error is None:
                self.start(self._read())
        except ValueError as e:  # Of a TLS stream
            self.fail(e)
        while not await self.settled_within(client._response_ms):
            if not (client._auth and client._auth.moved()):
                raise OSError(errno.ETIMEDOUT, "no CONNACK from the broker")
        client._check_stopped()
        e = self.error
        if e:  # A TLS stream may raise other than OSError
            raise e if isinstance(e, OSError) else OSError(-1, str(e))
        self.settled.clear()

    async def settled_within(self, ms):
        try:
            await asyncio.wait_for_ms(self.settled.wait(), ms)
            return True
        except asyncio.TimeoutError:
            return False

    # It is over; the first error counts
    def fail(self, error):
        if self.error is None:
            self.error = error
            self.settled.set()
            self._client._accept_failure(error)

    # By what the session answered
    def _fail_by_number(self, r):
        if r > -1000:
            return self.fail(OSError(-r))
        self.fail(OSError(-1, "bad packet from the broker: error %d" % (-r - 1000)))

    # Leaves nothing of it behind
    def close(self):
        self._session.close()
        while self._tasks:
            self._client._cancel(self._tasks.pop())
        self._writing = False
        transport.close(self.stream)
        transport.close(self._tcp)  # A TLS stream that broke forgot it
        self.stream = self._tcp = None
        self.settled.set()

    # A task that lives as long as the connection
    def start(self, coro):
        self._tasks.append(asyncio.create_task(coro))

    # Such a task ended by an exception
    def task_failed(self, e):
        if not isinstance(e, (OSError, ValueError)):  # Else a stream broke
            self._client._print_exception(e)
        self.fail(e)

    # Calls a method of the session. -1 if the connection ends by it: a TLS stream
    # that breaks may raise, where others return an error
    def call(self, method, *args):
        try:
            return method(ticks_ms(), *args)
        except OSError as e:
            self.fail(e)
            return -1

    # Waits in asyncio's poll and takes what is there. A generator in place of a
    # coroutine, since that waits without allocating
    def _read(self):
        import gc

        import mqtt_as

        client = self._client
        session = self._session
        stream = self.stream
        queue = client.queue
        failures = 0
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
                    r = session.receive(ticks_ms(), client._cb, limit, mqtt_as.MSG_BYTES or queue is not None)
                    failures = 0
                except BaseException as e:  # A tuple here would allocate
                    if not isinstance(e, Exception) and not (session.calling() and isinstance(e, asyncio.CancelledError)):
                        raise
                    if session.calling():  # It is the application's
                        client._print_exception(e)
                        r = _MORE
                    elif isinstance(e, MemoryError) and failures < 8:
                        gc.collect()
                        failures += 1
                        yield from asyncio.sleep_ms(20 * failures)
                        continue
                    else:
                        return self.fail(e)
                if r >= _DONE:  # There may be more, and answers to write
                    if r >= _NOTED:
                        client._note_pubrec(r >> 8 & 0xFFFF, r & 0xFF)
                    else:
                        client._end_request(r >> 8, r & 0xFF)
                    continue
                if r == _CONNACK:
                    client._accept_connack(self)
                    if client._auth:  # Nothing from who has yet to be agreed to
                        yield from self.settled.wait()
                    if self.error:
                        return
                elif r == _DISCONNECT:
                    return client._accept_disconnect(self)
                elif r == _AUTH:
                    client._accept_auth(self)
                elif r == _CLOSED:
                    return self.fail(OSError(errno.ECONNRESET, "closed by the broker"))
                elif r < 0:
                    return self._fail_by_number(r)
                self.watch(session.unsent())
                if r == _WAIT:
                    yield core._io_queue.queue_read(stream)
                elif r == _MORE:
                    yield from asyncio.sleep_ms(0)
        except Exception as e:
            self.task_failed(e)

    # Sees to it that what is not written is, after what the session answered
    def watch(self, r):
        if r < 0:
            self._fail_by_number(r)
        elif r != _WRITTEN:
            if not self._writing and self.stream is not None:
                self._writing = True
                self.start(self._write(r))
        elif self._writing:  # An answer of the peer's has let it go
            self._client._pulse()

    def write_rest(self):
        self.watch(_NOT_WRITABLE)

    async def _write(self, r):
        client = self._client
        lock = client.lock
        await lock.acquire()
        try:  # As async with, which allocates to release it
            while True:
                if r == _HELD_BACK:
                    await asyncio.sleep_ms(20)
                else:
                    await transport.writable(self.stream)
                r = self._session.flush(ticks_ms())
                if r <= _WRITTEN:
                    break
                if client._transport.traits & 1:  # May be writable and yet wait for the peer
                    await asyncio.sleep_ms(5)
        except Exception as e:
            return self.task_failed(e)
        finally:
            lock.release()
        self._writing = False
        self._tasks.remove(core.cur_task)
        self.watch(r)
        client._pulse()
        try:
            client._send_due()
        except Exception as e:
            self.task_failed(e)
