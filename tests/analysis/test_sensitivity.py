"""Sensitivity against closed forms: time that is a known function of the parameters."""

from __future__ import annotations

import math

import pytest
import result_builder as build
from hypothesis import given
from hypothesis import strategies as st

from hwsim.analysis.sensitivity import Parameter, Run, parameters_of, sensitivity
from hwsim.devices.catalog import find_device
from hwsim.errors import HwsimError, Infeasible
from hwsim.pipeline import Question, kernel, simulate
from hwsim.workload import find_workload
from hwsim.workload.kernel import build_kernel

BANDWIDTH = Parameter("memory.bandwidth", 10e9, "bytes/s", "fitted")
PORTS = Parameter("memory.ports", 4.0, "1", "datasheet")
BASE = build.result(time_s=2.0)


def power_law(exponent: float) -> Run:
    """Time grows with a power of the parameter."""
    return lambda parameter, value: 2.0 * (value / parameter.value) ** exponent


@given(st.floats(-3, 3).filter(lambda e: abs(e) > 1e-3), st.floats(1e-3, 1e12))
def test_elasticity_of_a_power_law_is_its_exponent(exponent: float, value: float) -> None:
    """And the slope is the derivative, exponent times time over value."""
    parameter = Parameter("x", value, "s", "assumed")
    (effect,) = sensitivity(BASE, [parameter], power_law(exponent)).effects
    assert effect.elasticity == pytest.approx(exponent)
    assert effect.slope == pytest.approx(exponent * 2.0 / value)


def test_strongest_first_and_the_rest_named() -> None:
    """Parameters without a say, and those without another value, are lists of their own."""
    weak, still = Parameter("weak", 1.0, "s", "assumed"), Parameter("still", 2.0, "s", "assumed")
    zero, ideal = Parameter("zero", 0.0, "s", "assumed"), Parameter("ideal", math.inf, "bytes/s", "set")
    exponents = {"weak": 0.1, "still": 0.0, "memory.bandwidth": -1.0}

    def run(parameter: Parameter, value: float) -> float:
        return 2.0 * (value / parameter.value) ** exponents[parameter.path]

    found = sensitivity(BASE, [weak, still, zero, BANDWIDTH, ideal], run)
    assert [effect.parameter.path for effect in found.effects] == ["memory.bandwidth", "weak"]
    assert (found.without_effect, found.not_varied) == (("still",), ("zero", "ideal"))
    assert [each["path"] for each in found.to_dict()["effects"]] == ["device.memory.bandwidth", "device.weak"]


def test_counts_stay_whole_and_refused_values_give_way() -> None:
    """4 ports are varied to 8 and 2, as the schema takes powers of two only."""
    tried: list[float] = []

    def run(parameter: Parameter, value: float) -> float:
        tried.append(value)
        if value not in (2.0, 4.0, 8.0):
            raise HwsimError.at("device.memory.ports", f"{value:g}", "a power of two")
        return 2.0 * parameter.value / value

    (effect,) = sensitivity(BASE, [PORTS], run).effects
    assert (effect.lower, effect.upper) == (2.0, 8.0)
    assert effect.elasticity == pytest.approx(-1.0)
    assert tried == [2.0, 8.0]


def test_a_side_that_does_not_fit_leaves_the_other() -> None:
    """More that cannot run has no time; the elasticity is that of the other side."""
    bad = Infeasible("LUT", 2, 1, "LUT", "too large")

    def run(parameter: Parameter, value: float) -> float | Infeasible:
        return bad if value > parameter.value else 2.0 * parameter.value / value

    (effect,) = sensitivity(BASE, [BANDWIDTH], run).effects
    assert effect.upper is not None
    assert effect.upper_time_s is None
    assert effect.elasticity == pytest.approx(-1.0)


@pytest.mark.parametrize("name", ["vck190-spec", "h100-sxm"])
def test_every_number_of_a_machine_is_a_parameter(name: str) -> None:
    """Bandwidth is among them, in the unit that the model computes in."""
    device = find_device(name)
    found = {each.path: each for each in parameters_of(device.parameters)}
    assert found["memory.bandwidth"].unit == "bytes/s"
    assert all(isinstance(each.value, float) for each in found.values())


@pytest.mark.parametrize(
    ("workload", "machine"),
    [("mamba2-130m", "vck190"), ("gpt2", "spr-56c"), ("gpt2", "l4"), ("gpt2", "4x-l4"), ("srcnn", "dlp-6500-bench")],
)
def test_constants_of_energy_and_room_change_no_time(workload: str, machine: str) -> None:
    """What a family says enters energy or capacity only is rightly left out of the runs: no time moves."""
    device, asked, question = find_device(machine), find_workload(workload), Question()
    if workload != "srcnn":
        question = Question(new_tokens=1)
    base = simulate(asked, device, question)
    left_out = [each for each in parameters_of(device.parameters) if device.enters(each.path) != "time"]
    assert left_out
    for each in left_out:
        unit = "" if each.unit == "1" else f" {each.unit}"
        for factor in (1.1, 2.0):
            try:
                varied = find_device(machine, [f"{each.path}={each.value * factor!r}{unit}"])
            except HwsimError:  # a count that must be whole, a share that is 1 at most
                continue
            answer = simulate(asked, varied, question)
            assert isinstance(answer, Infeasible) or answer.time_s == base.time_s, each.path


def test_inner_buffers_of_an_array_have_a_say_in_time() -> None:
    """They decide which nests fit: with small ones a product reads its operands so often that memory holds it up."""
    asked = build_kernel("gemm", {"m": 512, "n": 512, "k": 512, "dtype": "int8"})
    small = find_device("ws16", ["levels.1.capacity=512", "levels.2.capacity=512"])
    answers = [kernel(asked, device) for device in (find_device("ws16"), small)]
    first, second = (answer for answer in answers if not isinstance(answer, Infeasible))
    assert second.cycles > first.cycles
    assert small.enters("levels[1].capacity") == "time"


def test_counts_of_a_cluster_are_parameters() -> None:
    """How many cards, and how they divide a model; a single card has none. What the schema refuses is passed over."""
    assert not [each for each in parameters_of(find_device("l4").parameters) if each.kind == "count"]
    found = {each.path: each.value for each in parameters_of(find_device("4x-l4").parameters) if each.kind == "count"}
    assert {"cluster.cards": 4.0, "cluster.tensor": 4.0, "cluster.pipeline": 1.0}.items() <= found.items()
