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

_OLD = "this MicroPython is too old: install firmware 1.23 or newer (on RISC-V 1.24)"
_FIRMWARE = "this %s: mqtt_as has to be compiled into the firmware: see docs/FIRMWARE.md"
_RISCV = "; that of RISC-V does from 1.24 on: if this is an ESP32-C3, a C6 or the like, install that or newer"
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
        no_native = "firmware loads no native code"
        if getattr(this, "version", (2,)) < (1, 24):
            no_native += _RISCV
        raise InstallError(_FIRMWARE % no_native)
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


def _size(path):  # In bytes; None: it is not there
    import os

    try:
        return os.stat(path)[6]
    except OSError:
        return None


def _lack(what, needed, free, cure):
    if free < needed:
        raise InstallError(
            "not enough %s: %d bytes are needed, %d are free, %d are missing. %s, or have mqtt_as compiled into the firmware: "
            "see docs/FIRMWARE.md" % (what, needed, free, needed - free, cure)
        )


# Is there room for files of so many bytes in all? The client takes about as many of RAM once it is imported
def room(names, size, target):
    import gc
    import os

    path = target
    while True:
        try:
            s = os.statvfs(path or "/")
            break
        except OSError as e:
            if not path or e.errno != 2:  # ENOENT: mip makes this folder
                s = None
                break
            path = path.rpartition("/")[0]
        except AttributeError:  # A firmware without statvfs
            s = None
            break
    if s:
        replaced = sum(_size(target + "/" + name) or 0 for name in names)
        _lack("space in " + target, size, s[0] * s[3] + replaced, "Delete files")
    gc.collect()
    if hasattr(gc, "mem_free"):
        _lack("RAM", size, gc.mem_free(), "Reset the board without a main.py that takes it up")


def _get(url):
    import requests

    r = requests.get(url)
    try:
        if r.status_code != 200:
            raise InstallError(
                "HTTP status %d for %s: check the index; a board for which it has no folder needs mqtt_as compiled into the "
                "firmware: see docs/FIRMWARE.md" % (r.status_code, url)
            )
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


def _import(name, target):
    try:
        module = __import__(name)
    except MemoryError:
        raise InstallError("installed, but too little RAM is free: reset the board, import %s before other modules" % name)
    except (ImportError, ValueError) as e:
        raise InstallError("installed in %s, but it cannot be imported: %s" % (target, e))
    path = getattr(module, "__path__", getattr(module, "__file__", None))
    if path and path.startswith(target + "/"):
        return module
    if not path:
        cure = "the one compiled into this firmware is used: update the firmware, and remove the files"
    elif _size(path) is None:
        cure = "the one frozen into this firmware comes first: begin main.py with import sys; sys.path.insert(0, '%s')" % target
    else:
        cure = "another one comes first on sys.path: remove " + path
    raise InstallError("%s is installed in %s, but %s" % (name, target, cure))


# sums: pairs of a name and its SHA-256, target: the folder on sys.path
def verify(sums, target):
    import gc
    import os

    for name, digest in sums:
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
    tops = {name.split("/")[0].split(".")[0] for name, _ in sums}
    for name in list(sys.modules):
        if name.split(".")[0] in tops:
            del sys.modules[name]
    gc.collect()
    for name in sorted(tops):
        module = _import(name, target)
        if hasattr(module, "VERSION"):
            print("%s %d.%d.%d works, in %s" % ((name,) + module.VERSION + (target,)))


def install(index=PUBLISHED, target=None, package="mqtt_as"):
    name = folder()
    target = target or lib()
    if not index:
        raise InstallError(_ON_PC % ("no index is known: give its URL, as in install('http://192.168.0.2:8000/0.9.0')", name))
    url = index.rstrip("/") + "/" + name + "/"
    try:
        import json
        import mip

        package = json.loads(_get(url + ("package-umqtt.json" if package == "umqtt" else "package.json")))
        names = [file for file, _ in package["urls"]]
        sums = [line.split("  ")[::-1] for line in _get(url + "SHA256SUMS").split("\n") if line]
        sums = [pair for pair in sums if pair[0] in names]
        room(names, package["size"], target)
        for file in names:  # One by one: an old mip does not know relative URLs
            path = (target + "/" + file).rsplit("/", 1)[0]
            mip.install(url + file, target=path)
    except ImportError:
        raise InstallError(_ON_PC % ("this firmware has no mip or no requests", name))
    except OSError as e:
        if e.errno == 28:  # ENOSPC
            raise InstallError("no space is left in %s: delete files and install again" % target)
        raise InstallError(_ON_PC % ("no answer from %s (%s): is the network up?" % (index, e), name))
    verify(sums, target)


if __name__ == "__main__":
    install(globals().get("INDEX", PUBLISHED), package=globals().get("PACKAGE", "mqtt_as"))
