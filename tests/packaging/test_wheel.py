"""The wheel, installed where there is no source tree: every command runs there, on the files that it ships.

The wheel is built from the source archive, so that both are held. Its clean environment gets exactly the packages that
the wheel's metadata asks for, linked from the environment that runs the tests: this needs no network, and a missing
dependency shows. With CI set, pip installs it once more with its dependencies, as a user would.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import venv
import zipfile
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

import pytest
from packaging.requirements import Requirement

import hwsim

ROOT = Path(__file__).resolve().parents[2]
KINDS = {"workloads": ROOT / "workloads", "devices": ROOT / "hwsim/devices/catalog", "mappings": ROOT / "mappings"}
SIMULATION = ("simulate", "mamba", "--device", "vck190-spec", "--json")
CHECKOUT_ONLY = {"rtl"}  # commands that need more than the wheel holds
NEEDS_HARDWARE = {"measure", "calibrate"}  # commands whose example needs a machine to time, or rows of one


@dataclass(frozen=True)
class Installed:
    """An environment that holds the wheel, and a folder to run it in."""

    environment: Path
    folder: Path

    def python(self, *words: str) -> subprocess.CompletedProcess[str]:
        """Run the environment's Python in the folder, away from the source tree and its settings."""
        keep = {key: value for key, value in os.environ.items() if not key.startswith(("PYTHON", "VIRTUAL_ENV", "COV"))}
        return subprocess.run(
            [str(self.environment / "bin/python"), *words],
            cwd=self.folder,
            env=keep | {"NO_COLOR": "1", "HWSIM_DEBUG": "1"},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
            timeout=300,
        )

    def hwsim(self, *words: str) -> subprocess.CompletedProcess[str]:
        """Run the installed command."""
        return self.python(str(self.environment / "bin/hwsim"), *words)

    def json(self, *words: str) -> dict[str, Any]:
        """The object that the installed command writes with `--json -`, alone on standard output."""
        run = self.hwsim(*words, "--json", "-")
        assert run.returncode == 0, run.stderr
        value = json.loads(run.stdout)
        assert isinstance(value, dict)
        return value


def succeed(*words: str) -> str:
    """Run a program that must succeed; its standard output."""
    run = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=False, timeout=600)
    assert run.returncode == 0, f"{' '.join(words)}\n{run.stdout}\n{run.stderr}"
    return run.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, built from the source archive that is built from the tree."""
    folder = tmp_path_factory.mktemp("dist")
    succeed(sys.executable, "-m", "build", "--no-isolation", "--outdir", str(folder), str(ROOT))
    (built,) = folder.glob("*.whl")
    return built


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Installed:
    """The wheel in an environment of its own, beside the packages that it asks for and no others."""
    environment = tmp_path_factory.mktemp("clean") / "environment"
    venv.create(environment)
    succeed(
        *(sys.executable, "-m", "pip", "--python", str(environment / "bin/python"), "--disable-pip-version-check"),
        *("install", "--quiet", "--no-index", "--no-deps", str(wheel)),
    )
    (packages,) = environment.glob("lib/python3*/site-packages")
    with zipfile.ZipFile(wheel) as archive:
        (name,) = (name for name in archive.namelist() if name.endswith(".dist-info/METADATA"))
        requirements = metadata.PathDistribution(zipfile.Path(wheel, name.removesuffix("METADATA"))).requires
    link(requirements or [], packages, set())
    return Installed(environment, tmp_path_factory.mktemp("empty"))


def link(requirements: list[str], packages: Path, done: set[str]) -> None:
    """Link each required distribution, and what it requires, from this environment into ``packages``."""
    for requirement in map(Requirement, requirements):
        if requirement.name in done or (requirement.marker and not requirement.marker.evaluate({"extra": ""})):
            continue
        done.add(requirement.name)
        distribution = metadata.distribution(requirement.name)
        assert requirement.specifier.contains(distribution.version, prereleases=True)
        for top in {file.parts[0] for file in distribution.files or []} - {"..", "__pycache__"}:
            target = packages / top
            if not target.exists():
                target.symlink_to(Path(str(distribution.locate_file(top))))
        link(distribution.requires or [], packages, done)


@pytest.fixture(scope="module")
def examples(installed: Installed) -> dict[str, str]:
    """Each command's example, as `hwsim --help` of the wheel shows it."""
    text = installed.hwsim("--help").stdout
    commands = re.findall(r"^  ([a-z]+)  +\S", text, re.MULTILINE)
    lines = re.findall(r"^ +hwsim ([a-z].+)$", text, re.MULTILINE)
    found = {line.split()[0]: line for line in lines}
    assert commands
    assert sorted(found) == sorted(commands), "a command has no example in hwsim --help"
    return found


SWEEP = "sweep: my-sweep\nworkload: mamba-130m\ndevice: vck190\naxes: {batch: [1, 2]}\n"


@pytest.fixture(scope="module")
def inputs(installed: Installed) -> None:
    """The files that the examples speak of, made from what the wheel ships."""
    (catalog,) = installed.environment.glob("lib/python3*/site-packages/hwsim/devices/catalog")
    shutil.copy(catalog / "vck190.yaml", installed.folder / "my-machine.yaml")
    (installed.folder / "my-sweep.yaml").write_text(SWEEP, encoding="utf-8")
    shapes = {"hidden_size": 256, "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 512}
    config = {"model_type": "llama", "vocab_size": 1000, **shapes}
    (installed.folder / "config.json").write_text(json.dumps(config), encoding="utf-8")
    for name, words in {"before": (), "after": ("--set", "workload.run.batch=2")}.items():
        run = installed.hwsim(*SIMULATION, f"{name}.json", *words)
        assert run.returncode == 0, run.stderr


def test_the_wheel_holds_what_it_should(wheel: Path) -> None:
    """The package with its types and shipped files, and nothing of the tree around it."""
    names = set(zipfile.ZipFile(wheel).namelist())
    source = {path.relative_to(ROOT).as_posix() for path in (ROOT / "hwsim").rglob("*.py")}
    assert source <= names
    assert "hwsim/py.typed" in names
    for path in KINDS["devices"].glob("*.yaml"):
        assert path.relative_to(ROOT).as_posix() in names
    for kind in ("workloads", "mappings"):
        assert {f"hwsim/_data/{kind}/{path.name}" for path in KINDS[kind].glob("*.yaml")} <= names
    assert {name.split("/")[0] for name in names} == {"hwsim", f"hwsim-{hwsim.__version__}.dist-info"}
    assert not [name for name in names if name.endswith((".pyc", ".nbi", ".nbc"))]


def test_hwsim_comes_from_the_wheel(installed: Installed) -> None:
    """The environment imports the wheel's package, and can reach neither the source tree nor a development tool."""
    program = "import sys, hwsim, importlib.util as u; print(hwsim.__file__, u.find_spec('pytest'), *sys.path, sep='|')"
    place, pytest_spec, *path = installed.python("-c", program).stdout.strip().split("|")
    assert Path(place).is_relative_to(installed.environment)
    assert pytest_spec == "None"
    assert str(ROOT) not in path
    assert installed.hwsim("--version").stdout == f"hwsim {hwsim.__version__}\n"


@pytest.mark.usefixtures("inputs")
def test_every_command_runs_its_example(installed: Installed, examples: dict[str, str]) -> None:
    """Each command that `hwsim --help` names runs the example given there, and says something."""
    for name, line in examples.items():
        if name in NEEDS_HARDWARE:
            continue
        if name in CHECKOUT_ONLY:
            continue
        run = installed.hwsim(*shlex.split(line))
        assert run.returncode == 0, f"hwsim {line}\n{run.stdout}\n{run.stderr}"
        assert "Traceback" not in run.stderr, name
        assert run.stdout.strip(), name


ANSWERS = """
import contextlib, io, json, shlex, sys
from hwsim.cli import main
for line in sys.argv[1:]:
    with contextlib.redirect_stdout(io.StringIO()) as out:
        code = main([*shlex.split(line), "--json", "-"])
    print(json.dumps([line, code, out.getvalue()]))
"""
"""The installed commands one after another in one process: starting Python and importing takes longer than most."""


@pytest.mark.usefixtures("inputs")
def test_every_command_writes_json(installed: Installed, examples: dict[str, str]) -> None:
    """`--json -` puts one JSON object on standard output, whatever the command."""
    asked = [line for name, line in examples.items() if name not in NEEDS_HARDWARE | CHECKOUT_ONLY]
    run = installed.python("-c", ANSWERS, *(line.removeprefix("hwsim ") for line in asked))
    assert run.returncode == 0, run.stderr
    answers = [json.loads(line) for line in run.stdout.splitlines()]
    assert len(answers) == len(asked)
    for line, code, text in answers:
        assert code == 0, line
        value = json.loads(text)
        assert value, line
        assert isinstance(value, dict), line


def test_what_an_extra_brings_is_named(installed: Installed) -> None:
    """ONNX files need a package that the wheel alone does not ask for: exit code 2, and how to install it."""
    (installed.folder / "model.onnx").write_bytes(b"\x08\x08")
    run = installed.hwsim("import", "model.onnx", "--out", "model.yaml")
    assert run.returncode == 2
    assert "pip install 'hwsim[onnx]'" in run.stderr
    assert not (installed.folder / "model.yaml").exists()


@pytest.mark.parametrize("name", sorted(CHECKOUT_ONLY))
def test_a_command_of_the_checkout_says_so(installed: Installed, examples: dict[str, str], name: str) -> None:
    """What needs files that no wheel holds is the user's to mend: exit code 2, and where to run it."""
    run = installed.hwsim(*shlex.split(examples[name]))
    assert run.returncode == 2, run.stdout + run.stderr
    assert "a checkout" in run.stderr
    assert not run.stdout


@pytest.mark.parametrize("kind", KINDS)
def test_shipped_files_are_found(installed: Installed, kind: str) -> None:
    """`hwsim list KIND` of the wheel names the files of the source tree, no more and no fewer."""
    rows = installed.json("list", kind)["results"]
    names = {row["name"] for row in rows}
    assert names or kind == "mappings"  # this release ships none
    assert names == {path.stem for path in KINDS[kind].glob("*.yaml")}


def test_files_are_written_only_where_asked(installed: Installed, tmp_path: Path) -> None:
    """A simulation with `--out` writes there, and leaves the folder it runs in as it was."""
    before = sorted(installed.folder.iterdir())
    run = installed.hwsim("simulate", "mamba", "--device", "vck190-spec", "--out", str(tmp_path / "out"))
    assert run.returncode == 0, run.stderr
    files = ["breakdown.svg", "report.html", "result.json", "roofline.svg", "timeline.svg", "trace.json"]
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == files
    assert sorted(installed.folder.iterdir()) == before


@pytest.mark.skipif(not os.environ.get("CI"), reason="needs the package index and half a minute: with CI set only")
def test_pip_installs_the_wheel_with_its_dependencies(wheel: Path, tmp_path: Path) -> None:
    """As a user would: pip installs the wheel with its pinned dependencies, and a simulation runs."""
    fresh = Installed(tmp_path / "environment", tmp_path)
    venv.create(fresh.environment, with_pip=True)
    succeed(
        *(str(fresh.environment / "bin/python"), "-m", "pip", "--disable-pip-version-check", "install", "--quiet"),
        *("--constraint", str(ROOT / "constraints.txt"), str(wheel)),
    )
    assert fresh.python("-m", "pip", "check").returncode == 0
    assert fresh.json(*SIMULATION[:-1])["time_s"] > 0
