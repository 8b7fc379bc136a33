"""Training on one card or several: what each holds, and what cards with different data exchange.

Cards that see different data (data parallel, and the parts of a sequence) add up their gradients: an all-reduce, or a
reduce-scatter where each keeps its part. Where they divide the weights, each layer is gathered before it runs, forward
and backward, one layer ahead: a layer takes the longer of its kernels and its exchanges.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final

from hwsim.devices.gpu.cluster import per_card, plan_of
from hwsim.devices.gpu.collective import collective_time, link_between
from hwsim.devices.gpu.parameters import Cluster
from hwsim.devices.gpu.shard import shard
from hwsim.errors import Infeasible
from hwsim.formats import FORMATS
from hwsim.workload.training import GRAD_WEIGHT
from hwsim.workload.training_passes import OF_WEIGHTS, flowing

if TYPE_CHECKING:
    from collections.abc import Iterable

    from hwsim.devices.base import PassWork
    from hwsim.devices.gpu.cluster import Plan
    from hwsim.devices.gpu.parameters import GpuParameters
    from hwsim.workload.graph import Graph, LayerRun
    from hwsim.workload.op import Op
    from hwsim.workload.recipe import Recipe
    from hwsim.workload.training import TrainingGraphs

__all__ = ["ONE_CARD", "exchange_seconds", "own_parameters", "training_terms"]

ONE_CARD: Final = Cluster(cards=1)
"""One card as a cluster, whose micro-batches follow one another like a pipeline's."""
_OF_ATTENTION: Final = frozenset({"q_proj", "k_proj", "v_proj", "qkv_proj", "rope", "attention"})


def _sharers(plan: Plan) -> int:
    """Cards with the same weights and different data."""
    return plan.replicas * plan.split.sequence


def _weights_of(ops: Iterable[Op]) -> tuple[float, int]:
    """(bytes, parameters) of the weights that ops of a forward or a backward own."""
    own = [op for op in ops if not op.name.endswith(GRAD_WEIGHT)]
    return float(sum(op.weight_bytes for op in own)), sum(op.parameters for op in own)


def exchange_seconds(p: GpuParameters, parts: tuple[Op, ...], plan: Plan, work: PassWork) -> float:
    """Seconds of the exchanges of a stretch of layers, once for each micro-batch.

    Args:
        p: the cluster.
        parts: one card's parts of the stretch's ops.
        plan: how the pass is divided.
        work: the pass, with its recipe.
    """
    recipe, cards = work.recipe, _sharers(plan)
    if recipe is None or cards == 1:
        return 0.0
    weights, parameters = _weights_of(parts)
    width = FORMATS[recipe.gradients or flowing(parts[0].output.format)].bits_per_element / 8.0
    link = link_between(p, plan.cards if plan.cards > _in_a_node(p) else cards)
    if isinstance(link, Infeasible):
        raise ValueError(f"{p.name}: no link among {cards} cards")
    gather = collective_time(link, "all_gather", weights, cards).time_s if recipe.divides("weights") else 0.0
    if work.role in ("forward", "recompute") or not parameters:
        return gather if weights else 0.0
    if recipe.divides("gradients"):  # each card keeps its part, so that every micro-batch is reduced
        return gather + collective_time(link, "reduce_scatter", width * parameters, cards).time_s
    return gather + collective_time(link, "all_reduce", width * parameters, cards).time_s / plan.micro_batches


def _in_a_node(p: GpuParameters) -> int:
    cluster = p.cluster or ONE_CARD
    return cluster.cards_per_node or cluster.cards


def _model_share(p: GpuParameters, graphs: TrainingGraphs, work: PassWork) -> float:
    """Share of the weights that the card which holds most of them runs."""
    return per_card(p, graphs.forward, work)["weights"] / _all_weights(graphs.forward) if p.cluster else 1.0


def own_parameters(p: GpuParameters, graphs: TrainingGraphs, work: PassWork, recipe: Recipe) -> int:
    """Parameters that one card updates."""
    cards = _sharers(plan_of(p.cluster or ONE_CARD, work)) if recipe.divides("optimizer") else 1
    return math.ceil(graphs.parameters * _model_share(p, graphs, work) / cards)


def training_terms(p: GpuParameters, graphs: TrainingGraphs, work: PassWork, recipe: Recipe) -> dict[str, float]:
    """Bytes that the card which holds most needs for a step, by what they are.

    Activations are those of one micro-batch: one is at work on each card. A pipeline's first stage keeps those of as
    many micro-batches as there are stages, of its share of the layers. Gathered weights are two layers' or, where it is
    larger, the embedding's or the head's.
    """
    plan, share = plan_of(p.cluster or ONE_CARD, work), _model_share(p, graphs, work)
    parts = _parts(graphs.forward, plan)
    cards = _sharers(plan)
    parameters = graphs.parameters * share
    held = {each: cards if recipe.divides(each) else 1 for each in ("weights", "gradients", "optimizer")}
    weights = _all_weights(graphs.forward) * share
    if cards > 1 and recipe.divides("weights"):
        kept = recipe.master_bytes or weights / parameters
        weights, master = parameters * kept / cards + _gathered(parts), 0.0
    else:
        master = recipe.master_bytes
    flowing = (_flowing(op) for run in (*parts, *_parts(graphs.backward, plan)) for op in run.ops)
    return {
        "weights": weights,
        "state": parameters * (recipe.moments_bytes + master) / held["optimizer"],
        "gradients": parameters * graphs.gradient_width / held["gradients"],
        "saved activations": _saved(parts, recipe),
        "activations": max(flowing),
    }


def _flowing(op: Op) -> float:
    return float(sum(each.bytes(op.dims) for each in op.operands if each.role in ("activation", "output")))


def _parts(graph: Graph, plan: Plan) -> tuple[LayerRun, ...]:
    """One card's parts of a graph, equal layers once."""
    return tuple(run._replace(ops=tuple(shard(op, plan.split) for op in run.ops)) for run in graph.layer_runs())


def _all_weights(graph: Graph) -> int:
    return sum(op.weight_bytes * run.repeats for run in graph.layer_runs() for op in run.ops)


def _inside(parts: tuple[LayerRun, ...]) -> tuple[list[LayerRun], list[Op]]:
    """The layers, and the ops outside of them."""
    layers = [run for run in parts if run.ops[0].layer is not None]
    return layers, [op for run in parts if run.ops[0].layer is None for op in run.ops]


def _gathered(parts: tuple[LayerRun, ...]) -> float:
    layers, ends = _inside(parts)
    largest = max((_weights_of(run.ops)[0] for run in layers), default=0.0)
    return max(2.0 * largest, *(float(op.weight_bytes) for op in ends))


def _saved(parts: tuple[LayerRun, ...], recipe: Recipe) -> float:
    """Outputs of the forward that the backward reads; with recomputation what enters each layer, and one layer's."""
    layers, ends = _inside(parts)
    outside = sum(_kept(op, recipe) for op in ends)
    inside = [sum(_kept(op, recipe) for op in run.ops) for run in layers]
    if recipe.recompute == "none":
        return outside + sum(each * run.repeats for each, run in zip(inside, layers, strict=True))
    entering = sum(_kept(run.ops[-1], recipe) * run.repeats for run in layers)
    return outside + entering + max(inside, default=0.0)


def _kept(op: Op, recipe: Recipe) -> float:
    """Bytes of an output; attention's own inputs and output stay as they flow, and so does what lies outside layers.

    Narrow weights are none of them: they are held as weights.
    """
    if op.name.endswith(OF_WEIGHTS):
        return 0.0
    elements = op.output.elements(op.dims)
    if op.layer is None or op.name in _OF_ATTENTION:
        return float(op.output.bytes(op.dims))
    return recipe.saved_bytes(op.output.format, elements)
