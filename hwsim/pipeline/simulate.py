"""`simulate`: formats the machine has, passes of a step, state plans, feasibility, schedule, answer."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING, Literal, TypeAlias

from hwsim.devices.base import MEMORY, FormatChoice, HoldsInMemory, PassWork, VerifiesChains, verifies
from hwsim.errors import HwsimError, Infeasible
from hwsim.pipeline.answer import answer_of, times_of
from hwsim.pipeline.formats import adapted
from hwsim.pipeline.largest import Demand, largest, with_levers
from hwsim.pipeline.outcome import run_pass, timed_pass, unsupported
from hwsim.pipeline.question import Question, RunPass, Simulated
from hwsim.pipeline.training import train, training_bytes
from hwsim.workload.catalog import find_workload
from hwsim.workload.decoding import Autoregressive, Policy, Speculative, Step, compose
from hwsim.workload.model import (
    ONE_PASS_MODELS,
    EncoderModel,
    OpsModel,
    Pass,
    Workload,
    kind_of,
    phases_of,
    takes_context,
)
from hwsim.workload.transform import graph_of, prepared

if TYPE_CHECKING:
    from collections.abc import Mapping

    from hwsim.devices.base import Device
    from hwsim.result import Result
    from hwsim.workload.graph import Graph

__all__ = ["complete", "seconds", "simulate"]

Planned: TypeAlias = "tuple[str, Graph, PassWork]"


def simulate(workload: Workload, device: Device, question: Question | None = None) -> Result | Infeasible:
    """Time, energy and limiter of a workload on a machine.

    Raises:
        HwsimError: the question makes no sense for the workload (a ViT has no decode phase).
    """
    workload = prepared(workload)
    asked = complete(workload, question or Question())
    ready, choice = adapted(workload, device)
    simulated = _undivided(workload, device) or _simulated(ready, device, asked, choice)
    if not isinstance(device, HoldsInMemory):
        return simulated if isinstance(simulated, Infeasible) else answer_of(simulated)
    if isinstance(simulated, Infeasible) and simulated.resource != MEMORY:
        return simulated
    fitting = largest(_demand(ready, device), device.memory_capacity_bytes, asked)
    if isinstance(simulated, Infeasible):
        return with_levers(simulated, fitting)
    return answer_of(replace(simulated, largest=fitting))


def seconds(workload: Workload, device: Device, question: Question | None = None) -> float | Infeasible:
    """The ``time_s`` of :func:`simulate`, to the last bit, without the books of bytes and energy that it keeps.

    Raises:
        HwsimError: the question makes no sense for the workload.
    """
    workload = prepared(workload)
    asked = replace(complete(workload, question or Question()), accounts=False)
    ready, choice = adapted(workload, device)
    found = _undivided(workload, device) or _simulated(ready, device, asked, choice)
    return found if isinstance(found, Infeasible) else times_of(found)[2]


def _simulated(workload: Workload, device: Device, question: Question, choice: FormatChoice) -> Simulated | Infeasible:
    """What is asked, by its phase."""
    if question.phase == "decode":
        return _decode(workload, device, question, choice)
    if question.phase == "train":
        return train(workload, device, question, choice)
    if question.phase == "prefill" or isinstance(workload.model, ONE_PASS_MODELS):
        return _whole(workload, device, question, choice)
    return _request(workload, device, question, choice)


def _undivided(workload: Workload, device: Device) -> Infeasible | None:
    """None but for a list of operators on several cards: how cards divide a layer goes by the names of its products."""
    cards = getattr(device, "cards", 1)
    if cards == 1 or not isinstance(workload.model, OpsModel):
        return None
    reason = f"{device.name} divides models of known families among its cards, not a list of operators"
    return Infeasible(
        "division among cards", cards, 1, "cards", reason, {workload.name: 1}, ("one card", "a model of a family")
    )


def _demand(workload: Workload, device: Device) -> Demand:
    """Bytes that a question needs, from the graphs alone: nothing is scheduled."""

    def of_decode(question: Question) -> float:
        batch, context, new_tokens = _numbers(question)
        decoding = _decoding_of(workload, device)
        step = compose(decoding, batch, context + new_tokens - 1)
        drafts, target = _graphs(workload, device, decoding, step)
        planned = _planned_states(device, decoding, step, drafts, target)
        return sum(_footprint(device, planned).values())

    def of_prompt(question: Question) -> float:
        return sum(_footprint(device, [_whole_pass(workload, question)]).values())

    def bytes_of(question: Question) -> float:
        if question.phase == "decode":
            return of_decode(question)
        if question.phase == "train":
            return training_bytes(workload, device, question)
        if question.phase == "prefill" or isinstance(workload.model, ONE_PASS_MODELS):
            return of_prompt(question)
        return max(of_prompt(question), of_decode(question))

    return bytes_of


def complete(workload: Workload, question: Question) -> Question:
    """The question with the workload's own values where the user gave none, checked for sense."""
    run = workload.run
    phase = question.phase or run.phase
    if phase not in phases_of(workload.model):
        found = f"phase {phase} for {workload.name}, {kind_of(workload.model)}"
        raise HwsimError.at("--phase", found, " or ".join(phases_of(workload.model)))
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
    if takes_context(workload.model) and phase != "decode" and not complete.context:
        what = "text" if isinstance(workload.model, EncoderModel) else "prompt"
        raise HwsimError.at("--context", f"a {what} of 0 tokens", f"the tokens of the {what}, 1 or more")
    return complete


def _idle_notes(workload: Workload, question: Question) -> tuple[str, ...]:
    """That no tokens come before an image or after any input, to a user who asks for some."""
    if not isinstance(workload.model, ONE_PASS_MODELS):
        return ()
    context = bool(question.context) and not takes_context(workload.model)
    idle = ["--context"] * context + ["--new-tokens"] * (context or (question.new_tokens or 1) > 1)
    words = f"{' and '.join(idle)} change{'s' * (len(idle) == 1)} nothing"
    return (f"{workload.name} runs once over each input: {words}",) if idle else ()


def _numbers(question: Question) -> tuple[int, int, int]:
    """(batch, context, new_tokens) of a completed question."""
    return question.batch or 1, question.context or 0, question.new_tokens or 1


def _decode(workload: Workload, device: Device, question: Question, choice: FormatChoice) -> Simulated | Infeasible:
    """Steps of decoding. The context grows as tokens come: costs are affine in it, so its mean stands for all."""
    batch, context, new_tokens = _numbers(question)
    decoding, notes = _decoding_of(workload, device), list(choice.differences)
    if decoding is not workload.decoding:
        notes.append(f"{device.name} cannot verify {_together(device)} at once: runs autoregressively")
    step, last = (compose(decoding, batch, context + more) for more in ((new_tokens - 1) // 2, new_tokens - 1))
    planned = _planned(workload, device, decoding, step, last)
    if isinstance(planned, Infeasible):
        return planned
    passes = _run_all(device, planned[0], question)
    if isinstance(passes, Infeasible):
        return passes
    notes += _host_notes(workload)
    notes += _placement_notes(device, planned[0][-1][1]) if question.accounts else ()
    steps = new_tokens / step.tokens_per_step
    return Simulated(
        workload, device, question, choice, passes, (), step.tokens_per_step, steps, step, planned[1], tuple(notes)
    )


def _host_notes(workload: Workload) -> tuple[str, ...]:
    """What the time shown leaves out."""
    if workload.run.lm_head == "device" or isinstance(workload.model, ONE_PASS_MODELS):
        return ()
    return ("embedding, final norm and LM head run on the host, outside the time shown",)


def _decoding_of(workload: Workload, device: Device) -> Autoregressive | Speculative:
    """How tokens are produced on this machine: as the workload says, or one at a time."""
    decoding = workload.decoding
    if isinstance(decoding, Speculative) and not verifies(device, decoding.tree.tree):
        return Autoregressive()
    return decoding


def _together(device: Device) -> str:
    """What a machine cannot verify."""
    return "a tree of tokens, only a chain," if isinstance(device, VerifiesChains) else "several tokens"


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
    workload: Workload, device: Device, decoding: Autoregressive | Speculative, step: Step, last: Step
) -> tuple[list[Planned], Mapping[str, float]] | Infeasible:
    """Graphs and state plans of the passes of one step, and the bytes that they hold; checked to fit together.

    Args:
        workload: in the machine's formats.
        device: the machine.
        decoding: how tokens are produced on it.
        step: the step that stands for all.
        last: the one with most tokens before it, whose caches must fit.
    """
    drafts, target = _graphs(workload, device, decoding, step)
    longest = (drafts, target) if last == step else _graphs(workload, device, decoding, last)
    bad = _unsupported(device, [*drafts, target]) or _unfit(device, [*longest[0], longest[1]])
    if bad:  # before states are planned: a plan needs layers that the machine runs
        return bad
    planned = _planned_states(device, decoding, step, drafts, target)
    held = planned if last == step else _planned_states(device, decoding, last, *longest)
    if drafts and (bad := _unfit(device, held)):
        return bad
    return planned, _footprint(device, held)


def _graphs(
    workload: Workload, device: Device, decoding: Autoregressive | Speculative, step: Step
) -> tuple[list[Planned], Planned]:
    """The draft's passes and the target's."""
    head = workload.run.lm_head == "device"
    tree = step.tree if isinstance(decoding, Speculative) else None
    role = "verify" if tree else "decode"
    verify = PassWork(role, step.verify_tokens, step.batch, step.context, tree=tree)  # type: ignore[arg-type]
    graph = graph_of(workload, Pass("decode", step.batch, step.verify_tokens, step.context, head))
    drafts = _draft_passes(workload, device, decoding, step) if isinstance(decoding, Speculative) else []
    return drafts, (workload.name, graph, verify)


def _planned_states(
    device: Device, decoding: Autoregressive | Speculative, step: Step, drafts: list[Planned], target: Planned
) -> list[Planned]:
    """The passes with their state plans; those of one token at a time need none."""
    if not isinstance(decoding, Speculative):
        return [target]
    kept = math.ceil(step.tokens_per_step - 1e-9)
    return [
        *_with_state(device, drafts, decoding.policy.draft, kept),
        *_with_state(device, [target], decoding.policy.target, kept),
    ]


def _with_state(device: Device, planned: list[Planned], policy: Policy, kept: int) -> list[Planned]:
    """The passes of one model with their state plans."""
    works = device.plan_state(planned[0][1], tuple(work for _, _, work in planned), policy, kept)
    return [(name, graph, work) for (name, graph, _), work in zip(planned, works, strict=True)]


def _draft_passes(workload: Workload, device: Device, decoding: Speculative, step: Step) -> list[Planned]:
    """The draft's passes, one for each level of the tree."""
    draft = prepared(find_workload(decoding.draft))
    draft = adapted(draft, device)[0]
    head = workload.run.lm_head == "device"
    graphs = [
        graph_of(draft, Pass("decode", step.batch, each.tokens, each.context, head)) for each in step.draft_passes
    ]
    works = (
        PassWork("draft", each.tokens, step.batch, each.context, each.level, step.tree) for each in step.draft_passes
    )
    return [(draft.name, graph, work) for graph, work in zip(graphs, works, strict=True)]


def _unsupported(device: Device, planned: list[Planned]) -> Infeasible | None:
    """None when the machine knows every op, else why not."""
    return next((bad for _, graph, _ in planned if (bad := unsupported(device, graph))), None)


def _unfit(device: Device, planned: list[Planned]) -> Infeasible | None:
    """None when the machine holds all the passes together, else what does not fit."""
    return device.fits(tuple((graph, work) for _, graph, work in planned))


def _footprint(device: Device, planned: list[Planned]) -> Mapping[str, float]:
    """Bytes that all the passes hold together."""
    return device.footprint(tuple((graph, work) for _, graph, work in planned))


def _run_all(device: Device, planned: list[Planned], question: Question) -> tuple[RunPass, ...] | Infeasible:
    """Every pass run, in order."""
    run = run_pass if question.accounts else timed_pass
    passes: list[RunPass] = []
    for model, graph, work in planned:
        outcome = run(device, graph, work)
        if isinstance(outcome, Infeasible):
            return outcome
        passes.append(RunPass(model, work, graph, outcome))
    return tuple(passes)


def _whole(workload: Workload, device: Device, question: Question, choice: FormatChoice) -> Simulated | Infeasible:
    """A prefill of the whole prompt, or a batch of images."""
    planned = [_whole_pass(workload, question)]
    _, graph, work = planned[0]
    bad = _unsupported(device, planned) or _unfit(device, planned)
    if bad:
        return bad
    passes = _run_all(device, planned, question)
    if isinstance(passes, Infeasible):
        return passes
    footprint = _footprint(device, planned)
    placed = _placement_notes(device, graph) if question.accounts else ()
    notes = (*choice.differences, *_idle_notes(workload, question), *_host_notes(workload), *placed)
    tokens = float(workload.model.tokens or 1) if isinstance(workload.model, OpsModel) else float(work.tokens)
    return Simulated(workload, device, question, choice, passes, (), tokens, 1.0, None, footprint, notes)


def _whole_pass(workload: Workload, question: Question) -> Planned:
    """The pass of a prompt, or of texts or images."""
    batch, context, _ = _numbers(question)
    one_pass = isinstance(workload.model, ONE_PASS_MODELS)
    phase: Literal["inference", "prefill"] = "inference" if one_pass else "prefill"
    tokens = context if takes_context(workload.model) else 1
    graph = graph_of(workload, Pass(phase, batch, tokens, 0, workload.run.lm_head == "device"))
    return workload.name, graph, PassWork(phase, tokens, batch)


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
    most = max(prompt.footprint, decode.footprint, key=lambda held: sum(held.values()))
    return replace(decode, question=question, prompt=prompt.passes, steps=steps, footprint=most)
