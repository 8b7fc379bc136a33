"""Predictors for what is published of kernels and models on GPUs.

A row names kernels as a user would type them; several apart by `` ; `` run one after the other, and ``39 x`` before one
is that one 39 times.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from hwsim.devices.catalog import find_device
from hwsim.devices.gpu import GpuDevice
from hwsim.errors import HwsimError, Infeasible
from hwsim.pipeline import Question, kernel, simulate
from hwsim.pipeline.leaning import leaning_constants
from hwsim.published.arguments import Arguments, count, number, of_baseline, op_of, pairs, refused, text
from hwsim.published.runner import Prediction
from hwsim.workload import find_workload
from hwsim.workload.summary import summary

if TYPE_CHECKING:
    from hwsim.published.runner import Predictor
    from hwsim.result import Constant, Result
    from hwsim.workload.model import Phase

__all__ = ["PREDICTORS"]

GIB: Final = 2.0**30
_PHASES: Final[tuple[Phase, ...]] = ("decode", "prefill")
"""Phases whose steps rows compare."""


def _card(name: str) -> GpuDevice:
    device = find_device(name)
    if not isinstance(device, GpuDevice):
        raise refused("device", name, "a machine of the gpu family")
    return device


def _run(name: str, words: str) -> tuple[float, dict[str, Constant]]:
    """(seconds, constants that they lean on by path) of kernels one after the other on a card."""
    device, total = _card(name), 0.0
    constants: dict[str, Constant] = {}
    for each in (part.strip() for part in words.split(" ; ")):
        times, _, one = each.rpartition(" x ")
        op = op_of(one)
        answer = kernel(op, device)
        if isinstance(answer, Infeasible):
            raise HwsimError.at("predict.arguments", answer.reason, f"a kernel that {device.name} runs")
        total += _times(times) * answer.time_s
        constants |= {c.path: c for c in leaning_constants(device, op) if c.enters == "time"}
    return total, constants


def _times(word: str) -> int:
    """How often a kernel runs: the word in front of its `` x ``, once where there is none."""
    if word and not word.isdecimal():
        raise refused("kernel", repr(word), "a whole number in front of ' x '")
    return int(word or 1)


def attention_tops(arguments: Arguments) -> Prediction:
    """Rate of an attention kernel: 4 * batch * heads * head_dim * length^2 operations, half of them if causal."""
    words = text(arguments, "kernel")
    given = pairs(words, "attention")
    time, constants = _run(text(arguments, "device"), words)
    work = 4.0 * float(given["batch"]) * float(given["heads"]) * float(given["head_dim"])
    work *= float(given["q_len"]) * float(given["kv_len"]) * (0.5 if given["phase"] == "prefill" else 1.0)
    return Prediction(work / time / 1e12, "TOPS", constants=tuple(constants.values()))


def kernel_ratio(arguments: Arguments) -> Prediction:
    """Time of ``baseline`` over that of ``kernel``, both on ``device``; ``unit`` where it is another quantity."""
    card = text(arguments, "device")
    ours, constants = _run(card, text(arguments, "kernel"))
    base, more = _run(card, text(arguments, "baseline"))
    words = text(arguments, "words", "")
    return Prediction(base / ours, _unit(arguments, "x"), words, tuple((constants | more).values()))


def kernel_time(arguments: Arguments) -> Prediction:
    """Milliseconds of kernels one after the other."""
    time, constants = _run(text(arguments, "device"), text(arguments, "kernel"))
    return Prediction(1e3 * time, "ms", text(arguments, "words", ""), tuple(constants.values()))


def added_time(arguments: Arguments) -> Prediction:
    """Microseconds that ``kernel`` takes more than ``baseline``."""
    card = text(arguments, "device")
    ours, constants = _run(card, text(arguments, "kernel"))
    base, more = _run(card, text(arguments, "baseline"))
    return Prediction(1e6 * (ours - base), "us", "", tuple((constants | more).values()))


def gemm_rate(arguments: Arguments) -> Prediction:
    """Tera-operations per second of a product, two for each multiply-accumulate."""
    words = text(arguments, "kernel")
    given = pairs(words, "gemm")
    time, constants = _run(text(arguments, "device"), words)
    work = 2.0 * float(given["m"]) * float(given["n"]) * float(given["k"])
    return Prediction(work / time / 1e12, "TFLOP/s", constants=tuple(constants.values()))


def _unit(arguments: Arguments, same: str) -> str:
    """The unit: another one where the figure is no more than a stand-in for the claim's."""
    return text(arguments, "unit", same)


def _step(arguments: Arguments, head: str) -> Result:
    """An answer of `simulate`: ``workload``, what it ``set``s and ``overrides``, or those of the ``baseline``."""
    overrides = text(arguments, f"{head}overrides", "").split()
    device = find_device(text(arguments, "device"), overrides)
    changes = text(arguments, f"{head}set", "").split()
    workload = find_workload(text(of_baseline(arguments, head), "workload"), changes)
    asked = text(arguments, "phase", "decode")
    phase = next((each for each in _PHASES if each == asked), None)
    if phase is None:
        raise refused("phase", repr(asked), " or ".join(_PHASES))
    question = Question(phase, count(arguments, "batch", 1), count(arguments, "context"))
    answer = simulate(workload, device, question)
    if isinstance(answer, Infeasible):
        raise HwsimError.at("predict.arguments", answer.reason, f"a machine that runs {workload.name}")
    return answer


def step_ratio(arguments: Arguments) -> Prediction:
    """Time of a step of the baseline over that of the workload: a token's in decoding, all of a ``phase: prefill``."""
    ours, base = _step(arguments, ""), _step(arguments, "baseline_")
    constants = tuple({c.path: c for a in (ours, base) for c in (*a.fitted, *a.assumed) if c.enters == "time"}.values())
    words = f"{base.workload} at {1e3 * base.step_s:.1f} ms over {ours.workload} at {1e3 * ours.step_s:.1f} ms per step"
    return Prediction(base.step_s / ours.step_s, _unit(arguments, "x"), words, constants)


def step_time(arguments: Arguments) -> Prediction:
    """Milliseconds of one decode step."""
    answer = _step(arguments, "")
    constants = tuple(c for c in (*answer.fitted, *answer.assumed) if c.enters == "time")
    return Prediction(1e3 * answer.step_s, _unit(arguments, "ms"), text(arguments, "words", ""), constants)


def cache_gb(arguments: Arguments) -> Prediction:
    """Keys and values at a context, in GB of the paper's kind, with a share of the channels kept at fewer bits.

    ``context`` tokens of ``workload``; ``kept`` of the channels (low rank) at ``bits``.
    """
    per_token = summary(find_workload(text(arguments, "workload"))).cache_bytes_per_token
    kept, bits = number(arguments, "kept", 1.0), number(arguments, "bits", 16.0)
    return Prediction(number(arguments, "context") * per_token * kept * bits / 16.0 / GIB, "GB")


def optimizer_gib(arguments: Arguments) -> Prediction:
    """Two moments of each parameter over ``gpus``: ``bytes`` each and one 16-bit scale for ``group`` elements."""
    parameters = summary(find_workload(text(arguments, "workload"))).parameters
    group = number(arguments, "group", 0.0)
    each = number(arguments, "bytes") + (2.0 / group if group else 0.0)
    return Prediction(2.0 * parameters * each / number(arguments, "gpus") / GIB, "GB")


PREDICTORS: Final[dict[str, Predictor]] = {
    "added_time": added_time,
    "attention_tops": attention_tops,
    "cache_gb": cache_gb,
    "gemm_rate": gemm_rate,
    "kernel_ratio": kernel_ratio,
    "kernel_time": kernel_time,
    "optimizer_gib": optimizer_gib,
    "step_ratio": step_ratio,
    "step_time": step_time,
}
