"""Predictors for what is published of sparse and dense matrix products on CPUs."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Final

from hwsim.devices.catalog import find_device
from hwsim.devices.cpu import CpuDevice
from hwsim.devices.cpu.instructions import decompression_share, expand_tile
from hwsim.devices.cpu.loops import loop_cycles
from hwsim.errors import HwsimError, Infeasible
from hwsim.pipeline import Question, kernel, simulate
from hwsim.pipeline.accounts import constants_of
from hwsim.published.arguments import Arguments, count, number, op_of, refused, text, words
from hwsim.published.runner import Prediction
from hwsim.workload import find_workload

if TYPE_CHECKING:
    from hwsim.pipeline import KernelResult
    from hwsim.published.runner import Predictor
    from hwsim.result import Result

__all__ = ["MEASURED", "PREDICTORS", "token_time_s"]

MEASURED: Final = Path(__file__).resolve().parent / "measured"
"""Folders that `hwsim measure` wrote and that ship."""

_TMUL_INSTRUCTIONS: Final = 2.5
"""Tile load of the weights, half a tile load of activations, the product."""


def _device(arguments: Arguments, name: str = "device") -> CpuDevice:
    """The machine, with the settings that stand behind it (``spr-56c memory=hbm``)."""
    device = find_device(*words(arguments, name))
    if not isinstance(device, CpuDevice):
        raise refused(name, device.name, "a machine of the cpu family")
    return device


def _run(kernel_words: str, device: CpuDevice) -> KernelResult:
    answer = kernel(op_of(kernel_words), device)
    if isinstance(answer, Infeasible):
        raise HwsimError.at("predict.arguments", answer.reason, f"a kernel that {device.name} runs")
    return answer


def token_time_s(device: str, settings: tuple[str, ...], workload: str, sparsity: float, question: Question) -> Result:
    """A workload with a share of its layers' weights pruned, on a machine."""
    overrides = (f"formats.weight_sparsity={sparsity}",)
    answer = simulate(find_workload(workload, overrides), find_device(device, settings), question)
    if isinstance(answer, Infeasible):
        raise HwsimError.at(device, str(answer), f"a machine that runs {workload}")
    return answer


def token_ratio(arguments: Arguments) -> Prediction:
    """Time of a token, dense, over that with ``sparsity`` of the weights pruned."""
    question = Question(context=count(arguments, "context", 512), new_tokens=1)
    shape = (*words(arguments, "device"), text(arguments, "workload"))
    dense, sparse = (token_time_s(*shape, s, question) for s in (0.0, number(arguments, "sparsity")))
    constants = (*sparse.fitted, *sparse.assumed)
    said = text(arguments, "words", "")
    return Prediction(dense.step_s / sparse.step_s, _ratio_unit(said), said, constants)


def _ratio_unit(said: str) -> str:
    """``x``, or another unit where words say that the figure is not the claim's own: then no error is computed."""
    return "x here" if said else "x"


def token_rate(arguments: Arguments) -> Prediction:
    """Tokens per second of all sequences of a workload."""
    question = Question(batch=count(arguments, "batch", 1), context=count(arguments, "context"), new_tokens=1)
    answer = token_time_s(*words(arguments, "device"), text(arguments, "workload"), 0.0, question)
    return Prediction(answer.tokens_per_s, "tokens/s", constants=(*answer.fitted, *answer.assumed))


def cpu_kernel_ratio(arguments: Arguments) -> Prediction:
    """Time of the kernel ``baseline`` (on ``baseline_device``, if given) over that of ``kernel``."""
    device = _device(arguments)
    base_device = _device(arguments, "baseline_device") if "baseline_device" in arguments else device
    ours = _run(text(arguments, "kernel"), device)
    base = _run(text(arguments, "baseline"), base_device)
    said = text(arguments, "words", "")
    constants = (*ours.fitted, *ours.assumed)
    return Prediction(base.time_s / ours.time_s, _ratio_unit(said), said, constants)


def weight_stream(arguments: Arguments) -> Prediction:
    """Weight bytes of a kernel over its time."""
    answer = _run(text(arguments, "kernel"), _device(arguments))
    return Prediction(answer.bytes["dram"] / answer.time_s / 1e9, "GB/s", constants=(*answer.fitted, *answer.assumed))


def region(arguments: Arguments) -> Prediction:
    """1 where the limit of a kernel is the claimed one (``memory``, ``vector`` or ``amx``), else 0."""
    answer = _run(text(arguments, "kernel"), _device(arguments))
    bound = "memory" if answer.bound.startswith("memory") else answer.bound
    shares = ", ".join(f"{name} {100 * share:.0f} %" for name, share in answer.utilization.items())
    value = float(bound == text(arguments, "bound"))
    return Prediction(value, "agrees", f"{bound}-bound ({shares})", (*answer.fitted, *answer.assumed))


def instruction_share(arguments: Arguments) -> Prediction:
    """Share of the sparse kernel's instructions that decompress, for tiles of ``format``."""
    mix = expand_tile(text(arguments, "format"), sparse=True)
    return Prediction(100 * decompression_share(mix, _TMUL_INSTRUCTIONS), "%")


def busy_share(arguments: Arguments) -> Prediction:
    """Share of a step for which a resource is busy."""
    question = Question(
        phase="prefill" if text(arguments, "phase", "") == "prefill" else "decode",
        batch=count(arguments, "batch"),
        context=count(arguments, "context"),
        new_tokens=1,
    )
    answer = token_time_s(*words(arguments, "device"), text(arguments, "workload"), 0.0, question)
    value = 100 * answer.utilization[text(arguments, "resource")]
    return Prediction(value, "%", constants=(*answer.fitted, *answer.assumed))


def loop(arguments: Arguments) -> Prediction:
    """Cycles of a tile of a measured loop."""
    device = _device(arguments)
    cycles = loop_cycles(
        device.parameters, text(arguments, "loop"), text(arguments, "level"), number(arguments, "sparsity")
    )
    fitted, assumed, _ = constants_of(device, None)
    leaning = tuple(c for c in (*fitted, *assumed) if ".core_path." in c.path or ".vector.expand" in c.path)
    return Prediction(cycles, "cycles", constants=leaning)


def int8_ratio(arguments: Arguments) -> Prediction:
    """Time of a token in dense int8 over that in sparse int8."""
    name, settings = words(arguments, "device")
    formats = ("formats.weights=int8", "formats.activations=int8")
    times = []
    for sparsity in (0.0, number(arguments, "sparsity")):
        overrides = (*formats, f"formats.weight_sparsity={sparsity}")
        workload = find_workload(text(arguments, "workload"), overrides)
        workload = replace(workload, run=replace(workload.run, context=512))
        answer = simulate(workload, find_device(name, settings), Question(new_tokens=1))
        if isinstance(answer, Infeasible):
            raise HwsimError.at(name, str(answer), "a machine that runs it")
        times.append(answer.step_s)
    return Prediction(times[0] / times[1], "x over dense int8", text(arguments, "words", ""))


PREDICTORS: Final[dict[str, Predictor]] = {
    "busy_share": busy_share,
    "cpu_kernel_ratio": cpu_kernel_ratio,
    "instruction_share": instruction_share,
    "int8_ratio": int8_ratio,
    "loop": loop,
    "region": region,
    "token_rate": token_rate,
    "token_ratio": token_ratio,
    "weight_stream": weight_stream,
}
