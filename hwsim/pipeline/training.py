"""`--phase train`: a step of training on one machine; its passes, and the memory that they share."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from hwsim.devices.base import MEMORY, FormatChoice, PassWork, Trains
from hwsim.errors import HwsimError, Infeasible
from hwsim.pipeline.outcome import run_pass, timed_pass, unsupported
from hwsim.pipeline.question import Question, RunPass, Simulated
from hwsim.units import format_bytes
from hwsim.workload.model import Pass, Recipe, Workload, kind_of, phases_of
from hwsim.workload.training import TrainingGraphs, training_graphs
from hwsim.workload.transform import graph_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from hwsim.devices.base import Device, Role
    from hwsim.workload.graph import Graph

__all__ = ["train", "training_bytes"]


def train(workload: Workload, device: Device, question: Question, choice: FormatChoice) -> Simulated | Infeasible:
    """A step over ``batch`` sequences of ``context`` tokens: forward, backward, optimizer.

    Raises:
        HwsimError: the model is one of images, or its weights are too narrow to be trained.
    """
    if not isinstance(device, Trains):
        reason = f"{device.name} runs models and does not train them"
        return Infeasible("training", 1, 0, "passes", reason, {"backward": 1}, ("a GPU or a cluster of them",))
    graphs, recipe = _graphs(workload, question), workload.training
    terms = device.training_terms(graphs, _work("forward", question, recipe), recipe)
    capacity, demand = device.memory_capacity_bytes, sum(terms.values())
    if demand > capacity:
        reason = f"{device.name} holds {format_bytes(capacity)} a card, {format_bytes(demand)} are needed"
        return Infeasible(MEMORY, demand, capacity, "bytes", reason, terms, _levers(recipe, terms, capacity))
    passes: list[RunPass] = []
    for role, graph in _roles(device, graphs, recipe, question):
        work = _work(role, question, recipe)
        run = run_pass if question.accounts else timed_pass
        outcome = unsupported(device, graph) or run(device, graph, work)
        if isinstance(outcome, Infeasible):
            return outcome
        passes.append(RunPass(workload.name, work, graph, outcome))
    tokens = float(question.context or 1)
    notes = (*choice.differences, _words(recipe), *((graphs.words,) if graphs.words else ()))
    return Simulated(workload, device, question, choice, tuple(passes), (), tokens, 1.0, None, terms, notes)


def training_bytes(workload: Workload, device: Device, question: Question) -> float:
    """Bytes that a step of training holds; none where the machine does not train."""
    if not isinstance(device, Trains):
        return math.inf
    recipe = workload.training
    return sum(device.training_terms(_graphs(workload, question), _work("forward", question, recipe), recipe).values())


def _graphs(workload: Workload, question: Question) -> TrainingGraphs:
    if "train" not in phases_of(workload.model):
        found = f"phase train for {workload.name}, {kind_of(workload.model)}"
        raise HwsimError.at("--phase", found, "a language model or an encoder of texts")
    asked = Pass("prefill", question.batch or 1, question.context or 1, 0, True)
    return training_graphs(graph_of(workload, asked), workload.training)


def _roles(
    device: Trains, graphs: TrainingGraphs, recipe: Recipe, question: Question
) -> tuple[tuple[Role, Graph], ...]:
    """The passes of a step: with recomputation the forward runs twice."""
    parameters = device.updated_parameters(graphs, _work("forward", question, recipe), recipe)
    again: tuple[tuple[Role, Graph], ...] = (("recompute", graphs.forward),) if recipe.recompute == "full" else ()
    optimizer = graphs.optimizer(recipe, parameters)
    return ("forward", graphs.forward), *again, ("backward", graphs.backward), ("optimizer", optimizer)


def _work(role: Role, question: Question, recipe: Recipe) -> PassWork:
    return PassWork(role, question.context or 1, question.batch or 1, recipe=recipe)


def _words(recipe: Recipe) -> str:
    """How the model is trained, in a line."""
    master = " and fp32 master weights" if recipe.master else ""
    again = "the forward is run again in the backward" if recipe.recompute == "full" else "no activation is recomputed"
    parts = f"; {recipe.micro_batches} micro-batches" if recipe.micro_batches > 1 else ""
    return f"training with Adam ({recipe.moments} moments){master}; {again}{parts}"


def _levers(recipe: Recipe, terms: Mapping[str, float], capacity: float) -> tuple[str, ...]:
    """What makes a step smaller, beside batch and context: of activations where they are what is too much."""
    less = []
    if sum(terms.values()) - terms["saved activations"] - terms["activations"] <= capacity:
        less.append("--set workload.training.micro_batches=N")
        less += ["--set workload.training.recompute=full"] * (recipe.recompute == "none")
    if not recipe.divides("weights"):
        less.append("--set workload.training.shard=weights on a cluster with data parallel cards")
    return (*less, "a card with more memory")
