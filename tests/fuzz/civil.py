"""A case of hostile input, how it is run in this process, and what must hold of the answer.

A case is a folder of files and a command line. Whatever it is, the answer is civil: an exit code that is documented, a
message that names what is wrong, no traceback, and files that are whole or not there.
"""

from __future__ import annotations

import io
import json
import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any

from hwsim.cli import main

LIMIT_S = 120
"""Seconds of processor time that a case may take, compiling included; how busy the machine is makes no difference."""
STANDSTILL_S = 1800
"""Seconds on the clock after which a case that waits for something is given up."""
OLD = "what was here before\n"


@dataclass(frozen=True)
class Case:
    """A folder's files, a command line to be run in it, and the files that the command is told to write."""

    words: tuple[str, ...]
    files: dict[str, bytes] = field(default_factory=dict)
    outputs: tuple[str, ...] = ()


@dataclass(frozen=True)
class Answer:
    """What a command line gave."""

    code: int
    out: str
    err: str


class TooSlow(BaseException):
    """A case that takes longer than any case should."""


@contextmanager
def _bounded() -> Iterator[None]:
    def ring(*_: Any) -> None:
        raise TooSlow

    bells = ((signal.SIGPROF, signal.ITIMER_PROF, LIMIT_S), (signal.SIGALRM, signal.ITIMER_REAL, STANDSTILL_S))
    before = [signal.signal(bell, ring) for bell, _, _ in bells]
    for _, timer, seconds in bells:
        signal.setitimer(timer, seconds)
    try:
        yield
    finally:
        for (bell, timer, _), handler in zip(bells, before, strict=True):
            signal.setitimer(timer, 0)
            signal.signal(bell, handler)


def run(words: tuple[str, ...]) -> Answer:
    """A command line in this process, its streams caught."""
    streams = [io.TextIOWrapper(io.BytesIO(), encoding="utf-8", errors="backslashreplace") for _ in range(2)]
    kept = sys.stdout, sys.stderr
    sys.stdout, sys.stderr = streams
    try:
        with _bounded():
            code = main(list(words))
    finally:
        for stream in streams:
            stream.flush()
        sys.stdout, sys.stderr = kept
    out, err = (stream.buffer.getvalue().decode("utf-8", "replace") for stream in streams)  # type: ignore[attr-defined]
    return Answer(code, out, err)


def hold_civil(case: Case, folder: Path) -> Answer:
    """Run a case in an empty folder and hold the answer to what is promised."""
    for name, data in case.files.items():
        (folder / name).write_bytes(data)
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    here = Path.cwd()
    os.chdir(folder)
    try:
        answer = run(case.words)
    except TooSlow:
        raise AssertionError(f"takes more than {LIMIT_S} s of processor time: {case}") from None
    finally:
        os.chdir(here)
    after = {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}
    assert answer.code in (0, 2, 3), (answer.code, answer.err[-600:])
    assert "Traceback" not in answer.err
    assert "internal error" not in answer.err
    if answer.code == 2:
        assert answer.err.strip(), "exit code 2 without a word"
    if _json_to_stdout(case.words) and (answer.code != 2 or answer.out):
        json.loads(answer.out, parse_constant=_refuse)
    changed = {name for name in after if after[name] != before.get(name)}
    assert changed <= set(case.outputs), changed
    assert set(before) <= set(after) | {name for name in before if not (folder / name).is_file()}
    for name in changed:
        _hold_whole(name, after[name])
    return answer


def _json_to_stdout(words: tuple[str, ...]) -> bool:
    return ("--json", "-") in pairwise(words) and "--help" not in words and "-h" not in words


def _refuse(word: str) -> Any:
    raise AssertionError(f"{word} in JSON")


def _hold_whole(name: str, data: bytes) -> None:
    """A written file is whole in its own form."""
    if name.endswith(".json"):
        json.loads(data, parse_constant=_refuse)
    elif name.endswith(".svg"):
        assert data.rstrip().endswith(b"</svg>")
    else:
        assert data.endswith(b"\n")
