"""Array machines: catalog file to hierarchy."""

from pathlib import Path

import pytest
from array_machines import make_ws16

from hwsim.devices import catalog
from hwsim.devices.array import ArrayDevice, ArrayParameters, hierarchy_of
from hwsim.errors import HwsimError
from hwsim.mapping.hierarchy import Fanout
from hwsim.mapping.problem import gemm
from hwsim.mapping.search import find_best
from hwsim.spec import load, parse, read
from hwsim.workload.kernel import build_kernel

WS16 = Path(catalog.__file__).parent / "catalog" / "ws16.yaml"


def parameters(path=WS16):
    return load(read(path, path.with_name), ArrayParameters)


def test_ws16_is_the_golden_machine():
    """The catalog's ws16 equals the one that the golden points were checked on, but that its axes know convolutions."""
    mine, golden = hierarchy_of(parameters()), make_ws16()
    assert [part for part in mine.parts if not isinstance(part, Fanout)] == [
        part for part in golden.parts if not isinstance(part, Fanout)
    ]
    assert [(a.name, a.extent, a.dims[0], a.multicast, a.full) for a in mine.axes] == [
        (a.name, a.extent, a.dims[0], a.multicast, a.full) for a in golden.axes
    ]
    assert find_best(gemm(1024, 1024, 1024), mine).cost.cycles == 4_194_304


def test_axis_below_an_unknown_level_is_refused():
    """An axis must name a level; the levels there are stand in the message."""
    text = WS16.read_text().replace("below: L1", "below: L9")
    with pytest.raises(HwsimError, match=r"below 'L9'.*DRAM, L2, L1, wreg"):
        load(parse(text, "ws16.yaml"), ArrayParameters)


def test_hierarchy_without_main_memory_is_refused():
    """The outermost level has to hold every role."""
    text = WS16.read_text().replace("    shared_port: true", "    may: [input, output]\n    shared_port: true")
    with pytest.raises(HwsimError, match="DRAM may not hold weight"):
        hierarchy_of(load(parse(text, "ws16.yaml"), ArrayParameters))


def test_part_of_a_bit_is_refused():
    """Sums have whole bits."""
    text = WS16.read_text().replace("sum_bits: {value: 8,", "sum_bits: {value: 8.5,")
    with pytest.raises(HwsimError, match=r"8\.5 bits.*a whole number"):
        load(parse(text, "ws16.yaml"), ArrayParameters)


def test_wide_sums_count_at_every_level():
    """sum_bits: outputs of 32 bits beside int8 inputs and weights."""
    text = WS16.read_text().replace("sum_bits: {value: 8,", "sum_bits: {value: 32,")
    device = ArrayDevice(load(parse(text, "ws16.yaml"), ArrayParameters))
    op = build_kernel("gemm", {"m": "4", "n": "4", "k": "4", "dtype": "int8"}, "test")
    assert [operand.bits for operand in device.problems(op)[0].operands] == [8, 8, 32]
