"""Predictors for what is published of FPGA machines running Mamba."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final, cast

from hwsim.devices.base import PassWork
from hwsim.devices.catalog import find_device
from hwsim.devices.fpga import FpgaDevice
from hwsim.devices.fpga.body import layer_body
from hwsim.devices.fpga.layer import layer_of
from hwsim.devices.fpga.load import loads_of
from hwsim.errors import HwsimError, Infeasible
from hwsim.pipeline import simulate
from hwsim.pipeline.accounts import constants_of
from hwsim.published.arguments import Arguments, number, refused, text
from hwsim.published.runner import Prediction
from hwsim.workload import find_workload
from hwsim.workload.builders import build
from hwsim.workload.decoding import Backtracking, Policy, Speculative, required_tokens_per_step
from hwsim.workload.model import Pass

if TYPE_CHECKING:
    from hwsim.devices.fpga.body import Body
    from hwsim.published.runner import Predictor
    from hwsim.result import Constant, Result
    from hwsim.workload.graph import Graph
    from hwsim.workload.model import Workload

__all__ = ["PREDICTORS"]


def _workload(name: str, arguments: Arguments) -> Workload:
    """The workload, with the target's and draft's policies that the row asks for."""
    workload = find_workload(name)
    if isinstance(workload.decoding, Speculative) and "target" in arguments:
        policy = Backtracking(cast(Policy, text(arguments, "target")), cast(Policy, text(arguments, "draft")))
        workload = replace(workload, decoding=replace(workload.decoding, policy=policy))
    return workload


def _answer(device: str, workload: Workload) -> Result:
    answer = simulate(workload, find_device(device))
    if isinstance(answer, Infeasible):
        raise HwsimError.at(device, str(answer), f"a machine that runs {workload.name}")
    return answer


def _leans_on(energy: bool, *answers: Result) -> tuple[Constant, ...]:
    """Fitted and assumed constants that enter the answers' time, and energy where that is asked, each path once."""
    wanted = ("time", "energy") if energy else ("time",)
    return tuple({c.path: c for a in answers for c in (*a.fitted, *a.assumed) if c.enters in wanted}.values())


def _figure(answer: Result, name: str) -> float:
    """A field of an answer that is a number."""
    value = getattr(answer, name, None)
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise refused("field", repr(name), "a number of an answer, such as tokens_per_s or time_per_token_s")
    return value


def field(arguments: Arguments) -> Prediction:
    """A field of an answer: ``device``, ``workload``, ``field``, ``unit``."""
    name = text(arguments, "field")
    answer = _answer(text(arguments, "device"), _workload(text(arguments, "workload"), arguments))
    constants = _leans_on(name.endswith("_j"), answer)
    return Prediction(_figure(answer, name), text(arguments, "unit"), constants=constants)


def ratio(arguments: Arguments) -> Prediction:
    """A field of one answer over the same field of another (``baseline_device``, ``baseline_workload``)."""
    name = text(arguments, "field")
    ours = _answer(text(arguments, "device"), _workload(text(arguments, "workload"), arguments))
    base = _answer(text(arguments, "baseline_device"), find_workload(text(arguments, "baseline_workload")))
    words = f"{ours.workload} on {ours.device} over {base.workload} on {base.device}"
    constants = _leans_on(name.endswith("_j"), ours, base)
    return Prediction(_figure(ours, name) / _figure(base, name), "x", words, constants)


def tokens_needed(arguments: Arguments) -> Prediction:
    """Tokens per step at which a step is ``speedup`` times as fast as one token at a time on the baseline."""
    ours = _answer(text(arguments, "device"), _workload(text(arguments, "workload"), arguments))
    base = _answer(text(arguments, "baseline_device"), find_workload(text(arguments, "baseline_workload")))
    needed = required_tokens_per_step(number(arguments, "speedup"), ours.step_s, base.step_s)
    policy = ours.speculative["policy"] if ours.speculative else {}
    words = f"needed; the workload's acceptance yields {ours.tokens_per_step:.2f} (target {policy.get('target')})"
    return Prediction(needed, "tokens/step", words, _leans_on(False, ours, base))


def _decode_pass(arguments: Arguments) -> tuple[FpgaDevice, Graph, PassWork]:
    """One token of a workload on an FPGA machine."""
    device = find_device(text(arguments, "device"))
    if not isinstance(device, FpgaDevice):
        raise refused("device", device.name, "a machine of the fpga family")
    workload = find_workload(text(arguments, "workload"))
    formats, _ = device.formats(workload.formats)
    return device, build(workload.model, formats, Pass("decode", lm_head=False)), PassWork("decode", 1)


def _layer(arguments: Arguments) -> Body:
    """One layer of a decode step as stages and beats."""
    device, graph, work = _decode_pass(arguments)
    (load,) = loads_of(device.parameters, work)
    return layer_body(device.parameters, layer_of(graph.layer_runs()[0].ops), load)


def layer_beats(arguments: Arguments) -> Prediction:
    """Beats of the memory port in one layer: of the stages whose name begins with ``stream``, or all of them."""
    prefix = text(arguments, "stream", "")
    beats = sum(count for name, count in _layer(arguments).beats.items() if name.startswith(prefix))
    return Prediction(float(beats), "beats")


def layer_cycles(arguments: Arguments) -> Prediction:
    """Cycles for which one layer holds a ``resource``."""
    resource = text(arguments, "resource")
    stages = [stage for stage in _layer(arguments).stages if stage.resource == resource]
    return Prediction(float(sum(stage.cycles_per_rep for stage in stages)), "cycles")


def fabric(arguments: Arguments) -> Prediction:
    """Blocks of a fabric ``resource`` that the machine's design takes for one token of a workload."""
    device, graph, work = _decode_pass(arguments)
    resource = text(arguments, "resource")
    (terms,) = device.fabric_demand(graph, work)
    if resource not in terms:
        raise refused("resource", repr(resource), "one of " + ", ".join(terms))
    _, assumed, _ = constants_of(device, None)
    leaning = tuple(c for c in assumed if c.path.endswith(("per_mac", "per_lane")))
    return Prediction(sum(terms[resource].values()), resource, constants=leaning)


def none(arguments: Arguments) -> Prediction:
    """No prediction: ``words`` says what is missing."""
    return Prediction(None, "", text(arguments, "words"))


PREDICTORS: Final[dict[str, Predictor]] = {
    "fabric": fabric,
    "field": field,
    "layer_beats": layer_beats,
    "layer_cycles": layer_cycles,
    "none": none,
    "ratio": ratio,
    "tokens_needed": tokens_needed,
}
