"""Hostile and unlucky input for every door of the command line, as hypothesis strategies, and what must hold of each.

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
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import Any

from hypothesis import strategies as st

from hwsim.cli import COMMANDS, main
from hwsim.devices.catalog import device_names
from hwsim.spec import quantities
from hwsim.workload.catalog import workload_names
from hwsim.workload.kernel import KERNELS

ROOT = Path(__file__).resolve().parents[2]
CATALOG = ROOT / "hwsim/devices/catalog"
LIMIT_S = 60
"""Seconds that a case may take; a machine that is shared by others still stays far below."""
OLD = "what was here before\n"

EXTREMES = (
    "0",
    "-1",
    "1",
    "2",
    "1e12",
    "1000000000000",
    "1e-300",
    "1e308",
    "1e400",
    "-1e308",
    ".inf",
    "-.inf",
    ".nan",
    "nan",
    "inf",
    "9" * 25,
    "9" * 5000,
    "0x10",
    "0o7",
    "1_000",
    "1e",
    "+",
    "-",
    "~",
    "null",
    "true",
    "no",
    "''",
    '""',
    "[]",
    "{}",
    "[1, 2]",
    "{value: 1}",
    "0.5",
    "-0.0",
    "1.0",
    "١٢",
    "½",
    "é",
    "日本",
    "\u202e",
    "a b",
    "*a",
    "&a 1",
    "!!int 1",
    "!x",
    "|",
    ">",
    "#",
    "%",
    "@",
    "`",
    "? ",
    "- -",
    ": :",
    "1 TB/s",
    "0 GB/s",
    "-3 GB/s",
    "1 parsec",
    "1 byte",
    "int4",
    "fp64",
    "../../etc/passwd",
    "/",
    "/dev/null",
    "/dev/full",
    ".",
    "..",
    "",
    " ",
    "\t",
    "x" * 3000,
)
"""Scalars that nobody means."""

SOUP = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=12)
VALUES = st.one_of(st.sampled_from(EXTREMES), st.integers(-(10**20), 10**20).map(str), st.floats().map(repr), SOUP)
FAST_DEVICES = (
    "vck190",
    "vck190-spec",
    "u280",
    "l4",
    "h100-sxm",
    "8x-h100-sxm",
    "spr-56c",
    "epyc-zen4",
    "ws16",
    "systolic-os-16",
    "optical-4k-2mhz",
    "dlp-6500-bench",
)
SMALL_WORKLOADS = ("mamba2-130m", "mamba-130m", "gpt2", "vit-cifar-96", "mamba-tree", "srcnn")


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


# -- running -----------------------------------------------------------------------------------------------


@contextmanager
def _bounded() -> Iterator[None]:
    def ring(*_: Any) -> None:
        raise TooSlow

    before = signal.signal(signal.SIGALRM, ring)
    signal.alarm(LIMIT_S)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


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
        raise AssertionError(f"takes more than {LIMIT_S} s: {case}") from None
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


# -- texts -------------------------------------------------------------------------------------------------


@cache
def shipped_text(kind: str, name: str) -> str:
    """The text of a shipped file."""
    folder = CATALOG if kind == "devices" else ROOT / kind
    return (folder / f"{name}.yaml").read_text(encoding="utf-8")


def _new_value(draw: st.DrawFn, line: str) -> list[str]:
    return [line[: line.index(":") + 1] + " " + draw(VALUES)] if ":" in line else [line]


def _new_quantity(draw: st.DrawFn, line: str) -> list[str]:
    head, found, tail = line.partition("value:")
    return [f"{head}value: {draw(VALUES)}{tail[tail.find(',') :] if ',' in tail else ''}"] if found else [line]


def _new_key(draw: st.DrawFn, line: str) -> list[str]:
    return [draw(SOUP) + line[line.find(":") :]] if ":" in line else [line]


def _new_cell(draw: st.DrawFn, line: str) -> list[str]:
    cells = line.split(",")
    cells[draw(st.integers(0, len(cells) - 1))] = draw(VALUES)
    return [",".join(cells)]


BENDS = (
    _new_value,
    _new_quantity,
    _new_key,
    _new_cell,
    lambda draw, line: [],
    lambda draw, line: [line, line],
    lambda draw, line: [draw(st.sampled_from((" ", "    ", "\t", "- "))) + line],
    lambda draw, line: [draw(st.one_of(SOUP, VALUES)), line],
)
"""What may become of a line."""


def _cut(draw: st.DrawFn, data: bytes) -> bytes:
    return data[: draw(st.integers(0, len(data)))]


def _odd_bytes(draw: st.DrawFn, data: bytes) -> bytes:
    at = draw(st.integers(0, len(data)))
    return data[:at] + draw(st.binary(min_size=1, max_size=3)) + data[at:]


SPOILS = (
    *(lambda draw, data: data,) * 6,
    lambda draw, data: b"\xef\xbb\xbf" + data,
    _cut,
    _odd_bytes,
    lambda draw, data: data + b"\0",
    lambda draw, data: data.decode("utf-8", "replace").encode("utf-16"),
    lambda draw, data: b"",
    lambda draw, data: draw(st.binary(max_size=200)),
    lambda draw, data: data + b"# " + b"x" * draw(st.sampled_from((1000, 2_000_000))) + b"\n",
)
"""What may become of a file's bytes: a mark, a cut, odd bytes, another encoding, nothing, anything, too much."""


@st.composite
def bent(draw: st.DrawFn, text: str) -> bytes:
    """A text with some lines changed, lost, doubled or moved, or turned into something else as bytes."""
    lines = text.splitlines()
    for _ in range(draw(st.integers(0, 3))):
        if lines:
            at = draw(st.integers(0, len(lines) - 1))
            lines[at : at + 1] = draw(st.sampled_from(BENDS))(draw, lines[at])
    data = draw(st.sampled_from(("\n", "\n", "\r\n", "\r"))).join([*lines, ""]).encode("utf-8", "surrogatepass")
    return draw(st.sampled_from(SPOILS))(draw, data)


BOMBS = (
    "a: &a [x]\nb: &b ["
    + "*a," * 30
    + "]\nc: &c ["
    + "*b," * 30
    + "]\nd: &d ["
    + "*c," * 30
    + "]\ne: ["
    + "*d," * 30
    + "]\n",
    "family: gpu\n" + "a: &a {b: *a}\n",
    "[" * 5000,
    "{a: " * 3000 + "1" + "}" * 3000,
    "".join(" " * depth + "a:\n" for depth in range(900)),
    "- " * 2000 + "1\n",
    "a: 1\na: 2\n",
    "<<: *a\n",
    "--- 1\n--- 2\n",
    "%YAML 9.9\n---\na: 1\n",
    "extends: mine.yaml\n",
    "extends: [a, b]\n",
    "extends: vck190\n",
    "extends: /dev/zero\n",
    "family: array\nextends: mamba\n",
    "? [a, b]\n: 1\n",
    "1: 2\n~: 3\ntrue: 4\n",
    "a: |\n" + "  x\n" * 50000,
    "name: " + "9" * 100000 + "\n",
)
"""YAML that is meant to hurt."""


def file_of(kind: str, names: tuple[str, ...]) -> st.SearchStrategy[bytes]:
    """A bent shipped file of a kind, or a bomb."""
    shipped = st.sampled_from(names).flatmap(lambda name: bent(shipped_text(kind, name)))
    return st.one_of(shipped, shipped, shipped, shipped, st.sampled_from(BOMBS).map(str.encode))


DEVICE_FILES = file_of("devices", tuple(name for name in device_names() if name != "64x-a100-sxm-80"))
WORKLOAD_FILES = file_of("workloads", workload_names())
MAPPING_FILES = file_of("mappings", ("golden-gemm", "golden-gemv", "golden-gemm-imperfect"))


# -- doors -------------------------------------------------------------------------------------------------


@st.composite
def checks(draw: st.DrawFn) -> Case:
    """`check`, `show` and `list` of files and names that may be anything."""
    kind = draw(st.sampled_from(("device", "workload", "mapping")))
    data = draw({"device": DEVICE_FILES, "workload": WORKLOAD_FILES, "mapping": MAPPING_FILES}[kind])
    command = draw(
        st.sampled_from((("check", "mine.yaml"), ("show", kind, "mine.yaml"), ("check", "mine.yaml", "mine.yaml")))
    )
    more = draw(st.sampled_from(((), ("--json", "-"), ("--quiet",), ("--json", "out.json"))))
    return Case((*command, *more), {"mine.yaml": data}, ("out.json",))


@st.composite
def simulations(draw: st.DrawFn) -> Case:
    """A bent workload or machine, run."""
    if draw(st.booleans()):
        words, data = ("mine.yaml", "--device", draw(st.sampled_from(FAST_DEVICES))), draw(SMALL_FILES)
    else:
        words = (draw(st.sampled_from(SMALL_WORKLOADS)), "--device", "mine.yaml")
        data = draw(file_of("devices", FAST_DEVICES))
    where, outputs = draw(_where())
    return Case(
        ("simulate", *words, *draw(_question()), *where), {"mine.yaml": data, "old.json": OLD.encode()}, outputs
    )


SMALL_FILES = file_of("workloads", SMALL_WORKLOADS)


@st.composite
def _question(draw: st.DrawFn) -> tuple[str, ...]:
    """What is asked, sensible or not."""
    words: list[str] = []
    for option in draw(
        st.lists(st.sampled_from(("--batch", "--context", "--new-tokens", "--phase", "--transform")), max_size=2)
    ):
        sane = {"--phase": "prefill", "--transform": "sparsity:weights=0.5"}.get(option, "3")
        words += [option, draw(st.one_of(st.just(sane), VALUES))]
    return tuple(words)


@st.composite
def _where(draw: st.DrawFn) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Where the answer goes: (words, files that may change)."""
    return draw(
        st.sampled_from(
            (
                ((), ()),
                (("--json", "-"), ()),
                (("--json", "new.json"), ("new.json",)),
                (("--json", "old.json"), ("old.json",)),
                (("--json", "no/such/folder.json"), ()),
                (("--json", "/dev/full"), ()),
                (("--json", "mine.yaml/out.json"), ()),
                (("--json", "."), ()),
                (("--json", "x" * 300), ()),
            )
        )
    )


@cache
def paths_of(kind: str, name: str) -> tuple[str, ...]:
    """Dotted paths of a shipped file's values."""
    if kind == "device":
        from hwsim.devices.catalog import find_device

        return tuple(path for path, _ in quantities(find_device(name).parameters, "device"))
    return (
        "workload.run.batch",
        "workload.run.context",
        "workload.run.new_tokens",
        "workload.model.layers",
        "workload.model.d_model",
        "workload.model.vocab",
        "workload.formats.weights",
        "workload.name",
        "workload.decoding.tree.chain",
        "workload.model.d_state",
        "workload.model.heads",
        "workload.model.head_dim",
        "workload.model",
    )


@st.composite
def settings_of_a_run(draw: st.DrawFn) -> Case:
    """`--set`: any constant of any machine, any value of any workload, at its extremes."""
    device, workload = draw(st.sampled_from(FAST_DEVICES)), draw(st.sampled_from(SMALL_WORKLOADS))
    words: list[str] = []
    for _ in range(draw(st.integers(1, 2))):
        known = paths_of("device", device) if draw(st.booleans()) else paths_of("workload", workload)
        path = draw(st.one_of(st.sampled_from(known), st.sampled_from(known), SOUP))
        words += ["--set", f"{path}={draw(VALUES)}"]
    command = draw(st.sampled_from(("simulate", "show", "kernel")))
    if command == "show":
        return Case(("show", "device", device, *words))
    if command == "kernel":
        return Case(("kernel", "gemm", "m=4", "n=64", "k=64", "--device", device, *words, "--json", "-"))
    return Case(("simulate", workload, "--device", device, *words, "--new-tokens", "1", "--json", "-"))


SANE = {
    "gemm": "m=4 n=64 k=64",
    "attention": "phase=decode batch=1 heads=4 kv_heads=2 q_len=1 kv_len=64 head_dim=32 dtype=bf16",
    "conv1d": "phase=decode batch=1 seq_len=1 channels=64 d_conv=4",
    "softmax": "op=softmax tokens=4 width=64",
    "scan": "mixer=mamba2 phase=decode batch=1 seq_len=1 heads=4 head_dim=16 d_state=16",
    "norm": "op=rmsnorm tokens=4 width=64",
    "elementwise": "op=add tokens=4 width=64",
    "conv2d": "batch=1 oc=4 ic=3 y=8 x=8 r=3 s=3",
    "embedding": "tokens=4 width=64",
    "collective": "op=all_reduce bytes=1024 gpus=2",
}


@st.composite
def kernels(draw: st.DrawFn) -> Case:
    """`kernel KIND name=value`, also by `map`, with values that may be anything."""
    kind = draw(st.sampled_from((*KERNELS, *KERNELS, "")))
    names = (
        [each.name for each in KERNELS[kind].arguments]
        if kind and hasattr(KERNELS[kind], "arguments")
        else ["m", "n", "k"]
    )
    words = SANE.get(kind, "").split()
    for _ in range(draw(st.integers(0, 3))):
        word = f"{draw(st.one_of(st.sampled_from(names), SOUP))}={draw(VALUES)}"
        words = [each for each in words if each.partition("=")[0] != word.partition("=")[0]] + [word]
    device = draw(st.sampled_from(FAST_DEVICES))
    more = draw(st.sampled_from((("--json", "-"), (), ("--quiet",))))
    if draw(st.integers(0, 9)) == 0:
        return Case(("map", kind, *words, "--device", device, "--budget-s", "0.2", *more))
    return Case(("kernel", kind, *words, "--device", device, *more))


@st.composite
def tables(draw: st.DrawFn) -> Case:
    """`kernel KIND --csv`: a table whose cells, header and bytes may be anything."""
    kind = draw(st.sampled_from(tuple(SANE)))
    pairs = [word.split("=") for word in SANE[kind].split()]
    header, row = ",".join(name for name, _ in pairs), ",".join(value for _, value in pairs)
    data = draw(bent("\n".join([header, *[row] * draw(st.integers(0, 4))])))
    out = draw(st.sampled_from(("out.csv", "old.csv", "in.csv", "no/out.csv", "/dev/full")))
    words = ("kernel", kind, "--csv", "in.csv", "--device", draw(st.sampled_from(FAST_DEVICES)), "--out", out)
    return Case(words, {"in.csv": data, "old.csv": OLD.encode()}, (out,))


@cache
def result_text() -> str:
    """The JSON of a small answer."""
    return run(("simulate", "mamba2-130m", "--device", "l4", "--new-tokens", "1", "--json", "-")).out


@st.composite
def differences(draw: st.DrawFn) -> Case:
    """`diff` of files that may not be answers."""
    files = {"a.json": draw(st.one_of(bent(result_text()), VALUES.map(lambda text: text.encode("utf-8", "replace"))))}
    files["b.json"] = draw(st.one_of(st.just(result_text().encode()), bent(result_text())))
    return Case(
        (
            "diff",
            "a.json",
            draw(st.sampled_from(("b.json", "c.json", "."))),
            *draw(st.sampled_from(((), ("--json", "-")))),
        ),
        files,
    )


WORDS = st.one_of(
    st.sampled_from(
        (
            *COMMANDS,
            *device_names()[:6],
            *SMALL_WORKLOADS,
            "devices",
            "workloads",
            "device",
            "gemm",
            "m=1",
            "lightmamba",
        )
    ),
    st.sampled_from(
        (
            "--device",
            "--json",
            "--out",
            "--set",
            "--batch",
            "--help",
            "-h",
            "--",
            "-",
            "--quiet",
            "--level",
            "--version",
            "--csv",
            "--mapping",
            "--trace",
            "--sensitivity",
            "--objective",
            "--budget-s",
        )
    ),
    VALUES,
)


@st.composite
def words(draw: st.DrawFn) -> Case:
    """A command line of words in any order; what writes or times at length is left to the other doors."""
    first = draw(
        st.one_of(st.sampled_from([name for name in COMMANDS if name not in ("measure", "paper", "rtl")]), VALUES)
    )
    rest = [word.replace("\0", "") for word in draw(st.lists(WORDS, max_size=6))]
    rest = [word for word in rest if "/" not in word or word == "/dev/null"]
    return Case((first, *rest), {}, tuple(rest))


@st.composite
def drawings(draw: st.DrawFn) -> Case:
    """`compare` and `roofline` with constants at extremes, without a figure."""
    device, other = draw(st.sampled_from(FAST_DEVICES)), draw(st.sampled_from(FAST_DEVICES))
    path = draw(st.sampled_from(paths_of("device", device)))
    command = draw(st.sampled_from(("compare", "roofline")))
    workload = draw(st.sampled_from(SMALL_WORKLOADS))
    return Case(
        (command, workload, "--device", device, "--device", other, "--set", f"{path}={draw(VALUES)}", "--json", "-")
    )


DOORS = {
    "checks": checks(),
    "simulations": simulations(),
    "settings": settings_of_a_run(),
    "kernels": kernels(),
    "tables": tables(),
    "differences": differences(),
    "words": words(),
    "drawings": drawings(),
}
"""Doors by name."""
SHARES = {
    "checks": 0.3,
    "simulations": 0.1,
    "settings": 0.12,
    "kernels": 0.2,
    "tables": 0.1,
    "differences": 0.05,
    "words": 0.08,
    "drawings": 0.05,
}
"""Parts of a run: what is quick to answer is asked most often."""
