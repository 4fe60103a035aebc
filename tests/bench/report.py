"""Tables for people, and docs/BENCHMARKS.md with its pictures."""

BEGIN, END = "<!-- measured: begin -->\n", "<!-- measured: end -->\n"
LOWER_IS_BETTER = ("µs", "ms", "bytes", "reads", "writes", "waits", "instructions")


def number(value):
    if value is None:
        return "-"
    return f"{value:,.0f}" if value >= 100 or value == int(value) else f"{value:,.2f}" if value >= 1 else f"{value:.3f}"


def cells(row, of, titles):
    """Beside each other client's number how many times better ours, the first, is."""
    ours = of.get(titles[0])
    for title in titles:
        value = of.get(title)
        text = number(value)
        lower = any(word in row for word in LOWER_IS_BETTER)
        if title != titles[0] and ours and value:
            text += f" ({value / ours if lower else ours / value:.2g})"
        yield text


def tables(found):
    """Markdown: one table for what is timed, one for what is counted."""
    titles = found["clients"]
    lines = []
    head = ["", *titles]
    rows = [[row, *cells(row, of, titles)] for row, of in found["medians"].items()]
    widths = [max(len(r[i]) for r in [head, *rows]) for i in range(len(head))]
    for n, row in enumerate([head, ["---"] + ["---:"] * len(titles), *rows]):
        lines.append("| " + " | ".join(c.ljust(w) if i == 0 else c.rjust(w) for i, (c, w) in enumerate(zip(row, widths))) + " |")
    return lines


def curve_tables(found):
    for title, points in found["curves"].items():
        yield f"\n{title}:"
        yield from ("  " + "  ".join(f"{number(v):>12}" for v in point) for point in points)


def show(found):
    print(f"{found['platform']}, {found['cores']} cores, load {found['load']:.1f}; {found['runtime']}")
    print("payload 100 bytes; medians; in brackets: how many times the first client is better\n")
    print(*tables(found), *curve_tables(found), sep="\n")


def write(found, docs):
    import pictures

    pictures.draw(found, docs / "bench")
    path = docs / "BENCHMARKS.md"
    before, _, rest = path.read_text().partition(BEGIN)
    _, _, after = rest.partition(END)
    path.write_text(before + BEGIN + "\n".join(tables(found)) + "\n" + END + after)
