"""A step of training as three graphs: forward, backward, optimizer; and what lives in memory between them.

Backward: a product has two gradients, each a product of as many multiply-accumulates (of the input, k columns; of the
weights, over the tokens). Attention has five products where the forward has two, the scores computed once more (Dao
2023); row-wise ops read the gradient beside what the forward read. The optimizer is Adam with fp32 master weights in
one pass: per parameter it reads the gradient and three fp32 numbers, and writes three and the weight.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Final

from hwsim.errors import HwsimError
from hwsim.formats import FORMATS
from hwsim.workload.graph import Graph
from hwsim.workload.op import Op
from hwsim.workload.ops import elementwise, gemm

__all__ = ["TrainingGraphs", "training_graphs"]

_KINDS: Final = frozenset({"embedding", "norm", "gemm", "attention", "elementwise"})
_ADAM_BYTES: Final = 12
"""Bytes of a parameter's master weight and two moments, in fp32."""
_WIDTH: Final = 4096


@dataclass(frozen=True, slots=True)
class TrainingGraphs:
    """The graphs of a step, and bytes that live through it.

    Attributes:
        forward: the model over all tokens, with logits for each.
        backward: its gradients, last layer first.
        optimizer: one pass over the parameters.
        gradient_bytes: gradients of all parameters, in the activations' format.
        optimizer_bytes: master weights and moments.
        saved_bytes: outputs of the forward that the backward reads: all of them, nothing is recomputed.
    """

    forward: Graph
    backward: Graph
    optimizer: Graph
    gradient_bytes: float
    optimizer_bytes: float
    saved_bytes: float


def training_graphs(prefill: Graph) -> TrainingGraphs:
    """The step of a transformer whose prefill is given.

    Args:
        prefill: the model over a prompt.

    Raises:
        HwsimError: it holds an op whose gradient is not known here, or weights too narrow to be trained.
    """
    ops = tuple(_all_tokens(prefill))
    for op in ops:
        _check(op, prefill.name)
    parameters = sum(op.parameters for op in ops)
    width = FORMATS[ops[-1].operands[0].format].bits_per_element / 8.0
    forward, backward = Graph(f"{prefill.name} forward"), Graph(f"{prefill.name} backward")
    for op in ops:
        forward.add(op)
    for op in reversed(ops):
        for part in _gradients(op):
            backward.add(part)
    optimizer = Graph(f"{prefill.name} optimizer")
    optimizer.add(_adam(parameters, width))
    saved = float(sum(op.output.bytes(op.dims) for op in ops))
    return TrainingGraphs(forward, backward, optimizer, width * parameters, float(_ADAM_BYTES * parameters), saved)


def _all_tokens(prefill: Graph) -> Iterator[Op]:
    """The ops with a head over every token: a prompt's prefill needs the logits of the last one only."""
    rows = max((op.dims["m"] for op in prefill.ops if op.kind == "gemm"), default=1)
    for op in prefill.ops:
        if op.name == "lm_head":
            yield replace(op, dims=op.dims.replace(m=rows))
        elif op.name != "last_token":
            yield op


def _check(op: Op, name: str) -> None:
    if op.kind not in _KINDS or "expert" in op.dims:
        what = f"{op.id}, of kind {op.kind}{' with experts' if 'expert' in op.dims else ''}"
        raise HwsimError.at(f"{name}: --phase train", what, "a dense transformer: " + ", ".join(sorted(_KINDS)))
    if op.kind == "gemm" and FORMATS[op.operand("b").format].bits < 8:
        expected = "weights of 8 bits or more: --set workload.formats.weights=bf16"
        raise HwsimError.at(f"{name}: --phase train", f"weights in {op.operand('b').format}", expected)


def _gradients(op: Op) -> Iterator[Op]:
    """The ops of the backward that belong to one of the forward."""
    if op.kind == "gemm":
        yield from _product_gradients(op)
    elif op.kind == "attention":  # five products of the size of the forward's two
        dims = op.dims.replace(head_dim=-(-op.dims["head_dim"] * 5 // 2))
        yield replace(op, name=f"{op.name}.grad", dims=dims)
    else:
        gradient = replace(op.output, name="gradient", role="activation")
        yield replace(op, name=f"{op.name}.grad", operands=(*op.operands[:-1], gradient, op.output))


def _product_gradients(op: Op) -> Iterator[Op]:
    """Gradients of the input, dx[m, k] = dy[m, n] . W, and of the weights, dW[n, k] = dy^T . x over the tokens."""
    d, a, b = op.dims, op.operand("a").format, op.operand("b").format
    of_input = gemm(d["m"], d["k"], d["n"], a_dtype=a, b_dtype=b, out_dtype=a)
    of_weights = gemm(d["n"], d["k"], d["m"], a_dtype=a, b_dtype=a, out_dtype=a)
    yield replace(of_input, name=f"{op.name}.grad_x", layer=op.layer, block=op.block)
    yield replace(of_weights, name=f"{op.name}.grad_w", layer=op.layer, block=op.block)


def _adam(parameters: int, gradient_bytes: float) -> Op:
    """One pass over gradients, master weights and moments."""
    moved = (_ADAM_BYTES + gradient_bytes) / 4.0
    per_row = round(_WIDTH * moved)
    rows = max(1, -(-parameters // _WIDTH))
    op = elementwise("scale", rows, _WIDTH, "fp32", read_elems=per_row, write_elems=per_row)
    return replace(op, name="adam", block="optimizer", attributes=op.attributes.replace(ops_per_element=12))
