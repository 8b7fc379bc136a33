"""What passes hold in one memory: shared by the families that keep weights, caches and states in a single memory."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from hwsim.devices.base import PassWork
    from hwsim.workload.graph import Graph

__all__ = ["graph_terms", "kept_states", "memory_terms"]


def memory_terms(
    passes: tuple[tuple[Graph, PassWork], ...],
    terms_of: Callable[[Graph, PassWork], dict[str, float]] | None = None,
    copies_of: Callable[[Graph, PassWork], float] | None = None,
) -> dict[str, float]:
    """Bytes of weights (each model once), of keys, values and states, and of activations (the widest op's).

    Args:
        passes: graphs with their work.
        terms_of: bytes of one pass by term; by default :func:`graph_terms`.
        copies_of: bytes of the states that a verification keeps besides; by default :func:`kept_states`.
    """
    weights: dict[str, float] = {}
    held: dict[str, float] = {}
    activations = 0.0
    for graph, work in passes:
        model = "draft" if work.role == "draft" else "target"
        terms = terms_of(graph, work) if terms_of else graph_terms(graph)
        copies = copies_of(graph, work) if copies_of else kept_states(graph, work)
        weights.setdefault(model, terms["weights"])
        held[model] = max(held.get(model, 0.0), terms["state"] + copies)
        activations = max(activations, terms["activations"])
    return {"weights": sum(weights.values()), "state": sum(held.values()), "activations": activations}


def graph_terms(graph: Graph) -> dict[str, float]:
    """Bytes of one pass: all weights; keys, values and states; the widest op's activations."""
    weights = state = activations = 0.0
    for op, count in graph.distinct():
        weights += count * op.weight_bytes
        state += count * sum(each.bytes(op.dims) for each in op.operands if each.role in ("state", "cache"))
        flowing = sum(each.bytes(op.dims) for each in op.operands if each.role in ("activation", "output"))
        activations = max(activations, float(flowing))
    return {"weights": weights, "state": state, "activations": activations}


def kept_states(graph: Graph, work: PassWork) -> float:
    """Bytes of the states that a verification keeps, one after each token but the last."""
    extra = work.state.writes - 1
    if extra <= 0:
        return 0.0
    states = (
        count * each.bytes(op.dims) for op, count in graph.distinct() for each in op.operands if each.role == "state"
    )
    return float(extra * sum(states))
