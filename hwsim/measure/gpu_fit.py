"""From a card's rows to the constants of its software stack: coordinate descent on the closed forms themselves."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final

from hwsim.devices.gpu.estimate import ALONE
from hwsim.errors import Infeasible
from hwsim.spec import Quantity

if TYPE_CHECKING:
    from hwsim.devices.gpu.parameters import GpuParameters
    from hwsim.devices.gpu.stack import Stack
    from hwsim.workload.op import Op

__all__ = ["GROUPS", "Group", "Timed", "fit", "spread_of"]

_STEPS: Final = (0.6, 0.8, 0.9, 0.96, 1.04, 1.1, 1.25, 1.6)
_ROUNDS: Final = 8


@dataclass(frozen=True, slots=True)
class Timed:
    """An op and its measured seconds."""

    op: Op
    time_s: float


@dataclass(frozen=True, slots=True)
class Group:
    """Rows that tell some constants of the stack.

    Attributes:
        name: of the group, for messages and sources.
        holds: which rows.
        constants: paths below the stack, in the order in which they are tried.
        rows: fewest rows that tell them apart.
    """

    name: str
    holds: Callable[[Op], bool]
    constants: tuple[str, ...]
    rows: int


def _wide(op: Op) -> bool:
    return op.kind == "gemm" and op.operands[0].format in ("bf16", "fp16", "fp32")


def _narrow(op: Op) -> bool:
    return op.kind == "gemm" and not _wide(op)


def _vector(*names: str) -> Callable[[Op], bool]:
    return lambda op: op.kind in ("norm", "softmax", "elementwise") and str(op.attributes["op"]) in names


def _attention(*phases: str) -> Callable[[Op], bool]:
    return lambda op: op.kind == "attention" and op.attributes["phase"] in phases


GROUPS: Final = (
    Group("streaming kernels", _vector("add", "copy", "gelu"), ("vector.floor", "vector.stream", "vector.l2_share"), 6),
    Group("gated kernels", _vector("silu_mul"), ("vector.gated.hot", "vector.gated.cold"), 3),
    Group("norms of engines", _vector("rmsnorm"), ("vector.norm.hot", "vector.norm.cold"), 3),
    Group("layer norms and softmax", _vector("layernorm", "softmax"), ("vector.rowwise",), 3),
    Group(
        "products of 16 and 32 bits",
        _wide,
        ("gemm.tensor_share", "dram_share", "gemm.floor", "gemm.fill", "gemm.store", "gemm.split", "gemm.feed"),
        20,
    ),
    Group("products of 8 bits", _narrow, ("gemm.narrow_share",), 6),
    Group(
        "prompts and images",
        _attention("prefill", "bidirectional"),
        ("attention.floor", "attention.tensor_share", "attention.block"),
        5,
    ),
    Group("decode steps", _attention("decode"), ("attention.decode_floor", "attention.cta_bytes", "attention.step"), 4),
    Group("causal convolutions", lambda op: op.kind == "conv1d", ("scan.conv_floor", "scan.conv_stream"), 3),
    Group("chunked scans", lambda op: op.kind == "scan", ("scan.floor", "scan.chunk_share"), 3),
)
"""Groups in the order in which they are fitted; a group leaves the constants of those before it alone."""

_SHARES: Final = ("share", "stream", "gated", "rowwise")


def fit(p: GpuParameters, group: Group, rows: tuple[Timed, ...], source: str) -> GpuParameters:
    """The card with the constants of a group set to what its rows give best, of kind ``measured``.

    The mean absolute logarithm of predicted over measured is made least, one constant after the other, by factors.
    """
    best, error = p, spread_of(p, rows)
    for _ in range(_ROUNDS):
        before = error
        for path in group.constants:
            for factor in _STEPS:
                tried = _with(best, path, _value(best, path) * factor, source)
                found = spread_of(tried, rows) if tried is not None else math.inf
                if tried is not None and found < error - 1e-9:
                    best, error = tried, found
        if before - error < 1e-4:
            break
    for path in group.constants:
        marked = _with(best, path, _value(best, path), source)
        best = marked if marked is not None else best
    return best


def spread_of(p: GpuParameters, rows: tuple[Timed, ...]) -> float:
    """Mean absolute logarithm of predicted over measured times; rows that the card cannot run are left out."""
    from hwsim.devices.gpu.kernels import estimate  # noqa: PLC0415 - brings in numba

    errors = []
    for row in rows:
        found = estimate(p, row.op, ALONE)
        if not isinstance(found, Infeasible):
            errors.append(abs(math.log(found.time_s / row.time_s)))
    return sum(errors) / len(errors) if errors else math.inf


def _value(p: GpuParameters, path: str) -> float:
    value: Any = p.software
    for name in path.split("."):
        value = getattr(value, name)
    return float(value.value)


def _with(p: GpuParameters, path: str, value: float, source: str) -> GpuParameters | None:
    """The card with one constant of its stack changed; None for a share above one."""
    if path.rpartition(".")[2].endswith(_SHARES) and value > 1.0:
        return None
    stack: Stack = _changed(p.software, path, value, source)
    return replace(p, stacks={**p.stacks, p.stack: stack})


def _changed(part: Any, path: str, value: float, source: str) -> Any:
    """A part of a stack with the quantity at a dotted path changed."""
    head, _, rest = path.partition(".")
    old = getattr(part, head)
    return replace(part, **{head: _changed(old, rest, value, source) if rest else _measured(old, value, source)})


def _measured(old: Quantity, value: float, source: str) -> Quantity:
    return Quantity(float(f"{value:.4g}"), old.unit, "measured", source)
