"""Predictors for what is published of kernels and models on GPUs.

A row names kernels as a user would type them; several apart by `` ; `` run one after the other, and ``39 x`` before one
is that one 39 times.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Final

from hwsim.devices.catalog import find_device
from hwsim.devices.gpu import GpuDevice
from hwsim.errors import HwsimError, Infeasible
from hwsim.pipeline import Question, kernel, simulate
from hwsim.pipeline.leaning import leaning_constants
from hwsim.published.runner import Prediction
from hwsim.workload import find_workload
from hwsim.workload.kernel import build_kernel
from hwsim.workload.summary import summary

if TYPE_CHECKING:
    from hwsim.published.model import Argument
    from hwsim.published.runner import Predictor
    from hwsim.result import Constant, Result

__all__ = ["PREDICTORS"]

Arguments = Mapping[str, "Argument"]
GIB: Final = 2.0**30


def _text(arguments: Arguments, name: str) -> str:
    value = arguments.get(name)
    if not isinstance(value, str):
        raise HwsimError.at(f"predict.arguments.{name}", f"{value!r}", "a text")
    return value


def _number(arguments: Arguments, name: str, default: float | None = None) -> float:
    value = arguments.get(name, default)
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise HwsimError.at(f"predict.arguments.{name}", f"{value!r}", "a number")
    return float(value)


def _pairs(words: str) -> dict[str, str]:
    """``name=value`` pairs apart by spaces."""
    return dict(word.split("=", 1) for word in words.split())


def _card(name: str) -> GpuDevice:
    device = find_device(name)
    if not isinstance(device, GpuDevice):
        raise HwsimError.at("predict.arguments.device", name, "a machine of the gpu family")
    return device


def _run(name: str, words: str) -> tuple[float, dict[str, Constant]]:
    """(seconds, constants that they lean on by path) of kernels one after the other on a card."""
    device, total = _card(name), 0.0
    constants: dict[str, Constant] = {}
    for each in (text.strip() for text in words.split(" ; ")):
        times, _, one = each.rpartition(" x ")
        count = int(times or 1)
        kind, _, rest = one.partition(" ")
        op = build_kernel(kind, _pairs(rest))
        answer = kernel(op, device)
        if isinstance(answer, Infeasible):
            raise HwsimError.at("predict.arguments", answer.reason, f"a kernel that {device.name} runs")
        total += count * answer.time_s
        constants |= {c.path: c for c in leaning_constants(device, op) if c.enters == "time"}
    return total, constants


def attention_tops(arguments: Arguments) -> Prediction:
    """Rate of an attention kernel: 4 * batch * heads * head_dim * length^2 operations, half of them if causal."""
    words = _text(arguments, "kernel")
    pairs = _pairs(words.partition(" ")[2])
    time, constants = _run(_text(arguments, "device"), words)
    work = 4.0 * float(pairs["batch"]) * float(pairs["heads"]) * float(pairs["head_dim"])
    work *= float(pairs["q_len"]) * float(pairs["kv_len"]) * (0.5 if pairs["phase"] == "prefill" else 1.0)
    return Prediction(work / time / 1e12, "TOPS", constants=tuple(constants.values()))


def kernel_ratio(arguments: Arguments) -> Prediction:
    """Time of ``baseline`` over that of ``kernel``, both on ``device``; ``unit`` where it is another quantity."""
    card = _text(arguments, "device")
    ours, constants = _run(card, _text(arguments, "kernel"))
    base, more = _run(card, _text(arguments, "baseline"))
    words = str(arguments.get("words", ""))
    return Prediction(base / ours, _unit(arguments, "x"), words, tuple((constants | more).values()))


def kernel_time(arguments: Arguments) -> Prediction:
    """Milliseconds of kernels one after the other."""
    time, constants = _run(_text(arguments, "device"), _text(arguments, "kernel"))
    return Prediction(1e3 * time, "ms", str(arguments.get("words", "")), tuple(constants.values()))


def added_time(arguments: Arguments) -> Prediction:
    """Microseconds that ``kernel`` takes more than ``baseline``."""
    card = _text(arguments, "device")
    ours, constants = _run(card, _text(arguments, "kernel"))
    base, more = _run(card, _text(arguments, "baseline"))
    return Prediction(1e6 * (ours - base), "us", "", tuple((constants | more).values()))


def gemm_rate(arguments: Arguments) -> Prediction:
    """Tera-operations per second of a product, two for each multiply-accumulate."""
    words = _text(arguments, "kernel")
    pairs = _pairs(words.partition(" ")[2])
    time, constants = _run(_text(arguments, "device"), words)
    work = 2.0 * float(pairs["m"]) * float(pairs["n"]) * float(pairs["k"])
    return Prediction(work / time / 1e12, "TFLOP/s", constants=tuple(constants.values()))


def _unit(arguments: Arguments, same: str) -> str:
    """The unit: another one where the figure is no more than a stand-in for the claim's."""
    return str(arguments.get("unit", same))


def _step(arguments: Arguments, head: str) -> Result:
    """An answer of `simulate`: ``workload``, what it ``set``s and ``overrides``, or those of the ``baseline``."""
    overrides = str(arguments.get(f"{head}overrides", "")).split()
    device = find_device(_text(arguments, "device"), overrides)
    changes = str(arguments.get(f"{head}set", "")).split()
    workload = find_workload(str(arguments.get(f"{head}workload", arguments.get("workload"))), changes)
    question = Question(
        phase="prefill" if arguments.get("phase") == "prefill" else "decode",
        batch=int(_number(arguments, "batch", 1)),
        context=int(_number(arguments, "context")),
    )
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
    return Prediction(1e3 * answer.step_s, _unit(arguments, "ms"), str(arguments.get("words", "")), constants)


def cache_gb(arguments: Arguments) -> Prediction:
    """Keys and values at a context, in GB of the paper's kind, with a share of the channels kept at fewer bits.

    ``context`` tokens of ``workload``; ``kept`` of the channels (low rank) at ``bits``.
    """
    per_token = summary(find_workload(_text(arguments, "workload"))).cache_bytes_per_token
    kept, bits = _number(arguments, "kept", 1.0), _number(arguments, "bits", 16.0)
    return Prediction(_number(arguments, "context") * per_token * kept * bits / 16.0 / GIB, "GB")


def optimizer_gib(arguments: Arguments) -> Prediction:
    """Two moments of each parameter over ``gpus``: ``bytes`` each and one 16-bit scale for ``group`` elements."""
    parameters = summary(find_workload(_text(arguments, "workload"))).parameters
    group = _number(arguments, "group", 0.0)
    each = _number(arguments, "bytes") + (2.0 / group if group else 0.0)
    return Prediction(2.0 * parameters * each / _number(arguments, "gpus") / GIB, "GB")


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
