"""`--phase train`: a step of training on one machine; its three passes, and the memory that they share."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hwsim.devices.base import MEMORY, FormatChoice, PassWork, Trains
from hwsim.errors import HwsimError, Infeasible
from hwsim.pipeline.outcome import run_pass, unsupported
from hwsim.pipeline.question import Question, RunPass, Simulated
from hwsim.workload.model import Pass, TransformerModel, Workload
from hwsim.workload.training import TrainingGraphs, training_graphs
from hwsim.workload.transform import graph_of

if TYPE_CHECKING:
    from hwsim.devices.base import Device, Role
    from hwsim.workload.graph import Graph

__all__ = ["train", "training_bytes"]


def train(workload: Workload, device: Device, question: Question, choice: FormatChoice) -> Simulated | Infeasible:
    """A step over ``batch`` sequences of ``context`` tokens: forward, backward, optimizer.

    Raises:
        HwsimError: the model is no dense transformer, or its weights are too narrow to be trained.
    """
    if not isinstance(device, Trains) or not device.trains:
        reason = f"{device.name} runs models and does not train them"
        return Infeasible("training", 1, 0, "passes", reason, {"backward": 1}, ("a single GPU",))
    graphs = _graphs(workload, question)
    terms = _terms(device, graphs, question)
    capacity, demand = device.memory_capacity_bytes, sum(terms.values())
    if demand > capacity:
        reason = f"{device.name} holds {capacity / 1e9:.0f} GB, {demand / 1e9:.1f} GB are needed"
        levers = ("a smaller batch", "a shorter context", "a card with more memory")
        return Infeasible(MEMORY, demand, capacity, "bytes", reason, terms, levers)
    passes: list[RunPass] = []
    for role, graph in _roles(graphs):
        work = _work(role, question)
        bad = unsupported(device, graph)
        outcome = bad or run_pass(device, graph, work)
        if isinstance(outcome, Infeasible):
            return outcome
        passes.append(RunPass(workload.name, work, graph, outcome))
    tokens = float(question.context or 1)
    notes = (*choice.differences, "training with Adam and fp32 master weights; no activation is recomputed")
    return Simulated(workload, device, question, choice, tuple(passes), (), tokens, 1.0, None, terms, notes)


def training_bytes(workload: Workload, device: Device, question: Question) -> float:
    """Bytes that a step of training holds."""
    return sum(_terms(device, _graphs(workload, question), question).values())


def _graphs(workload: Workload, question: Question) -> TrainingGraphs:
    if not isinstance(workload.model, TransformerModel):
        found = f"phase train for {workload.name}, a {type(workload.model).__name__}"
        raise HwsimError.at("--phase", found, "a dense transformer")
    asked = Pass("prefill", question.batch or 1, question.context or 1, 0, True)
    return training_graphs(graph_of(workload, asked))


def _roles(graphs: TrainingGraphs) -> tuple[tuple[Role, Graph], ...]:
    return ("forward", graphs.forward), ("backward", graphs.backward), ("optimizer", graphs.optimizer)


def _work(role: Role, question: Question) -> PassWork:
    return PassWork(role, question.context or 1, question.batch or 1)


def _terms(device: Device, graphs: TrainingGraphs, question: Question) -> dict[str, float]:
    """Weights, gradients, optimizer states, saved activations, and the widest op of the backward."""
    held = device.footprint(((graphs.forward, _work("forward", question)),))
    backward = device.footprint(((graphs.backward, _work("backward", question)),))
    return {
        "weights": held["weights"],
        "state": graphs.optimizer_bytes,
        "gradients": graphs.gradient_bytes,
        "saved activations": graphs.saved_bytes,
        "activations": backward["activations"],
    }
