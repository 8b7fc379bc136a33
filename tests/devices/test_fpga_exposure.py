"""When the scan stops hiding under in_proj: nodes against lanes, with ideal memory and at the fitted bandwidth.

Exposure is what wider lanes would save: cycles of the verification with the lanes asked for, against the same with
lanes for all. A pipeline's tail of a tile or two (0.1 % of a layer) is no exposure, so 1 % is the line.
"""

from __future__ import annotations

from functools import cache

import pytest
from fpga_cases import IDEAL_MEMORY, LARGE_CHIP, answer, chain, cycles_of, machine

LINE = 0.01
UNLIMITED = 8192
IN_PROJ_CYCLES, STATE = 423_040, 5120 * 128
MEMORY = {"ideal": IDEAL_MEMORY, "fitted": {}}


@cache
def cycles(nodes: int, lanes: int, memory: str) -> int:
    """Cycles of the pass that verifies a chain of ``nodes`` nodes (of the autoregressive pass for one)."""
    values = {**LARGE_CHIP, "linear.tp": 16, "vector.lanes": 4096, "scan.lanes": lanes, **MEMORY[memory]}
    device = machine("vck190-spec", values)
    if nodes == 1:
        return cycles_of(answer("mamba-ar", device), "decode")
    return cycles_of(answer(chain(nodes), device), "verify")


def exposure(nodes: int, lanes: int, memory: str) -> float:
    return cycles(nodes, lanes, memory) / cycles(nodes, UNLIMITED, memory) - 1


def least_lanes(nodes: int, memory: str, low: int, high: int) -> int:
    """The fewest lanes that hide the nodes, by bisection: exposure falls as lanes are added."""
    while low < high:
        middle = (low + high) // 2
        low, high = (low, middle) if exposure(nodes, middle, memory) < LINE else (middle + 1, high)
    return low


@pytest.mark.parametrize(("memory", "hidden"), [("ideal", [1, 2]), ("fitted", [1, 2, 3])])
def test_eight_lanes_hide_few_nodes(memory: str, hidden: list[int]) -> None:
    """Ideal memory: hidden to 2 nodes. The fitted memory slows in_proj down, which hides one more."""
    assert [nodes for nodes in range(1, 6) if exposure(nodes, 8, memory) < LINE] == hidden


@pytest.mark.parametrize(("memory", "lanes"), [("ideal", 40), ("fitted", 31)])
def test_lanes_that_hide_thirteen_nodes(memory: str, lanes: int) -> None:
    """About 40 and 31: n * 655,360 * 2 over the cycles of in_proj, but for tiles of whole cycles."""
    in_proj = IN_PROJ_CYCLES if memory == "ideal" else 428_000 * 400e6 * 32 / 10.05e9
    assert 13 * STATE * 2 / in_proj == pytest.approx(lanes, abs=0.5)
    assert least_lanes(13, memory, 8, 64) == pytest.approx(lanes, abs=1.5)


def test_linear_time_does_not_grow_with_nodes_in_the_slots() -> None:
    """With lanes for all and ideal memory, 13 nodes in 16 token slots take as long as one."""
    assert cycles(13, UNLIMITED, "ideal") == pytest.approx(cycles(1, UNLIMITED, "ideal"), rel=1e-3)


def test_an_exposed_scan_leads_the_step() -> None:
    """From 5 nodes on with 8 lanes it takes its own cycles and little else: 163,840 for each node and layer."""
    device = machine("vck190-spec", {**LARGE_CHIP, **IDEAL_MEMORY, "linear.tp": 16, "scan.lanes": 8})
    found = answer(chain(5), device)
    assert next(row for row in found.ops if row.name == "scan").bound == "compute"
    assert found.ops[0].name == "scan"
    scan = 64 * 5 * 163_840
    assert scan <= cycles_of(found, "verify") <= scan + 64 * (204_800 + 32 * 320 + 5000)
