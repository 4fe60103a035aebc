# TLS 1.3 over the native module _mqtt_tls, for what takes an SSLContext: config["ssl"] of this client, ssl= of
# asyncio.open_connection and of umqtt. docs/TLS13.md tells what is verified and what it costs.
import io
import micropython
import os
import time

from _mqtt_tls import Connection

CERT_NONE = 0
CERT_REQUIRED = 2
PROTOCOL_TLS_CLIENT = 0

_EPOCH = 946684800 if time.gmtime(0)[0] == 2000 else 0  # Seconds from 1970 to where time.time() starts


# The DER of each certificate or key in PEM or DER, one after the other
def _der(data, what):
    data = bytes(data) if not isinstance(data, str) else data.encode()
    if data[:1] == b"\x30":
        return data
    from binascii import a2b_base64

    out = b""
    while True:
        begin = data.find(b"-----BEGIN ")
        if begin < 0:
            break
        data = data[begin + 11 :]
        label, _, data = data.partition(b"-----")
        body, _, data = data.partition(b"-----END ")
        if label.endswith(what):
            out += a2b_base64(body)
    if not out:
        raise ValueError("neither DER nor PEM with a " + what.decode())
    return out


# The contents of a DER element, and what follows it
def _element(data):
    n = data[1]
    start = 2
    if n & 0x80:
        start += n & 0x7F
        n = int.from_bytes(data[2:start], "big")
    return data[start : start + n], data[start + n :]


# The number of a P-256 key: an ECPrivateKey (RFC 5915) or a PrivateKeyInfo around one (RFC 5208)
def _private(data):
    try:
        fields, _ = _element(_der(data, b"PRIVATE KEY"))
        version, rest = _element(fields)
        if version == b"\0":
            _, rest = _element(rest)  # The algorithm
            fields, _ = _element(_element(rest)[0])
            version, rest = _element(fields)
        key, _ = _element(rest)
    except (IndexError, ValueError):
        key = b""
    if len(key) != 32:
        raise ValueError("the key is not one of P-256 in DER or PEM, or is encrypted")
    return key


def _descend(seen):
    seen[0] = micropython.stack_use()
    _descend(seen)


# Bytes of the C stack that are left: it is tried out, since no port tells
def _stack_left():
    seen = [0]
    try:
        _descend(seen)
    except RuntimeError:
        pass
    return seen[0] - micropython.stack_use()


class Context:
    holds_writes = True  # Nothing is taken to be sent before the handshake is over

    def __init__(self, protocol=PROTOCOL_TLS_CLIENT, *, cadata=None, pin=None, alpn=None, buffer=16640, chain=4096):
        if protocol != PROTOCOL_TLS_CLIENT:
            raise ValueError("tls13 has clients only")
        if pin is not None:
            if isinstance(pin, str):
                from binascii import unhexlify

                pin = unhexlify(pin)
            if len(pin) != 32:
                raise ValueError("pin: SHA-256 of the server's public key, 32 bytes or 64 hexadecimal digits")
        self.verify_mode = CERT_REQUIRED
        self.check_hostname = True
        self._pin = pin
        self._alpn = alpn or b""
        self._buffer = buffer
        self._chain = chain
        self._cas = b""
        self._cert = self._key = b""
        if cadata:
            self.load_verify_locations(cadata=cadata)

    def load_verify_locations(self, cafile=None, cadata=None):
        if cafile:
            with open(cafile, "rb") as f:
                self._cas += _der(f.read(), b"CERTIFICATE")
        if cadata:
            self._cas += _der(cadata, b"CERTIFICATE")

    def load_cert_chain(self, certfile, keyfile):
        loaded = []
        for data in certfile, keyfile:
            # A path, or what the file would hold
            if isinstance(data, str) and b"-----" not in data.encode():
                with open(data, "rb") as f:
                    data = f.read()
            loaded.append(data)
        self._cert = _der(loaded[0], b"CERTIFICATE")
        self._key = _private(loaded[1])

    def wrap_socket(self, sock, server_side=False, server_hostname=None, do_handshake_on_connect=True):
        if server_side:
            raise ValueError("tls13 has clients only")
        if self.verify_mode == CERT_NONE:
            trust = 1 if self._pin else 0
        elif self._cas:
            trust = 2
        elif self._pin:
            trust = 1
        else:
            raise ValueError("tls13: load_verify_locations() an authority, give a pin, or set verify_mode to CERT_NONE")
        try:
            seed = os.urandom(32)
        except AttributeError:
            raise OSError("tls13: this port has no os.urandom, and so no keys that nobody can guess") from None
        c = Connection(
            sock,
            server_hostname or "",
            self.check_hostname,
            trust,
            self._cas,
            self._pin or b"",
            int(time.time()) + _EPOCH,
            seed,
            self._cert,
            self._key,
            self._alpn,
            self._buffer,
            self._chain,
        )
        if _stack_left() < c.stack():
            c.close()
            raise OSError(12, "tls13: needs %d bytes of stack, this port has %d left" % (c.stack(), _stack_left()))
        stream = Stream(sock, c)
        if do_handshake_on_connect:
            try:
                stream.do_handshake()
            except OSError:
                c.close()  # The socket is the caller's, as elsewhere
                raise
        return stream


class Stream(io.IOBase):
    def __init__(self, sock, connection):
        self._sock = sock
        self._c = connection

    def _check(self, n):
        if n == -1:
            e = self._c.error()
            if isinstance(e, tuple):
                text, n = e
                e = OSError(5, text if not n else "%s (certificate %d)" % (text, n))
            else:
                e = OSError(e or 128)  # ENOTCONN
            self._c.close()
            raise e
        return n

    # Until it is over, or would wait where the socket does not
    def do_handshake(self):
        while self._check(self._c.handshake()) == 2:
            pass

    def readinto(self, buf, n=None):
        if n is not None:
            buf = memoryview(buf)[:n]
        return self._check(self._c.readinto(buf))

    # As much as is asked for, unless the stream ends or would wait
    def read(self, n=-1):
        buf = bytearray(n if n >= 0 else 256)
        view = memoryview(buf)
        got = 0
        while n < 0 or got < n:
            r = self._check(self._c.readinto(view[got:]))
            if not r:
                if r is None and not got:
                    return None
                break
            got += r
            if n < 0 and got == len(buf):
                buf += bytes(256)
                view = memoryview(buf)
        return bytes(view[:got])

    def readline(self):
        line = b""
        while not line.endswith(b"\n"):
            byte = self.read(1)
            if not byte:
                return line or byte
            line += byte
        return line

    def write(self, buf, *part):
        if part:
            view = memoryview(buf)
            buf = view[: part[0]] if len(part) == 1 else view[part[0] : part[0] + part[1]]
        return self._check(self._c.write(buf))

    def ioctl(self, request, arg):
        if request == 3:  # MP_STREAM_POLL
            return self._c.poll(arg)
        if request == 4:  # MP_STREAM_CLOSE
            self.close()
            return 0
        return -22  # EINVAL

    def setblocking(self, value):
        self._sock.setblocking(value)

    def settimeout(self, value):
        self._sock.settimeout(value)

    def close(self):
        if self._c:
            try:
                self._c.close()
            finally:
                self._sock.close()
