"""What a pass holds in device memory, and what to change when it does not fit."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hwsim.devices.base import MEMORY
from hwsim.devices.gpu.cluster import per_card
from hwsim.errors import Infeasible

if TYPE_CHECKING:
    from hwsim.devices.base import PassWork
    from hwsim.devices.gpu.parameters import GpuParameters
    from hwsim.workload.graph import Graph

__all__ = ["check_memory", "memory_terms"]


def memory_terms(p: GpuParameters, passes: tuple[tuple[Graph, PassWork], ...]) -> dict[str, float]:
    """Bytes of weights (each model once), of keys, values and states, and of activations (the widest op's).

    Of a cluster: those of the card that holds most.
    """
    weights: dict[str, float] = {}
    held: dict[str, float] = {}
    activations = 0.0
    for graph, work in passes:
        model = "draft" if work.role == "draft" else "target"
        terms = per_card(p, graph, work) if p.cluster else _terms(graph)
        weights.setdefault(model, terms["weights"])
        held[model] = max(held.get(model, 0.0), terms["state"] + _copies(graph, work, p))
        activations = max(activations, terms["activations"])
    return {"weights": sum(weights.values()), "state": sum(held.values()), "activations": activations}


def _terms(graph: Graph) -> dict[str, float]:
    """The terms of one pass on one card."""
    weights = float(sum(op.weight_bytes for op in graph.ops))
    state = activations = 0.0
    for op in graph.ops:
        state += sum(each.bytes(op.dims) for each in op.operands if each.role in ("state", "cache"))
        flowing = sum(each.bytes(op.dims) for each in op.operands if each.role in ("activation", "output"))
        activations = max(activations, float(flowing))
    return {"weights": weights, "state": state, "activations": activations}


def _copies(graph: Graph, work: PassWork, p: GpuParameters) -> float:
    """Bytes of the states that a verification keeps, one after each token but the last."""
    extra = work.state.writes - 1
    if extra <= 0:
        return 0.0
    states = sum(each.bytes(op.dims) for op in graph.ops for each in op.operands if each.role == "state")
    cluster = p.cluster
    return float(extra * states) / (cluster.cards // cluster.sequence if cluster else 1)


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
