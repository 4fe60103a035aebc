"""Pictures of the numbers, SVG, the same for the same numbers."""

import matplotlib

matplotlib.use("svg")
import matplotlib.pyplot as plt  # noqa: E402

matplotlib.rcParams.update(
    {"svg.hashsalt": "bench", "svg.fonttype": "none", "font.size": 9, "axes.spines.top": False, "axes.spines.right": False}
)
OURS, OTHERS, BROKER = "#1f6f8b", "#b8b8b8", "#c0504d"


def save(figure, folder, name):
    figure.tight_layout()
    figure.savefig(folder / f"{name}.svg", metadata={"Date": None, "Creator": None})
    plt.close(figure)


def compare(found, folder, name, rows, log=True):
    """For each of `rows` (row of the table, title, format) a panel with a bar for each client, or with `log` a dot: the length
    of a bar means nothing on an axis without 0."""
    figure, axes = plt.subplots(1, len(rows), figsize=(3.3 * len(rows) + 1, 2.6), sharey=True, squeeze=False)
    titles = found["clients"][::-1]
    for axis, (row, title, form) in zip(axes[0], rows):
        of = found["medians"].get(row, {})
        values = [of.get(t) for t in titles]
        colours = [OURS if t in found["ours"] else OTHERS for t in titles]
        there = [v for v in values if v] or [1]
        if log:
            axis.set_xscale("log")
            axis.scatter([v or float("nan") for v in values], titles, color=colours, s=30, zorder=2)
            axis.set_xlim(min(there) / 3, max(there) * 30)
            axis.grid(axis="y", color="#e8e8e8")
        else:
            axis.barh(titles, [v or 0 for v in values], color=colours)
            axis.set_xlim(right=max(there) * 1.3)
        for at, value in enumerate(values):
            if value is not None:
                axis.annotate(format(value, form), (value, at), (6, 0), textcoords="offset points", va="center")
        axis.set_title(title, fontsize=9)
        axis.tick_params(axis="x", labelsize=7)
        axis.minorticks_off()
    save(figure, folder, name)


def latency(found, folder):
    figure, axis = plt.subplots(figsize=(7, 2.8))
    for at, title in enumerate(found["clients"][::-1]):
        parts = [found["medians"].get(f"echo, {part}, ms", {}).get(title) for part in ("median", "90 %", "99 %")]
        if None not in parts:
            colour = OURS if title in found["ours"] else "#707070"
            axis.plot([parts[0], parts[2]], [at, at], color=colour, lw=1)
            for value, marker in zip(parts, "o|d"):
                axis.plot([value], [at], marker, color=colour, ms=6)
    axis.set_yticks(range(len(found["clients"])), found["clients"][::-1])
    axis.set_xscale("log")
    axis.minorticks_off()
    axis.set_xlabel("echo through mosquitto, ms: median (circle), 90 % (stroke), 99 % (diamond)")
    save(figure, folder, "latency")


def curve(axis, points, column, title, xlabel, scale=1.0, log=False, **how):
    values = [p[column] * scale for p in points]
    axis.plot([p[0] for p in points], values, "o-", ms=3, **how)
    axis.set_xscale("log")
    if log:
        axis.set_yscale("log")
    else:
        axis.set_ylim(0, max(axis.get_ylim()[1] if len(axis.lines) > 1 else 0, max(values) * 1.1))
    axis.minorticks_off()
    axis.set_title(title, fontsize=9)
    axis.set_xlabel(xlabel, fontsize=8)


def scale(found, folder):
    curves = found["curves"]
    figure, axes = plt.subplots(3, 4, figsize=(13, 7.5))
    ((rate, cpu, ram, turns), (received, published, message, topics), (tasks, tasks_cpu, flying, broker)) = axes

    fleet = curves["fleet, by clients"]
    clients, payload = "clients in one process", "bytes of payload"
    curve(rate, fleet, 1, "QoS 1 to itself, messages/s in all", clients, color=OURS)
    curve(cpu, fleet, 4, "", clients, color=BROKER, label="mosquitto")
    curve(cpu, fleet, 2, "the same, µs of CPU for a message", clients, color=OURS, label="clients")
    cpu.legend(frameon=False, fontsize=8)
    curve(ram, [[p[0], p[0] * p[3]] for p in fleet[1:]], 1, "bytes of heap in all", clients, log=True, color=OURS)
    curve(broker, fleet, 5, "RAM of mosquitto, MB", clients, 1e-6, color=BROKER)
    others = curves["turns of a task, by sockets that others wait for"]
    curve(turns, others, 2, "a task's turn in asyncio, µs of CPU", "sockets that others wait for", color="#707070")

    curve(received, curves["received, by size"], 2, "received, QoS 0, µs of CPU", payload, log=True, color=OURS)
    curve(published, curves["published at QoS 1, by size"], 2, "published, QoS 1, µs of CPU", payload, color=OURS)
    curve(message, curves["RAM with a message, by size"], 1, "bytes of heap with a message", payload, log=True, color=OURS)
    curve(topics, curves["received, by topics"], 2, "received, QoS 0, µs of CPU", "topics in turn", color=OURS)

    by_tasks = curves["published at QoS 1, by tasks"]
    curve(tasks, by_tasks, 1, "published, QoS 1, messages/s", "tasks", color=OURS)
    curve(tasks_cpu, by_tasks, 2, "the same, µs of CPU for a message", "tasks", color=OURS)
    in_flight = curves["RAM with publications in flight, by tasks"]
    curve(flying, in_flight, 1, "bytes of heap for those in flight", "tasks", log=True, color=OURS)
    save(figure, folder, "scale")


def codec(found, folder):
    points = found["curves"]["codec, by size"]
    points = [[max(p[0], 0.5), *p[1:]] for p in points]  # 0 is not on the axis
    figure, axis = plt.subplots(figsize=(5, 2.8))
    curve(axis, points, 1, "", "bytes of payload", 1e-6, True, color=OURS, label="taken from the buffer")
    title = "packets a second in Rust alone, millions"
    curve(axis, points, 2, title, "bytes of payload", 1e-6, True, color=BROKER, label="and copied")
    axis.legend(frameon=False, fontsize=8)
    save(figure, folder, "codec")


def draw(found, folder):
    folder.mkdir(exist_ok=True)
    rates = (
        ("received, QoS 0, messages/s", "received, QoS 0, messages/s", ",.0f"),
        ("published, QoS 0, messages/s", "published, QoS 0, messages/s", ",.0f"),
        ("published, QoS 1, messages/s", "published, QoS 1, messages/s", ",.0f"),
    )
    compare(found, folder, "rates", rates)
    latency(found, folder)
    garbage = (
        ("a message received, QoS 0: bytes of heap", "bytes of heap for a message received", ",.0f"),
        ("a message published, QoS 0: bytes of heap", "published, QoS 0", ",.0f"),
        ("a message published, QoS 1: bytes of heap", "published, QoS 1", ",.0f"),
    )
    compare(found, folder, "bytes", garbage)
    compare(
        found, folder, "ram", [("RAM when connected, 32 bit, bytes", "RAM when connected, 32 bit, bytes", ",.0f")], log=False
    )
    if found["curves"]:
        scale(found, folder)
        codec(found, folder)
