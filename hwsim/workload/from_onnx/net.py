"""An ONNX graph with all shapes known: tensors, nodes, who makes and who reads each tensor."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = ["FORMAT_OF", "MICROSOFT", "Net", "Node", "NotUnderstood", "Tensor"]

MICROSOFT: Final = "com.microsoft"
"""Domain of ONNX Runtime's own operators."""

FORMAT_OF: Final[Mapping[int, tuple[str, int]]] = {
    1: ("fp32", 1),
    2: ("int8", 1),
    3: ("int8", 1),
    4: ("bf16", 1),
    5: ("bf16", 1),
    6: ("fp32", 1),
    7: ("fp32", 2),
    9: ("int8", 1),
    10: ("fp16", 1),
    11: ("fp32", 2),
    12: ("fp32", 1),
    13: ("fp32", 2),
    16: ("bf16", 1),
    17: ("fp8_e4m3", 1),
    18: ("fp8_e4m3", 1),
    19: ("fp8_e5m2", 1),
    20: ("fp8_e5m2", 1),
    21: ("int4", 1),
    22: ("int4", 1),
}
"""ONNX's number of a data type -> (format of that many bits, elements of it). Numbers of 64 bits count as two of 32,
whole numbers of 16 and 32 bits, and truth values of 8, as the format of their width."""


class NotUnderstood(Exception):  # noqa: N818 - reads as a verdict where it is raised
    """What a node does that no operator states."""


@dataclass(frozen=True, slots=True)
class Tensor:
    """A tensor.

    Attributes:
        name: its name in the file.
        shape: elements along each axis.
        type: ONNX's number of its data type.
        constant: whether it is the same at every run: a weight, or made of weights alone.
        data: its values, where it is constant and small.
        stored: number format that it is stored in where that is not its type's (quantised weights, folded pairs).
    """

    name: str
    shape: tuple[int, ...]
    type: int
    constant: bool = False
    data: NDArray[np.generic] | None = None
    stored: str = ""

    @property
    def elements(self) -> int:
        """Elements, each of 64 bits as one."""
        return math.prod(self.shape)

    @property
    def format(self) -> str:
        """Number format.

        Raises:
            NotUnderstood: it has none (text, complex numbers).
        """
        if self.stored:
            return self.stored
        if self.type not in FORMAT_OF:
            raise NotUnderstood(f"{self.name!r} is of data type {self.type}, which has no number format")
        return FORMAT_OF[self.type][0]

    @property
    def words(self) -> int:
        """Elements in its format."""
        return self.elements * (1 if self.stored else FORMAT_OF.get(self.type, ("", 1))[1])

    @property
    def scalar(self) -> bool:
        """Whether it is constant and a single number."""
        return self.constant and self.elements == 1


@dataclass(frozen=True, slots=True)
class Node:
    """An operator of the file.

    Attributes:
        index: its place among the nodes.
        name: its name; by default its type with a number.
        op_type: what it does.
        domain: whose operator it is; empty for ONNX's own.
        inputs: names of tensors; empty for one that is left out.
        outputs: likewise.
        attributes: by name.
        opset: version of the operator set of its domain.
    """

    index: int
    name: str
    op_type: str
    domain: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    attributes: Mapping[str, Any]
    opset: int

    def number(self, name: str, default: int) -> int:
        """A whole-number attribute."""
        value = self.attributes.get(name, default)
        if isinstance(value, bool) or not isinstance(value, int):
            raise NotUnderstood(f"attribute {name} is {value!r}, not a whole number")
        return value

    def numbers(self, name: str, default: tuple[int, ...]) -> tuple[int, ...]:
        """An attribute of several whole numbers."""
        value = self.attributes.get(name, default)
        if not isinstance(value, list | tuple) or not all(isinstance(each, int) for each in value):
            raise NotUnderstood(f"attribute {name} is {value!r}, not whole numbers")
        return tuple(value)


@dataclass(slots=True)
class Net:
    """A graph whose tensors all have shapes.

    Attributes:
        nodes: those that run and that the outputs need, in order, where all shapes are known.
        tensors: by name.
        inputs: names of what the model takes.
        outputs: names of what it gives.
        strange: place of a node whose shapes no rule gives -> why.
        unknown: those nodes.
        makers: tensor -> the node that makes it.
        readers: tensor -> the nodes that read it, each once.
    """

    nodes: tuple[Node, ...]
    tensors: dict[str, Tensor]
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    strange: dict[int, str] = field(default_factory=dict)
    unknown: tuple[Node, ...] = ()
    makers: dict[str, Node] = field(init=False)
    readers: dict[str, list[Node]] = field(init=False)

    def __post_init__(self) -> None:
        self.makers = {name: node for node in self.nodes for name in node.outputs if name}
        self.readers = {}
        for node in self.nodes:
            for name in dict.fromkeys(node.inputs):
                if name:
                    self.readers.setdefault(name, []).append(node)

    def given(self, node: Node, place: int) -> Tensor | None:
        """The tensor that a node reads at a place; None where it is left out."""
        name = node.inputs[place] if place < len(node.inputs) else ""
        return self.tensors[name] if name else None

    def needed(self, node: Node, place: int) -> Tensor:
        """The tensor that a node must read at a place.

        Raises:
            NotUnderstood: it is left out.
        """
        found = self.given(node, place)
        if found is None:
            raise NotUnderstood(f"input {place} is missing")
        return found

    def made(self, node: Node) -> Tensor:
        """The first tensor that a node makes."""
        return self.tensors[node.outputs[0]]

    def flowing(self, node: Node) -> list[Tensor]:
        """What a node reads that is no constant, each once."""
        found = (self.tensors[name] for name in dict.fromkeys(node.inputs) if name)
        return [each for each in found if not each.constant]

    def only_reader(self, name: str) -> Node | None:
        """The one node that reads a tensor, where no other does and the model does not give it."""
        readers = self.readers.get(name, [])
        return readers[0] if len(readers) == 1 and name not in self.outputs else None

    def maker(self, name: str) -> Node | None:
        """The node that makes a tensor; None for inputs and weights."""
        return self.makers.get(name)
