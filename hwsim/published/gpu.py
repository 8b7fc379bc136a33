"""Predictors for what is published of kernels on GPUs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Final

from hwsim.devices.catalog import find_device
from hwsim.errors import HwsimError, Infeasible
from hwsim.pipeline import kernel
from hwsim.published.runner import Prediction
from hwsim.workload.kernel import build_kernel

if TYPE_CHECKING:
    from hwsim.pipeline import KernelResult
    from hwsim.published.model import Argument
    from hwsim.published.runner import Predictor

__all__ = ["PREDICTORS"]

Arguments = Mapping[str, "Argument"]


def _text(arguments: Arguments, name: str) -> str:
    value = arguments.get(name)
    if not isinstance(value, str):
        raise HwsimError.at(f"predict.arguments.{name}", f"{value!r}", "a text")
    return value


def _pairs(words: str) -> dict[str, str]:
    """``name=value`` pairs apart by spaces."""
    return dict(word.split("=", 1) for word in words.split())


def _run(arguments: Arguments, words: str) -> KernelResult:
    """One kernel on the row's machine."""
    device = find_device(_text(arguments, "device"))
    kind, _, rest = words.partition(" ")
    answer = kernel(build_kernel(kind, _pairs(rest)), device)
    if isinstance(answer, Infeasible):
        raise HwsimError.at("predict.arguments", answer.reason, f"a kernel that {device.name} runs")
    return answer


def attention_tops(arguments: Arguments) -> Prediction:
    """Rate of an attention kernel: 4 * batch * heads * head_dim * length^2 operations, half of them if causal."""
    words = _text(arguments, "kernel")
    pairs = _pairs(words.partition(" ")[2])
    answer = _run(arguments, words)
    work = 4.0 * float(pairs["batch"]) * float(pairs["heads"]) * float(pairs["head_dim"])
    work *= float(pairs["q_len"]) * float(pairs["kv_len"]) * (0.5 if pairs["phase"] == "prefill" else 1.0)
    return Prediction(work / answer.time_s / 1e12, "TOPS", constants=(*answer.fitted, *answer.assumed))


def kernel_ratio(arguments: Arguments) -> Prediction:
    """Time of the kernel ``baseline`` over that of ``kernel``."""
    ours, base = _run(arguments, _text(arguments, "kernel")), _run(arguments, _text(arguments, "baseline"))
    return Prediction(base.time_s / ours.time_s, "x", constants=(*ours.fitted, *ours.assumed))


PREDICTORS: Final[dict[str, Predictor]] = {"attention_tops": attention_tops, "kernel_ratio": kernel_ratio}
