"""A sixth machine: of a known family by one YAML file, of a new family by one Python file, in every command."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from script_module import script_module

from hwsim.cli import main
from hwsim.devices.base import Device
from hwsim.devices.catalog import Family, find_device, register_family
from hwsim.errors import HwsimError
from hwsim.pipeline import Question, simulate
from hwsim.result import Result
from hwsim.workload.catalog import find_workload

ROOT = Path(__file__).resolve().parents[2]
EXAMPLE = ROOT / "examples/one_port_machine.py"

SMALL_CARD = """\
extends: l4
name: half-l4
description: half of an L4
chip:
  sms: {value: 29, unit: "1", kind: assumed, source: "half of 58"}
memory:
  bandwidth: {value: 150, unit: GB/s, kind: assumed, source: "half of 300"}
"""


@pytest.fixture(scope="module")
def example():
    """The example as a module."""
    return script_module(EXAMPLE)


@pytest.fixture
def package(tmp_path: Path, example) -> Path:
    """A folder that holds what an installed package with the family holds, and a machine's file."""
    (tmp_path / "one_port_machine.py").write_text(EXAMPLE.read_text())
    folder = tmp_path / "one_port-1.0.dist-info"
    folder.mkdir()
    (folder / "METADATA").write_text("Metadata-Version: 2.1\nName: one-port\nVersion: 1.0\n")
    (folder / "entry_points.txt").write_text("[hwsim.families]\none-port = one_port_machine:FAMILY\n")
    (tmp_path / "toy.yaml").write_text(example.MACHINE)
    return tmp_path


def test_one_file_makes_a_machine_of_a_known_family(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Ten lines over a shipped card: checked, shown, and slower than the card that it is half of."""
    file = tmp_path / "half.yaml"
    file.write_text(SMALL_CARD)
    assert main(["check", str(file)]) == 0
    assert main(["compare", "mamba2-130m", "--device", "l4", "--device", str(file), "--json", "-"]) == 0
    out = capsys.readouterr().out
    whole, half = json.loads(out[out.index("{") :])["results"]
    assert half["device"] == "half-l4"
    assert half["step_s"] > whole["step_s"]


def test_a_family_is_one_file_that_keeps_the_protocol(example, tmp_path: Path) -> None:
    """The example's device is a `Device`, and its answer respects its own roofs and balances its books."""
    register_family("one-port", example.FAMILY)
    register_family("one-port", example.FAMILY)  # the same again says nothing
    file = tmp_path / "toy.yaml"
    file.write_text(example.MACHINE)
    device = find_device(str(file))
    assert isinstance(device, Device)
    found = simulate(find_workload("mamba2-130m"), device, Question(new_tokens=1))
    assert isinstance(found, Result)
    least = found.roofs.least_s(found.macs, found.bytes)
    assert found.step_s >= max(least.values())
    assert sum(row.time_s for row in found.ops) == pytest.approx(found.step_s)
    assert found.bound == "memory"
    assert [each.path for each in found.assumed if each.enters == "energy"] == ["device.mac_energy"]


def test_a_taken_name_is_refused(example) -> None:
    """Nobody replaces a family by accident."""
    with pytest.raises(HwsimError, match="family 'gpu', which exists"):
        register_family("gpu", Family(example.OnePortParameters, example.OnePortDevice))


@pytest.mark.parametrize(
    "words",
    [
        ["check", "toy.yaml"],
        ["show", "device", "toy.yaml"],
        ["simulate", "mamba2-130m", "--device", "toy.yaml", "--set", "device.bandwidth=200 GB/s"],
        ["compare", "gpt2", "--device", "l4", "--device", "toy.yaml"],
        ["kernel", "gemm", "m=4", "n=64", "k=64", "--device", "toy.yaml"],
    ],
    ids=lambda words: words[0],
)
def test_an_installed_family_runs_in_every_command(package: Path, words: list[str]) -> None:
    """Found by its entry point, without a line of ours."""
    run = subprocess.run(
        [sys.executable, "-m", "hwsim", *words],
        cwd=package, env={**os.environ, "PYTHONPATH": str(package)}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert run.returncode == 0, run.stderr
    assert "toy" in run.stdout


def test_a_wrong_entry_point_is_a_fault(package: Path) -> None:
    """An entry point that is no `Family` is named."""
    (package / "one_port-1.0.dist-info/entry_points.txt").write_text(
        "[hwsim.families]\none-port = one_port_machine:MACHINE\n"
    )
    run = subprocess.run(
        [sys.executable, "-m", "hwsim", "check", "toy.yaml"],
        cwd=package, env={**os.environ, "PYTHONPATH": str(package)}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert run.returncode == 2
    assert "one_port_machine:MACHINE, a str; expected a Family" in run.stderr
