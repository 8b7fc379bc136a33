"""What the machine around hwsim can do to it: Ctrl-C, a closed pipe, a full disk, a file where a folder should be."""

from __future__ import annotations

import json
import os
import random
import resource
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from civil import run

CASES = int(os.environ.get("HWSIM_FUZZ_CASES", "0"))
HWSIM = [sys.executable, "-m", "hwsim"]
QUICK = ["simulate", "mamba2-130m", "--device", "l4", "--new-tokens", "1"]
OLD = "what was here before\n"


def hwsim(*words: str, **settings: object) -> subprocess.CompletedProcess[str]:
    """A command line in a process of its own."""
    caught = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True, "timeout": 120}
    return subprocess.run([*HWSIM, *words], check=False, **{**caught, **settings})  # type: ignore[call-overload, no-any-return]


def leftovers(folder: Path) -> list[str]:
    """Half-written files."""
    return [path.name for path in folder.rglob("*") if path.name.endswith(".tmp")]


@pytest.mark.parametrize("seed", range(max(2, CASES // 2000)))
def test_ctrl_c_leaves_whole_files_or_none(tmp_path: Path, seed: int) -> None:
    """At a random moment: exit code 130 (or done before it came), no traceback, every file whole, the old one kept."""
    (tmp_path / "a.json").write_text(OLD)
    words = [*QUICK, "--json", str(tmp_path / "a.json"), "--out", str(tmp_path / "out")]
    child = subprocess.Popen([*HWSIM, *words], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    time.sleep(random.Random(seed).uniform(0.5, 2.5))
    child.send_signal(signal.SIGINT)
    _, messages = child.communicate(timeout=120)
    assert child.returncode in (0, 130, -signal.SIGINT), messages
    assert "Traceback" not in messages
    assert not leftovers(tmp_path)
    text = (tmp_path / "a.json").read_text()
    assert text == OLD or json.loads(text)["workload"] == "mamba2-130m"
    for path in tmp_path.rglob("*.svg"):
        assert path.read_text().rstrip().endswith("</svg>")


@pytest.mark.parametrize("words", [["list", "devices"], ["--help"], ["list", "devices", "--json", "-"]])
def test_a_closed_pipe_is_no_bug(words: list[str]) -> None:
    """`hwsim … | true`: exit code 141 without a word, or done where all was written before the reader left."""
    child = subprocess.Popen([*HWSIM, *words], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert child.stdout is not None
    child.stdout.close()
    assert child.stderr is not None
    messages = child.stderr.read()
    child.stderr.close()
    assert child.wait(timeout=60) in (0, 141)
    assert messages == ""


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full here")
@pytest.mark.parametrize("words", [["list", "devices"], ["--help"], ["simulate", "--help"], [*QUICK, "--json", "-"]])
def test_a_full_disk_behind_stdout_is_said(words: list[str]) -> None:
    """Exit code 2 and one line on stderr; the answer is lost, which the code tells a script."""
    with Path("/dev/full").open("w") as full:
        found = hwsim(*words, stdout=full)
    assert found.returncode == 2
    assert found.stderr == "hwsim: cannot write to stdout: No space left on device\n"


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full here")
def test_a_full_stderr_changes_no_exit_code() -> None:
    """Messages that nobody can read stop neither an answer nor a fault's code."""
    with Path("/dev/full").open("w") as full:
        assert hwsim("list", "devices", stderr=full).returncode == 0
        assert hwsim("list", "nothing", stderr=full).returncode == 2


@pytest.mark.parametrize("closed", [1, 2])
def test_closed_streams_change_no_exit_code(closed: int) -> None:
    """`>&-`: what the shell closed is taken as thrown away."""
    for words, code in ((["list", "devices"], 0), (["list", "nothing"], 2)):
        command = f'exec {closed}>&-; exec "$@"'
        found = subprocess.run(
            ["sh", "-c", command, "sh", *HWSIM, *words], capture_output=True, check=False, timeout=60
        )
        assert found.returncode == code


def test_a_limit_on_file_lengths_leaves_no_half_file(tmp_path: Path) -> None:
    """RLIMIT_FSIZE stands for a disk that fills while a file is written: a fault, the old file kept, nothing left."""

    def limit() -> None:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))

    target = tmp_path / "a.json"
    target.write_text(OLD)
    found = hwsim(*QUICK, "--json", str(target), preexec_fn=limit)
    assert found.returncode == 2
    assert "cannot write: File too large" in found.stderr
    assert target.read_text() == OLD
    assert [path.name for path in tmp_path.iterdir()] == ["a.json"]


@pytest.mark.parametrize(
    ("words", "named"),
    [
        ([*QUICK, "--out", "a/b"], "a/b"),
        ([*QUICK, "--json", "a/b.json"], "a/b.json"),
        ([*QUICK, "--trace", "a/b.json"], "a/b.json"),
        (["roofline", "mamba2-130m", "--device", "l4", "--out", "a/b.svg"], "a/b.svg"),
        (["paper", "lightmamba", "--out", "a"], "a: "),
        (["kernel", "gemm", "--csv", "in.csv", "--device", "l4", "--out", "a/b.csv"], "a/b.csv"),
        (["measure", "cpu", "--quick", "--out", "a/b"], "a/b"),
        (["calibrate", "a", "--out", "b.yaml"], "a: "),
        (["map", "gemm", "m=4", "n=16", "k=16", "--device", "ws16", "--out", "a/b.yaml"], "a/b.yaml"),
        (["check", "a/b.yaml"], "a/b.yaml"),
        (["check", "."], "."),
    ],
    ids=lambda value: " ".join(value[:1]) if isinstance(value, list) else "",
)
def test_a_file_where_a_folder_should_be(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, words: list[str], named: str
) -> None:
    """What cannot be read or written is a fault that names it, from every command; the file in the way is untouched."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a").write_text(OLD)
    (tmp_path / "in.csv").write_text("m,n,k\n1,16,16\n")
    answer = run(tuple(words))
    assert answer.code == 2, answer.err
    assert "internal error" not in answer.err
    assert named in answer.err
    assert (tmp_path / "a").read_text() == OLD
    assert not leftovers(tmp_path)


def test_verilog_that_cannot_be_written_is_a_fault(tmp_path: Path) -> None:
    """`rtl emit --out` says so as the other commands do."""
    pytest.importorskip("amaranth")
    found = run(("rtl", "emit", "vck190.norm_in", "--out", str(tmp_path / "no/unit.v")))
    assert found.code == 2
    assert "cannot write" in found.err
