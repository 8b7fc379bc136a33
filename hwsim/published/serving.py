"""Predictors of papers about serving: what a card decodes once its memory is full, and what sparse weights leave."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final

from hwsim.devices.catalog import find_device
from hwsim.errors import HwsimError, Infeasible
from hwsim.pipeline import Question, simulate
from hwsim.published.arguments import Arguments, count, number, of_baseline, text
from hwsim.published.runner import Prediction
from hwsim.workload import find_workload
from hwsim.workload.builders import build
from hwsim.workload.model import Pass

if TYPE_CHECKING:
    from hwsim.published.runner import Predictor
    from hwsim.result import Constant, Result

__all__ = ["PREDICTORS"]

_MLP: Final = frozenset({"gate_proj", "up_proj", "down_proj"})


def _full(arguments: Arguments, head: str = "") -> Result:
    """Requests of ``context`` and ``new_tokens`` at the largest batch that memory holds, at most ``most``."""
    given = of_baseline(arguments, head)
    device = find_device(text(given, "device"), text(given, "overrides", "").split())
    workload = find_workload(text(given, "workload"), text(given, "set", "").split())
    context, new = (count(given, name, 1) for name in ("context", "new_tokens"))
    one = Question("inference" if new > 1 else "decode", 1, context, new)
    answer = simulate(workload, device, one)
    if not isinstance(answer, Infeasible):
        most = count(given, "most", 256)
        batch = (answer.largest or {}).get("batch") or most
        answer = simulate(workload, device, replace(one, batch=min(batch, most)))
    if isinstance(answer, Infeasible):
        raise HwsimError.at("predict.arguments", answer.reason, f"a request that {device.name} holds")
    return answer


def _rate(answer: Result) -> float:
    """New tokens a second of all sequences, prompts included."""
    return answer.batch * answer.new_tokens / answer.time_s


def _of_time(*answers: Result) -> tuple[Constant, ...]:
    found = {c.path: c for answer in answers for c in (*answer.fitted, *answer.assumed) if c.enters == "time"}
    return tuple(found.values())


def full_memory_rate(arguments: Arguments) -> Prediction:
    """Tokens a second at the largest batch that fits."""
    answer = _full(arguments)
    return Prediction(_rate(answer), "tokens/s", f"at a batch of {answer.batch}", _of_time(answer))


def full_memory_ratio(arguments: Arguments) -> Prediction:
    """Tokens a second over those of the baseline, each at the largest batch that fits it."""
    ours, base = _full(arguments), _full(arguments, "baseline_")
    words = f"batch {ours.batch} against {base.batch}"
    return Prediction(_rate(ours) / _rate(base), "x", words, _of_time(ours, base))


def sparse_memory_ratio(arguments: Arguments) -> Prediction:
    """Weights over those left when ``sparsity`` of the feed-forward layers' weights is not stored."""
    workload = find_workload(text(arguments, "workload"), text(arguments, "set", "").split())
    ops = build(workload.model, workload.formats, Pass("prefill", 1, 1, 0, True)).ops
    whole = sum(op.parameters for op in ops)
    left = whole - number(arguments, "sparsity") * sum(op.parameters for op in ops if op.name in _MLP)
    return Prediction(whole / left, "x")


PREDICTORS: Final[dict[str, Predictor]] = {
    "full_memory_rate": full_memory_rate,
    "full_memory_ratio": full_memory_ratio,
    "sparse_memory_ratio": sparse_memory_ratio,
}
