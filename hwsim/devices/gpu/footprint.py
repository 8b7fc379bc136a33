"""What a pass holds in device memory, and what to change when it does not fit."""

from __future__ import annotations

from typing import TYPE_CHECKING

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
        "device memory",
        demand,
        capacity,
        "bytes",
        f"{p.name} holds {capacity / 1e9:.0f} GB{' a card' if p.cluster else ''}; {_largest(terms, capacity, passes)}",
        terms,
        ("a narrower weight format (int4, fp8)", "a card with more memory", "a smaller batch", "a shorter context"),
    )


def _largest(terms: dict[str, float], capacity: float, passes: tuple[tuple[Graph, PassWork], ...]) -> str:
    """What fits instead: the largest batch at this context, and the longest context at this batch."""
    room = capacity - terms["weights"]
    per_sequence = (terms["state"] + terms["activations"]) / max(1, passes[0][1].batch)
    if room < per_sequence:
        return "its weights alone leave no room for a sequence of this context"
    work = passes[-1][1]
    batch = int(room // per_sequence)
    context = int((work.context + work.tokens) * room / (terms["state"] + terms["activations"]))
    return f"at this context batch {batch} fits, at this batch about {context:,} tokens"
