"""Ops that work row by row: norms, softmax and elementwise."""

from __future__ import annotations

from typing import Literal

from hwsim.formats import FORMATS
from hwsim.workload.counts import ELEMENTWISE, NORM_OPS
from hwsim.workload.op import Op, Operand
from hwsim.workload.ops.checks import attributes_of, choice, dims_of, formats_known, tensor

__all__ = ["elementwise", "norm", "softmax"]


def norm(
    op: str,
    tokens: int,
    width: int,
    dtype: str = "bf16",
    read_elems: int | None = None,
    write_elems: int | None = None,
    weight_dtype: str | None = None,
) -> Op:
    """A norm over each row: rmsnorm, layernorm, or gated_rmsnorm (Mamba-2's ``rmsnorm(y * silu(z))``).

    Args:
        op: name of the norm.
        tokens: rows.
        width: elements per row of the output.
        dtype: format of input and result.
        read_elems: elements read per row, when it is not what the op itself needs.
        write_elems: elements written per row, likewise.
        weight_dtype: format of gain and bias; default ``dtype``.

    Raises:
        HwsimError: a dimension, format or name makes no sense.
    """
    choice("norm", "op", op, NORM_OPS)
    vectors = ("gain", "bias") if op == "layernorm" else ("gain",)
    inputs = ("x", "z") if op == "gated_rmsnorm" else ("x",)
    return _rows("norm", op, inputs, vectors, tokens, width, dtype, read_elems, write_elems, weight_dtype)


def softmax(
    tokens: int,
    width: int,
    op: str = "softmax",
    dtype: str = "bf16",
    read_elems: int | None = None,
    write_elems: int | None = None,
) -> Op:
    """Softmax over each row; arguments as :func:`norm`."""
    choice("softmax", "op", op, ("softmax",))
    return _rows("softmax", op, ("x",), (), tokens, width, dtype, read_elems, write_elems, None)


def elementwise(
    op: str,
    tokens: int,
    width: int,
    dtype: str = "bf16",
    read_elems: int | None = None,
    write_elems: int | None = None,
    weight_dtype: str | None = None,
) -> Op:
    """An elementwise op (``hwsim.workload.counts.ELEMENTWISE``); arguments as :func:`norm`.

    ``quantize`` writes 8 bits per element where ``dtype`` has more; ``absmax_scale`` writes one element per row.
    """
    known = ELEMENTWISE[choice("elementwise", "op", op, ELEMENTWISE)]
    if op == "absmax_scale" and write_elems is None:
        write_elems = 1
    return _rows(
        "elementwise", op, known.inputs, known.vector, tokens, width, dtype, read_elems, write_elems, weight_dtype
    )


def _rows(
    kind: Literal["norm", "softmax", "elementwise"],
    op: str,
    inputs: tuple[str, ...],
    vectors: tuple[str, ...],
    tokens: int,
    width: int,
    dtype: str,
    read_elems: int | None,
    write_elems: int | None,
    weight_dtype: str | None,
) -> Op:
    """An op over [tokens, width] with the inputs and vectors named, or with the traffic per row as given."""
    extents = {"tokens": tokens, "width": width}
    if read_elems is not None:
        extents["read"] = read_elems
    if write_elems is not None:
        extents["write"] = write_elems
    dims = dims_of(kind, **extents)
    vector_format = weight_dtype or dtype
    formats_known(kind, dtype, vector_format)
    operands: list[Operand] = []
    if read_elems is None:
        operands += [tensor(name, "activation", dtype, "tokens", "width") for name in inputs]
    else:
        operands.append(tensor("x", "activation", dtype, "tokens", "read"))
    operands += [tensor(name, "weight", vector_format, "width") for name in vectors]
    operands.append(_written(op, dtype, write_elems))
    attributes = attributes_of(op=op)
    return Op(kind, kind, dims, tuple(operands), attributes)


def _written(op: str, dtype: str, write_elems: int | None) -> Operand:
    """The result: in 8 bits where wider elements are quantised, else as the input."""
    narrowed = op == "quantize" and FORMATS[dtype].bits > 8
    return tensor(
        "out", "output", "fp8_e4m3" if narrowed else dtype, "tokens", "width" if write_elems is None else "write"
    )
