"""What an op asks of the optics: convolutions of images with kernels, summed over channels.

A product is a convolution too: a row of k elements is a square patch, a column of weights a kernel of the same square,
and their *valid* convolution is one pixel, the dot product. Attention is two products, with activations as kernels.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from hwsim.workload.op import Op

__all__ = ["Job", "jobs_of"]


@dataclass(frozen=True, slots=True)
class Job:
    """Convolutions: every image of a group with every kernel of it, summed over channels.

    Attributes:
        images: images that share kernels (batch, or tokens).
        groups: independent sets of channels and kernels.
        channels: input channels of a group, summed.
        kernels: outputs of a group.
        image_rows: rows of an image.
        image_columns: columns of an image.
        rows: rows of a kernel, dark ones between its taps included.
        columns: columns of a kernel, likewise.
        padding: zeros on the wider side.
        out_rows: rows of the result at full resolution (before a stride leaves some out).
        out_columns: columns of the result at full resolution.
        dilation: distance of neighbouring taps of a kernel; what lies between is dark.
    """

    images: int
    groups: int
    channels: int
    kernels: int
    image_rows: int
    image_columns: int
    rows: int
    columns: int
    padding: int
    out_rows: int
    out_columns: int
    dilation: int = 1

    @property
    def convolutions(self) -> int:
        """Two-dimensional convolutions of one channel: frames without any tiling and signs."""
        return self.images * self.groups * self.channels * self.kernels


def jobs_of(op: Op, largest: int | None = None) -> tuple[Job, ...]:
    """The convolutions of an op; empty where light cannot help.

    Args:
        op: the op.
        largest: side of the largest square that a dot product may lie on; longer ones are cut into channels.
    """
    if op.kind == "conv2d":
        return (_conv2d(op),)
    dims = op.dims
    if op.kind == "gemm":
        return (_product(*op.side_by_side, dims["n"], dims["k"], largest),)
    if op.kind == "attention":
        heads = dims["batch"] * dims["kv_heads"]
        queries = dims["group"] * dims["q_len"]
        scores = _product(heads, queries, dims["kv_len"], dims["head_dim"], largest)
        value = dims.get("v_head_dim", dims["head_dim"])
        return (scores, _product(heads, queries, value, dims["kv_len"], largest))
    return ()


def _conv2d(op: Op) -> Job:
    dims, stride, dilation = op.dims, int(op.attributes["stride"]), int(op.attributes.get("dilation", 1))
    kernel = (dilation * (dims["r"] - 1) + 1, dilation * (dims["s"] - 1) + 1)
    if "image_y" in op.attributes:
        image = (int(op.attributes["image_y"]), int(op.attributes["image_x"]))
    else:
        shape = op.operand("x").shape(dims)
        image = (shape[2], shape[3])
    out = (stride * (dims["y"] - 1) + 1, stride * (dims["x"] - 1) + 1)
    zeros = max(out[0] + kernel[0] - 1 - image[0], out[1] + kernel[1] - 1 - image[1], 0)
    return Job(
        dims["batch"],
        dims["groups"],
        dims["ic"],
        dims["oc"],
        image[0],
        image[1],
        kernel[0],
        kernel[1],
        -(-zeros // 2),
        out[0],
        out[1],
        dilation,
    )


def _product(groups: int, m: int, n: int, k: int, largest: int | None) -> Job:
    """Groups of [m, k] x [k, n]: m patches with n kernels, cut into channels where k is long."""
    side = math.isqrt(k - 1) + 1 if k > 1 else 1
    side = min(side, largest or side)
    return Job(m, groups, -(-k // side**2), n, side, side, side, side, 0, 1, 1)
