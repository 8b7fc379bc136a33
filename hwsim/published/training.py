"""Predictors of papers about training: memory of a step by what it is, and tokens a second on each card."""

from __future__ import annotations

from functools import lru_cache
from typing import Final

from hwsim.devices.catalog import device_names, find_device
from hwsim.devices.gpu import GpuDevice
from hwsim.errors import HwsimError, Infeasible
from hwsim.pipeline import Question, simulate
from hwsim.published.arguments import Arguments, count, of_baseline, text
from hwsim.published.runner import Prediction, Predictor
from hwsim.result import Constant, Result
from hwsim.workload import find_workload
from hwsim.workload.catalog import workload_names
from hwsim.workload.training import forward_name
from hwsim.workload.training_passes import GRAD

__all__ = ["PREDICTORS"]

_GIB: Final = 2.0**30
_CHANGED: Final = (("device", "overrides"), ("workload", "set"))
"""What a step is of, and the argument that changes it."""


def _step(arguments: Arguments, head: str = "") -> tuple[Result, int]:
    """A step of training and its cards: ``workload`` on ``device``, with what ``overrides`` and ``set`` change.

    ``batch`` counts sequences of each group of cards that holds the model. Arguments that start with ``head``
    (``baseline_``) come first.
    """
    given = of_baseline(arguments, head)
    machine, model = ((text(given, name), text(given, changed, "")) for name, changed in _CHANGED)
    shipped = machine[0] in device_names() and model[0] in workload_names()
    answer = _kept if shipped else _answer
    return answer(machine, model, count(given, "batch", 1), count(given, "context", 1))


def _answer(machine: tuple[str, str], model: tuple[str, str], batch: int, context: int) -> tuple[Result, int]:
    """The step of a machine and a model, each a name and what is changed of it."""
    device, workload = find_device(machine[0], machine[1].split()), find_workload(model[0], model[1].split())
    cards = device.cards if isinstance(device, GpuDevice) else 1
    cluster = device.parameters.cluster if isinstance(device, GpuDevice) else None
    answer = simulate(workload, device, Question("train", batch * (cluster.replicas if cluster else 1), context))
    if isinstance(answer, Infeasible):
        raise HwsimError.at("predict.arguments", answer.reason, f"a step that {device.name} holds")
    return answer, cards


_kept = lru_cache(maxsize=64)(_answer)
"""Rows of a paper are about the same few steps; files of one's own may change, shipped ones do not."""


def _of_time(*answers: Result) -> tuple[Constant, ...]:
    found = {c.path: c for answer in answers for c in (*answer.fitted, *answer.assumed) if c.enters == "time"}
    return tuple(found.values())


def _gib(answer: Result, terms: str) -> float:
    """Terms of a step's memory (``state+gradients``), all without a name."""
    names = terms.split("+") if terms else list(answer.memory_bytes)
    return sum(answer.memory_bytes[name] for name in names) / _GIB


def training_gib(arguments: Arguments) -> Prediction:
    """GiB of a step's memory on one card: of all of it, or of ``terms`` joined by +."""
    answer, _ = _step(arguments)
    return Prediction(_gib(answer, text(arguments, "terms", "")), "GB")


def training_memory_ratio(arguments: Arguments) -> Prediction:
    """Memory of the baseline's step over that of the step."""
    terms = text(arguments, "terms", "")
    ours, base = _gib(_step(arguments)[0], terms), _gib(_step(arguments, "baseline_")[0], terms)
    return Prediction(base / ours, "x", f"{base:.1f} GiB over {ours:.1f} GiB")


def training_rate(arguments: Arguments) -> Prediction:
    """Tokens a second on each card."""
    answer, cards = _step(arguments)
    return Prediction((answer.tokens_per_s or 0.0) / cards, "tokens/s", constants=_of_time(answer))


def training_speedup(arguments: Arguments) -> Prediction:
    """Tokens a second over those of the baseline, each at its own batch.

    ``role`` compares one pass (forward, backward) in place of the step.
    """
    ours, base = _step(arguments)[0], _step(arguments, "baseline_")[0]
    role = text(arguments, "role", "")
    rates = [each.batch / (_role_s(each, role) if role else each.step_s) for each in (ours, base)]
    words = text(arguments, "words", "")
    return Prediction(rates[0] / rates[1], text(arguments, "unit", "x"), words, _of_time(ours, base))


def training_products_speedup(arguments: Arguments) -> Prediction:
    """Time of the baseline's products in layers, with the passes beside them, over that of the step's own.

    ``role`` takes those of one pass (forward, backward) in place of both.
    """
    ours, base = _step(arguments)[0], _step(arguments, "baseline_")[0]
    times = [_products_s(each, text(arguments, "role", "")) for each in (ours, base)]
    words = f"{1e3 * times[1]:.2f} ms over {1e3 * times[0]:.2f} ms"
    return Prediction(times[1] / times[0], text(arguments, "unit", "x"), words, _of_time(ours, base))


def _products_s(answer: Result, role: str) -> float:
    """Seconds of the products of one pass, or of forward and backward, and of what is done beside them."""
    products = {row.name for row in answer.ops if row.kind == "gemm" and row.name.endswith("_proj")}
    own = [row for row in answer.ops if forward_name(row.name) in products]
    return sum(row.time_s for row in own if role in ("", "backward" if GRAD in row.name else "forward"))


def _role_s(answer: Result, role: str) -> float:
    return sum(each.time_s for each in answer.passes if each.role == role)


PREDICTORS: Final[dict[str, Predictor]] = {
    "training_gib": training_gib,
    "training_memory_ratio": training_memory_ratio,
    "training_products_speedup": training_products_speedup,
    "training_rate": training_rate,
    "training_speedup": training_speedup,
}
