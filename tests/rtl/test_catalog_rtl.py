"""What the catalog takes from the RTL, and the RTL's own figures: neither may change alone.

Each check is a function that lists what departs. It must list nothing as things are, and something as soon as one side
is changed: the catalog's number, the rule in `hwsim/timing`, or the RTL's parameters.
"""

from dataclasses import replace

import pytest

from hwsim.devices.base import PassWork
from hwsim.devices.catalog import device_names, find_device
from hwsim.devices.fpga import capacity
from hwsim.devices.fpga.layer import MambaLayer
from hwsim.spec import quantities
from hwsim.timing import resources, vector
from rtl.linear import Linear
from rtl.mamba_block import MambaBlock
from rtl.norm import Norm
from rtl.speculative import Speculative
from rtl.ssm import Ssm

FPGAS = [name for name in device_names() if find_device(name).family == "fpga"]


def block_of(p, **shape):
    """The RTL block whose parameters a machine has."""
    lanes = int(p.linear.cop.value)
    widths = {"d_model": 768, "heads": 24, "head_dim": 64, "d_state": 128, **shape}
    rows = int(p.scan.lanes.value) // lanes
    return Speculative(lanes=lanes, rows=rows, ports=int(p.scan.ports.value), nodes=int(p.linear.tp.value), **widths)


def vector_dsp(block):
    return sum(unit.dsp_blocks() for unit in block.units if not isinstance(unit, Linear | Ssm))


BACKED = {
    "vector.root_cycles": lambda p: Norm(channels=5120, lanes=8).phases()["root"],
    "linear.dsp_per_mac": lambda p: 2 * block_of(p).in_proj.dsp_blocks() / (block_of(p).nodes * block_of(p).lanes ** 2),
    "scan.dsp_per_lane": lambda p: block_of(p).scan.dsp_blocks() / p.scan.lanes.value,
    "vector.dsp_per_lane": lambda p: vector_dsp(block_of(p)) / p.vector.lanes.value,
}
"""Catalog constants whose source is the RTL, and what the RTL says."""


def departures(p):
    """Constants of a machine that name the RTL and are not what it says, or that name it without a rule here."""
    out = []
    for path, quantity in quantities(p, ""):
        if "rtl/" not in quantity.source or quantity.kind == "assumed":
            continue
        rule = BACKED.get(path.strip("."))
        if rule is None or quantity.kind not in ("derived", "set") or rule(p) != quantity.value:
            out.append(path)
    return out


def uncovered(p, shape):
    """DSP and BRAM terms of the capacity check beside the RTL block's own formulas: what the totals differ by."""
    block = block_of(p, fifo=0, **shape)  # a plain pass verifies no tree
    layer = MambaLayer("mamba2", block.d_model, block.d_inner, block.d_state, block.heads, 1, 0, 4, 0)
    (terms,) = capacity.demand_of(p, layer, PassWork("decode", 1))
    memories = block.memories()
    found = {resource: sum(parts.values()) for resource, parts in terms.items()}
    return found["DSP"] - block.dsp_blocks(), found["BRAM"] - memories.ramb36 - memories.ramb18 / 2


@pytest.mark.parametrize("name", FPGAS)
def test_constants_that_name_the_rtl_are_its_figures(name):
    """Every machine's root latency, and the ideal block's DSP blocks."""
    p = find_device(name).parameters
    assert departures(p) == []
    assert "rtl/" in p.vector.root_cycles.source


def test_the_ideal_block_names_the_rtl_where_it_can():
    """All four of the backed constants are marked."""
    found = {
        path.strip(".")
        for path, q in quantities(find_device("mamba-block-ideal").parameters, "")
        if "rtl/" in q.source and q.kind == "derived"
    }
    assert found == set(BACKED)


@pytest.mark.parametrize("path", sorted(BACKED))
def test_a_catalog_number_cannot_change_alone(path):
    """The same machine with one number moved departs."""
    p = find_device("mamba-block-ideal").parameters
    group, field = path.split(".")
    owner = getattr(p, group)
    old = getattr(owner, field)
    moved = replace(p, **{group: replace(owner, **{field: replace(old, value=old.value + 1)})})
    assert [each.strip(".") for each in departures(moved)] == [path]


@pytest.mark.parametrize(
    ("module", "name", "value", "path"),
    [
        (vector, "NORM_ROOT_CYCLES", 11, "vector.root_cycles"),
        (resources, "linear_dsp", lambda cells, act, weight: cells + 1, "linear.dsp_per_mac"),
        (resources, "scan_dsp", lambda channels, rows: 4 * channels * rows, "scan.dsp_per_lane"),
        (resources, "conv_dsp", lambda lanes, silu: lanes, "vector.dsp_per_lane"),
        (resources, "norm_dsp", lambda lanes, even_root: lanes, "vector.dsp_per_lane"),
        (resources, "FUNCTION_DSP", {**resources.FUNCTION_DSP, "gate": 4}, "vector.dsp_per_lane"),
    ],
)
def test_a_timing_rule_cannot_change_alone(monkeypatch, module, name, value, path):
    """A rule that moves leaves the catalog behind."""
    monkeypatch.setattr(module, name, value)
    assert [each.strip(".") for each in departures(find_device("mamba-block-ideal").parameters)] == [path]


@pytest.mark.parametrize(
    "shape", [{}, {"d_model": 64, "heads": 8, "head_dim": 32, "d_state": 16}, {"d_model": 2560, "heads": 80}], ids=str
)
def test_capacity_counts_the_blocks_dsp_and_memories(shape):
    """The capacity check's DSP and BRAM terms add up to the RTL block's."""
    assert uncovered(find_device("mamba-block-ideal").parameters, shape) == (0, 0)


def test_capacity_cannot_change_alone(monkeypatch):
    """Another formula in the capacity check, or other products in the RTL, and they part."""
    p = find_device("mamba-block-ideal").parameters
    with monkeypatch.context() as patch:
        patch.setattr(MambaBlock, "dsp_blocks", lambda self: 1000)
        assert uncovered(p, {})[0] != 0
    for index, name in enumerate(("_block_dsp", "_block_bram")):
        with monkeypatch.context() as patch:
            patch.setattr(capacity, name, lambda p, layer, fifo: {"all": 1000})
            assert uncovered(p, {})[index] != 0
