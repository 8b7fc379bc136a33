"""`make` and the set-up of the environment, as far as they go without a network."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
TOOLS = pytest.mark.skipif(not shutil.which("make"), reason="make is not installed")
KEY = "3.99-cafe"
MAKE_VARIABLES = {"MAKEFLAGS", "MAKELEVEL", "MFLAGS", "WORKLOAD", "DEVICE", "ARGS", "VENV", "PYTHON"}

# Stands for a Python: tells its version, refuses or accepts the version check, and notes what it is asked to run.
# As `-m venv DIR` it puts itself there; as `-m pip` it does nothing, or fails when FAIL_PIP is set.
FAKE_PYTHON = """#!/bin/sh
case "$1 $2" in
"--version ") echo "Python $FAKE_VERSION" ;;
"-c "*) case $FAKE_VERSION in 3.9.*) exit 1 ;; esac ;;
"-m venv") echo "venv" >>"$FAKE_LOG"; mkdir -p "$3/bin" && cp "$0" "$3/bin/python" ;;
"-m pip")
    test "$3" = --version && exit 0
    echo "$*" >>"$FAKE_LOG"
    test -z "${FAIL_PIP:-}" || { echo no network; exit 1; }
    ;;
esac
"""


class SetUp:
    """`tools/setup_venv.sh` in a folder, with a Python that only notes what it is asked."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.venv = folder / ".venv"
        self.log = folder / "log"
        self.python = folder / "python"
        self.python.write_text(FAKE_PYTHON)
        self.python.chmod(0o755)

    def run(self, purpose: str = "run", key: str = KEY, **environment: str) -> subprocess.CompletedProcess[str]:
        """Set up, with a fresh log."""
        self.log.write_text("")
        base = {"PATH": "/usr/bin:/bin", "FAKE_LOG": str(self.log), "FAKE_VERSION": "3.99.1"}
        words = [str(ROOT / "tools/setup_venv.sh"), str(self.python), ".venv", key, purpose]
        return subprocess.run(
            words, cwd=self.folder, env=base | environment, capture_output=True, text=True, check=False, timeout=60
        )

    def marks(self) -> set[str]:
        """The hidden files in the environment."""
        return {path.name for path in self.venv.glob(".*")}

    def made_anew(self) -> bool:
        """Whether the last run made the environment, rather than bringing it up to date."""
        return "venv" in self.log.read_text().splitlines()


@pytest.fixture
def set_up(tmp_path: Path) -> SetUp:
    """A folder without an environment."""
    return SetUp(tmp_path)


def test_set_up_makes_an_environment(set_up: SetUp) -> None:
    """The first run makes it, installs under the pinned versions, marks it, and says so in one line on stderr."""
    run = set_up.run()
    assert (run.returncode, run.stdout, run.stderr.count("\n")) == (0, "", 1)
    assert "Setting up .venv" in run.stderr
    assert set_up.made_anew()
    assert {f".ready-to-run-{KEY}"} == set_up.marks() - {".log"}
    assert set_up.log.read_text().count("--constraint constraints.txt") == 2


def test_set_up_keeps_what_is_whole(set_up: SetUp) -> None:
    """A second run, for development, adds to the environment and leaves both marks."""
    set_up.run()
    (set_up.venv / "kept").touch()
    run = set_up.run("develop")
    assert "Bringing .venv up to date" in run.stderr
    assert not set_up.made_anew()
    assert (set_up.venv / "kept").exists()
    assert {f".ready-to-run-{KEY}", f".ready-to-develop-{KEY}"} == set_up.marks() - {".log"}
    assert "--editable .[dev,rtl]" in set_up.log.read_text()


def test_set_up_rebuilds_what_was_interrupted(set_up: SetUp) -> None:
    """A failed installation shows pip's own words and leaves no ready mark; the next run starts anew."""
    run = set_up.run(FAIL_PIP="1")
    assert run.returncode == 1
    assert "no network" in run.stderr
    assert "Setting up .venv failed" in run.stderr
    assert set_up.marks() == {".setting-up", ".log"}
    assert set_up.run().returncode == 0
    assert set_up.made_anew()
    assert ".setting-up" not in set_up.marks()


def test_set_up_rebuilds_what_another_python_or_folder_made(set_up: SetUp) -> None:
    """A mark with another key means that the environment is of another Python, or was copied from another folder."""
    set_up.run()
    (set_up.venv / "old").touch()
    assert set_up.run(key="3.98-cafe").returncode == 0
    assert set_up.made_anew()
    assert not (set_up.venv / "old").exists()


def test_set_up_keeps_an_environment_made_by_hand(set_up: SetUp) -> None:
    """An environment without any mark is the user's own: installed into, never removed."""
    (set_up.venv / "bin").mkdir(parents=True)
    shutil.copy(set_up.python, set_up.venv / "bin/python")
    assert set_up.run().returncode == 0
    assert not set_up.made_anew()
    assert f".ready-to-run-{KEY}" in set_up.marks()


def test_set_up_refuses_an_old_python(set_up: SetUp) -> None:
    """Python 3.9 is refused before anything is made, with what is needed, what was found, and the way out."""
    run = set_up.run(FAKE_VERSION="3.9.2")
    assert run.returncode == 1
    assert "needs Python 3.11 or later" in run.stderr
    assert "Python 3.9.2" in run.stderr
    assert "make PYTHON=python3.12" in run.stderr
    assert not set_up.venv.exists()


def test_set_up_refuses_a_python_that_is_not_there(set_up: SetUp) -> None:
    """A PYTHON that does not exist is refused in one line."""
    set_up.python.unlink()
    run = set_up.run()
    assert run.returncode == 1
    assert "is not there" in run.stderr
    assert run.stderr.count("\n") == 1


def make(*words: str) -> subprocess.CompletedProcess[str]:
    """Run make in the repository, as from a shell: without what a make around the tests hands down."""
    environment = {key: value for key, value in os.environ.items() if key not in MAKE_VARIABLES}
    return subprocess.run(
        ["make", *words], cwd=ROOT, env=environment, capture_output=True, text=True, check=False, timeout=60
    )


@TOOLS
def test_make_alone_lists_every_target() -> None:
    """`make` prints one line for each phony target, with what it does."""
    run = make()
    assert run.returncode == 0
    text = (ROOT / "Makefile").read_text(encoding="utf-8")
    (phony,) = re.findall(r"^\.PHONY: (.+)$", text, re.MULTILINE)
    assert [line.split()[1] for line in run.stdout.splitlines()] == phony.split()
    assert all(len(line.split()) > 3 for line in run.stdout.splitlines())


@TOOLS
@pytest.mark.parametrize(
    ("words", "command"),
    [
        ([], 'hwsim simulate "mamba" --device "vck190-spec" --out "reports/mamba"'),
        (["WORKLOAD=workloads/my net.yaml", "DEVICE=u280"], 'simulate "workloads/my net.yaml" --device "u280"'),
        (["WORKLOAD=mamba-2.8b"], '--out "reports/mamba-2.8b"'),
    ],
)
def test_make_simulate_delegates(words: list[str], command: str) -> None:
    """`make simulate` hands its variables to the command line; a folder of reports is named as the workload."""
    assert command in make("--dry-run", "simulate", *words).stdout


@TOOLS
def test_make_needs_no_environment_to_help() -> None:
    """`make` alone prints its list where the Python that was named does not exist."""
    assert make("PYTHON=no-such-python").stdout == make().stdout
    assert "make simulate" in make().stdout
