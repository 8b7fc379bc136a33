"""The one table of number formats, with the scale overhead in bits per element.

A format's ``bits`` is what one element occupies; ``scale_bits`` per ``group`` elements is what its
scales add when the format itself defines them (mxfp4, nvfp4, fp8_block). Integer formats carry no
scale of their own: how they are scaled belongs to the machine or the quantisation scheme.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from hwsim.errors import HwsimError, Where

__all__ = ["FORMATS", "NumberFormat", "format_named"]


@dataclass(frozen=True, slots=True)
class NumberFormat:
    """A number format.

    Attributes:
        name: the name a user types.
        bits: bits per element, without scales.
        kind: ``"float"`` or ``"int"``.
        scale_bits: bits of one scale, 0 when the format has none.
        group: elements that share one scale, 0 when the format has none.
        source: where the layout is defined.
    """

    name: str
    bits: int
    kind: str
    scale_bits: int
    group: int
    source: str

    @property
    def bits_per_element(self) -> float:
        """Bits per element with its share of the scale."""
        return self.bits + (self.scale_bits / self.group if self.group else 0.0)

    def bytes_for(self, elements: int) -> int:
        """Whole bytes that ``elements`` occupy, scales included (each rounded up)."""
        payload = -(-elements * self.bits // 8)
        groups = -(-elements // self.group) if self.group else 0
        return payload + -(-groups * self.scale_bits // 8)


_IEEE = "IEEE 754-2019"
_OFP8 = "OCP 8-bit Floating Point Specification 1.0"
_MX = "OCP Microscaling Formats 1.0"

FORMATS: Final[dict[str, NumberFormat]] = {
    f.name: f
    for f in (
        NumberFormat("fp32", 32, "float", 0, 0, _IEEE),
        NumberFormat("tf32", 32, "float", 0, 0, "NVIDIA A100 whitepaper: 19 bits used, 32 stored"),
        NumberFormat("fp16", 16, "float", 0, 0, _IEEE),
        NumberFormat("bf16", 16, "float", 0, 0, "Intel BFLOAT16 Hardware Numerics Definition 1.0"),
        NumberFormat("fp8_e4m3", 8, "float", 0, 0, _OFP8),
        NumberFormat("fp8_e5m2", 8, "float", 0, 0, _OFP8),
        NumberFormat("fp8_block", 8, "float", 32, 128, "DeepSeek-V3 report: fp32 scale per 128 elements along k"),
        NumberFormat("int8", 8, "int", 0, 0, "two's complement"),
        NumberFormat("int6", 6, "int", 0, 0, "two's complement"),
        NumberFormat("int4", 4, "int", 0, 0, "two's complement"),
        NumberFormat("int1", 1, "int", 0, 0, "sign bit, values -1 and +1"),
        NumberFormat("mxfp4", 4, "float", 8, 32, _MX + ": e2m1, e8m0 scale per 32"),
        NumberFormat("nvfp4", 4, "float", 8, 16, "NVIDIA Blackwell: e2m1, e4m3 scale per 16"),
    )
}


def format_named(name: str, where: str | Where = "number format") -> NumberFormat:
    """The format called ``name``.

    Raises:
        HwsimError: there is none; the nearest valid name is suggested.
    """
    try:
        return FORMATS[name]
    except KeyError:
        raise HwsimError.unknown_name(where, "number format", name, FORMATS) from None
