"""What a pass holds in device memory, and what to change when it does not fit."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from hwsim.devices import held
from hwsim.devices.base import MEMORY
from hwsim.devices.gpu.cluster import per_card
from hwsim.errors import Infeasible
from hwsim.formats import FORMATS
from hwsim.units import format_bytes

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
        f"{p.name} holds {format_bytes(capacity)}{' a card' if p.cluster else ''}, {format_bytes(demand)} are needed",
        terms,
        (*_narrower(p, passes, demand), _more_cards(p, demand)),
    )


def _narrower(p: GpuParameters, passes: tuple[tuple[Graph, PassWork], ...], demand: float) -> tuple[str, ...]:
    """Weight formats under which everything fits, widest first; without one, that narrower ones are not enough."""
    held_bytes = memory_terms(p, passes)["weights"]
    saved = {name: held_bytes * _saved(passes, FORMATS[name].bits) for name in ("fp8_e4m3", "int4")}
    saved = {name: count for name, count in saved.items() if count}
    fits = [name for name, count in saved.items() if demand - count <= p.memory.capacity.value]
    if fits or not saved:
        return tuple(f"--set workload.formats.weights={name}" for name in fits)
    return (f"narrower weights ({', '.join(name.partition('_')[0] for name in saved)}), not enough alone",)


def _saved(passes: tuple[tuple[Graph, PassWork], ...], bits: int) -> float:
    """Share of all weights' bytes that the layers' products of the target would save with so many bits.

    Embedding, head, router and experts whose format is not that of the others have formats of their own, which stay.
    """
    models = {work.role == "draft": graph for graph, work in passes}
    total = sum(op.weight_bytes for graph in models.values() for op in graph.ops)
    products = [op for op in models[False].ops if op.kind == "gemm" and op.layer is not None and op.weight_bytes]
    plain = {op.operand("b").format for op in products if "experts" not in op.attributes and op.name != "router"}
    saved = 0.0
    for op in products:
        stored = FORMATS[op.operand("b").format]
        if stored.bits > bits and (not plain or stored.name in plain):  # without their scales
            saved += op.weight_bytes * (1.0 - bits / stored.bits_per_element)
    return saved / max(1, total)


def _more_cards(p: GpuParameters, demand: float) -> str:
    """How many of these cards hold it, when they divide all that they hold."""
    together = p.cluster.tensor * p.cluster.pipeline if p.cluster else 1
    least = math.ceil(demand * together / p.memory.capacity.value)
    return f"{least} cards or more that divide the model (device.cluster), or a card with more memory"
