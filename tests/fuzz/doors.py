"""The doors of the command line, each as a strategy of cases: what is read, what is asked, what is to be written."""

from __future__ import annotations

import json
import tempfile
from contextlib import chdir
from functools import cache
from pathlib import Path

from civil import OLD, Case, run
from hostile import BOMBS, SOUP, VALUES, bent, file_of
from hypothesis import strategies as st

from hwsim import __version__
from hwsim.cli import COMMANDS
from hwsim.devices.catalog import device_names
from hwsim.spec import quantities
from hwsim.sweep import Journal
from hwsim.workload.catalog import workload_names
from hwsim.workload.kernel import KERNELS

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
SMALL_WORKLOADS = (
    "mamba2-130m",
    "mamba-130m",
    "gpt2",
    "bert-base",
    "deepseek-v2-lite",
    "vit-cifar-96",
    "mamba-tree",
    "srcnn",
)
DEVICE_FILES = file_of("devices", tuple(name for name in device_names() if name != "64x-a100-sxm-80"))
WORKLOAD_FILES = file_of("workloads", workload_names())
MAPPING_FILES = file_of("mappings", ("golden-gemm", "golden-gemv", "golden-gemm-imperfect"))


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


SWEEP = """sweep: mine
description: batches of a small model
workload: mamba2-130m
device: l4
question: {new_tokens: 1}
axes:
  batch: [1, 2]
  device.memory.bandwidth: [100 GB/s, 1 TB/s]
"""


@cache
def journal_text() -> str:
    """What a stop after two of its points leaves of that sweep."""
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "mine.yaml").write_text(SWEEP)
        with chdir(folder):
            found = json.loads(run(("sweep", "mine.yaml", "--json", "-")).out)
        with Journal(Path(folder) / "new.csv", {**found["inputs"], "hwsim": __version__}, False) as journal:
            for row in found["results"][:2]:
                journal.keep(row)
        return journal.path.read_text()


@st.composite
def sweeps(draw: st.DrawFn) -> Case:
    """`sweep` of a bent file, or gone on with from a bent journal."""
    out = draw(st.sampled_from(("new.csv", "new.csv", "old.csv", "mine.yaml", "no/out.csv", "/dev/full", ".")))
    more = draw(st.sampled_from(((), ("--json", "-"), ("--quiet",))))
    outputs = (out, f"{out}.partial")
    if draw(st.booleans()):
        words = draw(st.sampled_from(((), ("--out", out))))
        files = {
            "mine.yaml": draw(st.one_of(bent(SWEEP), bent(SWEEP), bent(SWEEP), st.sampled_from(BOMBS).map(str.encode)))
        }
        return Case(("sweep", "mine.yaml", *words, *more), {**files, "old.csv": OLD.encode()}, outputs)
    files = {"mine.yaml": SWEEP.encode(), "new.csv.partial": draw(st.one_of(bent(journal_text()), st.just(b"{}")))}
    return Case(("sweep", "mine.yaml", "--out", "new.csv", "--resume", *more), files, ("new.csv", "new.csv.partial"))


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
    "sweeps": sweeps(),
    "words": words(),
    "drawings": drawings(),
}
"""Doors by name."""
SHARES = {
    "checks": 0.25,
    "simulations": 0.1,
    "settings": 0.12,
    "kernels": 0.2,
    "tables": 0.1,
    "differences": 0.05,
    "sweeps": 0.05,
    "words": 0.08,
    "drawings": 0.05,
}
"""Parts of a run: what is quick to answer is asked most often."""
