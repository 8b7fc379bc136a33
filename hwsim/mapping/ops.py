"""From a workload's op to the problems that the mapper solves."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Final

from hwsim.mapping.hierarchy import Hierarchy
from hwsim.mapping.problem import Axis, Operand, Problem, Role, attention_gemms
from hwsim.workload.named import Named
from hwsim.workload.op import Op

__all__ = ["MAPPED", "padded_to_lanes", "problems_of"]

MAPPED: Final = ("gemm", "conv2d", "attention")
"""Kinds of op that are matrix products, wholly or in their main part."""

_INPUT: Final[tuple[str, Role]] = ("I", "input")
_WEIGHT: Final[tuple[str, Role]] = ("W", "weight")
_OUTPUT: Final[tuple[str, Role]] = ("O", "output")


def problems_of(op: Op, word_bits: int, sum_bits: int) -> tuple[Problem, ...]:
    """The loop nests of an op: one of a GEMM or a convolution, two of attention, none of what is no matrix product.

    Padding counts as stored input, and a causal mask's products are computed. The query heads that share keys and
    values (grouped-query attention) are rows of one product. What a product multiplies by stands where weights do,
    trained or not; experts are products side by side.

    Args:
        op: the operation.
        word_bits: bits of an input or a weight.
        sum_bits: bits of an output word, partial sums included.

    Raises:
        HwsimError: a dimension or their product is beyond what the mapper counts exactly.
    """
    if op.kind == "attention":
        bits = (word_bits, word_bits, sum_bits)
        d, rows = op.dims, op.dims["group"] * op.dims["q_len"]
        shape = (d["batch"], d["kv_heads"], rows, d["kv_len"], d["head_dim"])
        return attention_gemms(*shape, v_head_dim=d.get("v_head_dim", 0), bits=bits)
    if op.kind not in MAPPED:
        return ()
    op, operands = _experts_apart(op), []
    given, second, *_ = op.operands
    for operand, (name, role) in ((given, _INPUT), (second, _WEIGHT), (op.output, _OUTPUT)):
        axes = tuple(part for axis in operand.axes for part in _apart(axis, op.dims))
        operands.append(Operand(name, role, axes, sum_bits if role == "output" else word_bits))
    dims = tuple((str(dim), int(extent)) for dim, extent in op.dims.items())
    return (Problem(op.kind, dims, tuple(operands)),)


def _experts_apart(op: Op) -> Op:
    """The product over the rows of all experts as products side by side, each with its share of the rows."""
    if op.dims.get("expert", 1) == 1 or op.kind != "gemm":
        return op
    products, rows = op.side_by_side
    left = {name: extent for name, extent in op.dims.items() if name != "expert"}
    dims = Named(left | {"batch": products, "m": rows})
    a, b, *rest = op.operands
    weights = replace(b, axes=((("batch", 1),), *b.axes[1:]))
    return replace(op, dims=dims, operands=(a, weights, *rest))


def _apart(axis: Axis, dims: Mapping[str, int]) -> tuple[Axis, ...]:
    """An axis of groups that lie end to end (``groups`` by ``ic``) as one of groups and one within a group."""
    if len(axis) == 2:
        (outer, stride), (inner, one) = axis
        if outer == "groups" and one == 1 and stride == dims[inner]:
            return ((outer, 1),), ((inner, 1),)
    return (axis,)


def padded_to_lanes(problem: Problem, hierarchy: Hierarchy) -> Problem:
    """The problem with each dimension that a fixed axis carries rounded up to fill the lanes: zeros, counted as words.

    A dimension of 197 would lie on one of 16 lanes, as no other number divides it; as 208 it fills them.
    """
    extents = problem.extents
    for axis in hierarchy.axes:
        fits = [dim for dim in axis.dims if dim in extents and extents[dim] > axis.extent and axis.full]
        for dim in fits[:1]:
            extents[dim] = -(-extents[dim] // axis.extent) * axis.extent
    return replace(problem, dims=tuple(extents.items()))
