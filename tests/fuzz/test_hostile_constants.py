"""Constants at their extremes that once ended in an internal error, each now a fault or an answer."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

import pytest
from civil import Case, hold_civil
from doors import FAST_DEVICES, paths_of

GEMM = ("kernel", "gemm", "m=4", "n=64", "k=64", "dtype=int8", "--json", "-")
MODEL = ("roofline", "mamba2-130m", "--json", "-")


@pytest.mark.parametrize(
    ("device", "setting", "expected"),
    [
        ("l4", "chip.sms=1e-300", "at least 1"),
        ("l4", "chip.sms=.inf", "at most 1e+09"),
        ("l4", "chip.boost_clock=1e-300", "at least 1"),
        ("l4", "chip.boost_clock=1e308", "at most 1e+12"),
        ("l4", "l2.partitions=.inf", "at most 1e+09"),
        ("l4", "power.alu=.inf", "at most 1e+12"),
        ("l4", "power.dram=.inf", "at most 1e+12"),
        ("l4", "power.limit=1", "more than the idle"),
        ("spr-56c", "cores=.inf", "at most 1e+09"),
        ("spr-56c", "clock.turbo=1e308", "at most 1e+12"),
        ("spr-56c", "core_path.restart=1e308", "at most 1e+06"),
        ("spr-56c", "core_path.window=1e308", "at most 1e+09"),
        ("spr-56c", "vector.instructions.load.cycles=.inf", "at most 1e+09"),
        ("spr-56c", "vector.instructions.dot.cycles=0", "at least 0.001"),
        ("spr-56c", "vector.instructions.fma.cycles=1e-300", "at least 0.001"),
        ("spr-56c", "amx.dot=0", "at least 0.001"),
        ("systolic-os-16", "sum_bits=.inf", "at most 1e+09"),
        ("systolic-os-16", "axes[0].extent=.inf", "at most 1e+09"),
        ("systolic-os-16", "clock=.inf", "at most 1e+12"),
        ("systolic-os-16", "levels[0].read_bandwidth=1e-300", "at least 1"),
        ("optical-4k-2mhz", "host.macs=1e-300", "at least 1"),
    ],
)
@pytest.mark.parametrize("asked", [GEMM, MODEL], ids=["kernel", "roofline"])
def test_a_constant_beyond_its_range_is_a_fault(tmp_path, asked, device: str, setting: str, expected: str) -> None:
    """What a machine is built of, clocked by and costs is finite and within reason, in every family."""
    found = hold_civil(Case((*asked, "--device", device, "--set", f"device.{setting}")), tmp_path)
    assert found.code == 2
    assert expected in found.err


@pytest.mark.parametrize(
    ("device", "setting"),
    [
        ("l4", "power.tensor=0"),
        ("l4", "memory.bandwidth=.inf"),
        ("systolic-os-16", "levels[0].write_bandwidth=.inf"),
        ("systolic-os-16", "levels[0].write_bandwidth=1e308"),
        ("spr-56c", "memories.ddr.bandwidth=.inf"),
        ("spr-56c", "caches.l2=.inf"),
        ("epyc-zen4", "caches.l2=1e308"),
    ],
)
@pytest.mark.parametrize("asked", [GEMM, MODEL], ids=["kernel", "roofline"])
def test_an_ideal_part_is_an_answer(tmp_path, asked, device: str, setting: str) -> None:
    """Rates may be without end, energies nothing; a shared port's roof is its faster rate."""
    assert hold_civil(Case((*asked, "--device", device, "--set", f"device.{setting}")), tmp_path).code == 0


SHORT = int(os.environ.get("HWSIM_FUZZ_CASES", "400")) < 100_000
ENDS = ("0", "1e-300", "1e-9", "-1", "1e9", "1e308", ".inf")


@pytest.mark.skipif(SHORT, reason="an hour: of the long form, which make test-long runs")
@pytest.mark.parametrize("device", FAST_DEVICES)
def test_every_constant_at_every_end(device: str) -> None:
    """Each number of a machine's file, moved alone to each end: an answer or a fault, for a kernel and for a model."""
    model = "vit-cifar-96" if device.startswith(("optical", "dlp")) else "mamba2-130m"
    asked = (GEMM, ("simulate", model, "--json", "-"))
    cases = [
        (*words, "--set", f"{path}={end}") for path in paths_of("device", device) for end in ENDS for words in asked
    ]
    wrong = []
    for words in cases:
        with tempfile.TemporaryDirectory() as folder:
            try:
                hold_civil(Case((*words, "--device", device)), Path(folder))
            except AssertionError as fault:
                wrong.append((words, str(fault)[:200]))
    assert not wrong, wrong[:5]
