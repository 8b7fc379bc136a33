"""Mapping files of CPUs, GPUs and optical machines: what was chosen, written, read and run; faults at their place."""

from __future__ import annotations

from typing import Any

import pytest

from hwsim.devices.base import Device
from hwsim.devices.catalog import find_device
from hwsim.devices.mapped import chosen_form, entries_of, load_mapping, with_mapping
from hwsim.errors import HwsimError, Infeasible
from hwsim.mapping.files import MappingFile, choices_text, read_mapping
from hwsim.mapping.forms import OpForm, shape_of_op
from hwsim.pipeline import kernel
from hwsim.spec import parse, read, schema_json
from hwsim.workload.catalog import find_file, shipped_names
from hwsim.workload.kernel import build_kernel
from hwsim.workload.op import Op

CASES = [
    ("xeon-8475b", "gemm", dict(m=1, n=4096, k=4096)),
    ("xeon-8475b", "gemm", dict(m=300, n=4096, k=512, sparsity=0.5)),
    ("epyc-zen4", "conv2d", dict(batch=2, oc=64, ic=32, y=14, x=14, r=3, s=3, stride=2)),
    ("h100-sxm", "gemm", dict(m=512, n=4096, k=4096)),
    ("a100-sxm-80", "gemm", dict(m=8, n=4096, k=4096, batch=4)),
    ("optical-4k-2mhz", "conv2d", dict(batch=1, oc=64, ic=64, y=32, x=32, r=3, s=3, padding=1, dtype="int8")),
    ("optical-4k-2mhz", "gemm", dict(m=64, n=64, k=64, dtype="int8")),
]


def case(device: str, kind: str, arguments: dict[str, Any]) -> tuple[Device, Op]:
    """A machine and an op for it."""
    return find_device(device), build_kernel(kind, arguments)


def text_of(device: Device, op: Op) -> str:
    """The mapping file of what the machine chooses."""
    form = chosen_form(device, op)
    assert isinstance(form, OpForm)
    return choices_text("chosen", "what was chosen", device.name, entries_of(device), [form])


def mapped(device: Device, text: str) -> Device:
    """The machine under a mapping file."""
    return with_mapping(device, "x.yaml", lambda name: parse(text, name))


@pytest.mark.parametrize(("device", "kind", "arguments"), CASES)
def test_what_was_chosen_runs_the_same_from_a_file(device: str, kind: str, arguments: dict[str, Any]) -> None:
    """Written, read back to the same value, legal, and of the same time, energy and mapping as the search's own."""
    machine, op = case(device, kind, arguments)
    text = text_of(machine, op)
    file = load_mapping(parse(text, "x.yaml"))
    assert file.forms[0].shape == shape_of_op(op)
    assert choices_text("chosen", "what was chosen", machine.name, file.key, file.forms) == text
    own, given = kernel(op, machine), kernel(op, mapped(machine, text))
    assert not isinstance(own, Infeasible)
    assert given == own


@pytest.mark.parametrize(
    ("place", "old", "new", "named"),
    [
        (0, "column_tiles: 6", "column_tiles: 256", {"column_tiles": 256, "cores": 1}),
        (0, "kernel: avx512", "kernel: amx", {"kernel": "amx"}),
        (3, "split: 1", "split: 4", {"split": 4}),
    ],
)
def test_another_mapping_is_what_runs(place: int, old: str, new: str, named: dict[str, Any]) -> None:
    """What the file says, which is slower than what the search found."""
    machine, op = case(*CASES[place])
    text = text_of(machine, op)
    assert old in text
    text = text.replace(old, new).replace("cores: 43", f"cores: {named.get('cores', 43)}")
    own, given = kernel(op, machine), kernel(op, mapped(machine, text))
    assert not isinstance(own, Infeasible)
    assert not isinstance(given, Infeasible)
    assert {name: given.mapping[name] for name in named} == named
    assert given.time_s > own.time_s


def test_fewer_channels_in_a_frame_take_more_frames() -> None:
    """A layout from a file: half of the channels at once, twice the frames."""
    machine, op = case(*CASES[5])
    text = text_of(machine, op)
    times = [
        kernel(op, mapped(machine, text.replace("channels: [1, 64]", f"channels: [1, {each}]"))).time_s
        for each in (64, 32)
    ]
    assert times[1] == 2 * times[0]


@pytest.mark.parametrize("place", range(len(CASES)))
def test_ops_of_other_shapes_are_searched(place: int) -> None:
    """An entry serves its shape alone."""
    machine, op = case(*CASES[place])
    _, kind, arguments = CASES[place]
    first = next(iter(arguments))
    other = build_kernel(kind, {**arguments, first: arguments[first] + 1})
    assert kernel(other, mapped(machine, text_of(machine, op))) == kernel(other, machine)


OTHERS = [name for name in shipped_names("mappings") if not read_mapping(read(find_file("mappings", name))).nests]
DEFAULTS: dict[str, dict[str, Any]] = {"gemm": {"m": 1}, "conv2d": {"batch": 1, "padding": 1, "dtype": "int8"}}


@pytest.mark.parametrize("name", OTHERS)
def test_shipped_mappings_are_what_the_search_finds(name: str) -> None:
    """Each is legal on its machine, and what the machine chooses for ops of its shapes."""
    file = load_mapping(read(find_file("mappings", name)))
    machine = find_device(file.device)
    for form in file.forms:
        assert chosen_form(machine, build_kernel(form.kind, DEFAULTS[form.kind] | form.dims)) == form


SECOND_FRAME = """held: kernel
  - images: [1, 1]
    channels: [1, 1]
    kernels: [1, 1]
    held: input
"""
BLOCKING = """mapping: test
description: a test
device: xeon-8475b
blockings:
  - kind: gemm
    dims: {m: 64, "n": 4096, k: 4096}
    kernel: amx
    loop: columns-outer
    cores: 48
    row_groups: 2
    column_tiles: 11
"""
TILE = """mapping: test
description: a test
device: h100-sxm
tiles:
  - kind: gemm
    dims: {m: 64, "n": 4096, k: 4096}
    tm: 64
    tn: 128
    tk: 64
    split: 1
"""
LAYOUT = """mapping: test
description: a test
device: optical-4k-2mhz
layouts:
  - kind: conv2d
    dims: {oc: 64, ic: 64, y: 32, x: 32, r: 3, s: 3}
    frames:
      - {images: [1, 1], channels: [1, 64], kernels: [64, 1], held: kernel}
"""


@pytest.mark.parametrize("text", [BLOCKING, TILE, LAYOUT])
def test_the_texts_of_the_fault_tests_are_legal(text: str) -> None:
    """So that each fault is what the change made."""
    assert load_mapping(parse(text, "x.yaml")).forms


@pytest.mark.parametrize(
    ("text", "old", "new", "fault"),
    [
        (
            BLOCKING,
            "kernel: amx",
            "kernel: amxx",
            "x.yaml:7:13: found 'amxx' for blockings[0].kernel; expected one of amx",
        ),
        (BLOCKING, "kernel: amx", "kernel: amxx", "did you mean 'amx'?"),
        (BLOCKING, "row_groups", "row_group", "did you mean 'row_groups'?"),
        (
            BLOCKING,
            "cores: 48",
            "cores: 40",
            "x.yaml:9:12: 40 cores for 256 column tiles, 11 each in 2 row groups; expected",
        ),
        (BLOCKING, "cores: 48", "cores: 64", "x.yaml:9:12: 64 cores; expected at most the 48 of xeon-8475b"),
        (BLOCKING, "cores: 48", "cores: 0", "x.yaml:9:12"),
        (BLOCKING, "row_groups: 2", "row_groups: 65", "x.yaml:10:17: 65 row groups; expected at most 64, for 64 rows"),
        (BLOCKING, "kernel: amx", "kernel: amx-sparse", "loop columns-outer of kernel amx-sparse; expected rows-outer"),
        (BLOCKING, "xeon-8475b", "epyc-zen4", "x.yaml:7:13: kernel amx, which needs a tile unit; expected avx512 or"),
        (BLOCKING, "xeon-8475b", "h100-sxm", "x.yaml:5:3: blockings for h100-sxm, of family gpu; expected tiles"),
        (BLOCKING, "m: 64", "q: 64", "dimension 'q' of a gemm; expected one of batch, m, n, k"),
        (BLOCKING, "blockings:", "blocking:", "did you mean 'blockings'?"),
        (TILE, "tm: 64", "tm: 63", "x.yaml:7:9: a tile of 63x128x64; expected a tile of a menu, the nearest 64x128x64"),
        (BLOCKING, "m: 64", "m: 0", "found 0 for blockings[0].dims.m; expected a whole number of at least 1"),
        (TILE, "kind: gemm", "kind: conv2d", "of a conv2d"),
        (TILE, "split: 1", "split: 0", "x.yaml:10:12"),
        (LAYOUT, "[64, 1]", "[6400, 1]", "x.yaml:8:7: 6,400 blocks along the rows"),
        (
            LAYOUT,
            "[1, 64]",
            "[1, 6400]",
            "x.yaml:8:7: 6,400 blocks along the columns; expected at most the 4,096 pixels",
        ),
        (LAYOUT, "held: kernel", "held: kernels", "did you mean 'kernel'?"),
        (LAYOUT, "layouts:", "nests:", "nests"),
    ],
)
def test_faults_stand_at_their_place(text: str, old: str, new: str, fault: str) -> None:
    """File, line and column, what was found and what is legal."""
    with pytest.raises(HwsimError) as caught:
        load_mapping(parse(text.replace(old, new), "x.yaml"))
    assert fault in "\n".join(map(str, caught.value.faults))


@pytest.mark.parametrize(
    ("place", "old", "new", "changes", "resource"),
    [
        (0, "kernel: avx512", "kernel: amx", {"dtype": "fp32"}, "AMX fp32 tiles"),
        (0, "", "", {"cores": 4}, "cores"),
        (3, "split: 1", "split: 16", {}, "tile"),
        (3, "", "", {"dtype": "fp32"}, "tile"),
        (5, "kernels: [64, 1]", "kernels: [128, 1]", {}, "aperture"),
        (5, "held: kernel", SECOND_FRAME, {}, "layouts"),
    ],
)  # fmt: skip
def test_what_an_op_cannot_run_as_is_infeasible(
    place: int, old: str, new: str, changes: dict[str, Any], resource: str
) -> None:
    """Legal on the machine, and not for this op: its formats, threads, menu or aperture say why."""
    device, kind, arguments = CASES[place]
    machine, op = case(device, kind, arguments)
    text = text_of(machine, op)
    assert old in text
    found = kernel(build_kernel(kind, arguments | changes), mapped(machine, text.replace(old, new) if old else text))
    assert isinstance(found, Infeasible)
    assert found.resource == resource
    assert found.levers


def test_a_file_holds_one_kind_of_entries() -> None:
    """Nests and blockings in one file, or neither, say nothing."""
    for text in (BLOCKING + "nests: []\n", BLOCKING[: BLOCKING.index("blockings:")]):
        with pytest.raises(HwsimError, match="one of nests, blockings, tiles, layouts"):
            read_mapping(parse(text, "x.yaml"))


def test_a_second_entry_of_a_shape_is_refused() -> None:
    """One blocking for each shape of op."""
    with pytest.raises(HwsimError, match="a second blocking of this shape"):
        read_mapping(parse(BLOCKING + BLOCKING[BLOCKING.index("  - kind") :], "x.yaml"))


def test_machines_without_entries_refuse_a_mapping() -> None:
    """FPGA machines lay out their work by themselves."""
    with pytest.raises(HwsimError, match="lay out the work by themselves"):
        mapped(find_device("vck190"), BLOCKING)


def test_the_schema_has_every_kind_of_entry() -> None:
    """The JSON Schema of mapping files names the fields of each family."""
    schema = schema_json(MappingFile)
    assert {"nests", "blockings", "tiles", "layouts"} <= set(schema["$defs"]["MappingFile"]["properties"])
    for form, name in (
        ("BlockingForm", "column_tiles"),
        ("TileForm", "split"),
        ("FrameForm", "held"),
        ("NestForm", "steps"),
    ):
        assert name in schema["$defs"][form]["required"]
