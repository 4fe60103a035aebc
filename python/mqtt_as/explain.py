# What went wrong, and what to do about it. Loaded when something did.
import errno
import gc
import os
import sys
from time import ticks_diff, ticks_ms


# The exception where the client cannot be imported, most often for its native
# module
def import_error(e):
    if "_mqtt_as" in sys.modules and not isinstance(e, MemoryError):
        return e
    mpy = getattr(sys.implementation, "_mpy", 0)
    version = sys.implementation.version
    now = "this is MicroPython %d.%d" % version[:2]
    if isinstance(e, MemoryError):
        return MemoryError(_memory())
    firmware = "build it into the firmware, see docs/FIRMWARE.md"
    arch = mpy >> 10 & 15
    if not mpy:
        return ImportError("mqtt_as: this firmware loads no .mpy files: " + firmware)
    if (mpy & 0xFF, mpy >> 8 & 3) != (6, 3):
        return ImportError("mqtt_as needs MicroPython 1.23 or later; " + now)
    if not arch:
        if version < (1, 24):  # RISC-V has had no native code until then
            return ImportError("mqtt_as: no native modules here; RISC-V has them since MicroPython 1.24, " + now)
        return ImportError("mqtt_as: this firmware loads no native modules: " + firmware)
    names = "- x86 x64 - armv6m armv7m armv7m armv7emsp armv7emdp xtensa xtensawin rv32imc rv64imc".split()
    name = names[arch] if arch < len(names) else "architecture %d" % arch
    if isinstance(e, ValueError):
        return ImportError("_mqtt_as.mpy: %s: take that of %s_6.3" % (e, name))
    return ImportError("%s: put _mqtt_as.mpy of %s_6.3 beside the folder mqtt_as" % (e, name))


def _memory():
    gc.collect()
    free = gc.mem_free()
    size = 0
    for folder in sys.path:
        try:
            size = os.stat(folder + "/_mqtt_as.mpy")[6]
            break
        except OSError:
            pass
    need = size + 20_000  # The Python files, about
    if need > free:
        what = "%d bytes are missing" % (need - free)
    else:
        what = "%d bytes are free, but not in one piece" % free
    return "no memory to import mqtt_as: %s. Import it first in main.py, or %s" % (
        what,
        "build it into the firmware, see docs/FIRMWARE.md",
    )


# An attempt to connect failed: OSError with the same number, in words
def connect_error(e, server, port):
    number = e.errno
    if "addrinfo" in str(number):  # The unix port has no number for it
        number = -2
    tls = isinstance(number, int) and number < -1000
    if not isinstance(number, int) or len(e.args) > 1 and not tls and number != -2:
        return e  # It has words
    if tls:
        text = _tls_error(-number, e)
    elif number in (errno.ECONNREFUSED, errno.ECONNRESET):
        text = "refused: is a broker running there?"
    elif number in (errno.ETIMEDOUT, errno.EHOSTUNREACH):
        text = "no answer: is the address right?"
    elif number < 0 or number > 200:
        text = "the name is not known: is it spelled right, and the network up?"
    else:
        text = str(e)
    server = server if isinstance(server, str) else bytes(server).decode()
    return OSError(number, "%s port %d: %s" % (server, port, text))


# Numbers of Mbed TLS; the upper bits are the module's
def _tls_error(n, e):
    if n == 0x7780:
        return "TLS, the server ended the handshake: does it want a client certificate or another version?"
    if n == 0x7200:
        return "TLS, the server speaks something else: is this its port for TLS?"
    if n == 0x7280:
        return "TLS, the server closed the connection"
    if n & 0xFF80 == 0x2700:
        return "TLS, the server's certificate does not verify: check CA, server_hostname and the clock"
    if n in (0x7F00, 0x3F80, 0x2880, 0x0010):
        return "TLS, no memory for it"
    return "TLS error %s" % e


# Of a packet, or of the answer to a request; but for authentication data
def print_properties(client, packet, props):
    if not isinstance(packet, str):
        if packet.several is None:
            packet = "PUBACK" if packet.args[3] == 1 else "PUBCOMP"
        else:
            packet = "SUBACK" if packet.args[1] else "UNSUBACK"
    client.dprint("%s: properties %s", packet, {key: props[key] for key in props if key != 0x16})


# Every twenty seconds; when it was done
def print_ram(client, told):
    now = ticks_ms()
    if told is not None and ticks_diff(now, told) < 20_000:
        return told
    gc.collect()
    client.dprint("RAM free %d alloc %d", gc.mem_free(), gc.mem_alloc())
    return now
