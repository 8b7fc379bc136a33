"""What a notebook imports: names and files in, `Result`s and figures' data out.

``hwsim.simulate("mamba", "vck190-spec", batch=4)`` is `hwsim simulate mamba --device vck190-spec --batch 4`.
What is wrong with the words is raised as `HwsimError`; what a machine cannot run comes back as `Infeasible`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Literal

from hwsim.commands.inputs import device_of, split_overrides, workload_of
from hwsim.errors import HwsimError, Infeasible
from hwsim.result import Result

if TYPE_CHECKING:
    from hwsim.workload.model import Phase

__all__ = ["simulate", "simulate_each"]

_ASKED = ("batch", "context", "new_tokens")


def simulate(
    workload: str,
    device: str,
    *,
    phase: Phase | None = None,
    batch: int | None = None,
    context: int | None = None,
    new_tokens: int | None = None,
    settings: Mapping[str, object] | None = None,
) -> Result | Infeasible:
    """Time, energy and limit of a workload on a machine.

    Args:
        workload: a shipped name (``hwsim list workloads``) or a file.
        device: a shipped name (``hwsim list devices``) or a file.
        phase: part of the work; by default the workload's own.
        batch: sequences or images at once.
        context: tokens before the new ones, or of the prompt.
        new_tokens: tokens to generate per sequence.
        settings: what ``--set`` takes: ``{"device.memory.bandwidth": "819.2 GB/s", "workload.run.batch": 4}``.

    Raises:
        HwsimError: an unknown name, a faulty file, a question that makes no sense.
    """
    from hwsim.pipeline import Question  # noqa: PLC0415 - brings in the engine, which `import hwsim` never needs
    from hwsim.pipeline import simulate as run  # noqa: PLC0415

    overrides = split_overrides([f"{path}={value}" for path, value in (settings or {}).items()])
    loaded, machine = workload_of(workload, overrides), device_of(device, overrides)
    question = Question(
        phase=phase,
        batch=batch,
        context=context,
        new_tokens=new_tokens,
        inputs={**loaded.inputs, **machine.inputs},
        leaning=True,
    )
    return run(loaded.value, machine.value, question)


def simulate_each(
    workload: str,
    device: str,
    values: Iterable[int],
    *,
    over: Literal["batch", "context", "new_tokens"] = "batch",
    **asked: object,
) -> tuple[Result, ...]:
    """The same question for several batches, contexts or lengths; values that do not fit are left out.

    Args:
        workload: as for `simulate`.
        device: as for `simulate`.
        values: what to go through.
        over: which part of the question.
        asked: the rest of the question, as `simulate` takes it.

    Raises:
        HwsimError: as for `simulate`, or ``over`` is no part of a question.
    """
    if over not in _ASKED:
        raise HwsimError.unknown_name("over", "part of a question", over, _ASKED)
    answers = [simulate(workload, device, **{**asked, over: value}) for value in values]  # type: ignore[arg-type]
    return tuple(answer for answer in answers if isinstance(answer, Result))
