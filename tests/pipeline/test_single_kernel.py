"""`kernel`: one op on its own, against counts by hand."""

from __future__ import annotations

import json

import pytest
from fpga_cases import machine

from hwsim.errors import Infeasible
from hwsim.pipeline import KernelResult, kernel
from hwsim.result import to_json
from hwsim.workload.kernel import build_kernel

GEMM = {"m": 1, "n": 10576, "k": 2560, "dtype": "int4"}
SCAN = {"mixer": "mamba2", "phase": "decode", "batch": 1, "seq_len": 1, "heads": 80, "head_dim": 64, "d_state": 128}
CONV = {"phase": "decode", "batch": 1, "seq_len": 1, "channels": 5376, "d_conv": 4, "dtype": "int8"}


def timed(kind: str, arguments: dict[str, object], **values: float) -> KernelResult:
    paths = {name.replace("__", "."): value for name, value in values.items()}
    found = kernel(build_kernel(kind, arguments), machine("vck190", paths))
    assert isinstance(found, KernelResult), str(found)
    return found


def test_gemm_is_bound_by_its_weights() -> None:
    """in_proj alone: its weight beats at the memory's rate, and the last tile's compute at the end."""
    found = timed("gemm", GEMM)
    beats = (10576 * 2560 * 4 + 10576 * 2560 // 128 * 6) // 256 + 2
    assert found.bytes == {"dram": beats * 32}
    assert found.time_s == pytest.approx(beats * 32 / 10.05e9, rel=2e-3)
    assert (found.bound, found.macs) == ("memory", 10576 * 2560)


def test_gemm_is_bound_by_the_core_on_ideal_memory() -> None:
    """423,040 cycles and the first burst."""
    found = timed("gemm", GEMM, memory__bandwidth=1e15, memory__ports=64)
    assert 423_040 <= found.cycles <= 423_040 + 320
    assert found.bound == "linear"


@pytest.mark.parametrize(("m", "batch", "tp"), [(20, 1, 13), (20, 3, 13), (2, 5, 13), (7, 2, 1)])
def test_each_product_reads_its_own_weights(m: int, batch: int, tp: int) -> None:
    """Once for all its rows, however many passes they take; a batch of products shares no weights."""
    found = timed("gemm", {"m": m, "n": 96, "k": 64, "dtype": "int4", "batch": batch}, linear__tp=tp)
    beats = (96 * 64 * 4 + 96 * 64 // 128 * 6) // 256 + 2
    assert found.bytes == {"dram": batch * beats * 32}
    assert found.macs == batch * m * 96 * 64


def test_scan_moves_its_state_in_and_out() -> None:
    """163,840 cycles of lanes; 21,760 beats each way."""
    found = timed("scan", {**SCAN, "dtype": "int8"})
    assert found.bytes == {"dram": 2 * 21_760 * 32}
    assert found.bound == "scan"
    assert 163_840 <= found.cycles <= 163_840 + 2 * 327


def test_scan_of_a_prompt_runs_in_chains() -> None:
    """Seven tokens of two sequences with one slot: fourteen times a token."""
    one = timed("scan", {**SCAN, "dtype": "int8"})
    many = timed("scan", {**SCAN, "phase": "prefill", "batch": 2, "seq_len": 7, "dtype": "int8"})
    assert many.cycles == 14 * one.cycles


def test_conv_moves_window_and_taps() -> None:
    """714 beats of window in, of taps in, of window out."""
    found = timed("conv1d", CONV)
    assert found.bytes == {"dram": 3 * 714 * 32}
    assert found.bound == "memory"


@pytest.mark.parametrize(
    ("kind", "arguments", "cycles", "bound"),
    [
        ("norm", {"op": "rmsnorm", "tokens": 1, "width": 2560, "dtype": "int8"}, 320 + 9 + 320, "norm_in"),
        ("norm", {"op": "gated_rmsnorm", "tokens": 3, "width": 80, "dtype": "int8"}, 3 * (10 + 9 + 10), "norm_in"),
        ("elementwise", {"op": "silu_mul", "tokens": 5, "width": 5120, "dtype": "int4"}, 5 * 640, "gate"),
        ("elementwise", {"op": "add", "tokens": 1, "width": 2561, "dtype": "int4"}, 321, "gate"),
    ],
)
def test_vector_units_stream(kind: str, arguments: dict[str, object], cycles: int, bound: str) -> None:
    """Channels over lanes for each token, nothing off chip."""
    found = timed(kind, arguments)
    assert (found.cycles, found.bound, found.bytes) == (cycles, bound, {})
    assert found.utilization == {bound: 1.0}


def test_energy_is_dynamic_and_static() -> None:
    """Bytes, MACs, and power times time."""
    found = timed("gemm", GEMM)
    picojoules = found.bytes["dram"] * 32 + found.macs * 0.3
    assert found.energy_j == pytest.approx(picojoules * 1e-12 + 2.87 * found.time_s)
    assert found.time_s == found.cycles / 400e6


@pytest.mark.parametrize(
    ("kind", "arguments", "resource", "reason"),
    [
        ("gemm", {**GEMM, "dtype": "bf16"}, "number format", "linear core takes int4 for activation, not bf16"),
        ("gemm", {**GEMM, "b_dtype": "int8"}, "number format", "linear core takes int4 for weight, not int8"),
        ("scan", {**SCAN, "dtype": "bf16"}, "number format", "scan unit takes int8 for state, not bf16"),
        ("conv1d", {**CONV, "dtype": "bf16"}, "number format", "conv1d unit takes int8 for state, not bf16"),
        ("scan", {**SCAN, "mixer": "gdn", "dtype": "int8"}, "scan unit", "lanes run mamba1 and mamba2 only"),
        ("norm", {"op": "layernorm", "tokens": 1, "width": 8}, "layernorm unit", "do not compute layernorm"),
        ("elementwise", {"op": "rope", "tokens": 1, "width": 8}, "rope unit", "do not compute rope"),
        ("softmax", {"tokens": 1, "width": 8}, "softmax unit", "has no unit for softmax"),
        (
            "attention",
            {"phase": "decode", "batch": 1, "heads": 2, "kv_heads": 1, "q_len": 1, "kv_len": 9, "head_dim": 8},
            "attention unit",
            "vck190 has no attention unit",
        ),
        (
            "conv2d",
            {"batch": 1, "oc": 2, "ic": 3, "y": 4, "x": 4, "r": 3, "s": 3},
            "conv2d unit",
            "has no unit for conv2d",
        ),
    ],
)
def test_what_has_no_unit_is_infeasible(kind: str, arguments: dict[str, object], resource: str, reason: str) -> None:
    """Kinds, ops and formats beyond the machine, each with its reason."""
    bad = kernel(build_kernel(kind, arguments), machine("vck190"))
    assert isinstance(bad, Infeasible)
    assert bad.resource == resource
    assert reason in bad.reason
    assert bad.levers


def test_json_of_a_kernel() -> None:
    """Plain, and it names the constants that it leans on."""
    plain = timed("gemm", GEMM).to_dict()
    assert json.loads(to_json(plain)) == plain
    assert "device.memory.bandwidth" in plain["constants"]["fitted"]
    assert set(plain) >= {"kind", "device", "time_s", "cycles", "energy_j", "bound", "bytes", "macs", "utilization"}
