"""Products that engines run as one kernel, and products of a model as kernels run them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from hwsim.devices.gpu.estimate import Estimate
    from hwsim.devices.gpu.parameters import GpuParameters
    from hwsim.workload.op import Op

__all__ = ["Product", "siblings", "turned_by_next"]

_JOINED: Final = (
    ("q_proj", "k_proj", "v_proj"),
    ("q_a_proj", "kv_a_proj"),
    ("gate_proj", "up_proj"),
    ("shared_gate_proj", "shared_up_proj"),
)


@dataclass(frozen=True, slots=True)
class Product:
    """A matrix product of a model as one kernel runs it.

    Attributes:
        names: ops of the model that it serves: several where engines join them.
        op: what it computes.
        runs: in the pass.
        estimate: what one run takes.
        cycles: of one run, at the boost clock, with the host's part.
    """

    names: tuple[str, ...]
    op: Op
    runs: int
    estimate: Estimate
    cycles: int


def siblings(ops: tuple[Op, ...]) -> int:
    """How many of the first ops are one product in engines, of the same rows: q, k and v; gate and up."""
    for names in _JOINED:
        if ops[0].name in names:
            same = [op for op in ops[: len(names)] if op.kind == "gemm" and op.name in names]
            alike = {(op.dims["m"], op.dims["k"], op.dims["batch"], op.operands[1].format) for op in same}
            return len(same) if len(same) == len(ops[: len(same)]) and len(alike) == 1 else 1
    return 1


def turned_by_next(p: GpuParameters, ops: tuple[Op, ...]) -> bool:
    """Whether the first op is rope, which the attention behind it does itself on the way to the cache (`write_q`)."""
    if p.fusion != "fused" or len(ops) < 2 or ops[0].attributes.get("op") != "rope" or ops[1].kind != "attention":
        return False
    a, attention = p.software.attention, ops[1]
    own = a.kernel != "eager" and attention.attributes.get("kernel", "auto") == "auto"
    return (
        own and a.write_q.value > 0 and attention.operand("k").role == "cache" and "latent" not in attention.attributes
    )
