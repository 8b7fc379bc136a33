"""`Op`: one operation of a model, with exact counts of its work and of the bytes that it must move.

An op is a loop nest over named dimensions. Each operand is an affine projection of those dimensions, with a role, a
number format and a density. Nothing here knows a machine.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal, get_args

from hwsim.formats import FORMATS
from hwsim.workload.counts import COUNTS
from hwsim.workload.named import Named

__all__ = ["KINDS", "ROLES", "ROW_DIMENSIONS", "Attributes", "Axis", "Dims", "Kind", "Op", "Operand", "Role"]

Role = Literal["weight", "activation", "state", "cache", "output"]
Kind = Literal[
    "gemm", "attention", "conv1d", "scan", "norm", "softmax", "elementwise", "conv2d", "embedding", "collective"
]
Axis = tuple[tuple[str, int], ...]
"""An affine projection of iteration dimensions: (dimension, stride) terms that are added up."""
Dims = Named[int]
Attributes = Named[str | int | float | bool]

NO_ATTRIBUTES: Final[Attributes] = Named()
ROLES: Final[tuple[Role, ...]] = get_args(Role)
KINDS: Final[tuple[Kind, ...]] = get_args(Kind)

ROW_DIMENSIONS: Final = frozenset({"batch", "tokens", "m", "seq_len", "q_len", "kv_len", "y", "x"})
"""Dimensions that number the tokens (rows); all others number features (columns). Edges compare rows and columns."""


@dataclass(frozen=True, slots=True)
class Operand:
    """A tensor that an op reads or writes.

    Attributes:
        name: the field's name for it within the op (``a``, ``b``, ``x``, ``state`` …).
        role: weight, activation, state (carried over, read and written), cache (keys and values), output.
        axes: per axis the affine projection; its extent is ``sum(stride * (dim - 1)) + 1``, minus its halo.
        format: number format (``hwsim.formats``).
        density: fraction of elements that are stored and moved, 1.0 when dense.
        structure: ``dense``, ``unstructured``, ``2:4``, ``block:16x16`` …
        halo: per axis the elements that the projection reaches but that do not exist (padding, the causal past);
            empty for none.
        resident: elements that live in memory for it when that differs from what the op touches (rows of an
            embedding table, experts that no token chose); 0 when another op owns the storage (a tied head).
    """

    name: str
    role: Role
    axes: tuple[Axis, ...]
    format: str
    density: float = 1.0
    structure: str = "dense"
    halo: tuple[int, ...] = ()
    resident: int | None = None

    def shape(self, dims: Mapping[str, int]) -> tuple[int, ...]:
        """Extent of each axis: its bounding box, so gaps of a stride that is wider than the kernel are counted."""
        extents = [sum(stride * (dims[name] - 1) for name, stride in axis) + 1 for axis in self.axes]
        for position, missing in enumerate(self.halo):
            extents[position] -= missing
        return tuple(extents)

    def elements(self, dims: Mapping[str, int]) -> int:
        """Elements that the op touches, as if dense."""
        product = 1
        for extent in self.shape(dims):
            product *= extent
        return product

    def bytes(self, dims: Mapping[str, int]) -> int:
        """Bytes of one pass over the stored elements, scales of the format included, sparse indices excluded."""
        elements = self.elements(dims)
        stored = elements if self.density == 1.0 else -int(-elements * self.density // 1)
        return FORMATS[self.format].bytes_for(stored)

    def matrix(self, dims: Mapping[str, int]) -> tuple[int, int]:
        """(rows, columns): the shape as tokens by features, the form in which edges compare tensors."""
        rows = columns = 1
        for axis, extent in zip(self.axes, self.shape(dims), strict=True):
            if axis[0][0] in ROW_DIMENSIONS:
                rows *= extent
            else:
                columns *= extent
        return rows, columns


@dataclass(frozen=True, slots=True)
class Op:
    """One operation.

    Attributes:
        name: the field's name for it (``in_proj``), unique within its layer.
        kind: what it computes; see :data:`KINDS`.
        dims: iteration dimensions in nest order.
        operands: inputs first, output last.
        attributes: what the kind needs besides (``op=rmsnorm``, ``mixer=mamba2``, ``phase=decode`` …).
        layer: layer number, None outside the layers.
        block: layer kind (``mamba2``, ``attention``, ``mlp``, ``embedding``, ``head``).
    """

    name: str
    kind: Kind
    dims: Dims
    operands: tuple[Operand, ...]
    attributes: Attributes = NO_ATTRIBUTES
    layer: int | None = None
    block: str = ""

    @property
    def id(self) -> str:
        """Its identity in a graph: ``layers.3.in_proj``, or the plain name outside the layers."""
        return self.name if self.layer is None else f"layers.{self.layer}.{self.name}"

    @property
    def signature(self) -> tuple[str, Dims, tuple[Operand, ...], Attributes, str]:
        """Everything but name and layer: ops with equal signatures cost the same on any machine."""
        return (self.kind, self.dims, self.operands, self.attributes, self.block)

    @property
    def macs(self) -> int:
        """Multiply-accumulates of the dense arithmetic."""
        return COUNTS[self.kind](self.dims, self.attributes)[0]

    @property
    def other_ops(self) -> int:
        """Other scalar operations (``hwsim.workload.counts`` says which)."""
        return COUNTS[self.kind](self.dims, self.attributes)[1]

    @property
    def bytes_by_role(self) -> dict[str, int]:
        """Bytes that must move between memory and the op, by role, each operand touched once.

        State counts twice, read and written back. A cache is read whole; its new positions were written by the ops that
        produced them and count there, as output.
        """
        totals: dict[str, int] = dict.fromkeys(ROLES, 0)
        for operand in self.operands:
            once = operand.bytes(self.dims)
            totals[operand.role] += 2 * once if operand.role == "state" else once
        return totals

    @property
    def side_by_side(self) -> tuple[int, int]:
        """(products, rows of each) of a gemm: a batch, or experts that each multiply their share of the rows."""
        experts = self.dims.get("expert", 1)
        return self.dims["batch"] * experts, -(-self.dims["m"] // experts)

    @property
    def parameters(self) -> int:
        """Trained parameters that the op owns: elements of its weights, as if dense."""
        return sum(
            operand.elements(self.dims) if operand.resident is None else operand.resident
            for operand in self.operands
            if operand.role == "weight"
        )

    @property
    def weight_bytes(self) -> int:
        """Bytes that the op's own weights occupy in memory (at least what it reads, unless another op owns them)."""
        total = 0
        for operand in self.operands:
            if operand.role == "weight":
                resident = operand.elements(self.dims) if operand.resident is None else operand.resident
                stored = resident if operand.density == 1.0 else -int(-resident * operand.density // 1)
                total += FORMATS[operand.format].bytes_for(stored)
        return total

    @property
    def state_elements(self) -> int:
        """Elements of state that live from token to token."""
        return sum(operand.elements(self.dims) for operand in self.operands if operand.role == "state")

    def operand(self, name: str) -> Operand:
        """The operand called ``name``.

        Raises:
            KeyError: there is none.
        """
        for operand in self.operands:
            if operand.name == name:
                return operand
        raise KeyError(name)

    @property
    def output(self) -> Operand:
        """The operand that the op writes (its last)."""
        return self.operands[-1]
