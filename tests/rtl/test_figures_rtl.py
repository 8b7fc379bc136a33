"""The pictures of docs/rtl.md are drawn from the hardware as it is: none can go stale."""

from pathlib import Path

import networkx as nx
import numpy as np
import pytest
from rtl_figures import data_paths, draw_blocks, draw_waves, values_by_cycle
from rtl_runner import SIMULATOR, Play, run

from rtl.linear import Linear
from rtl.mamba_block import MambaBlock

FIGURES = Path(__file__).resolve().parents[2] / "docs" / "figures"


def same(request, drawn):
    """Compare a drawing with the committed one, or commit it with --update-golden."""
    kept = FIGURES / drawn.name
    if request.config.getoption("--update-golden"):
        kept.write_bytes(drawn.read_bytes())
    assert kept.read_bytes() == drawn.read_bytes(), f"{kept.name} is stale: pytest --update-golden draws it anew"


@pytest.mark.skipif(SIMULATOR != "icarus", reason="the picture is drawn from Icarus's waves")
def test_waves_of_a_tile(request, tmp_path):
    """Two output tiles of the tensor core: activations once, weights all along, results one latency behind."""
    unit = Linear(cip=4, cop=4, k=16, n=8)
    inputs = unit.draw(np.random.default_rng(1))
    vcd = tmp_path / "waves.vcd"
    report = run(unit, [Play({name: value[:1] for name, value in inputs.items()}, "none", 1)], record=vcd)
    assert not report.findings
    streams = ("i_act", "i_weight", "o")
    rows = values_by_cycle(vcd, [f"{name}__{kind}" for name in streams for kind in ("valid", "ready")])
    cycles = report.cycles[0][1]
    first = next(k for k, valid in enumerate(rows["i_act__valid"]) if valid)
    rows = {name: row[first : first + cycles + 1] for name, row in rows.items()}
    moved = {n: sum(v and r for v, r in zip(rows[f"{n}__valid"], rows[f"{n}__ready"], strict=True)) for n in streams}
    assert moved == {"i_act": 4, "i_weight": 8, "o": 2}
    beats = {
        "i_act": [f"k{4 * s}…" for s in range(4)] + [""],
        "i_weight": [f"t{t} k{4 * s}" for t in range(2) for s in range(4)] + [""],
        "o": ["t0", "t1", ""],
    }
    drawn = tmp_path / "linear-tile.svg"
    draw_waves(
        rows,
        streams,
        beats,
        drawn,
        caption="cycle (a filled box is a transfer; t: output tile, k: first input channel)",
    )
    same(request, drawn)


UNITS = {"in_proj", "conv", "softplus", "scan", "gate", "norm", "out_proj"}


def test_blocks_of_the_mamba_block(request, tmp_path):
    """The units and the streams between them, read from the netlist."""
    graph = data_paths(MambaBlock(nodes=2))
    assert set(graph) > UNITS
    for way in (("in_proj", "scan"), ("in_proj", "conv"), ("scan", "gate"), ("gate", "norm"), ("norm", "out_proj")):
        assert way[1] in nx.descendants(graph, way[0]), way
    drawn = tmp_path / "mamba-block.svg"
    draw_blocks(graph, UNITS, drawn)
    same(request, drawn)
