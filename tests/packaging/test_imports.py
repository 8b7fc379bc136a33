"""Heavy imports stay out of what must start fast, and the contract of imports bites."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
HEAVY = ("numba", "matplotlib", "llvmlite")
WORKLOADS = sorted(path.relative_to(ROOT).as_posix() for path in (ROOT / "workloads").glob("*.yaml"))
CATALOG = sorted(path.relative_to(ROOT).as_posix() for path in (ROOT / "hwsim/devices/catalog").glob("*.yaml"))

# Runs a command line, then tells its exit code and which modules it left behind, on stderr.
PROBE = """
import json, sys
from hwsim.cli import main
code = main(sys.argv[1:])
sys.stderr.write("\\n" + json.dumps({"code": code, "modules": sorted({name.split(".")[0] for name in sys.modules})}))
"""


def probe(*words: str) -> tuple[int, set[str], str]:
    """Exit code, top-level modules and stderr of `hwsim WORDS` in a fresh interpreter."""
    run = subprocess.run(
        [sys.executable, "-c", PROBE, *words], cwd=ROOT, capture_output=True, text=True, check=False, timeout=60
    )
    messages, _, last = run.stderr.rpartition("\n")
    told = json.loads(last)
    return told["code"], set(told["modules"]), messages


@pytest.mark.parametrize("words", ["--help", "--version", "check --help", "simulate --help"])
def test_help_imports_nothing_heavy(words: str) -> None:
    """`hwsim --help` and the help of a command import none of the heavy libraries, nor numpy."""
    code, modules, messages = probe(*words.split())
    assert (code, messages) == (0, "")
    assert not modules & {*HEAVY, "numpy", "networkx", "rich", "pydantic"}


@pytest.mark.parametrize("files", [WORKLOADS, CATALOG], ids=["workloads", "devices"])
def test_check_imports_nothing_heavy(files: list[str]) -> None:
    """`hwsim check` accepts every shipped file and imports neither numba nor matplotlib."""
    assert files
    code, modules, messages = probe("check", *files)
    assert code == 0, messages
    assert not modules & set(HEAVY)


def test_check_of_a_bad_file_imports_nothing_heavy(tmp_path: Path) -> None:
    """`hwsim check` of a file with faults exits 2, says so, and is no heavier."""
    bad = tmp_path / "bad.yaml"
    bad.write_text("# a workload that says nothing useful\nname: 3\nmodle: {}\n")
    code, modules, messages = probe("check", str(bad))
    assert code == 2
    assert str(bad) in messages
    assert not modules & set(HEAVY)


def lint_imports(folder: Path) -> subprocess.CompletedProcess[str]:
    """Run import-linter on the tree in ``folder``."""
    program = "import sys; sys.path.insert(0, '.'); from importlinter.cli import lint_imports_command as run; run()"
    return subprocess.run(
        [sys.executable, "-c", program, "--no-cache"],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )


def test_the_import_contract_bites(tmp_path: Path) -> None:
    """A copy with one import against each contract breaks all of them, each by name."""
    shutil.copytree(ROOT / "hwsim", tmp_path / "hwsim", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    with (tmp_path / "hwsim/errors.py").open("a") as file:
        file.write("\nimport hwsim.result\nimport matplotlib\nimport numba\nimport pydantic\nimport rtl.units\n")
    (tmp_path / "hwsim/cellar").mkdir()
    (tmp_path / "hwsim/cellar/__init__.py").write_text("")
    run = lint_imports(tmp_path)
    assert run.returncode != 0
    assert "0 kept, 5 broken" in run.stdout, run.stdout
    for line in ("hwsim.errors -> hwsim.result", "import rtl", "import pydantic", "import numba", "import matplotlib"):
        assert line in run.stdout
    assert "hwsim.cellar" in run.stdout
