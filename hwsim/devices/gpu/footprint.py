"""What a pass holds in device memory, and what to change when it does not fit."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from hwsim.devices import held
from hwsim.devices.base import MEMORY
from hwsim.devices.gpu.cluster import per_card
from hwsim.errors import Infeasible
from hwsim.formats import FORMATS

if TYPE_CHECKING:
    from hwsim.devices.base import PassWork
    from hwsim.devices.gpu.parameters import GpuParameters
    from hwsim.workload.graph import Graph

__all__ = ["check_memory", "memory_terms"]


def memory_terms(p: GpuParameters, passes: tuple[tuple[Graph, PassWork], ...]) -> dict[str, float]:
    """Bytes of weights, of keys, values and states, and of activations. Of a cluster: of the card that holds most."""
    cluster = p.cluster
    if cluster is None:
        return held.memory_terms(passes)
    share = cluster.cards // cluster.sequence
    return held.memory_terms(
        passes,
        lambda graph, work: per_card(p, graph, work),
        lambda graph, work: held.kept_states(graph, work) / share,
    )


def check_memory(p: GpuParameters, passes: tuple[tuple[Graph, PassWork], ...]) -> Infeasible | None:
    """None when the card's memory holds everything, else the terms and the levers.

    A batch and a context that fit are found by the caller, who knows the question.
    """
    terms, capacity = memory_terms(p, passes), p.memory.capacity.value
    demand = sum(terms.values())
    if demand <= capacity:
        return None
    return Infeasible(
        MEMORY,
        demand,
        capacity,
        "bytes",
        f"{p.name} holds {capacity / 1e9:.0f} GB{' a card' if p.cluster else ''}, {demand / 1e9:.1f} GB are needed",
        terms,
        (*_narrower(p, passes, demand), _more_cards(p, demand)),
    )


def _narrower(p: GpuParameters, passes: tuple[tuple[Graph, PassWork], ...], demand: float) -> tuple[str, ...]:
    """Weight formats under which everything fits, widest first; without one, that a narrower one is not enough."""
    held_bytes = memory_terms(p, passes)["weights"]
    bits = _stored_bits(passes)
    fits = [
        name
        for name in ("fp8_e4m3", "int4")
        if FORMATS[name].bits < bits
        and demand - held_bytes * (1.0 - FORMATS[name].bits / bits) <= p.memory.capacity.value
    ]
    return tuple(f"--set workload.formats.weights={name}" for name in fits) or (
        "narrower weights (int4, fp8), not enough alone",
    )


def _stored_bits(passes: tuple[tuple[Graph, PassWork], ...]) -> float:
    """Bits of a weight, of all models together."""
    ops = [op for graph, _ in passes for op in graph.ops]
    return 8.0 * sum(op.weight_bytes for op in ops) / max(1, sum(op.parameters for op in ops))


def _more_cards(p: GpuParameters, demand: float) -> str:
    """How many of these cards hold it, when they divide all that they hold."""
    together = p.cluster.tensor * p.cluster.pipeline if p.cluster else 1
    least = math.ceil(demand * together / p.memory.capacity.value)
    return f"{least} cards or more that divide the model (device.cluster), or a card with more memory"
