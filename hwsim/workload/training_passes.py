"""Passes that training in formats of less than 16 bits has beside its products: they quantise what a product sums over.

Tensor cores read both operands along the dimension that they sum over, and scales of blocks lie along it: the columns
k in the forward, the columns n for the gradient of the input, the tokens for that of the weights. So weights and
activations of the forward, and each gradient, are needed in two forms:

``quantize_w``     the weights that the optimizer keeps, along k; in the forward, where fp32 weights are kept.
``grad_quantize``  a gradient along n; where a tensor has one scale, its transpose in the same pass.
``grad_turn``      a gradient along the tokens, transposed, where blocks have scales: from 16 bits once more.
``grad_turn_w``    the narrow weights along n: transposed, and quantised anew where blocks have scales.
``grad_turn_x``    the narrow input along the tokens, the same; once for all products that read it.
``grad_back_x``,   with ``hadamard`` gradients of the input and of the weights, cleared where the forward clipped and
``grad_back_w``    transformed back: the forward multiplied transforms of both (Castro et al. 2025, algorithm 1).

The activations along k are quantised by the product (``quantize: dynamic``) or written narrow by the op before it.
One pass for a gradient and its transpose is Transformer Engine's. Random transforms and rounding of what the backward
sums over cancel out, and are in the passes that quantise.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from hwsim.formats import FORMATS
from hwsim.workload.ops import elementwise
from hwsim.workload.ops.checks import tensor

if TYPE_CHECKING:
    from hwsim.workload.graph import Graph
    from hwsim.workload.op import Op, Operand
    from hwsim.workload.recipe import Recipe

__all__ = [
    "BACK_W",
    "BACK_X",
    "GRAD",
    "OF_WEIGHTS",
    "QUANTIZE",
    "QUANTIZE_W",
    "TURN",
    "TURN_W",
    "TURN_X",
    "Sources",
    "after_input_gradient",
    "after_weight_gradient",
    "before_input_gradient",
    "before_weight_gradient",
    "flowing",
    "is_narrow",
    "passes_words",
    "weight_passes",
]

GRAD: Final = ".grad"
"""What follows an op's name in the backward."""
QUANTIZE_W: Final = ".quantize_w"
QUANTIZE: Final = f"{GRAD}_quantize"
TURN: Final = f"{GRAD}_turn"
TURN_W: Final = f"{GRAD}_turn_w"
TURN_X: Final = f"{GRAD}_turn_x"
BACK_X: Final = f"{GRAD}_back_x"
BACK_W: Final = f"{GRAD}_back_w"
OF_WEIGHTS: Final = (QUANTIZE_W, TURN_W, BACK_W)
"""Ends of the names of passes over weights: their rows are the columns of a product, not tokens."""

_WIDE: Final = 16
_TRANSFORM_OPS: Final = 6
"""Of an element: five additions of a fast transform over 32, one multiplication by what was clipped."""


def is_narrow(format_: str) -> bool:
    """Whether a format has to be made by a pass: less than 16 bits."""
    return FORMATS[format_].bits < _WIDE


def flowing(format_: str) -> str:
    """Format in which gradients flow between ops: as what they belong to, 16 bits at least."""
    return "bf16" if is_narrow(format_) else format_


class Sources:
    """Which products read the same input: what turns or transforms it is done once for all of them.

    Args:
        prefill: the graph that says what flows where.
        ops: its ops in order, as they are trained.
    """

    def __init__(self, prefill: Graph, ops: tuple[Op, ...]) -> None:
        self._readers: dict[object, list[Op]] = {}
        self._key: dict[str, object] = {}
        for op in ops:
            if op.kind == "gemm":
                fed = [each for each in prefill.edges_into(op.id) if each.operand == "a"]
                self._key[op.id] = (fed[0].producer, fed[0].columns) if fed else op.id
                self._readers.setdefault(self._key[op.id], []).append(op)

    def readers(self, op: Op) -> list[Op]:
        """The products that read what ``op`` reads, in the order of the forward; none of what is no product."""
        return self._readers[self._key[op.id]] if op.id in self._key else []


def _pass(op: Op, end: str, what: str, shape: tuple[int, int], reads: tuple[Operand, ...], written: str) -> Op:
    """A pass over rows of some width beside a product; ``reads`` are its inputs, ``written`` the format it makes."""
    rows, width = shape
    made = elementwise(what, rows, width)
    turned = {"turned": True} if end in (TURN, TURN_W, TURN_X) else {}
    out = replace(made.output, format=written)
    return replace(
        made,
        name=op.name + end,
        operands=(*reads, out),
        attributes=made.attributes.replace(**turned),
        layer=op.layer,
        block=op.block,
    )


def _weights_shape(op: Op) -> tuple[int, int]:
    """Stored weights of a product as rows of k columns."""
    b, k = op.operand("b"), op.dims["k"]
    return max(1, -(-int(b.elements(op.dims) * b.density) // k)), k


def _kept(format_: str) -> Operand:
    """Weights that are held for another op: no memory and no parameters of this one."""
    return replace(tensor("w", "weight", format_, "tokens", "width"), resident=0)


def _read(format_: str) -> Operand:
    return tensor("x", "activation", format_, "tokens", "width")


def weight_passes(op: Op, sources: Sources, recipe: Recipe) -> Iterator[Op]:
    """What stands before an op of the forward: narrow weights of all products that read the same, from fp32."""
    readers = sources.readers(op)
    if not recipe.master or not readers or readers[0] is not op:
        return
    for each in readers:
        narrow = each.operand("b").format
        if is_narrow(narrow):
            yield _pass(each, QUANTIZE_W, "quantize", _weights_shape(each), (_kept("fp32"),), narrow)


def before_input_gradient(op: Op) -> Iterator[Op]:
    """Of a product: its gradient along n, and the weights along n."""
    d, a, b = op.dims, op.operand("a").format, op.operand("b").format
    if is_narrow(a):
        yield _quantized(op, (d["batch"] * d["m"], d["n"]), a)
    if is_narrow(b):
        yield _pass(op, TURN_W, "quantize", _weights_shape(op), (_kept(b),), b)


def _quantized(op: Op, shape: tuple[int, int], narrow: str) -> Op:
    """A gradient along n: with a scale for each tensor its transpose too, and its maximum first where it is dynamic."""
    gradient = _read(flowing(op.output.format))
    one = _pass(op, QUANTIZE, "quantize", shape, (gradient,), narrow)
    if FORMATS[narrow].group:
        return one
    twice = replace(one.output, name="transpose")
    reads = (gradient, gradient) if op.attributes.get("quantize") == "dynamic" else (gradient,)
    return replace(one, operands=(*reads, twice, one.output))


def after_input_gradient(op: Op, sources: Sources, recipe: Recipe) -> Iterator[Op]:
    """Of the last product of the backward that reads an input: its gradient transformed back."""
    if recipe.hadamard and is_narrow(op.operand("a").format) and sources.readers(op)[0] is op:
        yield _back(op, BACK_X, (op.dims["batch"] * op.dims["m"], op.dims["k"]))


def before_weight_gradient(op: Op, sources: Sources) -> Iterator[Op]:
    """Of a product: its gradient along the tokens; of the first of the backward that reads an input, that too."""
    d, a = op.dims, op.operand("a").format
    if not is_narrow(a):
        return
    if FORMATS[a].group:
        yield _pass(op, TURN, "quantize", (d["batch"] * d["m"], d["n"]), (_read(flowing(op.output.format)),), a)
    if sources.readers(op)[-1] is op:
        yield _pass(op, TURN_X, "quantize", (d["batch"] * d["m"], d["k"]), (_read(a),), a)


def after_weight_gradient(op: Op, recipe: Recipe) -> Iterator[Op]:
    """Of a product: the gradient of its weights transformed back."""
    if recipe.hadamard and is_narrow(op.operand("a").format):
        yield _back(op, BACK_W, _weights_shape(op))


def _back(op: Op, end: str, shape: tuple[int, int]) -> Op:
    format_ = flowing(op.output.format)
    clipped = tensor("clipped", "activation", "int1", "tokens", "width")
    back = _pass(op, end, "hadamard", shape, (_read(format_), clipped), format_)
    return replace(back, attributes=back.attributes.replace(ops_per_element=_TRANSFORM_OPS))


def passes_words(ops: tuple[Op, ...], recipe: Recipe) -> str:
    """What the backward quantises, in a line; empty where products are not narrow."""
    formats: Mapping[str, None] = dict.fromkeys(
        op.operand("a").format for op in ops if op.kind == "gemm" and is_narrow(op.operand("a").format)
    )
    if not formats:
        return ""
    anew = " and quantised anew" if any(FORMATS[each].group for each in formats) else ""
    back = "; gradients are transformed back" if recipe.hadamard else ""
    words = f"products in {' and '.join(formats)}: gradients are quantised along outputs and along tokens"
    return f"{words}, weights and activations turned{anew} along what the backward sums over{back}"
