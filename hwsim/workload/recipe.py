"""How a model is trained: what a workload file says under ``training``."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

from hwsim.formats import FORMATS
from hwsim.spec import Refused
from hwsim.workload.families import Count, Whole
from hwsim.workload.number_formats import FormatName

__all__ = ["Recipe"]

_SCALE_BITS: Final = 16
_STAGES: Final = ("none", "optimizer", "gradients", "weights")


@dataclass(frozen=True, slots=True)
class Recipe:
    """A step of training with Adam.

    Attributes:
        micro_batches: parts of each card's sequences that run one after the other; their gradients are added up.
        recompute: ``full`` runs the forward again in the backward and keeps only what enters each layer.
        shard: what cards that see different data divide among them: nothing, optimizer states, also gradients, or
            also weights (ZeRO stages 1 to 3, Rajbhandari et al. 2020; the last is PyTorch's FSDP).
        moments: format of Adam's two moments.
        moments_group: elements of a moment that share a 16-bit scale; 0 for none.
        master: whether fp32 weights are kept beside those that run. Cards that divide the weights keep these alone.
        gradients: format of gradients as they are kept; default: as activations, 16 bits at least.
        saved: format of what layers keep for the backward, but for what attention keeps; default: as it flows.
        saved_group: elements of it that share a 16-bit scale; 0 for none.
        hadamard: whether narrow products of the forward multiply Hadamard transforms of blocks of both operands, so
            that gradients are transformed back (Quartet, Castro et al. 2025).
    """

    micro_batches: Count = 1
    recompute: Literal["none", "full"] = "none"
    shard: Literal["none", "optimizer", "gradients", "weights"] = "none"
    moments: FormatName = "fp32"
    moments_group: Whole = 0
    master: bool = True
    gradients: FormatName | None = None
    saved: FormatName | None = None
    saved_group: Whole = 0
    hadamard: bool = False

    def __post_init__(self) -> None:
        if self.moments_group and FORMATS[self.moments].bits > 16:
            raise Refused(f"moments_group of {self.moments}", "0: wide formats need no scales", at="moments_group")
        if self.saved_group and self.saved is None:
            raise Refused("saved_group without saved", "a format to save in", at="saved_group")

    def divides(self, what: str) -> bool:
        """Whether cards with different data divide ``optimizer``, ``gradients`` or ``weights``."""
        return _STAGES.index(self.shard) >= _STAGES.index(what)

    @property
    def moments_bytes(self) -> float:
        """Bytes of a parameter's two moments."""
        return 2.0 * _bytes(self.moments, self.moments_group)

    @property
    def master_bytes(self) -> float:
        """Bytes of a parameter's fp32 weight."""
        return 4.0 if self.master else 0.0

    def saved_bytes(self, format_: str, elements: int) -> float:
        """Bytes of an output that the backward reads again."""
        if self.saved is None or FORMATS[self.saved].bits >= FORMATS[format_].bits:
            return float(FORMATS[format_].bytes_for(elements))
        return elements * _bytes(self.saved, self.saved_group)


def _bytes(format_: str, group: int) -> float:
    return (FORMATS[format_].bits_per_element + (_SCALE_BITS / group if group else 0.0)) / 8.0
