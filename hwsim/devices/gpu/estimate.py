"""What a kernel takes: the value that every kind of kernel returns, and the setting in which it runs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

import numpy as np

if TYPE_CHECKING:
    from hwsim.devices.gpu.parameters import GpuParameters
    from hwsim.workload.op import Op

__all__ = ["ALONE", "IN_MODEL", "NO_KERNEL", "Estimate", "Setting", "host_s", "is_linear", "l2_bytes", "limiter"]


@dataclass(frozen=True, slots=True)
class Setting:
    """Where a kernel runs.

    Attributes:
        weight_copies: sets of weights used in turn before the same come again; 1 where they are in place.
        replayed: whether the inputs of the last run are still in L2.
        fills_l2: whether no more sets are used than exceed L2.
    """

    weight_copies: float
    replayed: bool
    fills_l2: bool = False


ALONE: Final = Setting(5.0, True, True)
"""A kernel on its own, as benchmarks time it: repeated, activations in place, sets of weights in turn until they fill
L2, five at most."""

IN_MODEL: Final = Setting(1e6, False)
"""A kernel among others: its weights come from memory, its inputs were just written."""


@dataclass(frozen=True, slots=True)
class Estimate:
    """What one kernel takes; arrays of rows where the op's dimensions are arrays (`hwsim.workload.rows`).

    Attributes:
        time_s: without the host's part.
        bound: the resource that limits it (`hwsim.devices.gpu.machine` lists them).
        bytes: memory level -> bytes.
        flop: operations of the tensor cores (padding left out).
        alu_ops: other operations.
        path: tensor path, empty for none.
        mapping: what was chosen (tile, split …), for `map`.
    """

    time_s: float
    bound: str
    bytes: Mapping[str, float]
    flop: float = 0.0
    alu_ops: float = 0.0
    path: str = ""
    mapping: Mapping[str, float | str] = field(default_factory=dict)


NO_KERNEL: Final = Estimate(0.0, "latency", {})
"""Of an op that another op's kernel does, or that needs none."""


def l2_bytes(p: GpuParameters) -> float:
    """L2 capacity for data that all SMs read: partitions each keep their own copy."""
    return p.l2.capacity.value / p.l2.partitions.value


def is_linear(op: Op) -> Any:
    """Whether an op is one product, as a linear layer runs it; an array where its dimensions are arrays."""
    return op.side_by_side[0] == 1 if op.kind == "gemm" else False


def host_s(p: GpuParameters, linear: Any) -> Any:
    """The host's part of a kernel that stands alone: nothing, a gap in a replayed graph, or a call to an idle card.

    Args:
        p: the card.
        linear: whether it is a linear layer (`is_linear`), one or an array.
    """
    if p.launch == "eager":
        return p.launches.call.value + p.launches.linear.value * linear
    return p.launches.graph.value if p.launch == "graph" else 0.0


def limiter(*cases: tuple[Any, str], otherwise: Any) -> Any:
    """The name of the first condition that holds, or ``otherwise``; an array of names where conditions are arrays."""
    if any(np.ndim(holds) for holds, _ in cases):
        names = np.broadcast_arrays(*(np.asarray(holds, dtype=bool) for holds, _ in cases))
        return np.select(names, [np.array(name, dtype=object) for _, name in cases], otherwise)
    return next((name for holds, name in cases if holds), otherwise)
