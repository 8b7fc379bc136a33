"""A disk that is full or cannot be written, under every command that writes: the file is named, nothing is left."""

from __future__ import annotations

import json
import os
import resource
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path

import pytest
from civil import OLD, run
from doors import SWEEP

from hwsim.cli import COMMANDS
from hwsim.measure import read_measurement

MEASURED = Path(__file__).resolve().parents[2] / "hwsim/published/measured/zen4"
QUICK = ("simulate", "mamba2-130m", "--device", "l4", "--new-tokens", "1")
LLAMA = {
    "architectures": ["LlamaForCausalLM"], "model_type": "llama", "hidden_size": 64, "intermediate_size": 128,
    "num_attention_heads": 4, "num_hidden_layers": 2, "num_key_value_heads": 2, "vocab_size": 256,
}  # fmt: skip
FILES = (
    (*QUICK, "--json"),
    (*QUICK, "--trace"),
    ("kernel", "softmax", "op=softmax", "tokens=4", "width=64", "--device", "l4", "--json"),
    ("kernel", "gemm", "--csv", "in.csv", "--device", "l4", "--out"),
    ("map", "gemm", "m=64", "n=64", "k=64", "--device", "l4", "--json"),
    ("map", "gemm", "m=4", "n=16", "k=16", "--device", "ws16", "--out"),
    ("compare", "mamba2-130m", "--device", "l4", "--device", "u280", "--json"),
    ("compare", "mamba2-130m", "--device", "l4", "--device", "u280", "--out"),
    ("roofline", "mamba2-130m", "--device", "l4", "--out"),
    ("paper", "flashnorm", "--json"),
    ("sweep", "mine.yaml", "--json"),
    ("sweep", "mine.yaml", "--out"),
    ("import", "config.json", "--out"),
    ("calibrate", str(MEASURED), "--out"),
    ("list", "devices", "--json"),
    ("show", "device", "l4", "--json"),
    ("check", "mine.yaml", "--json"),
    ("diff", "a.json", "a.json", "--json"),
    ("rtl", "emit", "softplus", "lanes=1", "--out"),
    ("rtl", "cycles", "softplus", "lanes=1", "--json"),
)
"""Commands, each to be followed by the file that it is to write."""
FOLDERS = (
    (*QUICK, "--out"),
    ("paper", "convsharevit", "--out"),
    ("measure", "cpu", "--out"),
)
"""Commands, each to be followed by the folder that it is to fill."""


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with all that the commands read; nothing is timed, no Yosys runs, the user's own cache is left alone."""
    folder = tmp_path / "here"
    folder.mkdir()
    monkeypatch.chdir(folder)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr("hwsim.measure.cpu.measure", lambda request: read_measurement(MEASURED))
    if find_spec("amaranth") is not None:
        monkeypatch.setattr("rtl.emit.lower", lambda text: "module top(); endmodule\n")
    (folder / "in.csv").write_text("m,n,k\n1,16,16\n")
    (folder / "mine.yaml").write_text(SWEEP)
    (folder / "config.json").write_text(json.dumps(LLAMA))
    (folder / "a.json").write_text(json.dumps({"schema_version": 1}))
    return folder


def short(case: tuple[str, ...]) -> str:
    """A test's name."""
    return " ".join((*case[:2], case[-1])).replace(str(MEASURED), "DIR")


def words_of(case: tuple[str, ...], target: str) -> tuple[str, ...]:
    """The command line; units of hardware need Amaranth."""
    if case[0] == "rtl":
        pytest.importorskip("amaranth")
    return (*case, target)


def name_of(case: tuple[str, ...]) -> str:
    """A name with an ending that the command takes."""
    if case[-1] == "--out":
        return {"roofline": "b.svg", "compare": "b.svg"}.get(case[0], "b.yaml")
    return "b.json"


@contextmanager
def files_of_at_most(length: int) -> Iterator[None]:
    """A disk that is full after some bytes of each file."""
    before = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (length, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        signal.signal(signal.SIGXFSZ, before)


def hold_refused(words: tuple[str, ...], named: str) -> None:
    """Exit code 2, one fault, which names what could not be written."""
    answer = run(words)
    assert answer.code == 2, (answer.code, answer.out[-300:], answer.err)
    assert "cannot write" in answer.err
    assert named in answer.err
    assert "Traceback" not in answer.err
    assert "internal error" not in answer.err


def test_every_command_that_writes_is_here() -> None:
    """A new command is added to the lists above."""
    assert {case[0] for case in (*FILES, *FOLDERS)} == set(COMMANDS)


@pytest.mark.parametrize("case", FILES, ids=short)
def test_a_disk_that_fills_up_keeps_the_old_file(here: Path, case: tuple[str, ...]) -> None:
    """The file of before stays, whole, and nothing lies beside it."""
    name = name_of(case)
    (here / name).write_text(OLD)
    before = {path.name: path.read_bytes() for path in here.iterdir()}
    with files_of_at_most(16):
        hold_refused(words_of(case, name), name)
    assert {path.name: path.read_bytes() for path in here.iterdir()} == before


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full here")
@pytest.mark.parametrize("case", [case for case in FILES if case[0] != "sweep" and name_of(case) != "b.svg"], ids=short)
def test_a_full_device_is_named(here: Path, case: tuple[str, ...]) -> None:
    """/dev/full takes nothing, however short the answer is."""
    hold_refused(words_of(case, "/dev/full"), "/dev/full")


def test_rows_before_the_disk_was_full_are_gone_on_with(here: Path) -> None:
    """A sweep whose journal finds no more room names it; what was kept before is not run again."""
    with files_of_at_most(500):
        hold_refused(("sweep", "mine.yaml", "--out", "new.csv"), "new.csv.partial")
    assert not (here / "new.csv").exists()
    answer = run(("sweep", "mine.yaml", "--out", "new.csv", "--resume"))
    assert answer.code == 0, answer.err
    assert "1 of 4 points were done before" in answer.err
    assert [path.name for path in here.glob("new*")] == ["new.csv"]


@pytest.mark.parametrize("case", FOLDERS, ids=short)
def test_a_folder_on_a_full_disk_holds_no_half_file(here: Path, case: tuple[str, ...]) -> None:
    """What was written before the disk was full is whole; no temporary file stays."""
    with files_of_at_most(16):
        hold_refused(words_of(case, "new"), "new/")
    left = [path for path in here.rglob("*") if path.is_file() and "new" in path.parts]
    assert not [path for path in left if path.name.endswith(".tmp")]
    assert all(path.stat().st_size <= 16 for path in left)


def locked(folder: Path) -> Path:
    """A folder that takes no file: one without the right to write, or for root, whom that does not stop, /sys."""
    folder.mkdir(mode=0o555)
    if not os.access(folder, os.W_OK):
        return folder
    if not Path("/sys/kernel").is_dir():
        pytest.skip("root may write everywhere here")
    return Path("/sys/kernel")


@pytest.mark.parametrize("case", [*FILES, *FOLDERS], ids=short)
def test_a_folder_that_takes_no_file_is_named(here: Path, tmp_path: Path, case: tuple[str, ...]) -> None:
    """Read-only folders, of every command alike."""
    target = locked(tmp_path / "locked") / (name_of(case) if case in FILES else "new")
    hold_refused(words_of(case, str(target)), str(target))
