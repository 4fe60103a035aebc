# A REPL as a board has it on its serial line, as far as mpremote goes: raw mode, with raw paste refused, soft reset.
# Its stdin and stdout are the line. Run in the unix port it is a board whose file system is the computer's.
import gc
import sys

GREETING = "raw REPL; CTRL-B to exit\r\n"
line_in, line_out = sys.stdin.buffer, sys.stdout.buffer
at_start = set(sys.modules)
path = [""] + sys.path[1:]
space = {}


def write(text):
    line_out.write(text)
    line_out.flush()


def reset():
    for name in set(sys.modules) - at_start:
        del sys.modules[name]
    sys.path[:] = path
    space.clear()
    space["__name__"] = "__main__"
    gc.collect()


def until_control():  # What was typed, and the control character that ended it
    typed = b""
    while True:
        c = line_in.read(1)
        if not c:
            sys.exit()
        if c in b"\x01\x02\x03\x04\x05":
            return typed, c
        typed += c


def run(code):
    write("OK")
    error = ""
    try:
        exec(code.decode(), space)
    except BaseException as e:
        import io

        trace = io.StringIO()
        sys.print_exception(e, trace)
        error = trace.getvalue()
    write("\x04" + error + "\x04>")


def raw():
    write(GREETING + ">")
    while True:
        typed, control = until_control()
        if control == b"\x05":  # Raw paste: not here
            line_in.read(2)
            write("R\x00")
        elif control == b"\x02":
            return
        elif control == b"\x01":
            write(GREETING + ">")
        elif control == b"\x04" and not typed.strip():
            reset()
            write("OK\r\nMPY: soft reboot\r\n" + GREETING + ">")
        elif control == b"\x04":
            run(typed)


reset()
while True:
    write("\r\nMicroPython\r\n>>> ")
    while until_control()[1] != b"\x01":
        pass
    raw()
