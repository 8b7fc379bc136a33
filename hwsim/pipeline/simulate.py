"""`simulate`: formats the machine has, passes of a step, state plans, feasibility, schedule, answer."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING, TypeAlias

from hwsim.devices.base import FormatChoice, PassWork
from hwsim.errors import HwsimError, Infeasible
from hwsim.pipeline.answer import answer_of
from hwsim.pipeline.outcome import run_pass, unsupported
from hwsim.pipeline.question import Question, RunPass, Simulated
from hwsim.workload.catalog import find_workload
from hwsim.workload.decoding import Autoregressive, Policy, Speculative, Step, compose
from hwsim.workload.model import Pass, Phase, VitModel, Workload
from hwsim.workload.transform import graph_of, prepared

if TYPE_CHECKING:
    from hwsim.devices.base import Device
    from hwsim.result import Result
    from hwsim.workload.graph import Graph

__all__ = ["simulate"]

Planned: TypeAlias = "tuple[str, Graph, PassWork]"


def simulate(workload: Workload, device: Device, question: Question | None = None) -> Result | Infeasible:
    """Time, energy and limiter of a workload on a machine.

    Raises:
        HwsimError: the question makes no sense for the workload (a ViT has no decode phase).
    """
    workload = prepared(workload)
    asked = _complete(workload, question or Question())
    formats, choice = device.formats(workload.formats)
    adapted = replace(workload, formats=formats)
    if asked.phase == "decode":
        simulated = _decode(adapted, device, asked, choice)
    elif asked.phase == "prefill" or isinstance(workload.model, VitModel):
        simulated = _whole(adapted, device, asked, choice)
    else:
        simulated = _request(adapted, device, asked, choice)
    return simulated if isinstance(simulated, Infeasible) else answer_of(simulated)


def _complete(workload: Workload, question: Question) -> Question:
    """The question with the workload's own values where the user gave none, checked for sense."""
    run = workload.run
    phase = question.phase or run.phase
    is_vit = isinstance(workload.model, VitModel)
    if is_vit and phase != "inference":
        raise HwsimError.at("--phase", f"phase {phase} for {workload.name}, a vision model", "inference")
    for name in ("batch", "context", "new_tokens"):
        value = getattr(question, name)
        least = 0 if name == "context" else 1
        if value is not None and not least <= value <= 10**9:
            raise HwsimError.at(f"--{name.replace('_', '-')}", str(value), f"a whole number from {least} to 10^9")
    complete = replace(
        question,
        phase=phase,
        batch=question.batch or run.batch,
        context=run.context if question.context is None else question.context,
        new_tokens=question.new_tokens or run.new_tokens,
    )
    if not is_vit and phase in ("prefill", "inference") and not complete.context:
        raise HwsimError.at("--context", "a prompt of 0 tokens", "the tokens of the prompt, 1 or more")
    return complete


def _numbers(question: Question) -> tuple[int, int, int]:
    """(batch, context, new_tokens) of a completed question."""
    return question.batch or 1, question.context or 0, question.new_tokens or 1


def _decode(workload: Workload, device: Device, question: Question, choice: FormatChoice) -> Simulated | Infeasible:
    """Steps of decoding. The context grows as tokens come: costs are affine in it, so its mean stands for all."""
    batch, context, new_tokens = _numbers(question)
    decoding, notes = workload.decoding, list(choice.differences)
    if isinstance(decoding, Speculative) and not device.verifies_trees:
        notes.append(f"{device.name} cannot verify several tokens at once: runs autoregressively")
        decoding = Autoregressive()
    step = compose(decoding, batch, context + (new_tokens - 1) // 2)
    planned = _planned(workload, device, decoding, step)
    if isinstance(planned, Infeasible):
        return planned
    passes = _run_all(device, planned)
    if isinstance(passes, Infeasible):
        return passes
    if workload.run.lm_head == "host":
        notes.append("embedding, final norm and LM head run on the host, outside the time shown")
    notes += _placement_notes(device, planned[-1][1])
    steps = new_tokens / step.tokens_per_step
    footprint = device.footprint(tuple((graph, work) for _, graph, work in planned))
    return Simulated(
        workload, device, question, choice, passes, (), step.tokens_per_step, steps, step, footprint, tuple(notes)
    )


def _placement_notes(device: Device, graph: Graph) -> list[str]:
    """What mappings say of how ops are placed (padding, idle threads): each remark once, with the ops it is of."""
    remarks: dict[str, list[str]] = {}
    for op, _ in graph.distinct():
        for words in getattr(device.map(op), "notes", ()):
            names = remarks.setdefault(words, [])
            if op.name not in names:
                names.append(op.name)
    return [f"{', '.join(names)}: {words}" for words, names in remarks.items()]


def _planned(
    workload: Workload, device: Device, decoding: Autoregressive | Speculative, step: Step
) -> list[Planned] | Infeasible:
    """Graphs and state plans of the passes of one step, checked to fit together."""
    head = workload.run.lm_head == "device"
    tree = step.tree if isinstance(decoding, Speculative) else None
    role = "verify" if tree else "decode"
    verify = PassWork(role, step.verify_tokens, step.batch, step.context, tree=tree)  # type: ignore[arg-type]
    graph = graph_of(workload, Pass("decode", step.batch, step.verify_tokens, step.context, head))
    target: Planned = (workload.name, graph, verify)
    if not isinstance(decoding, Speculative):
        return _refused(device, [target]) or [target]
    drafts = _draft_passes(workload, device, decoding, step)
    bad = _refused(device, [*drafts, target])  # before states are planned: a plan needs layers that the machine runs
    if bad:
        return bad
    kept = math.ceil(step.tokens_per_step - 1e-9)
    planned = [
        *_with_state(device, drafts, decoding.policy.draft, kept),
        *_with_state(device, [target], decoding.policy.target, kept),
    ]
    return device.fits(tuple((graph, work) for _, graph, work in planned)) or planned


def _with_state(device: Device, planned: list[Planned], policy: Policy, kept: int) -> list[Planned]:
    """The passes of one model with their state plans."""
    works = device.plan_state(planned[0][1], tuple(work for _, _, work in planned), policy, kept)
    return [(name, graph, work) for (name, graph, _), work in zip(planned, works, strict=True)]


def _draft_passes(workload: Workload, device: Device, decoding: Speculative, step: Step) -> list[Planned]:
    """The draft's passes, one for each level of the tree."""
    draft = prepared(find_workload(decoding.draft))
    draft = replace(draft, formats=device.formats(draft.formats)[0])
    head = workload.run.lm_head == "device"
    graphs = [
        graph_of(draft, Pass("decode", step.batch, each.tokens, each.context, head)) for each in step.draft_passes
    ]
    works = (
        PassWork("draft", each.tokens, step.batch, each.context, each.level, step.tree) for each in step.draft_passes
    )
    return [(draft.name, graph, work) for graph, work in zip(graphs, works, strict=True)]


def _refused(device: Device, planned: list[Planned]) -> Infeasible | None:
    """None when the machine knows every op and holds all the passes together, else why not."""
    for _, graph, _ in planned:
        bad = unsupported(device, graph)
        if bad:
            return bad
    return device.fits(tuple((graph, work) for _, graph, work in planned))


def _run_all(device: Device, planned: list[Planned]) -> tuple[RunPass, ...] | Infeasible:
    """Every pass run, in order."""
    passes: list[RunPass] = []
    for model, graph, work in planned:
        outcome = run_pass(device, graph, work)
        if isinstance(outcome, Infeasible):
            return outcome
        passes.append(RunPass(model, work, graph, outcome))
    return tuple(passes)


def _whole(workload: Workload, device: Device, question: Question, choice: FormatChoice) -> Simulated | Infeasible:
    """A prefill of the whole prompt, or a batch of images."""
    batch, context, _ = _numbers(question)
    is_vit = isinstance(workload.model, VitModel)
    phase: Phase = "inference" if is_vit else "prefill"
    tokens = 1 if is_vit else context
    head = workload.run.lm_head == "device"
    graph = graph_of(workload, Pass(phase, batch, tokens, 0, head))
    work = PassWork(phase, tokens, batch)
    planned: list[Planned] = [(workload.name, graph, work)]
    bad = _refused(device, planned)
    if bad:
        return bad
    passes = _run_all(device, planned)
    if isinstance(passes, Infeasible):
        return passes
    footprint = device.footprint(((graph, work),))
    notes = (*choice.differences, *_placement_notes(device, graph))
    return Simulated(workload, device, question, choice, passes, (), float(tokens), 1.0, None, footprint, notes)


def _request(workload: Workload, device: Device, question: Question, choice: FormatChoice) -> Simulated | Infeasible:
    """A whole request: the prompt's prefill, which yields the first new token, then steps for the others."""
    prompt = _whole(workload, device, replace(question, phase="prefill"), choice)
    if isinstance(prompt, Infeasible):
        return prompt
    decode = _decode(workload, device, replace(question, phase="decode"), choice)
    if isinstance(decode, Infeasible):
        return decode
    _, _, new_tokens = _numbers(question)
    steps = (new_tokens - 1) / decode.tokens_per_step
    return replace(decode, question=question, prompt=prompt.passes, steps=steps)
