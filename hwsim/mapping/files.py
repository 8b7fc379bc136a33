"""Nests as YAML: a file of `mappings/` to `Nest` values and back, and what is wrong with one, line by line.

A step is a short text: ``for n 256`` (a loop whose trips cover 256), ``spread k on rows 1`` (lanes of 1 each),
``hold W in L2``. A file serves every op that has the shape of one of its nests.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Literal

from hwsim.errors import Fault, HwsimError, Where
from hwsim.mapping.check import nest_faults
from hwsim.mapping.hierarchy import Hierarchy
from hwsim.mapping.nest import For, Hold, Nest, Spread, Step
from hwsim.mapping.problem import Axis, Operand, Problem
from hwsim.spec import Document, Refused, dump_yaml, load
from hwsim.spec.nodes import MappingNode, SequenceNode

__all__ = [
    "MappingFile", "NestForm", "Shape", "form_of", "mapping_faults", "mapping_text", "parse_steps", "read_mapping",
    "shape_of", "step_text",
]  # fmt: skip

Shape = tuple[str, tuple[tuple[str, int], ...], tuple[int, int]]
"""What a nest is for: kind, dimensions above 1 in alphabetical order, stride and dilation."""

_DIMS: Final[Mapping[str, tuple[str, ...]]] = {
    "gemm": ("batch", "m", "n", "k"),
    "conv2d": ("batch", "groups", "oc", "ic", "y", "x", "r", "s"),
}
_STEP: Final = re.compile(r"for (\w+) (\d+)|spread (\w+) on (\S+) (\d+)|hold (\w+) in (\S+)")
_EXPECTED: Final = "'for DIM TILE', 'spread DIM on AXIS TILE' or 'hold OPERAND in LEVEL'"


@dataclass(frozen=True, slots=True)
class NestForm:
    """A nest as a file states it.

    Attributes:
        kind: ``gemm`` or ``conv2d``.
        dims: dimension -> extent; one that is left out is 1. ``oc`` and ``ic`` are per group.
        steps: outermost first.
        stride: of a convolution.
        dilation: of a convolution.
    """

    kind: Literal["gemm", "conv2d"]
    dims: dict[str, int]
    steps: tuple[str, ...]
    stride: int = 1
    dilation: int = 1

    def __post_init__(self) -> None:
        known = _DIMS[self.kind]
        for name in self.dims:
            if name not in known:
                raise Refused(f"dimension {name!r} of a {self.kind}", f"one of {', '.join(known)}", at="dims")
        for name, least in (("stride", self.stride), ("dilation", self.dilation)):
            if least < 1:
                raise Refused("", "a whole number of at least 1", at=name)
        for position, text in enumerate(self.steps):
            if not _STEP.fullmatch(text):
                raise Refused(f"step {text!r}", _EXPECTED, at=f"steps[{position}]")

    @property
    def nest(self) -> Nest:
        """The nest."""
        return parse_steps(self.steps)

    @property
    def shape(self) -> Shape:
        """What it is for."""
        dims = tuple(sorted((name, extent) for name, extent in self.dims.items() if extent > 1))
        return self.kind, dims, (self.stride, self.dilation)

    def problem(self, word_bits: int, sum_bits: int) -> Problem:
        """The op that it maps, with words of these widths.

        Raises:
            HwsimError: a dimension, or their product, is out of range.
        """
        dims = tuple((name, self.dims.get(name, 1)) for name in _DIMS[self.kind])
        bits = {"input": word_bits, "weight": word_bits, "output": sum_bits}
        names: tuple[tuple[str, Literal["input", "weight", "output"], tuple[Axis, ...]], ...]
        if self.kind == "gemm":
            names = (
                ("I", "input", _plain("batch", "m", "k")),
                ("W", "weight", _plain("batch", "n", "k")),
                ("O", "output", _plain("batch", "m", "n")),
            )
        else:
            window = ((("y", self.stride), ("r", self.dilation)), (("x", self.stride), ("s", self.dilation)))
            names = (
                ("I", "input", (*_plain("batch", "groups", "ic"), *window)),
                ("W", "weight", _plain("groups", "oc", "ic", "r", "s")),
                ("O", "output", _plain("batch", "groups", "oc", "y", "x")),
            )
        return Problem(self.kind, dims, tuple(Operand(name, role, axes, bits[role]) for name, role, axes in names))


@dataclass(frozen=True, slots=True)
class MappingFile:
    """A file of nests.

    Attributes:
        mapping: its name.
        description: one line.
        device: the machine that it is for.
        nests: one for each shape of op.
    """

    mapping: str
    description: str
    device: str
    nests: tuple[NestForm, ...]

    def __post_init__(self) -> None:
        shapes = [form.shape for form in self.nests]
        for position, shape in enumerate(shapes):
            if shape in shapes[:position]:
                raise Refused("a second nest of this shape", "one nest for each shape", at=f"nests[{position}]")

    @property
    def by_shape(self) -> dict[Shape, Nest]:
        """Shape -> nest."""
        return {form.shape: form.nest for form in self.nests}


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
    for index, form in enumerate(file.nests):
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
    return NestForm("conv2d" if kind == "conv2d" else "gemm", dict(dims), steps, stride, dilation)


def mapping_text(name: str, about: str, device: str, nests: Sequence[tuple[Problem, Nest]]) -> str:
    """A mapping file: the YAML of nests, one for each shape (of equal shapes the first)."""
    forms = {form.shape: form for form in (form_of(problem, nest) for problem, nest in reversed(nests))}
    return dump_yaml(MappingFile(name, about, device, tuple(reversed(forms.values()))))


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


def _plain(*dims: str) -> tuple[Axis, ...]:
    return tuple(((dim, 1),) for dim in dims)


def _step(text: str) -> Step:
    if not _STEP.fullmatch(text):
        raise ValueError(f"step {text!r}; expected {_EXPECTED}")
    words = text.split()
    if words[0] == "for":
        return For(words[1], int(words[2]))
    return Hold(words[3], words[1]) if words[0] == "hold" else Spread(words[3], words[1], int(words[4]))


def _places(document: Document, index: int, count: int) -> tuple[Where, Sequence[Where]]:
    """Where the index-th nest and its steps stand."""
    root = document.root
    nests = root.get("nests") if isinstance(root, MappingNode) else None
    nest = nests.items[index] if isinstance(nests, SequenceNode) else root
    steps = nest.get("steps") if isinstance(nest, MappingNode) else None
    places = [item.where for item in steps.items] if isinstance(steps, SequenceNode) else [nest.where] * count
    return nest.where, places
