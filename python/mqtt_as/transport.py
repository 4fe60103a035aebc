# From a server's name to a connected stream: addresses, sockets, TLS. What the
# ports' sockets are like, which docs/SOCKETS.md tells, is known here only.
import asyncio
import errno
import socket
from asyncio import core
from sys import platform
from time import ticks_add, ticks_diff, ticks_ms

from micropython import const

# Traits of a stream, as Session.open() takes them
_BUFFERED = const(1)  # Holds bytes that poll does not tell of: TLS
_BOUNDED = const(2)  # Says that it is writable though its queue is full
_PIECEMEAL = const(4)  # A short read does not mean that nothing is left

_RESOLVE_MS = const(600_000)  # At most between two questions for a name that leads nowhere
_NAME_SERVER = const(("8.8.8.8", 53))
_LWIP = socket.__name__ == "lwip"  # MicroPython's own sockets over lwIP


# The option that lets a packet go before the one ahead of it is acknowledged,
# which takes 40 ms and more. Over lwIP each packet is then a segment, of which
# its queue has room for few: _BOUNDED keeps below that, but not below an
# ESP8266's. None where it does harm: modules that run their own network (NINA)
# close the socket; they do not have its name
def _nodelay():
    if platform == "esp8266":
        return None
    return getattr(socket, "TCP_NODELAY", 1 if platform in ("linux", "darwin") else None)


def readable(s):  # A coroutine
    yield core._io_queue.queue_read(s)


def writable(s):  # A coroutine
    yield core._io_queue.queue_write(s)


class Transport:
    def __init__(self, ssl, ssl_params, timeout_ms):
        self._ssl = ssl
        self._ssl_params = ssl_params
        self._timeout_ms = timeout_ms
        self._known = {}  # By (name, port): [addresses, when to ask for them again, lead to a broker]
        self.reached = False  # Something answered to that attempt
        self.traits = (_BUFFERED if ssl else 0) | (_BOUNDED | _PIECEMEAL if _LWIP else 0)

    # A stream, and the socket below it
    async def open(self, server, port):
        er = OSError(-2)
        self.reached = False
        for address in self._resolve(server, port):
            sock = None
            try:
                sock = socket.socket(address[0], socket.SOCK_STREAM)
                await self._connect(sock, address[1])
                self.reached = True
                return (self._secure(sock) if self._ssl else sock), sock
            except asyncio.TimeoutError:
                er = OSError(errno.ETIMEDOUT)
            except OSError as e:
                er = e
                self.reached = self.reached or e.errno in (errno.ECONNREFUSED, errno.ECONNRESET)
            except:
                close(sock)
                raise
            close(sock)
        raise er

    # A broker answered there
    def confirm_address(self, server, port):
        known = self._known.get((server, port))
        if known:
            known[2] = True

    # To ask for a name stops all tasks, for seconds where no answer comes. So the
    # addresses stay as long as one of them leads to a broker, and else for ten
    # times as long as the question took
    def _resolve(self, server, port):
        known = self._known.get((server, port))
        if known is None or not known[2] and not 0 < ticks_diff(known[1], ticks_ms()) < _RESOLVE_MS:
            t = ticks_ms()
            try:
                addresses = socket.getaddrinfo(server, port, 0, socket.SOCK_STREAM)
                addresses = [(a[0], a[-1]) for a in addresses]  # Family and address
            except OSError:
                if known is None:
                    raise
                addresses = known[0]
            now = ticks_ms()
            pause = min(10 * ticks_diff(now, t), _RESOLVE_MS - 1)
            known = self._known[server, port] = [addresses, ticks_add(now, pause), False]
        known[2] = False
        return known[0]

    async def _connect(self, sock, address):
        sock.setblocking(False)
        option = _nodelay()
        if option is not None:
            try:
                sock.setsockopt(6, option, 1)  # IPPROTO_TCP
            except OSError:
                pass
        try:
            sock.connect(address)
        except OSError as e:
            if e.errno not in (errno.EINPROGRESS, errno.EALREADY, errno.EAGAIN):
                raise
        await asyncio.wait_for_ms(writable(sock), self._timeout_ms)
        # A refusal shows on the first read or write, and only once on lwIP. read(),
        # since recv() raises or answers None, as the port likes, if there is nothing
        early = sock.read(1)
        if early is not None:
            raise OSError(-1, "no broker: it speaks first") if early else OSError(errno.ECONNRESET)

    def _secure(self, sock):
        context = self._ssl
        params = self._ssl_params
        if hasattr(params, "wrap_socket"):
            context, params = params, {}
        # Mbed TLS finishes the handshake before it takes a byte, so that it can go
        # on beside other tasks. axTLS would send the first packet in clear
        deferred = getattr(context, "holds_writes", False) or hasattr(_tls(), "MBEDTLS_VERSION")
        if not deferred:
            sock.settimeout(self._timeout_ms / 1000)
        if hasattr(context, "wrap_socket"):
            stream = context.wrap_socket(sock, do_handshake_on_connect=not deferred, **params)
        else:
            import ssl

            params = dict(params)
            if not (deferred and "do_handshake" in params):
                params["do_handshake"] = not deferred
            stream = ssl.wrap_socket(sock, **params)
        if not deferred:
            sock.setblocking(False)
        return stream


def _tls():  # The firmware's library
    for name in ("tls", "ssl"):
        try:
            return __import__(name)
        except ImportError:
            pass


def close(sock):
    if sock is not None:
        try:
            sock.close()
        except OSError:
            pass


# Does a name server of the internet answer this query?
async def query_answered(packet, timeout_ms=3000):
    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    try:
        s.setblocking(False)
        s.connect(socket.getaddrinfo(*_NAME_SERVER)[0][-1])
        s.send(packet)
        await asyncio.wait_for_ms(readable(s), timeout_ms)
        answer = s.recv(32)
        return answer[:2] == packet[:2] and len(answer) > 3 and bool(answer[2] & 0x80)
    except (OSError, asyncio.TimeoutError):
        return False
    finally:
        s.close()
