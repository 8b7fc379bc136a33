"""What a mapping file states of an op, by family: a loop nest, a blocking, a library's tile, layouts of frames.

An entry serves every op that has its shape. What is legal on a machine is the family's to say.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Literal, TypeAlias, TypeVar

from hwsim.spec import Refused
from hwsim.workload.ranges import Count

if TYPE_CHECKING:
    from hwsim.workload.op import Op

__all__ = [
    "DIMS", "BlockingForm", "FrameForm", "Kernel", "LayoutForm", "Loop", "Mismatch", "OpForm", "Shape", "TileForm",
    "entry_for", "head_of", "shape_of_op",
]  # fmt: skip

Shape: TypeAlias = tuple[str, tuple[tuple[str, int], ...], tuple[int, int]]
"""What an entry is for: kind, dimensions above 1 in alphabetical order, stride and dilation."""

Mismatch: TypeAlias = tuple[str, str, str]
"""What is not legal on a machine: the field, what was found, what was expected."""

Kernel: TypeAlias = Literal["amx", "amx-strided", "amx-sparse", "avx-sparse", "avx512"]
Loop: TypeAlias = Literal["rows-outer", "columns-outer"]

DIMS: Final[dict[str, tuple[str, ...]]] = {
    "gemm": ("batch", "m", "n", "k"),
    "conv2d": ("batch", "groups", "oc", "ic", "y", "x", "r", "s"),
}
"""Dimensions by kind; ``oc`` and ``ic`` are per group."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OpForm:
    """The ops that an entry serves.

    Attributes:
        kind: ``gemm`` or ``conv2d``.
        dims: dimension -> extent; one that is left out is 1. ``oc`` and ``ic`` are per group.
        stride: of a convolution.
        dilation: of a convolution.
    """

    kind: Literal["gemm", "conv2d"]
    dims: dict[str, Count]
    stride: Count = 1
    dilation: Count = 1

    def __post_init__(self) -> None:
        known = DIMS[self.kind]
        for name in self.dims:
            if name not in known:
                raise Refused(f"dimension {name!r} of a {self.kind}", f"one of {', '.join(known)}", at="dims")

    @property
    def shape(self) -> Shape:
        """What it is for."""
        dims = tuple(sorted((name, extent) for name, extent in self.dims.items() if extent > 1))
        return self.kind, dims, (self.stride, self.dilation)


@dataclass(frozen=True, slots=True, kw_only=True)
class BlockingForm(OpForm):
    """A product on a CPU.

    Attributes:
        kernel: which (`hwsim.devices.cpu.blocking.KERNELS`).
        loop: what the outer loop goes over.
        cores: threads that work.
        row_groups: groups of threads that each take a part of the rows.
        column_tiles: tiles of 16 columns of the thread that has most.
    """

    kernel: Kernel
    loop: Loop
    cores: Count
    row_groups: Count
    column_tiles: Count


@dataclass(frozen=True, slots=True, kw_only=True)
class TileForm(OpForm):
    """A product on a GPU: a tile of the stack's menu.

    Attributes:
        tm: rows of a (tokens) of a thread block.
        tn: columns of the weights.
        tk: length of a step along k.
        split: thread blocks that share each dot product.
    """

    tm: Count
    tn: Count
    tk: Count
    split: Count


@dataclass(frozen=True, slots=True)
class FrameForm:
    """What one frame of a job in light holds, along rows and columns of the aperture, and the plane that stays."""

    images: tuple[Count, Count]
    channels: tuple[Count, Count]
    kernels: tuple[Count, Count]
    held: Literal["kernel", "input"]


@dataclass(frozen=True, slots=True, kw_only=True)
class LayoutForm(OpForm):
    """An op on a 4f system: a frame's layout for each of its jobs, in their order."""

    frames: tuple[FrameForm, ...]


F = TypeVar("F", bound=OpForm)


def shape_of_op(op: Op) -> Shape:
    """The shape of an op: what it has in common with the entries that serve it. Experts count as a batch."""
    dims = {str(name): extent for name, extent in op.dims.items()}
    if dims.pop("expert", 1) > 1:
        dims["batch"], dims["m"] = op.side_by_side
    stride, dilation = (int(op.attributes.get(name, 1)) for name in ("stride", "dilation"))
    shown = tuple(sorted((name, extent) for name, extent in dims.items() if extent > 1))
    return op.kind, shown, (stride, dilation)


def entry_for(entries: tuple[F, ...], op: Op) -> F | None:
    """The entry that serves an op; None when there is none."""
    if not entries or op.kind not in DIMS:
        return None
    shape = shape_of_op(op)
    return next((entry for entry in entries if entry.shape == shape), None)


def head_of(op: Op) -> dict[str, Any]:
    """The fields of `OpForm` for an op: kind, dimensions above 1, stride and dilation."""
    kind, dims, (stride, dilation) = shape_of_op(op)
    return {"kind": kind, "dims": dict(dims), "stride": stride, "dilation": dilation}
