#!/usr/bin/env python3
"""Reads the table of architectures, architectures.json.

arch.py [--built]        the names of the architectures that are built
arch.py --tested         of those that the tests run
arch.py NAME FIELD       one field, lists separated by spaces, nothing for null
arch.py NAME --make      all fields as assignments for make
"""

import json
import sys
from pathlib import Path

TABLE = Path(__file__).with_name("architectures.json")


def text(value):
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else ""
    if isinstance(value, list):
        return " ".join(map(str, value))
    if isinstance(value, dict):
        return " ".join("%s=%s" % item for item in value.items())
    return str(value)


def main(args):
    table = json.loads(TABLE.read_text(encoding="utf-8"))
    if args in ([], ["--built"], ["--tested"]):
        wanted = ["tested"] if args == ["--tested"] else ["built", "tested"]
        print(" ".join(name for name, arch in table.items() if arch["status"] in wanted))
        return
    if len(args) != 2:
        sys.exit(__doc__.strip())
    name, field = args
    if name not in table:
        sys.exit("arch.py: unknown architecture %r: use one of %s" % (name, " ".join(table)))
    arch = table[name]
    if field == "--make":
        for key, value in arch.items():
            print("%s := %s" % (key, text(value)))
    elif field in arch:
        print(text(arch[field]))
    else:
        sys.exit("arch.py: no field %r: use one of %s" % (field, " ".join(arch)))


main(sys.argv[1:])
