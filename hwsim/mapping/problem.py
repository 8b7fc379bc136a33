"""`Problem`: the iteration space of one op, and what each operand sees of it.

A problem is what a mapper needs of an op and nothing else: named dimensions, and operands whose data axes are affine
projections of them. Every GEMM, batched GEMM, convolution (stride, dilation, groups, depthwise) and each of
attention's two GEMMs is one.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import prod
from typing import Final, Literal

from hwsim.errors import Fault, HwsimError, Where

__all__ = [
    "DIM_LIMIT",
    "Axis",
    "Operand",
    "Problem",
    "Relation",
    "Role",
    "attention_gemms",
    "conv2d",
    "gemm",
    "tile_elements",
]

Role = Literal["input", "weight", "output"]
Relation = Literal["none", "plain", "halo"]
Axis = tuple[tuple[str, int], ...]
"""A data axis: (dimension, stride) terms that are added up."""

DIM_LIMIT: Final = 1 << 24
"""Largest extent of a dimension. The product of all is kept below 2^53, where a float64 still counts exactly."""


@dataclass(frozen=True, slots=True)
class Operand:
    """A tensor of a problem.

    Attributes:
        name: what nests call it (``I``, ``W``, ``O``).
        role: ``input``, ``weight`` or ``output``; levels say which roles they hold.
        axes: its data axes; each dimension stands in at most one of them.
        bits: bits per word at every level, partial sums included.
    """

    name: str
    role: Role
    axes: tuple[Axis, ...]
    bits: int = 8

    @property
    def dims(self) -> frozenset[str]:
        """Dimensions that it depends on."""
        return frozenset(dim for axis in self.axes for dim, _ in axis)


@dataclass(frozen=True, slots=True)
class Problem:
    """One op as a nest of independent iterations, one multiply-accumulate each.

    Attributes:
        kind: ``gemm``, ``conv2d`` …
        dims: (name, extent) in nest order.
        operands: inputs and weights first, the output last.
    """

    kind: str
    dims: tuple[tuple[str, int], ...]
    operands: tuple[Operand, ...]

    def __post_init__(self) -> None:
        faults = [
            Fault(Where(self.kind), f"dimension {name} = {extent}", f"a whole number from 1 to {DIM_LIMIT:,}")
            for name, extent in self.dims
            if not 1 <= extent <= DIM_LIMIT
        ]
        if not faults and self.macs >= 1 << 53:
            faults = [Fault(Where(self.kind), f"{self.macs:,} multiply-accumulates", "fewer than 2^53 in one op")]
        if faults:
            raise HwsimError(*faults)

    @property
    def extents(self) -> dict[str, int]:
        """Dimension -> extent."""
        return dict(self.dims)

    @property
    def macs(self) -> int:
        """Multiply-accumulates."""
        return prod(extent for _, extent in self.dims)

    @property
    def output(self) -> Operand:
        """The operand that is accumulated."""
        return self.operands[-1]

    def operand(self, name: str) -> Operand:
        """The operand called ``name``.

        Raises:
            KeyError: there is none.
        """
        for operand in self.operands:
            if operand.name == name:
                return operand
        raise KeyError(name)

    def live_axes(self, operand: Operand) -> tuple[Axis, ...]:
        """Data axes without the dimensions of extent 1, which never move."""
        extents = self.extents
        axes = (tuple(term for term in axis if extents[term[0]] > 1) for axis in operand.axes)
        return tuple(axis for axis in axes if axis)

    def relation(self, operand: Operand, dim: str) -> Relation:
        """How a dimension moves an operand's tile.

        ``none``: not at all. ``plain``: tiles of it are disjoint. ``halo``: neighbouring tiles overlap or leave holes
        (a sliding window, a stride).
        """
        for axis in self.live_axes(operand):
            if any(name == dim for name, _ in axis):
                return "plain" if len(axis) == 1 and axis[0][1] == 1 else "halo"
        return "none"

    def elements(self, operand: Operand) -> int:
        """Words of the whole operand: the bounding box of each axis."""
        return tile_elements(operand, self.extents)


def tile_elements(operand: Operand, tile: dict[str, int]) -> int:
    """Words of an operand's tile whose dimensions have the extents ``tile``: product of the axes' bounding boxes."""
    return prod(1 + sum(stride * (tile[dim] - 1) for dim, stride in axis) for axis in operand.axes)


def _plain(*dims: str) -> tuple[Axis, ...]:
    return tuple(((dim, 1),) for dim in dims)


def gemm(m: int, n: int, k: int, *, batch: int = 1, bits: tuple[int, int, int] = (8, 8, 8)) -> Problem:
    """``O[b,m,n] += I[b,m,k] * W[b,k,n]``; ``bits`` per word of I, W and O.

    With ``batch`` above 1 every batch has its own weights (attention's GEMMs); a batch that shares them is a larger m.
    """
    lead = ("batch",) if batch > 1 else ()
    dims = ((("batch", batch),) if batch > 1 else ()) + (("m", m), ("n", n), ("k", k))
    return Problem(
        "gemm",
        dims,
        (
            Operand("I", "input", _plain(*lead, "m", "k"), bits[0]),
            Operand("W", "weight", _plain(*lead, "k", "n"), bits[1]),
            Operand("O", "output", _plain(*lead, "m", "n"), bits[2]),
        ),
    )


def attention_gemms(
    batch: int,
    heads: int,
    q_len: int,
    kv_len: int,
    head_dim: int,
    *,
    v_head_dim: int = 0,
    bits: tuple[int, int, int] = (8, 8, 8),
) -> tuple[Problem, Problem]:
    """Attention's two GEMMs, batched over sequences and heads: scores ``q k^T`` and output ``p v``.

    ``v_head_dim``: elements of a value, 0 for as many as of a key. Latents are read by each product: they are unfused.
    """
    return (
        gemm(q_len, kv_len, head_dim, batch=batch * heads, bits=bits),
        gemm(q_len, v_head_dim or head_dim, kv_len, batch=batch * heads, bits=bits),
    )


def conv2d(
    batch: int,
    oc: int,
    ic: int,
    y: int,
    x: int,
    r: int,
    s: int,
    *,
    stride: int = 1,
    dilation: int = 1,
    groups: int = 1,
    bits: tuple[int, int, int] = (8, 8, 8),
) -> Problem:
    """A convolution with ``y`` by ``x`` outputs and ``r`` by ``s`` taps; padding counts as stored input.

    ``oc`` and ``ic`` are totals; with ``groups`` each group has ``oc/groups`` and ``ic/groups`` of them (depthwise:
    groups = oc = ic).

    Raises:
        HwsimError: groups does not divide both channel counts.
    """
    if groups < 1 or oc % groups or ic % groups:
        raise HwsimError.at("conv2d", f"groups = {groups}", f"a common divisor of oc = {oc} and ic = {ic}")
    extents = (batch, groups, oc // groups, ic // groups, y, x, r, s)
    dims = tuple(zip(("batch", "groups", "oc", "ic", "y", "x", "r", "s"), extents, strict=True))
    window = ((("y", stride), ("r", dilation)), (("x", stride), ("s", dilation)))
    return Problem(
        "conv2d",
        dims,
        (
            Operand("I", "input", (*_plain("batch", "groups", "ic"), *window), bits[0]),
            Operand("W", "weight", _plain("groups", "oc", "ic", "r", "s"), bits[1]),
            Operand("O", "output", _plain("batch", "groups", "oc", "y", "x"), bits[2]),
        ),
    )
