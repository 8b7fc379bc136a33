"""What the handlers of nodes share: operators made so far, formats of tensors, nodes that another one took in."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from hwsim.formats import FORMATS
from hwsim.workload.counts import ELEMENTWISE
from hwsim.workload.from_onnx.net import Net, Node, NotUnderstood, Tensor

__all__ = ["Fields", "Lowering"]

Fields: TypeAlias = "dict[str, Any]"
"""An operator as a workload file lists it, with its formats all told."""


@dataclass(slots=True)
class Lowering:
    """Operators of a graph under construction.

    Attributes:
        net: the graph.
        ops: operators so far, each with the place of its node.
        taken: places of nodes that stand in another's operator.
        free: type of nodes that cost nothing -> how many.
    """

    net: Net
    ops: list[Fields] = field(default_factory=list)
    taken: set[int] = field(default_factory=set)
    free: dict[str, int] = field(default_factory=dict)

    def add(self, kind: str, name: str, formats: tuple[str, str | None, str], **dims: Any) -> None:
        """Add an operator; dimensions that are None or 0 are left to their defaults.

        Args:
            kind: its kind.
            name: its node's name.
            formats: of activations, of weights (None where it has none), and of the result.
            dims: what its kind needs.
        """
        activations, weights, out = formats
        told = {key: value for key, value in dims.items() if value not in (None, 0, False)}
        own = {"activations": activations, "weights": weights, "out": out}
        self.ops.append({"kind": kind, "name": name, **told, **{key: value for key, value in own.items() if value}})

    def count_free(self, node: Node) -> None:
        """Note a node that only names a tensor anew."""
        self.free[node.op_type] = self.free.get(node.op_type, 0) + 1

    # --- formats ---------------------------------------------------------------------------------

    def read_format(self, tensor: Tensor) -> str:
        """Format in which a node reads a tensor: that before a dequantisation, which is folded into the reader."""
        maker = self.net.maker(tensor.name)
        if maker is not None and maker.op_type == "DequantizeLinear":
            return self.net.needed(maker, 0).format
        return tensor.format

    def written_format(self, tensor: Tensor) -> str:
        """Format in which a node writes a tensor: that after a quantisation that alone reads it."""
        reader = self.net.only_reader(tensor.name)
        if reader is not None and reader.op_type == "QuantizeLinear" and reader.inputs[0] == tensor.name:
            return self.net.made(reader).format
        return tensor.format

    # --- what follows a product ------------------------------------------------------------------

    def with_bias(self, out: Tensor, columns: int) -> tuple[Tensor, bool]:
        """The result of a product with a trained vector added, where that is all that reads it."""
        reader = self.net.only_reader(out.name)
        if reader is None or reader.op_type != "Add" or reader.index in self.taken:
            return out, False
        vectors = [self.net.tensors[name] for name in reader.inputs if name and self.net.tensors[name].constant]
        if len(vectors) != 1 or not 1 < vectors[0].elements <= columns:
            return out, False
        self.taken.add(reader.index)
        return self.net.made(reader), True

    def scaled_back(self, out: Tensor) -> Tensor:
        """The result of an integer product as a number again: cast and multiplied with scales, which read nothing else.

        ONNX Runtime runs these in the product (MatMulIntegerToFloat, DynamicQuantizeMatMul).
        """
        while True:
            reader = self.net.only_reader(out.name)
            if reader is None or reader.op_type not in ("Cast", "Mul") or reader.index in self.taken:
                return out
            others = [each for each in self.net.flowing(reader) if each.name != out.name]
            if any(each.elements > 1 for each in others):
                return out
            self.taken.add(reader.index)
            out = self.net.made(reader)

    # --- rows ------------------------------------------------------------------------------------

    def stream(
        self, node: Node, op: str, out: Tensor | None = None, ops: int = 0, reads: list[Tensor] | None = None
    ) -> None:
        """Add an operator that reads tensors and writes one, each element once.

        Args:
            node: the node.
            op: name of the elementwise operator.
            out: what it writes; default: its first output.
            ops: operations for each element of the result, where not what the op says.
            reads: what flows in; default: all that the node reads and that is no constant.
        """
        made = out or self.net.made(node)
        flowing = self.net.flowing(node) if reads is None else reads
        base = self.written_format(made)
        read_bits = sum(each.words * FORMATS[self.read_format(each)].bits for each in flowing)
        read, written = -(-read_bits // FORMATS[base].bits), self.words_in(made, base)
        if not read or not written:
            raise NotUnderstood("it reads or writes nothing")
        trained = sum(each.words for each in self.trained(node))
        rows = math.gcd(max(1, made.elements // made.shape[-1]) if made.shape else 1, written, read)
        usual = len(ELEMENTWISE[op].inputs) * written
        self.add(
            "elementwise",
            node.name,
            (base, None, base),
            op=op,
            tokens=rows,
            width=written // rows,
            read_elems=read // rows if read != usual else 0,
            learned=trained,
            ops=ops,
        )

    def words_in(self, tensor: Tensor, format_: str) -> int:
        """Elements of a tensor in a format that it is written in."""
        return tensor.words if format_ == tensor.format else tensor.elements

    def trained(self, node: Node) -> list[Tensor]:
        """Constants of more than one number that a node reads."""
        constants = (self.net.tensors[name] for name in dict.fromkeys(node.inputs) if name)
        return [each for each in constants if each.constant and each.elements > 1]

    def rows_of(self, tensor: Tensor, width: int) -> int:
        """Rows of a tensor of rows of so many elements."""
        if width < 1 or tensor.elements % width:
            raise NotUnderstood(f"{list(tensor.shape)} in rows of {width}")
        return max(1, tensor.elements // width)
