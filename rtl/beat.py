"""What one transfer of a stream carries: named fields, their Amaranth layout and their packing into integers."""

# mypy: disable-error-code="import-untyped,misc"
from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from amaranth.hdl import signed, unsigned
from amaranth.lib import data
from numpy.typing import NDArray

__all__ = ["Beat", "Field", "s", "u"]

Ints = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Field:
    """A field of a beat: an integer, or an array of integers.

    Attributes:
        name: its name in the layout.
        bits: bits of one element.
        signed: two's complement, else unsigned.
        shape: dimensions of the array, outermost first; ``()`` for a single integer.
    """

    name: str
    bits: int
    signed: bool
    shape: tuple[int, ...] = ()

    @property
    def elements(self) -> int:
        """Integers in the field."""
        return int(np.prod(self.shape, dtype=np.int64)) if self.shape else 1

    @property
    def total_bits(self) -> int:
        """Bits of the whole field."""
        return self.elements * self.bits

    def layout(self) -> Any:
        """The Amaranth shape of the field: element 0 lies in the lowest bits."""
        shape: Any = signed(self.bits) if self.signed else unsigned(self.bits)
        for length in reversed(self.shape):
            shape = data.ArrayLayout(shape, length)
        return shape

    def pack(self, values: Ints) -> int:
        """The field's bits as one non-negative integer.

        Raises:
            ValueError: a value does not fit the field.
        """
        low, high = (-(1 << (self.bits - 1)), 1 << (self.bits - 1)) if self.signed else (0, 1 << self.bits)
        word, mask = 0, (1 << self.bits) - 1
        for index, value in enumerate(np.asarray(values).reshape(-1).tolist()):
            if not low <= value < high:
                raise ValueError(f"field {self.name}: {value} is outside {low} … {high - 1}")
            word |= (value & mask) << (index * self.bits)
        return word

    def unpack(self, word: int) -> Ints:
        """The integers held in the field's bits, shaped as the field."""
        mask, sign = (1 << self.bits) - 1, 1 << (self.bits - 1)
        flat = [(word >> (i * self.bits)) & mask for i in range(self.elements)]
        if self.signed:
            flat = [(v ^ sign) - sign for v in flat]
        return np.array(flat, dtype=np.int64).reshape(self.shape)


def s(name: str, bits: int, *shape: int) -> Field:
    """A signed field."""
    return Field(name, bits, True, shape)


def u(name: str, bits: int, *shape: int) -> Field:
    """An unsigned field."""
    return Field(name, bits, False, shape)


class Beat:
    """The payload of a stream: fields in order, the first in the lowest bits.

    Args:
        fields: the fields; names must differ.
    """

    def __init__(self, *fields: Field) -> None:
        self.fields = fields
        self.bits = sum(f.total_bits for f in fields)

    def layout(self) -> data.StructLayout:
        """The Amaranth layout of the payload."""
        return data.StructLayout({f.name: f.layout() for f in self.fields})

    def pack(self, values: Mapping[str, Any]) -> int:
        """One beat as an integer; ``values`` holds an integer or array for each field."""
        word, offset = 0, 0
        for f in self.fields:
            word |= f.pack(np.asarray(values[f.name], dtype=np.int64)) << offset
            offset += f.total_bits
        return word

    def pack_all(self, columns: Mapping[str, Any]) -> list[int]:
        """Many beats: each column has the beat number as its first dimension."""
        arrays = {f.name: np.asarray(columns[f.name], dtype=np.int64) for f in self.fields}
        count = len(next(iter(arrays.values())))
        return [self.pack({name: a[i] for name, a in arrays.items()}) for i in range(count)]

    def unpack(self, word: int) -> dict[str, Ints]:
        """The fields of one beat."""
        out, offset = {}, 0
        for f in self.fields:
            out[f.name] = f.unpack((word >> offset) & ((1 << f.total_bits) - 1))
            offset += f.total_bits
        return out
