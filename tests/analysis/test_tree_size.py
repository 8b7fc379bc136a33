"""Speed by tree size: its numbers."""

from __future__ import annotations

from dataclasses import replace

import pytest

from hwsim.analysis.tree_size import tree_sizes
from hwsim.devices.catalog import find_device
from hwsim.errors import HwsimError
from hwsim.pipeline import simulate
from hwsim.workload import find_workload
from hwsim.workload.decoding import Autoregressive

WORKLOAD = find_workload("mamba")


def _sizes(device: str, drafted: tuple[int, ...]):
    machine = find_device(device)
    return tree_sizes(WORKLOAD, drafted, lambda asked: simulate(asked, machine))


def test_speed_up_is_tokens_over_time() -> None:
    """The figure's speed-up is the ratio of the tokens per second that simulate gives."""
    machine = find_device("vck190-spec")
    single = simulate(replace(WORKLOAD, decoding=Autoregressive()), machine)
    spoken = simulate(WORKLOAD, machine)
    (size,) = _sizes("vck190-spec", (3,)).sizes
    assert size.nodes == 4
    assert size.speed_up == pytest.approx(spoken.tokens_per_s / single.tokens_per_s)


def test_vck190_is_memory_bound_far_out() -> None:
    """On VCK190 verifying 13 nodes costs at most 2 % more than one, and memory stays the limit."""
    for size in _sizes("vck190-spec", (1, 6, 12)).sizes:
        assert size.verify_cost == pytest.approx(1, abs=0.02)
        assert size.bound == "memory"


def test_vhk158_is_compute_bound_early() -> None:
    """On VHK158 the best chain is shorter, and beyond its token slots verification costs whole passes more."""
    sizes = _sizes("vhk158-spec", (1, 3, 5, 12))
    assert sizes.best.nodes < _sizes("vck190-spec", (1, 5, 9)).best.nodes
    assert [size.bound for size in sizes.sizes[1:]] == ["linear"] * 3
    assert sizes.sizes[-1].verify_cost > 3


def test_sizes_beyond_the_fabric_are_left_out() -> None:
    """A machine whose memories hold no long tree keeps the sizes that it can run."""
    machine = find_device("vck190-spec", ["part.bram=470"])
    lengths = [size.nodes for size in tree_sizes(WORKLOAD, (1, 2, 200), lambda asked: simulate(asked, machine)).sizes]
    assert 201 not in lengths


def test_workload_must_speculate() -> None:
    """One token at a time has no tree to size."""
    plain = replace(WORKLOAD, decoding=Autoregressive())
    with pytest.raises(HwsimError, match="a speculative workload"):
        tree_sizes(plain, (1,), lambda asked: simulate(asked, find_device("vck190-spec")))


def test_machine_must_run_the_workload() -> None:
    """A machine without room for the model says why."""
    small = find_device("vck190-spec", ["memory.capacity=1 MB"])
    with pytest.raises(HwsimError, match="cannot hold the model"):
        tree_sizes(WORKLOAD, (1,), lambda asked: simulate(asked, small))
