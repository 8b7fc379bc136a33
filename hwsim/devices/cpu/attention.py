"""Attention: keys and values as weight tiles of two products, pruned or not, copied to every query head or not."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from hwsim.devices.cpu.blocking import Blocking, Product, Split, blocking_of, cores_of
from hwsim.devices.cpu.gemm import Planned, Work, flowing_bytes, works_of
from hwsim.devices.cpu.instructions import mix_cycles
from hwsim.errors import HwsimError, Infeasible

if TYPE_CHECKING:
    from hwsim.devices.cpu.blocking import Kernel, Loop
    from hwsim.devices.cpu.parameters import CpuParameters
    from hwsim.workload.op import Op

__all__ = ["EXPONENTIAL", "FORMS", "plan_attention"]

FORMS: Final = ("auto", "grouped", "repeat_kv")
"""Attention kernels: each key-value head read once for its group of query heads, or copied to every query head."""

EXPONENTIAL: Final = 10.0
"""Instructions of an exponential on 16 lanes: range reduction (3) and a polynomial of degree 6 with its scaling."""

_LOOPS: Final[dict[str, Loop]] = {
    "amx": "columns-outer", "avx512": "columns-outer", "amx-sparse": "rows-outer", "avx-sparse": "rows-outer"
}  # fmt: skip

_SCORE: Final = 5.0
"""Other instructions for 16 scores: scale, maximum, subtract, sum, convert."""


def _repeats(p: CpuParameters, op: Op) -> bool:
    asked = str(op.attributes.get("kernel", "auto"))
    if asked not in FORMS:
        raise HwsimError.unknown_name("attention", "kernel of a CPU", asked, FORMS)
    return asked == "repeat_kv" or (asked == "auto" and p.software.repeat_kv)


def plan_attention(p: CpuParameters, op: Op) -> Planned | Infeasible:
    """The two products of attention in tiles, with the softmax of their scores on the vector units.

    Values of another width than keys make both products as deep as the mean of the two.
    """
    cores = cores_of(p, op)
    if isinstance(cores, Infeasible):
        return cores
    d, repeated = op.dims, _repeats(p, op)
    heads = d["batch"] * d["kv_heads"] * (d["group"] if repeated else 1)
    rows = d["q_len"] * (1 if repeated else d["group"])
    keys, dtype = op.operand("k"), op.output.format
    computed = "fp32" if dtype == "fp32" else "bf16"
    seen, flows = _seen(op), keys.role == "activation"
    widths = _widths(op)
    fresh = d["head_dim"] / widths if op.attributes.get("latent") else 1.0
    product = Product(
        rows, seen, -(-widths // 2), 2 * heads, keys.format, computed, keys.density, keys.density < 1, flows, fresh
    )
    blocking = _blocking(p, product, _kernel(p, product), cores)
    works = works_of(p, product, blocking, flowing_bytes(op))
    scores = float(d["batch"] * d["kv_heads"] * d["group"] * d["q_len"]) * seen
    first, tiles = works[0].pipe, works[0].pipe.tiles * works[0].pipe.reps
    softmax = mix_cycles(p.vector, {"fma": (EXPONENTIAL + _SCORE) * scores / 16.0 / blocking.cores}) / tiles
    works = (Work(replace(first, vector=first.vector + softmax), works[0].dram_bytes), *works[1:])
    return Planned(works, blocking, threads=blocking.cores)


def _widths(op: Op) -> int:
    """Elements of a key and a value."""
    return op.dims["head_dim"] + op.dims.get("v_head_dim", op.dims["head_dim"])


def _seen(op: Op) -> int:
    """Positions that a query sees on average: half of a causal prompt is masked, and skipped tile by tile."""
    d = op.dims
    pairs = op.macs / (1.0 * d["batch"] * d["kv_heads"] * d["group"] * _widths(op) * d["q_len"])
    return max(1, math.ceil(pairs))


def _kernel(p: CpuParameters, product: Product) -> Kernel:
    if p.amx is None or product.computed == "fp32":
        return "avx-sparse" if product.bitmap else "avx512"
    return "amx-sparse" if product.bitmap else "amx"


def _blocking(p: CpuParameters, product: Product, kernel: Kernel, cores: int) -> Blocking:
    """Threads share the tiles of all heads evenly."""
    each = -(-product.column_tiles * product.batch // cores)
    return blocking_of(p, product, Split(kernel, _LOOPS[kernel], 1, each), cores)
