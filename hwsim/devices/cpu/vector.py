"""Norms, softmax, elementwise ops, gathers, convolutions along the sequence and scans on AVX-512."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final

from hwsim.devices.cpu.attention import EXPONENTIAL
from hwsim.devices.cpu.blocking import cores_of
from hwsim.devices.cpu.gemm import Planned, Work
from hwsim.devices.cpu.instructions import mix_cycles
from hwsim.devices.cpu.pipeline import PAGE_BYTES, Pipe
from hwsim.errors import Infeasible

if TYPE_CHECKING:
    from hwsim.devices.cpu.parameters import CpuParameters
    from hwsim.workload.op import Op

__all__ = ["exponentials", "plan_vector"]

_CHUNK: Final = 1024
"""Bytes of a tile of a streaming kernel."""

_MOST_TILES: Final = 256
"""Tiles of one repetition: longer streams repeat."""

_EXPONENTIALS: Final = {
    "softmax": 1.0,
    "silu": 1.0,
    "silu_mul": 1.0,
    "gelu": 1.0,
    "gelu_mul": 1.0,
    "softplus": 2.0,
    "softplus_bias": 2.0,
    "gated_rmsnorm": 1.0,
}
"""Exponentials, logarithms or hyperbolic tangents for each element of an op."""


def exponentials(op: Op) -> float:
    """Exponentials of an op: of each element, of each state (Mamba-1), or of each head (Mamba-2)."""
    d = op.dims
    if op.kind == "scan":
        tokens = d["batch"] * d["seq_len"] * d["groups"] * d["group"]
        per_head = d["head_dim"] * d["d_state"] if op.attributes["mixer"] == "mamba1" else 1
        return float(tokens * per_head)
    if op.kind == "conv1d":
        return float(d["batch"] * d["seq_len"] * d["channels"]) * (op.attributes.get("activation") == "silu")
    return _EXPONENTIALS.get(str(op.attributes.get("op", "")), 0.0) * d.get("tokens", 1) * d.get("width", 1)


def plan_vector(p: CpuParameters, op: Op) -> Planned | Infeasible:
    """A streaming kernel: weights and states from memory, activations from where their size puts them."""
    asked = cores_of(p, op)
    if isinstance(asked, Infeasible):
        return asked
    roles = op.bytes_by_role
    kept = float(roles["activation"] + roles["output"])
    total = float(sum(roles.values()))
    dram = total - kept + max(0.0, kept - p.caches.llc.value)
    cores = max(1, min(asked, math.ceil(total / PAGE_BYTES)))
    tiles = max(1, math.ceil(total / cores / _CHUNK))
    reps = -(-tiles // _MOST_TILES)
    each = -(-tiles // reps)
    clock, count = p.clock.turbo.value, each * reps
    lanes = (op.macs + op.other_ops + (EXPONENTIAL - 1.0) * exponentials(op)) / 16.0
    vectors = total / 64.0
    mix = {"fma": lanes / cores / count, "load": 0.7 * vectors / cores / count, "store": 0.3 * vectors / cores / count}
    pipe = Pipe(
        tiles=each,
        reps=reps,
        memory=dram / (p.dram.bandwidth.value * p.dram.share.value) * clock / count,
        core=dram / cores / p.core_path.bandwidth.value * clock / count,
        restart=p.core_path.restart.value * clock,
        pages=dram / cores / PAGE_BYTES / count,
        cache=(total - dram) / cores / count / p.caches.llc_bytes_per_cycle.value,
        vector=mix_cycles(p.vector, mix),
        window=p.core_path.window_tiles(_CHUNK),
    )
    return Planned((Work(pipe, dram),), threads=cores)
