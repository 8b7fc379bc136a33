"""Small Results for tests of what stands right of the pipeline: plain values, no simulation."""

from __future__ import annotations

from typing import Any

from hwsim.devices.base import Roofs
from hwsim.errors import Infeasible
from hwsim.result import Constant, OpRow, PassRow, Result

ROOFS = Roofs({"int4": 25.6e9, "int8": 12.8e9}, {"dram": 12.8e9})


def op_row(name: str = "in_proj", **changes: Any) -> OpRow:
    """One operator: a GEMM bound by memory, unless told otherwise."""
    values: dict[str, Any] = {
        "name": name,
        "kind": "gemm",
        "block": "mamba2",
        "count": 64,
        "time_s": 0.060,
        "cycles": 24e6,
        "busy_s": 0.062,
        "held_s": 0.062,
        "resource": "dram_port",
        "bytes": 0.62e9,
        "macs": 1.2e9,
        "bound": "memory",
        "share": 0.6,
    }
    values |= changes
    derived = {
        "bytes_by": {"dram": values["bytes"]},
        "stored_macs": values["macs"],
        "energy_j_by": {"dram": 0.1 * values["bytes"] / 1.01e9},
    }
    return OpRow(**{**derived, **values})


OPS = (
    op_row(),
    op_row("out_proj", time_s=0.030, busy_s=0.031, held_s=0.031, cycles=12e6, bytes=0.31e9, macs=0.6e9, share=0.3),
    op_row(
        "scan",
        kind="scan",
        time_s=0.0,
        busy_s=0.025,
        held_s=0.025,
        cycles=0,
        bytes=0.08e9,
        macs=0.12e9,
        share=0.0,
        resource="scan_lanes",
        bound="compute",
    ),
    op_row(
        "norm",
        kind="norm",
        time_s=0.010,
        busy_s=0.009,
        held_s=0.009,
        cycles=4e6,
        bytes=0.0,
        macs=0.0,
        share=0.1,
        resource="norm",
        bound="compute",
    ),
)

FITTED = Constant(
    "device.memory.bandwidth", 10.05e9, "bytes/s", "fitted", "one flat bandwidth, fitted to 7.21 tokens/s at 400 MHz"
)
ASSUMED = Constant(
    "device.energy.mac", 0.35, "pJ", "assumed", "no source states it; a 4-bit multiplier in fabric", "energy"
)


def result(**changes: Any) -> Result:
    """An autoregressive decode step of 0.1 s on a machine called ``board``."""
    values: dict[str, Any] = {
        "workload": "mamba",
        "device": "board",
        "family": "fpga",
        "mapping": "auto",
        "phase": "decode",
        "batch": 1,
        "context": 0,
        "new_tokens": 1,
        "clock_hz": 400e6,
        "cycles": 40_000_000,
        "time_s": 0.1,
        "step_s": 0.1,
        "step_cycles": 40_000_000,
        "tokens_per_step": 1.0,
        "time_per_token_s": 0.1,
        "tokens_per_s": 10.0,
        "tokens_per_s_per_user": 10.0,
        "images_per_s": None,
        "time_to_first_token_s": None,
        "energy_j": 0.4,
        "energy_j_by": {"static": 0.3, "dram": 0.1},
        "tokens_per_j": 2.5,
        "images_per_j": None,
        "bound": "memory",
        "utilization": {"dram_port": 0.97, "linear": 0.61, "scan_lanes": 0.25},
        "bytes": {"dram": 1.01e9},
        "macs": 1.92e9,
        "memory_bytes": {"weights": 1.3e9, "state": 45e6, "activations": 1e5},
        "speculative": None,
        "formats": {"asked": {"weights": "int4", "state": "int8"}, "used": {"weights": "int4", "state": "int8"}},
        "ops": OPS,
        "passes": (PassRow("decode", "mamba2-2.7b", 1, 1, 1, 40_000_000, 0.1, "none"),),
        "fitted": (FITTED,),
        "assumed": (ASSUMED,),
        "set_by_user": (),
        "notes": (),
        "inputs": {"mamba.yaml": "a" * 64, "board.yaml": "b" * 64},
        "roofs": ROOFS,
    }
    return Result(**{**values, **changes})


def speculative(**changes: Any) -> Result:
    """A speculative step of 0.125 s for 3 tokens on ``board-spec``."""
    passes = (
        *(PassRow("draft", "mamba2-130m", 1, 1, 1, 2_000_000, 0.005, "cache", level=level) for level in (1, 2, 3)),
        PassRow("verify", "mamba2-2.7b", 4, 1, 1, 44_000_000, 0.110, "replay"),
    )
    values: dict[str, Any] = {
        "device": "board-spec",
        "step_s": 0.125,
        "time_s": 0.125,
        "cycles": 50_000_000,
        "step_cycles": 50_000_000,
        "tokens_per_step": 3.0,
        "time_per_token_s": 0.125 / 3,
        "tokens_per_s": 24.0,
        "tokens_per_s_per_user": 24.0,
        "tokens_per_j": 6.0,
        "passes": passes,
        "speculative": {
            "nodes": 4,
            "parents": [0, 1, 2],
            "draft": "mamba2-130m",
            "tokens_per_step": 3.0,
            "policy": {"draft": "cache", "target": "replay"},
        },
        "formats": {"asked": {"weights": "int4", "state": "bf16"}, "used": {"weights": "int4", "state": "int8"}},
        "notes": ("The acceptance was measured on another model.",),
    }
    return result(**{**values, **changes})


INFEASIBLE = Infeasible(
    "LUT",
    120_000,
    100_000,
    "LUT",
    "The design does not fit the fabric",
    {"linear": 90_000, "scan": 30_000},
    ("fewer lanes", "a smaller tp"),
)
