"""From a workload's op to the problem that the mapper solves."""

from __future__ import annotations

from typing import Final

from hwsim.errors import Infeasible
from hwsim.mapping.problem import Operand, Problem, Role
from hwsim.workload.op import Op

__all__ = ["problem_of"]

_ROLES: Final[dict[str, tuple[str, Role]]] = {
    "activation": ("I", "input"),
    "weight": ("W", "weight"),
    "output": ("O", "output"),
}


def problem_of(op: Op, word_bits: int, sum_bits: int) -> Problem | Infeasible:
    """The loop nest of a GEMM or a convolution; padding counts as stored input.

    Args:
        op: the operation.
        word_bits: bits of an input or a weight.
        sum_bits: bits of an output word, partial sums included.

    Raises:
        HwsimError: a dimension or their product is beyond what the mapper counts exactly.
    """
    if op.kind not in ("gemm", "conv2d"):
        return Infeasible(
            "array", 1, 0, "ops", f"a PE array maps gemm and conv2d, not {op.kind}", {}, ("another machine",)
        )
    operands = []
    for operand in op.operands:
        if operand.role in _ROLES:
            name, role = _ROLES[operand.role]
            operands.append(Operand(name, role, operand.axes, sum_bits if role == "output" else word_bits))
    dims = tuple((str(dim), int(extent)) for dim, extent in op.dims.items())
    return Problem(op.kind, dims, tuple(operands))
