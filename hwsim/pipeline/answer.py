"""From what a simulation found to the `Result` that a user reads."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from hwsim.cost import add_counts, scale_counts
from hwsim.devices.base import Analogue
from hwsim.pipeline.accounts import constants_of
from hwsim.pipeline.leaning import leaning_of
from hwsim.pipeline.question import RunPass, Simulated
from hwsim.result import OpRow, PassRow, Result
from hwsim.units import PICO
from hwsim.workload.decoding import Autoregressive, Speculative
from hwsim.workload.model import ONE_PASS_MODELS, Workload, of_images

if TYPE_CHECKING:
    from hwsim.pipeline.outcome import OpOutcome

__all__ = ["answer_of", "times_of"]

_STATIC = "static"


def answer_of(found: Simulated) -> Result:
    """Put the books together: a step, and all the work asked (the prompt, then the steps)."""
    device, workload, question = found.device, found.workload, found.question
    clock, step_cycles = device.clock_hz, _cycles(found.passes)
    step_s, prompt_s, time_s = times_of(found)
    energy = _over_all(found, lambda run: run.outcome.energy_pj)
    energy_j_by = {**scale_counts(energy, PICO), _STATIC: device.static_power_w() * time_s}
    energy_j = sum(energy_j_by.values())
    macs = _over_all(found, lambda run: {"macs": sum(op.macs for op in run.outcome.ops)}).get("macs", 0.0)
    kinds = {op.kind for run in (*found.prompt, *found.passes) for op in run.outcome.ops}
    fitted, assumed, set_by_user = constants_of(device, _as_run(found), kinds)
    if question.leaning:
        kept = leaning_of(found, (*fitted, *assumed))
        fitted, assumed = (tuple(each for each in kept if each.kind == kind) for kind in ("fitted", "assumed"))
    utilization = _utilization(found)
    return Result(
        workload=workload.name,
        device=device.name,
        family=device.family,
        mapping=question.mapping,
        phase=str(question.phase),
        batch=question.batch or 1,
        context=question.context or 0,
        new_tokens=(question.new_tokens or 1) if found.step else 0,
        clock_hz=clock,
        cycles=round(time_s * clock),
        time_s=time_s,
        step_s=step_s,
        step_cycles=step_cycles,
        tokens_per_step=found.tokens_per_step,
        **_rates(found, step_s, prompt_s),
        energy_j=energy_j,
        energy_j_by=energy_j_by,
        bound=max(utilization, key=lambda name: utilization[name]),
        utilization=utilization,
        bytes=_over_all(found, lambda run: run.outcome.bytes),
        macs=macs,
        memory_bytes=found.footprint,
        speculative=_speculative(found),
        formats={
            "asked": dict(found.formats.asked),
            "used": dict(found.formats.used),
        },
        ops=tuple(_op_rows(found, step_cycles)),
        passes=tuple(_pass_row(found, run) for run in (*found.prompt, *found.passes)),
        fitted=fitted,
        assumed=assumed,
        set_by_user=set_by_user,
        notes=(
            *(f"the model was changed first: {each}" for each in workload.transforms),
            *found.notes,
            *(device.warnings() if isinstance(device, Analogue) else ()),
        ),
        inputs=question.inputs,
        roofs=device.roofs,
        speculation_dropped=_speculation_dropped(found),
        snr_db=_snr_db(found),
        largest=found.largest,
        layouts=_layouts(found),
    )


def times_of(found: Simulated) -> tuple[float, float, float]:
    """Seconds of a step, of the prompt before, and of all the work asked."""
    clock = found.device.clock_hz
    step_s, prompt_s = _cycles(found.passes) / clock, _cycles(found.prompt) / clock
    return step_s, prompt_s, prompt_s + found.steps * step_s


def _cycles(passes: tuple[RunPass, ...]) -> int:
    return sum(run.outcome.cycles for run in passes)


def _over_all(found: Simulated, amounts: Any) -> dict[str, float]:
    """Sum of a pass's amounts over all the work asked."""
    prompt = add_counts(*(amounts(run) for run in found.prompt))
    step = add_counts(*(amounts(run) for run in found.passes))
    return add_counts(prompt, scale_counts(step, found.steps))


def _rates(found: Simulated, step_s: float, prompt_s: float) -> dict[str, float | None]:
    """Tokens or images per second and per joule, all of a step; a field that makes no sense here is None.

    The prompt of a request is in none of them: a time per token beside an energy that holds the prompt's would mix
    two scopes in one row.
    """
    batch, step_j = found.question.batch or 1, _step_energy_j(found, step_s)
    names = ("time_per_token_s", "tokens_per_s", "tokens_per_s_per_user", "images_per_s", "time_to_first_token_s")
    rates: dict[str, float | None] = dict.fromkeys((*names, "tokens_per_j", "images_per_j"))
    if of_images(found.workload.model):
        rates |= {"images_per_s": batch / step_s, "images_per_j": batch / step_j}
        return rates
    per_token = step_s / found.tokens_per_step
    rates |= {
        "time_per_token_s": per_token,
        "tokens_per_s": batch / per_token,
        "tokens_per_s_per_user": 1 / per_token,
        "tokens_per_j": batch * found.tokens_per_step / step_j,
    }
    one_pass = isinstance(found.workload.model, ONE_PASS_MODELS)
    if found.prompt or (found.step is None and found.question.phase != "train" and not one_pass):
        rates["time_to_first_token_s"] = prompt_s or step_s
    return rates


def _as_run(found: Simulated) -> Workload:
    """The workload without the speculation that was not run: an answer does not lean on its constants."""
    if found.step is not None and found.step.draft_passes:
        return found.workload
    return replace(found.workload, decoding=Autoregressive())


def _step_energy_j(found: Simulated, step_s: float) -> float:
    """Energy of one step: what its passes spend, and static power for as long as it takes."""
    dynamic_pj = add_counts(*(run.outcome.energy_pj for run in found.passes))
    return sum(dynamic_pj.values()) * PICO + found.device.static_power_w() * step_s


def _speculation_dropped(found: Simulated) -> bool:
    """Whether tokens were asked in drafts and came one at a time, as the machine cannot verify several."""
    asked = isinstance(found.workload.decoding, Speculative)
    return asked and found.step is not None and not found.step.draft_passes


def _snr_db(found: Simulated) -> dict[str, float]:
    """Operator -> its worst signal-to-noise ratio, where the machine's arithmetic is not exact."""
    worst: dict[str, float] = {}
    if not isinstance(found.device, Analogue):
        return worst
    for run in found.passes:
        for op, _ in run.graph.distinct():
            ratio = found.device.snr_db(op)
            if ratio is not None:
                worst[op.name] = min(ratio, worst.get(op.name, ratio))
    return worst


def _layouts(found: Simulated) -> dict[str, str]:
    """Operator -> how it is laid out in light, where the machine computes so; of several shapes the last."""
    device = found.device
    if not isinstance(device, Analogue):
        return {}
    ops = [op for run in found.passes for op, _ in run.graph.distinct()]
    return {op.name: words for op in ops if (words := device.layout_words(op)) is not None}


def _utilization(found: Simulated) -> dict[str, float]:
    """Share of a step for which each resource is busy, in the machine's order of resources."""
    busy = add_counts(*(run.outcome.busy_cycles for run in found.passes))
    total = _cycles(found.passes)
    return {resource.name: busy.get(resource.name, 0.0) / total for resource in found.device.resources}


def _speculative(found: Simulated) -> Mapping[str, Any] | None:
    """Nodes, tokens per step and the policies that were used; None when autoregressive."""
    if found.step is None or not found.step.draft_passes:
        return None
    policies = {run.work.role: run.work.state.policy for run in found.passes}
    return {
        "nodes": found.step.verify_tokens,
        "parents": list(found.step.tree.parents),
        "tokens_per_step": found.tokens_per_step,
        "policy": {"target": policies["verify"], "draft": policies["draft"]},
        "draft": found.passes[0].model,
        "draft_s": sum(run.outcome.cycles for run in found.passes if run.work.role == "draft") / found.device.clock_hz,
        "verify_s": sum(run.outcome.cycles for run in found.passes if run.work.role == "verify")
        / found.device.clock_hz,
    }


def _pass_row(found: Simulated, run: RunPass) -> PassRow:
    work, outcome = run.work, run.outcome
    time_s = outcome.cycles / found.device.clock_hz
    policy = work.state.policy
    return PassRow(
        role=work.role,
        model=run.model,
        tokens=work.tokens,
        batch=work.batch,
        count=1,
        cycles=outcome.cycles,
        time_s=time_s,
        policy=policy,
        programs=outcome.programs,
        level=work.level,
    )


def _op_rows(found: Simulated, step_cycles: int) -> list[OpRow]:
    """Operators of a step, the draft's under their own name, longest first."""
    clock = found.device.clock_hz
    groups: dict[str, list[OpOutcome]] = {}
    for run in found.passes:
        prefix = "draft." if run.work.role == "draft" else ""
        for op in run.outcome.ops:
            groups.setdefault(prefix + op.name, []).append(op)
    roofs = found.device.roofs.bytes_per_s
    level = min(roofs, key=lambda name: (roofs[name], name), default="")
    rows = [_op_row(name, parts, clock, step_cycles, level) for name, parts in groups.items()]
    return sorted(rows, key=lambda row: (-row.time_s, -row.busy_s, row.name))


def _op_row(name: str, parts: list[OpOutcome], clock: float, step_cycles: int, level: str) -> OpRow:
    """A row; its bytes are those of the slowest memory level, to which a roofline's intensities refer."""
    busy = add_counts(*(part.busy_cycles for part in parts))
    critical = add_counts(*(part.extends_cycles for part in parts))
    cycles = sum(critical.values())
    deciding = critical if cycles else busy
    resource = max(deciding, key=lambda each: deciding[each], default="none")
    bound = "hidden" if not cycles else "memory" if resource.startswith("memory") else "compute"
    return OpRow(
        name=name,
        kind=parts[0].kind,
        block=parts[0].block,
        count=sum(part.count for part in parts),
        time_s=cycles / clock,
        cycles=cycles,
        busy_s=busy.get(resource, 0.0) / clock,
        held_s=max(busy.values(), default=0.0) / clock,
        resource=resource,
        bytes=sum(part.bytes.get(level, 0.0) for part in parts),
        macs=sum(part.macs for part in parts),
        bound=bound,
        share=cycles / step_cycles,
        bytes_by=add_counts(*(part.bytes for part in parts)),
        energy_j_by=scale_counts(add_counts(*(part.energy_pj for part in parts)), PICO),
        stored_macs=sum(part.stored_macs for part in parts),
    )
