"""Settings of a single kernel: launch, cores and stack."""

import pytest

from hwsim.devices.catalog import find_device
from hwsim.errors import HwsimError
from hwsim.pipeline import kernel
from hwsim.workload.kernel import KERNELS, SETTINGS, build_kernel

SHAPE = {"m": 64, "n": 512, "k": 512}


def timed(card, **settings):
    """Seconds of a small product under settings."""
    return kernel(build_kernel("gemm", {**SHAPE, **settings}), find_device(card)).time_s


@pytest.mark.parametrize("kind", KERNELS)
def test_every_kind_takes_the_settings(kind):
    """The three names are arguments of each kind, and leave its own untouched."""
    assert all(KERNELS[kind].argument(each.name) for each in SETTINGS)
    assert KERNELS[kind].names[-3:] == ["launch", "cores", "stack"]


def test_settings_say_how_not_what():
    """Counts of work do not depend on them."""
    plain, set_ = build_kernel("gemm", SHAPE), build_kernel("gemm", {**SHAPE, "launch": "eager", "stack": "torch-2"})
    assert (plain.macs, plain.bytes_by_role, plain.operands) == (set_.macs, set_.bytes_by_role, set_.operands)


def test_a_stack_by_argument_is_the_stack_by_override():
    """`stack=torch-2` and `--set device.stack=torch-2` give the same time, and not the default's."""
    by_override = kernel(build_kernel("gemm", SHAPE), find_device("a100-sxm-80", ("stack=torch-2",))).time_s
    assert timed("a100-sxm-80", stack="torch-2") == by_override
    assert timed("a100-sxm-80", stack="torch-2") != timed("a100-sxm-80")


def test_launches_add_the_hosts_part():
    """none < graph < eager, by the card's own constants."""
    none, graph, eager = (timed("h100-sxm", launch=each) for each in ("none", "graph", "eager"))
    launches = find_device("h100-sxm").parameters.launches
    assert graph - none == pytest.approx(launches.graph.value, rel=1e-2)
    assert eager - none == pytest.approx(launches.call.value + launches.linear.value, rel=1e-2)


def test_only_products_by_weights_ask_for_a_kernel_anew():
    """Products side by side pay the call alone."""
    launches = find_device("h100-sxm").parameters.launches
    none, eager = (timed("h100-sxm", launch=each, batch=4) for each in ("none", "eager"))
    assert eager - none == pytest.approx(launches.call.value, rel=1e-2)


@pytest.mark.parametrize(
    ("card", "settings", "message"),
    [
        (
            "a100-sxm-80",
            {"stack": "torch-3"},
            "unknown stack 'torch-3'; expected one of .*torch-2.*did you mean 'torch-2'",
        ),
        ("a100-sxm-80", {"cores": 4}, "cores=4; expected no cores"),
        ("vck190", {"stack": "torch-2", "dtype": "int4"}, "stack=torch-2; expected no such setting"),
        ("vck190", {"launch": "eager", "dtype": "int4"}, "launch=eager; expected no such setting"),
    ],
)
def test_settings_that_a_machine_lacks(card, settings, message):
    """The message names the setting and what the machine knows."""
    with pytest.raises(HwsimError, match=message):
        timed(card, **settings)


def test_kernels_without_a_host_are_what_every_machine_runs():
    """`launch=none` is no setting that a machine could lack."""
    assert timed("vck190", launch="none", dtype="int4") == timed("vck190", dtype="int4")
