# Installs mqtt_as on the board that runs it: finds the architecture, has mip fetch the
# files, checks and imports them. From a PC, or on the board:
#     mpremote exec "INDEX = 'http://192.168.0.2:8000/0.9.0'" run install.py
#     import install; install.install("http://192.168.0.2:8000/0.9.0")
# MIT licence: see LICENSE.
import sys

# URL of the folder that holds armv6m_6.3 and the like; `make dist URL=...` fills it in
PUBLISHED = None

# The names in natmod/architectures.json of the numbers in sys.implementation._mpy
ARCHES = {
    1: "x86",
    2: "x64",
    4: "armv6m",
    5: "armv7m",
    6: "armv7m",  # armv7em, which runs it too
    7: "armv7emsp",
    8: "armv7emdp",
    9: "xtensa",
    10: "xtensawin",
    11: "rv32imc",
    12: "rv64imc",
}

_OLD = "this MicroPython is too old: install firmware 1.23 or newer"
_FIRMWARE = "this %s: mqtt_as has to be compiled into the firmware: see docs/FIRMWARE.md"
_ON_PC = """%s.
Install from a PC with the files and the board on USB:
    mpremote mip install %s/package.json"""


class InstallError(Exception):  # Its text says what to do
    pass


def folder(this=sys.implementation, platform=sys.platform):  # As armv6m_6.3: the files it needs
    if this.name != "micropython":
        raise InstallError("this is %s: mqtt_as needs MicroPython 1.23 or newer" % this.name)
    mpy = getattr(this, "_mpy", 0)
    if not mpy:
        raise InstallError(_OLD if hasattr(this, "mpy") else _FIRMWARE % "firmware loads no .mpy files")
    version = mpy & 0xFF, mpy >> 8 & 3
    if version < (6, 3):
        raise InstallError(_OLD)
    if version > (6, 3):
        raise InstallError("this MicroPython is newer than these files: get a newer release of mqtt_as")
    arch = mpy >> 10 & 15
    if not arch:
        raise InstallError(_FIRMWARE % "firmware loads no native code")
    if arch not in ARCHES:
        raise InstallError("there are no files for architecture %d yet" % arch)
    if platform == "esp8266":
        raise InstallError(_FIRMWARE % "board has too little RAM for the files")
    return "%s_%d.%d" % ((ARCHES[arch],) + version)


def lib():  # Where mip puts files
    for path in sys.path:
        if path.endswith("/lib") and not path.startswith("/rom"):
            return path
    raise InstallError("no folder of sys.path ends in /lib: name one, as in install(index, '/flash/lib')")


def _get(url):
    import requests

    r = requests.get(url)
    try:
        if r.status_code != 200:
            raise InstallError("HTTP status %d for %s: check the index" % (r.status_code, url))
        return r.text
    finally:
        r.close()


def _sha256(path):
    import binascii
    import hashlib

    h = hashlib.sha256()
    with open(path, "rb") as f:
        while True:
            data = f.read(256)
            if not data:
                return binascii.hexlify(h.digest()).decode()
            h.update(data)


def _files(sums):  # Name and hash of what goes on a board
    for line in sums.split("\n"):
        digest, _, name = line.partition("  ")
        if name.endswith(".mpy") and not name.startswith("3.1.1/"):
            yield name, digest


# sums: the text of SHA256SUMS, target: the folder on sys.path
def verify(sums, target):
    import gc
    import os

    for name, digest in _files(sums):
        path = target + "/" + name
        try:
            found = _sha256(path)
        except ImportError:  # A firmware without hashlib
            found = digest
        except OSError:
            found = None
        if found != digest:
            raise InstallError("%s is %s: install again" % (path, "damaged" if found else "missing"))
        source = path[:-3] + "py"
        try:
            os.remove(source)  # It would be taken instead
            print("Removed:", source)
        except OSError:
            pass
    for name in list(sys.modules):
        if name.split(".")[0] in ("mqtt_as", "_mqtt_as"):
            del sys.modules[name]
    gc.collect()
    try:
        import mqtt_as
    except MemoryError:
        raise InstallError("installed, but too little RAM is free: reset the board, import mqtt_as before other modules")
    path = getattr(mqtt_as, "__path__", mqtt_as.__file__)
    if path != target + "/mqtt_as":
        raise InstallError("installed in %s, but another one comes first on sys.path: remove %s" % (target, path))
    print("mqtt_as %d.%d.%d works, in %s" % (mqtt_as.VERSION + (target,)))


def install(index=PUBLISHED, target=None):
    name = folder()
    target = target or lib()
    if not index:
        raise InstallError(_ON_PC % ("no index is known: give its URL, as in install('http://192.168.0.2:8000/0.9.0')", name))
    url = index.rstrip("/") + "/" + name + "/"
    try:
        import mip

        sums = _get(url + "SHA256SUMS")
        for file, _ in _files(sums):  # One by one: an old mip does not know relative URLs
            path = (target + "/" + file).rsplit("/", 1)[0]
            mip.install(url + file, target=path)
    except ImportError:
        raise InstallError(_ON_PC % ("this firmware has no mip or no requests", name))
    except OSError as e:
        raise InstallError(_ON_PC % ("no answer from %s (%s): is the network up?" % (index, e), name))
    verify(sums, target)


if __name__ == "__main__":
    install(globals().get("INDEX", PUBLISHED))
