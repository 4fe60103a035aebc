"""A MicroPython with the client compiled in: that nothing else is used, and what it costs a small board."""

import os
import re
import shutil
import subprocess
import time

import pytest
from fixtures.client import end
from fixtures.micropython import RUNNER

ROOT = RUNNER.parent.parent


@pytest.mark.firmware("x64", "x86", "rv32imc", "xtensa", "xtensawin", only=True)
def test_in_the_firmware(mp):
    """Both modules are there with an empty path, and importing the native one costs the entry in sys.modules at most."""
    script = """
        import gc, sys
        sys.path[:] = [".frozen"]
        gc.collect()
        before = gc.mem_free()
        import _mqtt_as
        gc.collect()
        print(before - gc.mem_free() <= 160)
        import mqtt_as
        print(mqtt_as.__file__, isinstance(mqtt_as.MQTTClient({"server": "x"})._session, _mqtt_as.Session))
    """
    assert mp(script).lines == ["True", "mqtt_as/__init__.py True"]


@pytest.fixture
def sections(mp):
    """Name, flags and size of those of the object file that Rust became."""
    object_file = ROOT / "build" / "runtime" / mp.arch / "obj" / "mqtt_as" / "extmod" / "module.o"
    listing = subprocess.run(["readelf", "-SW", object_file], check=True, capture_output=True, text=True).stdout
    return re.findall(r"^ *\[ *\d+\] (\S+) +\S+ +\w+ +\w+ +(\w+) +\w+ +(\w*) ", listing, re.M)


@pytest.mark.firmware("x64", only=True)
def test_messages(mp):
    """An exception sets the hash of its message where there is none: one in flash has the right one."""
    script = """
        from mqtt_as import MQTTClient
        try:
            MQTTClient({})
        except ValueError as e:
            print(e)
            print(e.args[0] == "config['server'] is missing: " + "set it to the broker's address")
    """
    assert mp(script).lines == ["config['server'] is missing: set it to the broker's address", "True"]


@pytest.mark.firmware("rv32imc", only=True)
def test_no_variables(sections):
    """No place for a pointer to the heap that the collector would not see."""
    assert any(name.startswith(".rodata") for name, _, _ in sections)
    assert [s for s in sections if "W" in s[2] and int(s[1], 16)] == []


@pytest.mark.firmware("xtensa", only=True)
def test_words_in_flash(sections):
    """Constants that stay where the ESP8266 reads words only are objects and messages, which C code reads."""
    constants = [name for name, size, _ in sections if name.startswith(".rodata") and int(size, 16)]
    assert ".rodata.mqtt_as_Session_open_obj" in constants
    assert [name for name in constants if not name.endswith(("_obj", ".str1.1"))] == []


# Seconds of traffic, half of it before the broker restarts
SECONDS = int(os.environ.get("SECONDS", 6))

# What the client may take of a heap of 38 KB, in bytes: import, construction and connection
CONNECTED = 4096

ESP8266 = """
    import gc, sys

    lowest = 1 << 30

    def free():
        global lowest
        gc.collect()
        lowest = min(lowest, gc.mem_free())
        return gc.mem_free()

    import asyncio, errno, socket, time
    from asyncio import core
    asyncio.Event, asyncio.Lock, asyncio.wait_for_ms
    print("before import", free())
    from mqtt_as import MQTTClient, config
    print("after import", free())

    HOST, PORT, CYCLES = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    came = 0

    def received(topic, msg, retained):
        global came
        came += 1
        free()

    async def link(up):
        print("link", up)

    async def up(client):
        await client.subscribe("esp8266/in", 1)
        print("subscribed")

    async def main():
        config.update(client_id="esp8266", server=HOST, port=PORT, subs_cb=received, wifi_coro=link, connect_coro=up)
        config["response_time"] = 5
        print("program started", free())
        client = MQTTClient(config)
        print("constructed", free())
        await client.connect()
        await asyncio.sleep_ms(500)
        print("connected", free())
        for n in range(CYCLES):
            await client.publish("esp8266/out", "n = %d" % n, qos=1)
            free()
            await asyncio.sleep_ms(90)
            if n == CYCLES // 2:
                print("half")
        print("received", came)
        print("at the end", free())
        print("lowest", lowest)
        client.close()

    asyncio.run(main())
"""


@pytest.mark.firmware("xtensa", only=True)
@pytest.mark.timeout(120 + 3 * SECONDS)
def test_esp8266(mp, broker, observers):
    """QoS 1 in both directions and a restart of the broker, in the RAM of an ESP8266."""
    cycles = SECONDS * 10
    process = mp.start(ESP8266, broker.host, broker.port, cycles, options=("-X", "heapsize=38k"))
    observer = observers(broker)
    observer.subscribe("esp8266/out", 1)
    process.expect("^subscribed$", 60)
    ended = time.monotonic() + SECONDS / 2
    sent = 0
    while time.monotonic() < ended:
        observer.publish("esp8266/in", "m" * 40, 1)
        sent += 1
        time.sleep(0.1)
    process.expect("^half$", 60 + SECONDS)
    broker.restart()
    process.expect("^subscribed$", 60)
    observer.publish("esp8266/in", "m" * 40, 1)
    r = end(process, 60 + 2 * SECONDS)
    told = dict(line.rsplit(" ", 1) for line in r.lines if " " in line)
    assert int(told["received"]) == sent + 1
    free = {name: int(n) for name, n in told.items() if n.isdecimal()}
    taken = free["before import"] - free["after import"] + free["program started"] - free["connected"]
    print("taken", taken)
    assert taken <= CONNECTED
    assert free["connected"] - free["lowest"] <= 1000


@pytest.mark.firmware("x64", "xtensa", only=True)
def test_constants_outlive_their_module(mp):
    """Functions in flash know their module's names after it was forgotten, and after it was imported anew."""
    script = """
        import gc, sys
        from mqtt_as import MQTTClient, config
        config["server"] = "127.0.0.1"
        client = MQTTClient(config)
        def forget():
            for name in list(sys.modules):
                if name.startswith("mqtt_as"):
                    del sys.modules[name]
            gc.collect()
            return [bytes(100) for _ in range(100)] and gc.collect()
        forget()
        print(client.isconnected(), client.rcv_pids, next(client.newpid))
        import mqtt_as
        print(mqtt_as.MQTTClient is MQTTClient, mqtt_as.MQTTClient(config).isconnected(), client.isconnected())
        MQTTClient.DEBUG = True
        print(client.DEBUG, mqtt_as.MQTTClient.DEBUG)
        client.dprint("%s", "told")
        MQTTClient.isconnected = lambda self: "changed"
        print(client.isconnected())
        try:
            client.subscribe(topic="t", no_local=True, more=1)
        except TypeError as e:
            print(e)
    """
    assert mp(script).lines == [
        "False set() 1",
        "False False False",
        "True False",
        "told",
        "changed",
        "unexpected keyword argument 'more'",
    ]


ORDINARY = """
    import asyncio, gc, sys
    import ordinary
    from ordinary import *

    print(ordinary.__file__)
    print(short_texts(), list(generate()), list(generate(n=4, step=-2, text="")))
    v, h, g = Variables(), Heir(), Grandchild(2)
    print([c.__name__ for c in (Empty, Plain, Variables, Heir, Several, Problem)], Plain, Heir, type(g))
    print(v, v.others, v.doubled, v == Plain(7), v != Plain(8), v in (Plain(7),), list(v)[:2])
    print(Variables.COUNT, v.COUNT, h.COUNT, v.table, Variables.table is Heir.table)
    print(v.name(), h.name(), g.name(), list(g), v.nested(), v.static(1), Variables.static(1, 1), h.of_class())
    print(v.not_constant(), v.first(), v.alias(), g.alias(), v.conditional())
    print(h.many(1, 2, 3), h.many(c=1, b=2, a=3, f=0), asyncio.run(h.later()), asyncio.run(v.later()))
    try:
        h.many()
    except TypeError as e:
        print(e)

    async def enter():
        async with Plain(1) as p:
            print(p)
        print(p)

    asyncio.run(enter())
    print([isinstance(x, c) for x in (v, h, g) for c in (Plain, Variables, Heir, Grandchild, object)])
    print([issubclass(x, c) for x in (Plain, Heir, Grandchild, Problem) for c in (Plain, Variables, Heir, Exception)])
    print(type(v) is Variables, type(h) is Heir, h.__class__ is Heir)
    s = Setter()
    s.x = 2
    print(s.x, s.plain(), Stays().not_constant(), Stays().name(), Named().name(), Named().own())
    print(Attribute().name(), Several().name(), New().name(), New().made)
    try:
        raise Problem(5)
    except ValueError as e:
        print(repr(e), e.args, e.code, Problem.code, isinstance(e, Problem))
    q = Quiet(2, "text")
    print(repr(q), q.errno, q.quiet(), q.args)
    a = Accessors()
    a.b = 1
    print(a.b, a.c)

    class Own(Heir):
        DEBUG = 1

        def name(self):
            return "own " + super().name()

        def __init__(self):
            super().__init__(1)

    print(Own().name(), Own().DEBUG, Own().value, Heir.name(Own()))
    old = Heir(3)
    Variables.DEBUG = True
    print(v.DEBUG, h.DEBUG, Grandchild.DEBUG, Own.DEBUG)
    Grandchild.DEBUG = 2
    Grandchild.extra = lambda self: "extra"
    Grandchild.name = lambda self: "changed"
    print(v.DEBUG, g.DEBUG, h.DEBUG, g.extra(), h.name(), g.name())
    v.DEBUG = 3
    del Grandchild.DEBUG
    print(v.DEBUG, Variables.DEBUG, g.DEBUG)
    print(h.many(1, 2, 3), Heir.many(h, 1, 2, 3), type(Plain.doubled))
    del ordinary, Heir, Variables, Grandchild, Plain, v, h, g
    for name in [name for name in sys.modules if name.startswith("ordinary")]:
        del sys.modules[name]
    gc.collect()
    [bytes(100) for _ in range(200)]
    import ordinary
    print(old.many(1, 2, 3), old.name(), list(old), isinstance(old, ordinary.Heir), ordinary.Grandchild().name())
"""


@pytest.mark.firmware("x64", "xtensa", only=True)
def test_ordinary_classes(mp):
    """Classes of any kind do frozen, their methods in flash, what they do as files."""
    file, *frozen = mp(ORDINARY).lines
    assert file == "ordinary/__init__.py"
    folder = ROOT / "tests" / "runtime" / "firmware"
    file, *plain = mp(ORDINARY, env={"MICROPYPATH": str(folder)}).lines
    assert file == f"{folder}/ordinary/__init__.py"
    assert len(plain) > 20 and frozen == plain


def freeze(folder, text, *args, packages=None):
    """What ports/freeze says of a module m.py with this text."""
    package = folder / "python" / "mqtt_as"
    package.mkdir(parents=True, exist_ok=True)
    (package / "m.py").write_text(text)
    (folder / "ports").mkdir(exist_ok=True)
    shutil.copy(ROOT / "ports" / "freeze", folder / "ports")
    env = {**os.environ, "MICROPY_MPYCROSS": str(ROOT / "build" / "mpy-cross" / "mpy-cross")}
    env.update({"MQTT_PACKAGES": packages} if packages else {})
    return subprocess.run([folder / "ports" / "freeze", *args], capture_output=True, text=True, env=env)


def test_rest_keeps_its_lines(tmp_path):
    """What is no constant stays where it was, and runs as before."""
    text = """# A module
import sys

def fixed(a, b=1, *, c="x", d=-1):
    return a

def default(a=sys.argv):
    return a

@staticmethod
def decorated():
    pass

class Fixed(Exception):
    @property
    def p(self):
        return 1

class Variable(
    Fixed
):
    n = 1

    @property
    def p(self):
        return super().p + 1

    def f(self, a=sys.argv): pass

class Heir(Variable):
    "Inherits n"
    def f(self):
        return super().f()

class Nothing(Variable):
    pass

def fixed2():
    pass

class New:
    def __new__(cls):
        return 1

class Stays:
    def f(self):
        return super(Stays, self).f()

def twice():
    pass

def twice():
    pass
"""
    r = freeze(tmp_path, text, tmp_path)
    assert (r.returncode, r.stdout, r.stderr) == (0, "mqtt_as\n", "")
    before, after = text.splitlines(), (tmp_path / "mqtt_as" / "m.py").read_text().splitlines()
    assert len(before) == len(after)
    flash = '__import__("_mqtt_as").from_flash'
    assert {n: a for n, (a, b) in enumerate(zip(after, before), 1) if a != b} == {
        4: flash + "()",
        14: f'Fixed = {flash}("Fixed", Exception)',
        19: f'class Variable({flash}("Variable", Fixed)):',
        22: "    del __module__, __qualname__; n = 1",
        30: f'Heir = type("Heir", ({flash}("Heir", Variable),), {{}})',
        **dict.fromkeys([5, 15, 16, 17, 20, 21, 24, 25, 26, 31, 32, 33, 38, 39], ""),
    }


def test_one_dict(tmp_path):
    """A package and what the top of its __init__ imports share their names; what is imported later has its own."""
    package = tmp_path / "python" / "mqtt_as"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text("""from micropython import const
from . import a
try:
    from .b import g as renamed, h
except ImportError:
    from . import trouble
_X = const(1)
y = a.f() + _X
def later():
    from . import m
""")
    (package / "a.py").write_text("""import sys
from micropython import const
from .b import h
_X = const(2)
def f():
    return _X
x = (_X, h())
""")
    (package / "b.py").write_text("""import sys
def g(): pass
def h(): pass
""")
    (package / "trouble.py").write_text("")
    r = freeze(tmp_path, "x = 1\n", tmp_path)
    assert (r.returncode, r.stderr) == (0, "")
    assert sorted(p.name for p in (tmp_path / "mqtt_as").iterdir()) == ["__init__.py", "m.py", "trouble.py"]
    assert (tmp_path / "mqtt_as" / "__init__.py").read_text().splitlines() == [
        "__import__(\"sys\").modules.update(dict.fromkeys(('mqtt_as.b', 'mqtt_as.a'), __import__(\"mqtt_as\")))",
        '__import__("_mqtt_as").from_flash()',
        "import sys",
        "x = (2, h())",
        "import mqtt_as as a",
        "try:",
        "    pass",
        "    renamed = g",
        "except ImportError:",
        "    from . import trouble",
        "y = a.f() + 1",
    ]
    (package / "b.py").write_text("def f(): pass\ndef g(): pass\ndef h(): pass\n")
    r = freeze(tmp_path, "x = 1\n", tmp_path)
    assert r.returncode == 1 and "/a.py gives the name f, which is another in b.py: they share one dict" in r.stderr


def test_packages(tmp_path):
    """Those that are asked for are written, those that are not there are named."""
    other = tmp_path / "elsewhere" / "other"
    other.mkdir(parents=True)
    (other / "n.py").write_text("class C:\n    def f(self): pass\n")
    r = freeze(tmp_path, "x = 1\n", tmp_path, packages=f"mqtt_as {other}")
    assert (r.returncode, r.stdout, r.stderr) == (0, "mqtt_as\nother\n", "")
    assert (tmp_path / "mqtt_as" / "m.py").exists() and "from_flash" in (tmp_path / "other" / "n.py").read_text()
    r = freeze(tmp_path, "x = 1\n", tmp_path, packages="mqtt_as mqtt")
    assert r.returncode == 1 and f"MQTT_PACKAGES has mqtt: there are no Python files in {tmp_path}/python/mqtt" in r.stderr


@pytest.mark.firmware("x64", only=True)
def test_of_other_packages(mp, tmp_path):
    """The rest of a package whose objects are not in the C module."""
    freeze(tmp_path, "class C:\n    def f(self): pass\n", tmp_path / "rest")
    r = mp("import m", env={"MICROPYPATH": str(tmp_path / "rest" / "mqtt_as")}, check=False)
    assert "ImportError" in r.err and "MQTT_PACKAGES" in r.err


def test_rest_is_that_of_now(tmp_path):
    """No file is frozen whose source is gone, and one that is the same is left alone."""
    rest = tmp_path / "mqtt_as"
    rest.mkdir()
    (rest / "gone.py").touch()
    freeze(tmp_path, "x = 1\n", tmp_path)
    os.utime(rest / "m.py", (1, 1))
    freeze(tmp_path, "x = 1\n", tmp_path)
    assert [(f.name, f.stat().st_mtime) for f in rest.iterdir()] == [("m.py", 1)]
    freeze(tmp_path, "x = 2\n", tmp_path)
    assert (rest / "m.py").read_text() == "x = 2\n"


@pytest.fixture(scope="session")
def source():
    """MicroPython's."""
    return subprocess.check_output([RUNNER.parent / "micropython-source"], text=True).rstrip("\n")


def test_texts_that_are_no_names(tmp_path, source):
    """A short text in an f-string would have to be a name of the firmware's: said so."""
    r = freeze(tmp_path, "# A module\ndef f(x):\n    return f'{x} b'\n", source, tmp_path / "out.c")
    assert r.returncode == 1 and "['{} b']" in r.stderr and not (tmp_path / "out.c").exists()


def test_integers(tmp_path, source):
    """Those that each port has as a small integer; of others it is said."""
    out = tmp_path / "out.c"
    r = freeze(tmp_path, "def f(a=100000):\n    return (a, (-70000, 1))\n", source, out)
    assert (r.returncode, r.stderr) == (0, "")
    assert "MP_ROM_INT(100000)" in out.read_text() and "MP_ROM_INT(-70000)" in out.read_text()
    r = freeze(tmp_path, "def f(a=1 << 30):\n    pass\n", source, out)
    assert (r.returncode, r.stderr) == (0, "")  # An expression: it stays in the file
    r = freeze(tmp_path, "def f(a=0x40000000):\n    pass\n", source, out)
    assert r.returncode == 1 and "more than 30 bits" in r.stderr and "Traceback" not in r.stderr


def test_without_the_module(mp):
    """The client is frozen, but what belongs to it is not compiled in."""
    r = mp("import sys; sys.path.insert(0, sys.argv[1]); import _mqtt_as", ROOT / "ports", check=False)
    assert "USER_C_MODULES" in r.err
