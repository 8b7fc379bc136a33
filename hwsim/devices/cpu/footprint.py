"""What a pass holds in a socket's memory: weights with their bitmaps, caches and states, activations."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hwsim.devices.base import MEMORY
from hwsim.devices.held import memory_terms
from hwsim.errors import Infeasible
from hwsim.units import format_bytes

if TYPE_CHECKING:
    from hwsim.devices.base import PassWork
    from hwsim.devices.cpu.parameters import CpuParameters
    from hwsim.workload.graph import Graph

__all__ = ["bitmap_bytes", "check_memory", "held_bytes"]


def bitmap_bytes(graph: Graph) -> float:
    """Bytes of the bitmaps of a model's sparse weights: one bit for each weight, stored or not."""
    bits = 0
    for op in graph.ops:
        for each in op.operands:
            if each.role == "weight" and each.structure != "dense":
                bits += each.elements(op.dims) if each.resident is None else each.resident
    return bits / 8.0


def held_bytes(passes: tuple[tuple[Graph, PassWork], ...]) -> dict[str, float]:
    """Bytes by what they are."""
    terms = memory_terms(passes)
    models = {work.role == "draft": graph for graph, work in passes}
    return {**terms, "weights": terms["weights"] + sum(bitmap_bytes(graph) for graph in models.values())}


def check_memory(p: CpuParameters, passes: tuple[tuple[Graph, PassWork], ...]) -> Infeasible | None:
    """None when the memory in use holds everything, else the terms and the levers."""
    terms, capacity = held_bytes(passes), p.dram.capacity.value
    demand = sum(terms.values())
    if demand <= capacity:
        return None
    reason = f"{p.name} holds {format_bytes(capacity)} of {p.memory}, {format_bytes(demand)} are needed"
    levers = (
        "sparser weights (sparsity:weights=…)",
        "a narrower weight format (int8)",
        "another memory (--set device.memory=…)",
    )
    return Infeasible(MEMORY, demand, capacity, "bytes", reason, terms, levers)
