"""One core, two descriptions: a grid of multipliers as an array's file and as an FPGA's linear engine."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from fpga_cases import IDEAL_MEMORY, machine
from hypothesis import given, settings
from hypothesis import strategies as st

from hwsim.devices.array import ArrayDevice
from hwsim.devices.catalog import find_device
from hwsim.devices.fpga.nest import linear_hierarchy, linear_nest
from hwsim.mapping.files import shape_of
from hwsim.mapping.mapper import cost_of
from hwsim.mapping.problem import gemm
from hwsim.pipeline import KernelResult, kernel
from hwsim.workload.kernel import build_kernel

TP, CIP, COP = 4, 16, 8
CORE = {"linear.tp": TP, "linear.cip": CIP, "linear.cop": COP, "memory.burst_beats": 1, **IDEAL_MEMORY}
AS_ARRAY = Path(__file__).with_name("linear_core.yaml")


@pytest.fixture(scope="module")
def array() -> ArrayDevice:
    """The core in an array's words: main memory, the activations' buffers, a block of weights, the grid."""
    device = find_device(str(AS_ARRAY))
    assert isinstance(device, ArrayDevice)
    return device


@settings(max_examples=60)
@given(m=st.integers(1, 60), n=st.integers(1, 300), k=st.integers(1, 300))
def test_one_core_takes_the_same_cycles_as_either(array: ArrayDevice, m: int, n: int, k: int) -> None:
    """Beside a memory that is never late: the same integers, but for the first tile's beats that an FPGA awaits."""
    fpga, op = machine("vck190", CORE), build_kernel("gemm", {"m": m, "n": n, "k": k, "dtype": "int4"})
    (problem,) = array.problems(op)  # type: ignore[misc]
    nest = linear_nest(fpga.parameters, problem)
    as_array = kernel(op, replace(array, nests=((shape_of(problem), nest),)))
    as_fpga = kernel(op, fpga)
    assert isinstance(as_array, KernelResult)
    assert isinstance(as_fpga, KernelResult)
    beats, tiles = as_fpga.bytes["dram"] / 2048, -(-n // COP)
    assert as_fpga.cycles - as_array.cycles == -(-beats // tiles)
    assert as_fpga.macs == as_array.macs == m * n * k


@pytest.mark.parametrize("m", [1, 8, 20, 64])
@pytest.mark.parametrize("name", ["vck190", "vck190-spec"])
def test_map_and_kernel_are_of_one_machine(name: str, m: int) -> None:
    """The nest that `map` prices and the engine's stages: weights once for all rows, the port's time hidden or shown.

    The nest also moves activations, which a kernel on the FPGA finds on the chip; scales and flushes are the engine's.
    """
    device = machine(name)
    op = build_kernel("gemm", {"m": m, "n": 2560, "k": 2560, "dtype": "int4"})
    problem = gemm(m, 2560, 2560, bits=(4, 4, 32))
    run = kernel(op, device)
    assert isinstance(run, KernelResult)
    nest = linear_nest(device.parameters, problem)
    priced = cost_of(problem, linear_hierarchy(device.parameters), nest, "pipelined")
    weights = 2560 * 2560 / 2
    assert run.bytes["dram"] == pytest.approx(weights, rel=0.02)
    assert priced.bytes_by["dram"] == weights + m * 2560 / 2 + m * 2560 * 4
    assert priced.cycles == pytest.approx(run.cycles, rel=0.06)
