"""The pictures of docs/rtl.md, from the hardware itself: waves from a run's VCD, blocks from a unit's netlist."""

import json
from collections import deque

import networkx as nx
from vcd.reader import TokenKind, tokenize

from rtl.emit import run_yosys, to_rtlil

STYLE = {
    "font.family": "DejaVu Sans",
    "font.size": 8,
    "svg.hashsalt": "hwsim",
    "svg.fonttype": "path",
    "path.simplify": False,
}
INK, LINE, FILL, GLUE = "#222222", "#2a6f97", "#d6e6f2", "#eeeeee"


def values_by_cycle(path, names):
    """{name: value in each cycle} of the top module's ports, read just before each rising clock edge out of reset."""
    codes, now, instant, depth = {}, {}, {}, 0
    rows = {name: [] for name in names}
    with path.open("rb") as file:
        for token in tokenize(file):
            if token.kind is TokenKind.SCOPE:
                depth += 1
            elif token.kind is TokenKind.UPSCOPE:
                depth -= 1
            elif token.kind is TokenKind.VAR and depth == 1:
                codes[token.var.reference] = token.var.id_code
            elif token.kind is TokenKind.CHANGE_TIME:
                now.update(instant)
                instant = {}
            elif token.kind is TokenKind.CHANGE_SCALAR:
                code, value = token.scalar_change.id_code, token.scalar_change.value
                instant[code] = value
                if code == codes["clk"] and value == "1" and now.get(codes["rst"]) == "0":
                    for name, row in rows.items():
                        row.append(int(now[codes[name]]))
    return rows


def draw_waves(rows, streams, beats, path, *, caption):
    """Streams over cycles: valid and ready as levels, a box for each beat, filled where it is transferred."""
    import matplotlib as mpl
    from matplotlib.figure import Figure

    cycles = len(rows[f"{streams[0]}__valid"])
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(9.2, 0.95 * len(streams) + 0.9))
        axes = figure.add_axes((0.12, 0.16, 0.86, 0.8))
        for place, name in enumerate(streams):
            base = 3.2 * (len(streams) - 1 - place)
            for offset, kind in ((2.0, "valid"), (1.1, "ready")):
                row = rows[f"{name}__{kind}"]
                steps = [level for value in row for level in (value, value)]
                edges = [edge for cycle in range(cycles) for edge in (cycle, cycle + 1)]
                axes.plot(edges, [base + offset + 0.65 * level for level in steps], color=LINE, linewidth=1.1)
                axes.text(-0.3, base + offset + 0.1, f"{name} {kind}", ha="right", color=INK)
            axes.text(-0.3, base + 0.25, "beat", ha="right", color=INK)
            taken = 0
            for cycle in range(cycles):
                if not rows[f"{name}__valid"][cycle]:
                    continue
                moves = bool(rows[f"{name}__ready"][cycle])
                box = ((cycle + 0.06, base), 0.88, 0.8)
                axes.add_patch(mpl.patches.Rectangle(*box, facecolor=FILL if moves else "white", edgecolor=LINE))
                axes.text(cycle + 0.5, base + 0.4, beats[name][taken], ha="center", va="center", color=INK, fontsize=7)
                taken += moves
        axes.set_xlim(0, cycles)
        axes.set_ylim(-0.4, 3.2 * len(streams))
        axes.set_xticks(range(cycles + 1))
        axes.set_yticks([])
        axes.grid(axis="x", color="#dddddd", linewidth=0.5)
        axes.set_axisbelow(True)
        for side in ("left", "right", "top"):
            axes.spines[side].set_visible(False)
        axes.set_xlabel(caption)
        figure.savefig(path, format="svg", metadata={"Date": None, "Creator": "hwsim"})


def data_paths(parameters):
    """A graph of a unit's submodules and ports: an edge where the data of one reaches another through plain logic.

    Read from the netlist that Verilog is emitted from, so it shows what is wired, whatever the generator's text says.
    """
    script = "read_rtlil top.il; proc; opt_clean; write_json net.json"
    design = json.loads(run_yosys(script, {"top.il": to_rtlil(parameters)}, ["net.json"])[0])["modules"]
    top, reads, sinks, sources = design["top"], {}, {}, []
    for name, port in top["ports"].items():
        if name.endswith("__payload"):
            enter(name.removesuffix("__payload"), port["direction"] == "output", port["bits"], sinks, sources)
    for name, cell in top["cells"].items():
        if cell["type"] in design:
            for port, way in design[cell["type"]]["ports"].items():
                if port not in ("clk", "rst") and not port.endswith(("__valid", "__ready")):
                    enter(name, way["direction"] == "input", cell["connections"][port], sinks, sources)
        else:
            into, out = data_of(cell)
            for bit in into:
                reads.setdefault(bit, []).extend(out)
    graph = nx.DiGraph()
    for name, bits in sources:
        graph.add_edges_from((name, end) for end in sorted(reached(bits, reads, sinks)) if end != name)
    return graph


def enter(name, takes, bits, sinks, sources):
    """Enter a port by the side from which data see it."""
    if takes:
        for bit in wires(bits):
            sinks.setdefault(bit, set()).add(name)
    else:
        sources.append((name, wires(bits)))


def data_of(cell):
    """What a cell takes as data and what it gives: a select is no data, and a memory gives what it took."""
    if "MEMID" in cell["parameters"]:
        memory, bits = [cell["parameters"]["MEMID"]], wires(cell["connections"]["DATA"])
        return (memory, bits) if cell["type"].startswith("$memrd") else (bits, memory)
    ways = {port: way for port, way in cell["port_directions"].items() if port in "ABDYQ"}
    into = [bit for port, way in ways.items() if way == "input" for bit in wires(cell["connections"][port])]
    return into, [bit for port, way in ways.items() if way == "output" for bit in wires(cell["connections"][port])]


def wires(bits):
    """The bits that are wires."""
    return [bit for bit in bits if isinstance(bit, int)]


def reached(bits, reads, sinks):
    """Sinks that any of the bits reach."""
    seen, queue, ends = set(bits), deque(bits), set()
    while queue:
        bit = queue.popleft()
        ends |= sinks.get(bit, set())
        for other in reads.get(bit, ()):
            if other not in seen:
                seen.add(other)
                queue.append(other)
    return ends


def draw_blocks(graph, units, path):
    """The graph, left to right by the longest way from an input; units filled, streams' own ends plain."""
    import matplotlib as mpl
    from matplotlib.figure import Figure

    plain = nx.DiGraph(graph)
    while True:  # what feeds back is drawn, but gives no rank
        try:
            plain.remove_edge(*nx.find_cycle(plain)[-1])
        except nx.NetworkXNoCycle:
            break
    ranks = list(nx.topological_generations(plain))
    rank = {name: k for k, names in enumerate(ranks) for name in names}
    for name in plain:  # an input stands just before its first user
        users = list(plain.successors(name))
        if users and not list(plain.predecessors(name)):
            rank[name] = min(rank[user] for user in users) - 1
    columns = {}
    for name in nx.lexicographical_topological_sort(plain):
        columns.setdefault(rank[name], []).append(name)
    place = {}
    for column, names in sorted(columns.items()):
        names.sort(key=lambda name: (mean([place[p][1] for p in plain.predecessors(name) if p in place]), name))
        for row, name in enumerate(names):
            place[name] = (column, (len(names) - 1) / 2 - row)
    tall = max(len(names) for names in columns.values())
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(0.98 * len(columns) + 0.3, 0.62 * tall + 0.4))
        axes = figure.add_axes((0, 0, 1, 1))
        for start, end in sorted(graph.edges):
            (x0, y0), (x1, y1) = place[start], place[end]
            arrow = {"arrowstyle": "-|>", "color": LINE, "linewidth": 0.8, "shrinkA": 0, "shrinkB": 0}
            bend = 0.0 if abs(x1 - x0) <= 1 else -0.18 if y0 >= 0 else 0.18
            arrow["connectionstyle"] = f"arc3,rad={bend}"
            axes.annotate("", (x1 - 0.4, y1), (x0 + 0.4, y0), arrowprops=arrow)
        for name, (x, y) in place.items():
            is_unit = name in units
            is_port = not graph.in_degree(name) or not graph.out_degree(name)
            box = mpl.patches.FancyBboxPatch(
                (x - 0.38, y - 0.2),
                0.76,
                0.4,
                boxstyle="round,pad=0.02",
                facecolor=FILL if is_unit else "white" if is_port else GLUE,
                edgecolor=LINE if not is_port else "white",
            )
            axes.add_patch(box)
            axes.text(
                x, y, name.replace("_", "\n", 1) if len(name) > 9 else name, ha="center", va="center", fontsize=6.5
            )
        axes.set_xlim(min(columns) - 0.6, max(columns) + 0.6)
        axes.set_ylim(-tall / 2 - 0.15, tall / 2 + 0.15)
        axes.set_axis_off()
        figure.savefig(path, format="svg", metadata={"Date": None, "Creator": "hwsim"})


def mean(values):
    """The mean; 0 of nothing. Negated: higher predecessors first."""
    return -sum(values) / len(values) if values else 0.0
