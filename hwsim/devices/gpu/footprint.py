"""What a pass holds in device memory, and what to change when it does not fit."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hwsim.devices import held
from hwsim.devices.base import MEMORY
from hwsim.devices.gpu.cluster import per_card
from hwsim.errors import Infeasible

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
    """None when the card's memory holds everything, else the terms and the levers."""
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
        (
            "a narrower weight format (int4, fp8)",
            "a card with more memory or more cards",
            "a smaller batch",
            "a shorter context",
        ),
    )
