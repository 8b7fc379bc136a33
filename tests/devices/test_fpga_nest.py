"""The linear core as a nest: its pipelined cycles are the family's timing rule, to the cycle."""

from dataclasses import replace
from math import inf

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hwsim.devices.catalog import find_device
from hwsim.devices.fpga.nest import linear_hierarchy, linear_nest
from hwsim.devices.fpga.parameters import whole
from hwsim.mapping.account import account
from hwsim.mapping.check import nest_faults
from hwsim.mapping.hierarchy import Level
from hwsim.mapping.pipelined import pipelined_cycles
from hwsim.mapping.problem import gemm
from hwsim.timing.linear import gemm_cycles

NAMES = ["vck190", "vck190-spec", "vhk158-spec", "u280"]


def unhindered(hierarchy):
    """The same core beside a main memory that is never late."""
    parts = tuple(
        replace(p, read_bytes_per_cycle=inf, write_bytes_per_cycle=inf) if isinstance(p, Level) else p
        for p in hierarchy.parts
    )
    return replace(hierarchy, parts=parts)


@pytest.mark.parametrize("name", NAMES)
@settings(max_examples=25, deadline=None)
@given(m=st.integers(1, 40), n=st.integers(1, 200), k=st.integers(1, 200))
def test_pipelined_cycles_are_the_family_s_rule(name, m, n, k):
    """Any GEMM, edge blocks included, weights never late."""
    p = find_device(name).parameters
    problem, core = gemm(m, n, k), p.linear
    rule = gemm_cycles(n, k, m, tp=whole(core.tp), cip=whole(core.cip), cop=whole(core.cop))
    nest = linear_nest(p, problem)
    assert nest_faults(problem, linear_hierarchy(p), nest) == ()
    assert pipelined_cycles(problem, unhindered(linear_hierarchy(p)), nest) == rule
    assert account(problem, linear_hierarchy(p), nest).cycles_by["compute"] == rule


def test_weights_come_from_main_memory_once():
    """Each weight is read once, whatever the tokens; batches have weights of their own."""
    p = find_device("vck190").parameters
    problem = gemm(20, 64, 128, batch=3)
    traffic = account(problem, linear_hierarchy(p), linear_nest(p, problem)).traffic
    assert traffic["dram", "W"].reads == 3 * 64 * 128
