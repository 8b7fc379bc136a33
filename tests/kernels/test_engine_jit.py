"""The engine's kernel as compiled code: without the JIT, without a folder for its cache, cold and warm."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from hwsim.kernels import jit
from hwsim.schedule import Program, Schedule, Stage, after, fifo, run

HERE = Path(__file__).parent

SMALL = """
from hwsim.schedule import Program, Stage, after, fifo, run
u, v = Stage.uniform("u", "u", 500, 4), Stage.uniform("v", "v", 500, 5)
result = run(Program((u, v), (after(u, v), fifo(u, v, 2)), reps=3))
print(result.makespan_cycles, result.steps, result.jumps)
from hwsim.kernels import engine, jit
print(jit.cache_folder(), type(engine.simulate).__name__)
"""
SUM = "from hwsim.kernels import jit\n@jit.jit\ndef kernel(values):\n    return values.sum() + {}\n"
"""A kernel that compiles in less than a second; the engine's takes 14."""


def python(code: str, **environment: str) -> list[str]:
    """Lines that a fresh interpreter prints."""
    variables = {**os.environ, **environment}
    done = subprocess.run([sys.executable, "-c", code], env=variables, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


def kept_sum(folder: Path) -> str:
    """Code that runs the kernel of ``folder``, telling when it compiles, what comes out and where it is kept."""
    return f"""
import sys
import numpy as np
sys.path.insert(0, {str(folder)!r})
from hwsim.kernels import jit
jit.before_compile(lambda name: print("compiling", name))
from kernel import kernel
print(kernel(np.ones(3)))
print(jit.cache_folder(), type(kernel).__name__)
"""


def small() -> Schedule:
    u, v = Stage.uniform("u", "u", 500, 4), Stage.uniform("v", "v", 500, 5)
    result = run(Program((u, v), (after(u, v), fifo(u, v, 2)), reps=3))
    assert isinstance(result, Schedule)
    return result


def test_without_the_jit() -> None:
    """The same code runs as plain Python, jumps included."""
    result = small()
    figures, rest = python(SMALL, NUMBA_DISABLE_JIT="1")
    assert figures == f"{result.makespan_cycles} {result.steps} {result.jumps}"
    assert rest == "None function"


@pytest.mark.skipif(not hasattr(os, "getuid"), reason="needs POSIX permissions")
def test_where_no_folder_can_be_written(tmp_path: Path) -> None:
    """A cache folder that cannot be made (it is a file) means compiling each time, not failing."""
    file = tmp_path / "file"
    file.write_text("no folder")
    (tmp_path / "kernel.py").write_text(SUM.format(1))
    for _ in range(2):
        lines = python(kept_sum(tmp_path), NUMBA_CACHE_DIR=str(file / "cache"))
        assert lines == ["compiling kernel", "4.0", "None CPUDispatcher"]


@pytest.mark.skipif(not hasattr(os, "getuid"), reason="needs POSIX limits")
def test_a_disk_that_fills_up_costs_the_cache_only(tmp_path: Path) -> None:
    """A kernel that cannot be kept still runs, and leaves no half of a file."""
    code = """
import resource
from hwsim.kernels import jit
import numpy as np
resource.setrlimit(resource.RLIMIT_FSIZE, (100, 100))
@jit.jit
def kernel(values):
    return values.sum()
print(kernel(np.ones(3)), jit.cache_folder() is not None)
"""
    (tmp_path / "kernel.py").write_text(code)
    assert python(f"import runpy; runpy.run_path({str(tmp_path / 'kernel.py')!r})", NUMBA_CACHE_DIR=str(tmp_path)) == [
        "3.0 True"
    ]
    assert not [path for path in (tmp_path).rglob("*.nb*")]


def test_the_cache_folder_is_used_and_found_warm(tmp_path: Path) -> None:
    """The first process compiles into the named folder; a second one finds the kernel there."""
    (tmp_path / "kernel.py").write_text(SUM.format(1))
    cold = python(kept_sum(tmp_path), NUMBA_CACHE_DIR=str(tmp_path))
    warm = python(kept_sum(tmp_path), NUMBA_CACHE_DIR=str(tmp_path))
    assert cold == ["compiling kernel", *warm]
    assert warm[1].startswith(str(tmp_path / "hwsim-kernels-"))


ENTRIES = """
import sys
import numpy as np
sys.path.insert(0, {!r})
from kernel import kernel
kernel(np.ones(3))
print(kernel.stats.cache_hits.total(), kernel.stats.cache_misses.total())
"""


def test_a_source_of_the_same_text_is_the_same_kernel(tmp_path: Path) -> None:
    """Neither where it lies nor how old it is counts, as the folder's name holds its text; a changed text does."""

    def hits(place: str, text: str) -> str:
        file = tmp_path / place / "kernel.py"
        file.parent.mkdir(exist_ok=True)
        file.write_text(text)
        return python(ENTRIES.format(str(file.parent)), NUMBA_CACHE_DIR=str(tmp_path / "cache"))[0]

    assert hits("here", SUM.format(1)) == "0 1"
    assert hits("there", SUM.format(1)) == "1 0"
    assert hits("there", SUM.format(2)) == "0 1"


def test_two_processes_keep_their_kernels_side_by_side(tmp_path: Path) -> None:
    """Entries for two types, written at once, both stay, each with its own code: numba alone loses or swaps them."""
    folder = tmp_path / "cache"
    code = f"""
import fcntl, os, sys, threading, time
from pathlib import Path
import numpy as np
from hwsim.kernels import jit
sys.path.insert(0, {str(tmp_path)!r})
from twice import kernel
held = (jit.cache_folder() / "lock").open("w")
fcntl.flock(held, fcntl.LOCK_EX)
child = os.fork()
values = np.ones(3, np.int64 if child else np.float64)
thread = threading.Thread(target=kernel, args=(values,))
thread.start()
thread.join(2)
assert thread.is_alive() and not list(jit.cache_folder().glob("*.nbc")), "kept without the lock"
held.close()
thread.join()
if child:
    assert os.waitpid(child, 0)[1] == 0
    print(len(list(jit.cache_folder().glob("*.nbc"))))
"""
    (tmp_path / "twice.py").write_text(SUM.format(1))
    assert python(code, NUMBA_CACHE_DIR=str(folder)) == ["2"]


def candidates(monkeypatch: pytest.MonkeyPatch, *folders: Path) -> Path | None:
    monkeypatch.setattr(jit, "_candidates", lambda: iter(folders))
    return jit._choose_folder()


def test_a_folder_that_others_may_write_is_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Compiled code is loaded from the folder, so one that anyone could have filled is passed over."""
    if not hasattr(os, "getuid"):
        pytest.skip("needs POSIX permissions")
    shared, own = tmp_path / "shared", tmp_path / "own"
    shared.mkdir()
    shared.chmod(0o777)
    assert candidates(monkeypatch, shared, own).parent == own
    assert candidates(monkeypatch, shared) is None
    assert own.stat().st_mode & 0o777 == 0o700


def test_folders_in_order_of_preference(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """NUMBA_CACHE_DIR alone where it is set; else the package, the user's cache and the temporary directory."""
    monkeypatch.setattr(jit._settings, "CACHE_DIR", str(tmp_path))
    assert list(jit._candidates()) == [tmp_path]
    monkeypatch.setattr(jit._settings, "CACHE_DIR", "")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    package, user, temporary = jit._candidates()
    assert package == Path(jit.__file__).parent / "__pycache__"
    assert user == tmp_path / "hwsim"
    assert temporary.name.startswith("hwsim-")


def test_the_hook_hears_of_kernels_only(tmp_path: Path) -> None:
    """A loaded kernel says nothing, one that compiles says its name once, parts of it and others' functions nothing."""
    code = """
import numba, numpy as np
from hwsim.kernels import jit
jit.before_compile(print)
inner = jit.jit_part(lambda x: x + 1)
other = numba.njit(lambda x: x - 1)
@jit.jit
def whole(x):
    return inner(other(x))
whole(1), whole(2), whole(1.0)
jit.before_compile(None)
whole(1j)
"""
    file = tmp_path / "file"
    file.write_text("no folder")
    assert python(code, NUMBA_CACHE_DIR=str(file / "cache")) == ["whole", "whole"]


def test_building_programs_imports_no_numba() -> None:
    """Only `run` needs the kernel: what checks files must start fast."""
    code = "import sys, hwsim.schedule, hwsim.schedule.tables; print('numba' in sys.modules)"
    assert python(code) == ["False"]


def test_planted_bugs_are_caught() -> None:
    """Five unsound shortcuts, planted in the skipping one by one, each change an answer; the sound code does not."""
    code = f"import sys; sys.path.insert(0, {str(HERE)!r}); import planted_bugs; planted_bugs.main()"
    none, *planted = python(code, NUMBA_DISABLE_JIT="1")
    assert none.startswith("none: 0 wrong, jumps ")
    assert int(none.split()[-1]) >= 6
    assert len(planted) == 5
    assert not [line for line in planted if ": 0 wrong" in line]
