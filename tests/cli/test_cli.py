"""The command line as a whole: help, exit codes, faults, pipes, and what each command imports."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from hwsim import __version__, cli
from hwsim.cli import COMMANDS, main

Capture = pytest.CaptureFixture[str]


def shell(*words: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run hwsim in a process of its own."""
    return subprocess.run(
        [sys.executable, "-m", "hwsim", *words],
        capture_output=True, text=True, timeout=120, check=False, env={**os.environ, **environment},
    )  # fmt: skip


# --- help and version ------------------------------------------------------------------------------------------------


def test_help(golden: Callable[[str, str], None], capsys: Capture) -> None:
    """`hwsim --help` names every command with an example."""
    assert main(["--help"]) == 0
    text = capsys.readouterr().out
    golden("help.txt", text)
    assert max(map(len, text.splitlines())) <= 100


@pytest.mark.parametrize("name", COMMANDS)
def test_help_of_each_command(name: str, capsys: Capture) -> None:
    """Each command explains itself and gives an example; wherever --help stands."""
    assert main([name, "--help"]) == 0
    text = capsys.readouterr().out
    assert text.startswith(f"usage: hwsim {name}")
    assert f"hwsim {COMMANDS[name][1]}" in " ".join(text.split())
    assert main([name, "--json", "-", "-h"]) == 0


def test_examples_of_help_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every example that needs no file of the user's own does what it says."""
    monkeypatch.chdir(tmp_path)
    for meaning, example in COMMANDS.values():
        if not re.search(r"my-|before", example):
            assert main([*example.split(), "--quiet"]) == 0, meaning


def test_version(capsys: Capture) -> None:
    """The version of the package."""
    assert main(["--version"]) == 0
    assert capsys.readouterr().out == f"hwsim {__version__}\n"


def test_no_command_shows_help_and_is_a_usage_error(capsys: Capture) -> None:
    """Nothing on stdout: there was no question."""
    assert main([]) == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.startswith("usage: hwsim COMMAND")


# --- usage errors ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["simulat"], "hwsim: unknown command 'simulat'; expected one of calibrate, ...; did you mean 'simulate'?"),
        (["--vershion"], "hwsim: unknown option '--vershion'; ...; did you mean '--version'?"),
        (["simulate", "mamba", "--devcie", "x"], "hwsim simulate: unknown option '--devcie'; ... mean '--device'?"),
        (["simulate", "mamba", "--batc=3"], "hwsim simulate: unknown option '--batc'; ... mean '--batch'?"),
        (["simulate"], "hwsim simulate: ...required: WORKLOAD; expected what `hwsim simulate --help` shows"),
        (["simulate", "mamba", "llama"], "hwsim simulate: one word too many, 'llama'; expected what ..."),
        (["simulate", "mamba", "--device"], "hwsim simulate: --device without a value; ..."),
        (["simulate", "mamba", "--phase", "decod"], "--phase: unknown phase 'decod'; ...; did you mean 'decode'?"),
        (["simulate", "mamba", "--batch", "0"], "--batch: 0; expected a whole number from 1 to 1,000,000,000"),
        (["simulate", "mamba", "--batch", "1.5"], "--batch: '1.5'; expected a whole number, at least 1"),
        (["simulate", "mamba", "--context", "-1"], "--context: -1; expected a whole number from 0 to ..."),
        (["simulate", "mamba", "--out", ""], "--out: ''; expected the name of a file or folder"),
        (
            ["simulate", "mamba", "--device", "vck190", "--device", "vck190"],
            "--device: 2 devices ...; expected one for simulate; hwsim compare takes several",
        ),
        (["simulate", "mamba", "--set", "x=1"], "--set: 'x=1'; expected device.PATH=VALUE or workload.PATH=VALUE"),
        (["simulate", "mamba", "--set", "devise.clock=1"], "--set: ...; did you mean 'device.clock=1'?"),
        (["simulate", "mamba", "--set", "device.clock"], "--set: 'device.clock'; expected device.PATH=VALUE ..."),
        (["compare", "mamba"], "hwsim compare: ...required: --device; ..."),
        (
            ["list", "device"],
            "hwsim list: unknown kind of thing 'device'; expected one of ...; did you mean 'devices'?",
        ),
        (["show", "devise", "vck190"], "hwsim show: unknown kind of thing 'devise'; ...; did you mean 'device'?"),
        (["roofline", "mamba", "--device", "vck190", "--out", "a.pdf"], "--out: 'a.pdf'; ...; did you mean 'a.svg'?"),
    ],
)
def test_usage_errors(words: list[str], message: str, capsys: Capture) -> None:
    """Each names what was found, what was expected, the nearest valid word, and exits with 2."""
    assert main(words) == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert re.fullmatch(re.escape(message).replace(r"\.\.\.", ".*") + "\n", said.err), said.err


# --- what happens when things go wrong -------------------------------------------------------------------------------


def _failing(error: BaseException) -> Callable[[list[str]], int]:
    def run(_words: list[str]) -> int:
        raise error

    return run


def test_our_own_bug_is_exit_1_and_one_line(monkeypatch: pytest.MonkeyPatch, capsys: Capture) -> None:
    """No traceback unless asked for; the type and a request for a report."""
    monkeypatch.setattr(cli, "_run", _failing(ZeroDivisionError("a\nb")))
    monkeypatch.delenv("HWSIM_DEBUG", raising=False)
    assert main(["list"]) == 1
    said = capsys.readouterr().err
    assert said.startswith("hwsim: internal error, a bug in hwsim: ZeroDivisionError: a b\nPlease report it")
    assert "Traceback" not in said
    monkeypatch.setenv("HWSIM_DEBUG", "1")
    assert main(["list"]) == 1
    assert "Traceback" in capsys.readouterr().err


def test_interrupt_is_130(monkeypatch: pytest.MonkeyPatch, capsys: Capture) -> None:
    """Ctrl-C ends quietly."""
    monkeypatch.setattr(cli, "_run", _failing(KeyboardInterrupt()))
    assert main(["list"]) == 130
    assert capsys.readouterr().err == "hwsim: interrupted\n"


def test_closed_pipe_ends_quietly() -> None:
    """`hwsim list workloads | head -0` prints no traceback."""
    reader, writer = os.pipe()
    os.close(reader)
    done = subprocess.run(
        [sys.executable, "-m", "hwsim", "list", "kernels"],
        stdout=writer,
        stderr=subprocess.PIPE,
        timeout=60,
        check=False,
    )
    os.close(writer)
    assert done.returncode == 141
    assert done.stderr == b""


def test_signal_ends_a_real_run() -> None:
    """Ctrl-C in the middle of work: 130, no traceback."""
    code = (
        "import hwsim.cli as c, signal, time\n"
        "signal.signal(signal.SIGINT, signal.default_int_handler)\n"  # a job in the background ignores it
        "def run(words):\n    print('ready', flush=True)\n    time.sleep(30)\n    return 0\n"
        "c._run = run\nraise SystemExit(c.main(['list']))"
    )
    process = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=20)
    assert process.returncode == 130
    assert "Traceback" not in said


def test_terminal_that_lacks_a_character_gets_a_question_mark(tmp_path: Path) -> None:
    """Output never fails for an encoding."""
    (tmp_path / "d.yaml").write_text("extends: vck190\nname: d\ndescription: caf\u00e9\n", encoding="utf-8")
    done = shell("show", "device", str(tmp_path / "d.yaml"), PYTHONIOENCODING="ascii")
    assert done.returncode == 0
    assert "caf?" in done.stdout


# --- start-up --------------------------------------------------------------------------------------------------------

HEAVY = ("numba", "networkx", "matplotlib", "numpy", "pydantic", "rich", "yaml")


def imported(*words: str) -> set[str]:
    """The heavy packages that a command imports."""
    code = (
        "import sys\nfrom hwsim.cli import main\ncode = main(sys.argv[1:])\n"
        f"print(','.join(n for n in {HEAVY!r} if n in sys.modules), file=sys.stderr)\nraise SystemExit(code)"
    )
    done = subprocess.run([sys.executable, "-c", code, *words], capture_output=True, text=True, check=True)
    return set(filter(None, done.stderr.splitlines()[-1].split(",")))


def test_help_imports_nothing_heavy() -> None:
    """Neither for all commands nor for one."""
    assert imported("--help") == set()
    assert imported("simulate", "--help") == set()


def test_check_imports_neither_numba_nor_networkx_nor_matplotlib(tmp_path: Path) -> None:
    """Checking a file is quick: the door, and no more."""
    files = [tmp_path / "d.yaml", tmp_path / "w.yaml"]
    files[0].write_text("extends: vck190\nname: d\n")
    files[1].write_text("extends: mamba\nname: w\n")
    assert imported("check", *map(str, files)) <= {"numpy", "pydantic", "yaml"}
