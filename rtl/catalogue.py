"""The units by name, and the shapes that the shipped machines use."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from hwsim.errors import HwsimError
from rtl.base import Parameters
from rtl.conv import Conv
from rtl.hadamard import Hadamard
from rtl.linear import Linear
from rtl.mamba_block import MambaBlock
from rtl.nonlinear import Decay, Gate, Rsqrt, Silu, Softplus
from rtl.norm import Norm
from rtl.shiftadd import ShiftAdd
from rtl.sparse import Decompressor, SparseLinear
from rtl.speculative import Speculative
from rtl.ssm import Ssm
from rtl.systolic import SystolicOs, SystolicWs

__all__ = ["SHAPES", "UNITS", "unit_from_words"]

UNITS: Final[dict[str, type[Parameters]]] = {
    cls.unit: cls
    for cls in (
        Linear,
        SystolicOs,
        SystolicWs,
        Ssm,
        Decay,
        Softplus,
        Silu,
        Rsqrt,
        Gate,
        Norm,
        Conv,
        Decompressor,
        SparseLinear,
        ShiftAdd,
        Hadamard,
        MambaBlock,
        Speculative,
    )
}
"""Unit name to its parameters."""

_CORE = {"cip": 8, "cop": 8, "act_bits": 4, "weight_bits": 4, "scaled": 1, "out_shift": 8, "out_bits": 18}
_SCAN = {"channels": 8, "rows": 1, "d_state": 128, "tiles": 640}

SHAPES: Final[dict[str, Parameters]] = {
    "vck190.in_proj": Linear(k=2560, n=10576, **_CORE),
    "vck190.out_proj": Linear(k=5120, n=2560, **_CORE),
    "vck190.scan": Ssm(ports=1, nodes=1, **_SCAN),
    "vck190.norm_in": Norm(channels=2560, lanes=8),
    "vck190.norm_out": Norm(channels=5120, lanes=8),
    "vck190.conv": Conv(lanes=8, tiles=672, slots=4),
    "vck190.gate": Gate(lanes=8),
    "vck190-spec.in_proj": Linear(k=2560, n=10576, tp=13, tokens=13, **_CORE),
    "vck190-spec.scan": Ssm(ports=2, nodes=13, fifo=3, **_SCAN),
}
"""Shapes of the shipped FPGA machines, Mamba2-2.7B (PKU-SEC-Lab/LightMamba, src/common.h); 13 nodes: STree's tree."""


def unit_from_words(words: Sequence[str]) -> Parameters:
    """The unit named by the first word (a unit, or a catalogue shape), changed by the ``name=value`` words behind it.

    Raises:
        HwsimError: no unit is named, it does not exist, or a parameter is wrong.
    """
    if not words:
        raise HwsimError.at("hwsim rtl", "no unit", "one of " + ", ".join(sorted([*UNITS, *SHAPES])))
    name, rest = words[0], list(words[1:])
    if name in SHAPES:
        return SHAPES[name].changed(rest)
    if name not in UNITS:
        raise HwsimError.unknown_name("hwsim rtl", "unit", name, [*UNITS, *SHAPES])
    return UNITS[name].from_words(rest)
