"""``conv-share``: linear layers of a vision transformer as convolutions that all tokens share (ConvShareViT).

A token's features lie on a square, kernels slide over it, and every token meets the same kernels: tokens are channels
of a depthwise convolution with shared weights (arXiv 2504.11517, abstract). Only the abstract was readable, so how
widths are matched is our rule: a token of d features is a square of ceil(sqrt(d)) pixels; a kernel gives as many
features as it has results (all pixels with `same`, those where it fits with `valid`), as many kernels are taken as the
layer's width needs, and what is over is cut off. A `valid` kernel as large as the square is a linear layer exactly.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, ClassVar, Final, Literal

from hwsim.errors import HwsimError
from hwsim.workload.families import Whole
from hwsim.workload.transform.base import Transform, with_ops

if TYPE_CHECKING:
    from hwsim.workload.graph import Graph
    from hwsim.workload.model import Pass, Workload
    from hwsim.workload.op import Axis, Op

__all__ = ["ConvShare"]

_DEFAULT_SAME: Final = 3


@dataclass(frozen=True, slots=True)
class ConvShare(Transform):
    """Linear layers of attention and MLP as shared convolutions of a token's square.

    Attributes:
        padding: ``valid`` or ``same``.
        kernel: rows and columns of a kernel; 0 for the whole square with ``valid``, 3 with ``same``.
        name: tag of this transform.
    """

    MEANING: ClassVar[str] = "a ViT's linear layers as convolutions that tokens share: padding=valid|same, kernel=3"

    padding: Literal["valid", "same"] = "valid"
    kernel: Whole = 0
    name: Literal["conv-share"] = "conv-share"

    def of_graph(self, graph: Graph, workload: Workload, pass_: Pass) -> Graph:
        """The graph with every matrix product inside the layers replaced.

        Raises:
            HwsimError: the model is no vision transformer, or the kernel is larger than a token's square.
        """
        if workload.model.family != "vit":
            raise HwsimError.at(
                "--transform conv-share", f"{workload.name}, a {workload.model.family}", "a vit workload"
            )
        return with_ops(graph, self._changed)

    def _changed(self, op: Op) -> Op:
        return self._shared(op) if op.kind == "gemm" and op.layer is not None else op

    def _shared(self, op: Op) -> Op:
        """A product [m, k] x [k, n] as a convolution of m squares with shared kernels, operands shaped as before."""
        tokens, width, depth = op.dims["batch"] * op.dims["m"], op.dims["n"], op.dims["k"]
        side = math.isqrt(depth - 1) + 1 if depth > 1 else 1
        taps = self.kernel or (side if self.padding == "valid" else _DEFAULT_SAME)
        if taps > side:
            found = f"kernel={taps} in {op.name}, whose tokens are squares of {side} x {side}"
            raise HwsimError.at("--transform conv-share", found, f"kernel from 1 to {side}")
        out = side if self.padding == "same" else side - taps + 1
        kernels = -(-width // (out * out))
        return _conv(op, tokens, kernels, side, out, taps, width, depth)


def _conv(op: Op, tokens: int, kernels: int, side: int, out: int, taps: int, width: int, depth: int) -> Op:
    from hwsim.workload.named import Named  # noqa: PLC0415
    from hwsim.workload.op import Operand  # noqa: PLC0415
    from hwsim.workload.ops.checks import attributes_of  # noqa: PLC0415

    dims = Named({"batch": tokens, "groups": 1, "oc": kernels, "ic": 1, "y": out, "x": out, "r": taps, "s": taps})
    given, weight, *_ = op.operands
    square: Axis = (("ic", side * side), ("r", side), ("y", side), ("s", 1), ("x", 1))
    result: Axis = (("oc", out * out), ("y", out), ("x", 1))
    x = Operand("a", "activation", ((("batch", 1),), square), given.format)
    made = Operand("out", "output", ((("batch", 1),), result), op.output.format)
    x = replace(x, halo=(0, x.shape(dims)[1] - depth))
    made = replace(made, halo=(0, made.shape(dims)[1] - width))
    axes: tuple[Axis, ...] = ((("groups", kernels), ("oc", 1)), (("ic", 1),), (("r", 1),), (("s", 1),))
    operands = [x, Operand("w", "weight", axes, weight.format), made]
    has_bias = any(each.name == "bias" for each in op.operands)
    if has_bias:
        operands.insert(2, Operand("bias", "weight", ((("oc", 1),),), op.operand("bias").format))
    zeros = (out + taps - 1 - side) // 2
    attributes = attributes_of(stride=1, padding=zeros, image_y=side, image_x=side, bias=has_bias)
    return replace(op, kind="conv2d", dims=dims, operands=tuple(operands), attributes=attributes)
