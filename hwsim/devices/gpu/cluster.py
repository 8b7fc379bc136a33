"""Several cards as one machine: parts of ops with the collectives between them, and memory by card."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from hwsim.devices.gpu.collective import collective_time, link_between
from hwsim.devices.gpu.shard import Collective, Split, collectives_after, shard
from hwsim.errors import Infeasible

if TYPE_CHECKING:
    from hwsim.devices.base import PassWork
    from hwsim.devices.gpu.parameters import Cluster, GpuParameters
    from hwsim.workload.graph import Graph
    from hwsim.workload.op import Op

__all__ = ["Plan", "collective_seconds", "parts_of", "per_card", "plan_of", "send_seconds"]


@dataclass(frozen=True, slots=True)
class Plan:
    """How a pass runs on a cluster.

    Attributes:
        split: how its ops are divided.
        stages: stages of the pipeline.
        micro_batches: parts of a replica's sequences that follow one another through the pipeline.
        replicas: groups of cards that each hold the whole model.
        cards: cards of the machine.
    """

    split: Split
    stages: int
    micro_batches: int
    replicas: int
    cards: int

    @property
    def sharers(self) -> int:
        """Cards that move an op's bytes at the same time, in all replicas."""
        return self.split.tensor * self.split.sequence * self.replicas

    def repetitions(self, layers: int) -> int:
        """Layers that the critical path holds: those of one micro-batch, and the waits for the others.

        A decode keeps as many micro-batches in flight as there are stages: a step lasts one way through. A prompt's
        micro-batches leave one after the other: stage time x (micro-batches + stages - 1).
        """
        if self.split.decode:
            return layers
        return math.ceil(layers * (self.micro_batches + self.stages - 1) / self.stages)


def plan_of(cluster: Cluster, work: PassWork) -> Plan:
    """The division of a pass: sequences over replicas, then over micro-batches; layers, heads and tokens as set."""
    replicas = cluster.replicas
    own = math.ceil(work.batch / replicas)
    parts = min(work.recipe.micro_batches if work.recipe else cluster.pipeline, own)
    local = math.ceil(own / parts)
    decode = work.role in ("decode", "draft", "verify")
    ways = (cluster.states, cluster.keys, cluster.experts)
    split = Split(cluster.tensor, cluster.sequence, work.batch, local, decode, work.recipe is not None, *ways)
    return Plan(split, cluster.pipeline, math.ceil(own / local), replicas, cluster.cards)


def parts_of(ops: tuple[Op, ...], plan: Plan) -> tuple[tuple[Op, tuple[Collective, ...]], ...]:
    """Each op's part, and what follows it."""
    parts = tuple(shard(op, plan.split) for op in ops)
    return tuple((part, collectives_after(part, plan.split)) for part in parts)


def collective_seconds(p: GpuParameters, each: Collective, op_s: float = 0.0) -> float:
    """Time of a collective between cards of the cluster that does not run beside the op before it.

    Cards that divide a layer stand in one node as far as they fit.

    Args:
        p: the cluster.
        each: the collective.
        op_s: time of the op before it.
    """
    link = link_between(p, each.gpus)
    if isinstance(link, Infeasible):
        raise ValueError(f"{p.name}: no link among {each.gpus} cards")
    if each.op in ("chain", "ring"):
        message = collective_time(link, "send_recv", each.bytes, 2).time_s
        if each.op == "chain":
            update = each.reads / (p.stream_bytes_s * p.software.dram_share.value)
            return float((each.gpus - 1) * (message + update))
        return float((each.gpus - 1) * max(0.0, message - op_s / each.gpus))
    return max(0.0, collective_time(link, each.op, each.bytes, each.gpus).time_s - each.share * op_s)


def send_seconds(p: GpuParameters, plan: Plan, activation_bytes: float) -> float:
    """Time that one pass spends between the stages of the pipeline: one message less than there are stages."""
    hops = plan.stages - 1 if not plan.split.decode or plan.micro_batches < plan.stages else plan.stages
    if plan.stages == 1:
        return 0.0
    link = link_between(p, plan.stages * plan.split.tensor * plan.split.sequence)
    if isinstance(link, Infeasible):
        raise ValueError(f"{p.name}: no link between stages")
    return hops * collective_time(link, "send_recv", activation_bytes, 2).time_s


def _part_bytes(op: Op, whole: Split, flowing: Split) -> tuple[float, int, int]:
    """Bytes of a card's part of an op: weights, then states and caches of all sequences, then what flows at a time."""
    part, now = shard(op, whole), shard(op, flowing)
    held = sum(each.bytes(part.dims) for each in part.operands if each.role in ("state", "cache"))
    active = sum(each.bytes(now.dims) for each in now.operands if each.role in ("activation", "output"))
    return float(part.weight_bytes), held, active


def per_card(p: GpuParameters, graph: Graph, work: PassWork) -> dict[str, float]:
    """Bytes of weights, states (with keys and values) and activations on the card that holds most."""
    if p.cluster is None:
        raise ValueError(f"{p.name} is one card")
    plan = plan_of(p.cluster, work)
    own = math.ceil(work.batch / plan.replicas)
    whole = replace(plan.split, local=own, train=False)
    layers = {op.layer for op in graph.ops if op.layer is not None}
    share = math.ceil(len(layers) / plan.stages) / max(1, len(layers))
    ends: dict[str, float] = {}
    terms = {"weights": 0.0, "state": 0.0, "activations": 0.0}
    for op, repeats in ((op, run.repeats) for run in graph.layer_runs() for op in run.ops):
        found, held, active = _part_bytes(op, whole, plan.split)
        weight = found * repeats
        if op.layer is None:
            ends[op.block] = ends.get(op.block, 0.0) + weight
        else:
            terms["weights"] += weight * share
        terms["state"] += held * repeats * share
        terms["activations"] = max(terms["activations"], float(active))
    terms["weights"] += sum(ends.values()) if plan.stages == 1 else max(ends.values(), default=0.0)
    return terms
