"""Which tensor-core path a product of two formats takes on a card, and what it costs beside the products."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from hwsim.errors import Infeasible
from hwsim.formats import FORMATS

if TYPE_CHECKING:
    from hwsim.devices.gpu.parameters import GpuParameters

__all__ = ["TensorPath", "nearest_format", "rate_of", "tensor_path"]

_SIXTEEN: Final = frozenset({"fp16", "bf16"})
_EIGHT: Final = frozenset({"fp8_e4m3", "fp8_e5m2", "fp8_block"})
_FOUR: Final = frozenset({"mxfp4", "nvfp4"})

_CONVERT_OPS: Final = 4.0
"""ALU instructions that turn one weight into the format of the product: unpack (mask and magic number, or a byte
permutation), convert, multiply by the scale, and move into the tensor cores' order of registers."""


@dataclass(frozen=True, slots=True)
class TensorPath:
    """How a product is issued.

    Attributes:
        name: path of the card (`PATHS`), or ``fp32`` on the ALUs.
        flop_per_clock: operations per clock and SM.
        convert_ops: ALU instructions for each weight.
        work: operations of the path for each operation of the product, over the rows' planes (bit planes of b).
        planes: rows of the path for each row of a (bit planes of a).
    """

    name: str
    flop_per_clock: float
    convert_ops: float = 0.0
    work: float = 1.0
    planes: int = 1


def rate_of(p: GpuParameters, name: str) -> float | None:
    """Operations per clock and SM of a path; None where the card lacks it. The ALUs do fp32."""
    if name == "fp32":
        return 2.0 * p.chip.fp32_lanes.value
    return p.tensor[name].value if name in p.tensor else None


def _wanted(a: str, b: str, acc: str) -> str:
    """The path that the formats of a product ask for; that of a where the weights are stored narrower."""
    narrow = FORMATS[b].bits < FORMATS[a].bits
    if a in _SIXTEEN:
        return f"{a if a == 'bf16' else 'fp16'}{'_acc16' if acc == 'fp16' and a == 'fp16' else ''}"
    if a in _EIGHT:
        return "fp8_acc16" if acc == "fp16" else "fp8"
    if a in _FOUR:  # wider weights, such as a head's, multiply in their own format
        return "fp4" if b in _FOUR else _wanted(b, b, acc) if FORMATS[b].bits > FORMATS[a].bits else a
    return "int1" if a == "int6" or (b == "int6" and not narrow) else a


def tensor_path(p: GpuParameters, a: str, b: str, acc: str = "auto") -> TensorPath | Infeasible:
    """The path of a product of ``a`` (activations) and ``b`` (weights).

    Returns:
        The path, or why the card has none, with the nearest that it has.
    """
    wanted = _wanted(a, b, acc)
    if b == "int6" and a == "int8" and "int1" in p.tensor:  # FlexQ: 8 planes of a by 6 of b, no conversion
        wanted = "int1"
    rate = rate_of(p, wanted)
    if rate is None and wanted.endswith("_acc16"):  # a card whose full rate is that of fp32 accumulators
        wanted = wanted.removesuffix("_acc16")
        rate = rate_of(p, wanted)
    if rate is None:
        return _lacking(p, wanted, a, b)
    if wanted == "int1" and a != "int1":
        bits_a, bits_b = FORMATS[a].bits, FORMATS[b].bits
        return TensorPath(wanted, rate, work=float(bits_b), planes=bits_a)
    same = FORMATS[a].bits == FORMATS[b].bits or (a in _FOUR and FORMATS[b].bits > FORMATS[a].bits)
    return TensorPath(wanted, rate, 0.0 if same else _CONVERT_OPS)


def nearest_format(p: GpuParameters, name: str) -> str:
    """The format that a card runs in place of ``name``: itself, or the next wider one that it has a path for."""
    ladders = {
        "int": ("int1", "int4", "int6", "int8", "fp8_e4m3", "fp16", "fp32"),
        "float": ("nvfp4", "fp8_e4m3", "bf16", "fp16", "fp32"),
    }
    if _has(p, name):
        return name
    bits = FORMATS[name].bits
    for wider in ladders[FORMATS[name].kind]:
        if FORMATS[wider].bits >= bits and _has(p, wider):
            return wider
    return "fp32"


def _has(p: GpuParameters, name: str) -> bool:
    """Whether a card has a path for a format with itself."""
    return rate_of(p, _wanted(name, name, "auto")) is not None


def _lacking(p: GpuParameters, wanted: str, a: str, b: str) -> Infeasible:
    near = nearest_format(p, a)
    reason = f"{p.name} has no {wanted} tensor-core path for {a} x {b}; its nearest is {near}"
    have = ", ".join(sorted(p.tensor)) or "none"
    levers = (f"a_dtype={near}", "a card with that path", f"paths of this card: {have}")
    return Infeasible(f"{wanted} tensor cores", 1, 0, "paths", reason, {f"{a} x {b}": 1}, levers)
