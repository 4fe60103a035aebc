"""Tables for people, and docs/BENCHMARKS.md with its pictures."""

BEGIN, END = "<!-- measured: begin -->\n", "<!-- measured: end -->\n"
# Titles of tables, and what is in the title of a row that belongs there; the first that fits counts
TABLES = {
    "Processor time": "µs of CPU",
    "Fairness: a flood, and what goes on beside it": "flood:",
    "Rates": "messages/s",
    "Latency of an echo through mosquitto": "echo",
    "Garbage": "bytes of heap",
    "Calls to the kernel": ": ",
    "Instructions, and RAM": "",
}
HIGHER_IS_BETTER = "messages/s"


def number(value):
    if value is None:
        return "-"
    return f"{value:,.0f}" if value >= 100 or value == int(value) else f"{value:,.2f}" if value >= 1 else f"{value:.3f}"


def times(ratio):
    return f"{ratio:,.0f}" if ratio >= 10 else f"{ratio:.1f}"


def cells(row, of, titles):
    """Beside each other client's number how many times better ours, the first, is."""
    ours = of.get(titles[0])
    for title in titles:
        value = of.get(title)
        text = number(value)
        if title != titles[0] and ours and value:
            text += f" ({times(ours / value if row.endswith(HIGHER_IS_BETTER) else value / ours)})"
        yield text


def table(titles, medians):
    """Lines of Markdown."""
    rows = [["", *titles], ["---"] + ["---:"] * len(titles)]
    rows += [[row, *cells(row, of, titles)] for row, of in medians.items()]
    widths = [max(map(len, column)) for column in zip(*rows)]
    for first, *others in rows:
        padded = [first.ljust(widths[0]), *(cell.rjust(width) for cell, width in zip(others, widths[1:]))]
        yield f"| {' | '.join(padded)} |"


def tables(found):
    kinds = {row: next(title for title, words in TABLES.items() if words in row) for row in found["medians"]}
    for kind in sorted(set(kinds.values()), key=lambda kind: kind != "Rates"):
        medians = {row: of for row, of in found["medians"].items() if kinds[row] == kind}
        titles = [t for t in found["clients"] if any(t in of for of in medians.values())]
        yield from ("", f"### {kind}", "", *table(titles, medians))
    for title, points in found["curves"].items():
        yield from ("", f"### {title[0].upper()}{title[1:]}", "", f"| {' | '.join(AXES[title])} |")
        yield f"|{' ---: |' * len(AXES[title])}"
        yield from (f"| {' | '.join(map(number, point))} |" for point in points)


RATE = "messages/s", "µs of CPU for each"
AXES = {
    "received, by size": ("bytes of payload", *RATE),
    "published at QoS 1, by size": ("bytes of payload", *RATE),
    "received, by topics": ("topics in turn", *RATE),
    "published at QoS 1, by tasks": ("tasks", *RATE),
    "RAM with a message, by size": ("bytes of payload", "bytes of heap"),
    "RAM with publications in flight, by tasks": ("tasks", "bytes of heap"),
    "fleet, by clients": ("clients", *RATE, "bytes of heap for a client", "broker: µs of CPU for each", "broker: bytes of RAM"),
    "turns of a task, by sockets that others wait for": ("sockets", "turns/s", "µs of CPU for each"),
    "codec, by size": ("bytes of payload", "packets/s", "packets/s, payload copied"),
}


def circumstances(found):
    of = f"{found['platform']}, {found['cores']} cores, load {found['load']:.1f}; {found['runtime']}; {found['broker']}"
    return f"{of}; medians of {found['rounds']}."


def show(found):
    print(circumstances(found))
    print("Payload 100 bytes. In brackets: how many times the first client is better.")
    print(*tables(found), sep="\n")


def write(found, docs):
    import pictures

    pictures.draw(found, docs / "bench")
    path = docs / "BENCHMARKS.md"
    before, _, rest = path.read_text().partition(BEGIN)
    _, _, after = rest.partition(END)
    path.write_text(before + BEGIN + circumstances(found) + "\n" + "\n".join(tables(found)) + "\n" + END + after)
