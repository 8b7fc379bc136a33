"""Mapping files: a file of `mappings/` to nests, blockings, tiles or layouts and back, and its faults line by line.

A step of a nest is a short text: ``for n 256`` (a loop whose trips cover 256), ``spread k on rows 1`` (lanes of
1 each), ``hold W in L2``. A file serves every op that has the shape of one of its nests.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from hwsim.errors import Fault, HwsimError, Where
from hwsim.mapping.check import nest_faults
from hwsim.mapping.forms import DIMS, BlockingForm, LayoutForm, Mismatch, OpForm, Shape, TileForm
from hwsim.mapping.hierarchy import Hierarchy
from hwsim.mapping.nest import For, Hold, Nest, Spread, Step
from hwsim.mapping.problem import Problem, conv2d, gemm
from hwsim.spec import Document, Refused, dump_yaml, load
from hwsim.spec.nodes import MappingNode, Node, SequenceNode

__all__ = [
    "KEYS", "MappingFile", "NestForm", "Shape", "choice_faults", "choices_text", "form_of", "mapping_faults",
    "mapping_text", "parse_steps", "read_mapping", "shape_of", "step_text",
]  # fmt: skip

KEYS: Final = ("nests", "blockings", "tiles", "layouts")
"""What a file may hold, one of them."""

_STEP: Final = re.compile(r"for (\w+) (\d+)|spread (\w+) on (\S+) (\d+)|hold (\w+) in (\S+)")
_EXPECTED: Final = "'for DIM TILE', 'spread DIM on AXIS TILE' or 'hold OPERAND in LEVEL'"


@dataclass(frozen=True, slots=True, kw_only=True)
class NestForm(OpForm):
    """A nest as a file states it.

    Attributes:
        steps: outermost first.
    """

    steps: tuple[str, ...]

    def __post_init__(self) -> None:
        OpForm.__post_init__(self)
        for position, text in enumerate(self.steps):
            if not _STEP.fullmatch(text):
                raise Refused(f"step {text!r}", _EXPECTED, at=f"steps[{position}]")

    @property
    def nest(self) -> Nest:
        """The nest."""
        return parse_steps(self.steps)

    def problem(self, word_bits: int, sum_bits: int) -> Problem:
        """The op that it maps, with words of these widths.

        Raises:
            HwsimError: a dimension, or their product, is out of range.
        """
        extents = {name: self.dims.get(name, 1) for name in DIMS[self.kind]}
        bits = (word_bits, word_bits, sum_bits)
        if self.kind == "gemm":
            return gemm(**extents, bits=bits)
        totals = {name: extents[name] * extents["groups"] for name in ("oc", "ic")}
        return conv2d(**extents | totals, stride=self.stride, dilation=self.dilation, bits=bits)


@dataclass(frozen=True, slots=True)
class MappingFile:
    """A file of mappings: entries of one kind, one for each shape of op.

    Attributes:
        mapping: its name.
        description: one line.
        device: the machine that it is for.
        nests: of an ``array`` machine, or the linear core of an ``fpga``.
        blockings: of a ``cpu``.
        tiles: of a ``gpu``.
        layouts: of an ``optical`` machine.
    """

    mapping: str
    description: str
    device: str
    nests: tuple[NestForm, ...] | None = None
    blockings: tuple[BlockingForm, ...] | None = None
    tiles: tuple[TileForm, ...] | None = None
    layouts: tuple[LayoutForm, ...] | None = None

    def __post_init__(self) -> None:
        stated = [name for name in KEYS if getattr(self, name) is not None]
        if len(stated) != 1:
            found = " and ".join(stated) or "no mappings"
            raise Refused(found, f"one of {', '.join(KEYS)}", at=stated[-1] if stated else "")
        shapes = [form.shape for form in self.forms]
        for position, shape in enumerate(shapes):
            if shape in shapes[:position]:
                word = stated[0].removesuffix("s")
                raise Refused(
                    f"a second {word} of this shape", f"one {word} for each shape", at=f"{stated[0]}[{position}]"
                )

    @property
    def key(self) -> str:
        """Which kind of entries it has: one of `KEYS`."""
        return next(name for name in KEYS if getattr(self, name) is not None)

    @property
    def forms(self) -> tuple[OpForm, ...]:
        """The entries."""
        found: tuple[OpForm, ...] = getattr(self, self.key)
        return found

    @property
    def by_shape(self) -> dict[Shape, Nest]:
        """Shape -> nest."""
        return {form.shape: form.nest for form in self.nests or ()}


def read_mapping(document: Document) -> MappingFile:
    """The file of a document.

    Raises:
        HwsimError: all that is wrong with its form.
    """
    return load(document, MappingFile)


def mapping_faults(
    document: Document, file: MappingFile, hierarchy: Hierarchy, word_bits: int, sum_bits: int
) -> tuple[Fault, ...]:
    """Every nest of a file that is not legal on a machine: the line, which level and operand, need against room."""
    faults: list[Fault] = []
    for index, form in enumerate(file.nests or ()):
        whole, steps = _places(document, index, len(form.steps))
        try:
            problem = form.problem(word_bits, sum_bits)
        except HwsimError as error:
            faults += [Fault(whole, fault.found, fault.expected) for fault in error.faults]
            continue
        faults += nest_faults(problem, hierarchy, form.nest, whole, steps)
    return tuple(faults)


def shape_of(problem: Problem) -> Shape:
    """The shape of a problem: what it has in common with the nests that serve it."""
    dims = tuple(sorted((dim, extent) for dim, extent in problem.dims if extent > 1))
    strides = {dim: stride for operand in problem.operands for axis in operand.axes for dim, stride in axis}
    if problem.kind != "conv2d":
        return problem.kind, dims, (1, 1)
    return problem.kind, dims, (strides.get("y", 1), strides.get("r", 1))


def form_of(problem: Problem, nest: Nest) -> NestForm:
    """A nest as a file would state it, dimensions of 1 left out."""
    kind, dims, (stride, dilation) = shape_of(problem)
    steps = tuple(map(step_text, nest.steps))
    is_conv = kind == "conv2d"
    return NestForm(
        kind="conv2d" if is_conv else "gemm", dims=dict(dims), steps=steps, stride=stride, dilation=dilation
    )


def mapping_text(name: str, about: str, device: str, nests: Sequence[tuple[Problem, Nest]]) -> str:
    """A mapping file: the YAML of nests, one for each shape (of equal shapes the first)."""
    forms = {form.shape: form for form in (form_of(problem, nest) for problem, nest in reversed(nests))}
    return dump_yaml(MappingFile(name, about, device, tuple(reversed(forms.values()))))


def choices_text(name: str, about: str, device: str, key: str, forms: Sequence[OpForm]) -> str:
    """A mapping file of another family than nests: the YAML of its entries, one for each shape (the first).

    Args:
        name: of the mapping.
        about: its description.
        device: the machine.
        key: one of `KEYS`.
        forms: the entries.
    """
    first = {form.shape: form for form in reversed(forms)}
    entries = tuple(reversed(first.values()))
    return dump_yaml(MappingFile(name, about, device, **{key: entries}))  # type: ignore[arg-type]


def choice_faults(
    document: Document, file: MappingFile, check: Callable[[OpForm], Iterable[Mismatch]]
) -> tuple[Fault, ...]:
    """Every entry of a file that is not legal on a machine, each at its line.

    Args:
        document: the file's text.
        file: its value.
        check: what is wrong with an entry.
    """
    faults: list[Fault] = []
    for index, form in enumerate(file.forms):
        entry = _entry(document, file.key, index)
        for name, found, expected in check(form):
            node = entry.get(name) if isinstance(entry, MappingNode) else None
            faults.append(Fault((node or entry).where, found, expected))
    return tuple(faults)


def parse_steps(steps: Sequence[str]) -> Nest:
    """The nest of steps as files write them.

    Raises:
        ValueError: a text is no step.
    """
    return Nest(tuple(map(_step, steps)))


def step_text(step: Step) -> str:
    """A step as files write it."""
    if isinstance(step, Hold):
        return f"hold {step.operand} in {step.level}"
    if isinstance(step, Spread):
        return f"spread {step.dim} on {step.axis} {step.tile}"
    return f"for {step.dim} {step.tile}"


def _step(text: str) -> Step:
    if not _STEP.fullmatch(text):
        raise ValueError(f"step {text!r}; expected {_EXPECTED}")
    words = text.split()
    if words[0] == "for":
        return For(words[1], int(words[2]))
    return Hold(words[3], words[1]) if words[0] == "hold" else Spread(words[3], words[1], int(words[4]))


def _places(document: Document, index: int, count: int) -> tuple[Where, Sequence[Where]]:
    """Where the index-th nest and its steps stand."""
    nest = _entry(document, "nests", index)
    steps = nest.get("steps") if isinstance(nest, MappingNode) else None
    places = [item.where for item in steps.items] if isinstance(steps, SequenceNode) else [nest.where] * count
    return nest.where, places


def _entry(document: Document, key: str, index: int) -> Node:
    """The node of the index-th entry."""
    root = document.root
    entries = root.get(key) if isinstance(root, MappingNode) else None
    return entries.items[index] if isinstance(entries, SequenceNode) else root
