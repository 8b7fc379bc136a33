"""Number formats of a workload by role: what a workload file gives under ``formats``."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Annotated, Final, Literal, TypeAlias

from hwsim.formats import FORMATS
from hwsim.spec import Bound
from hwsim.workload.ranges import Whole

__all__ = ["FormatName", "Formats"]

FormatName: TypeAlias = Literal[
    "fp32",
    "tf32",
    "fp16",
    "bf16",
    "fp8_e4m3",
    "fp8_e5m2",
    "fp8_block",
    "int8",
    "int6",
    "int4",
    "int1",
    "mxfp4",
    "nvfp4",
]
"""The names of ``hwsim.formats.FORMATS``, spelt out so that the door can check them."""

_WIDE: Final = 16
"""Bits from which on weights were not quantised, and from which on activations were not."""


@dataclass(frozen=True, slots=True)
class Formats:
    """Number formats by role.

    Attributes:
        weights: weights of the matrix products in the layers.
        activations: what products multiply, and what flows between ops unless products quantise it themselves.
        state: recurrent state of the scans.
        conv: taps and window of the causal convolution; default: as ``vectors``.
        kv: keys and values; default: as what flows between ops.
        vectors: gains, biases and the scans' small weights.
        embedding: embedding tables; default: as ``vectors``.
        head: the head's weights; default: as ``embedding`` (they are one table when tied).
        experts: weights of the experts; default: as ``weights``, with their groups.
        router: weights of the product that chooses experts; default: as ``weights``.
        acc: accumulator of the matrix products.
        weight_group: elements along k that share one weight scale; 0 for one scale per row or none.
        activation_group: elements that share one activation scale; 0 for one per row or none.
        quantize: ``dynamic`` when each product quantises what it reads, so that 16 bits flow between ops.
        weight_sparsity: fraction of the layers' weights that are zero and not stored.
        weight_structure: none, unstructured, ``N:M`` or ``block:RxC``.
    """

    weights: FormatName = "bf16"
    activations: FormatName = "bf16"
    state: FormatName = "fp32"
    conv: FormatName | None = None
    kv: FormatName | None = None
    vectors: FormatName = "bf16"
    embedding: FormatName | None = None
    head: FormatName | None = None
    experts: FormatName | None = None
    router: FormatName | None = None
    acc: Literal["auto", "fp32", "fp16", "int32"] = "auto"
    weight_group: Whole = 0
    activation_group: Whole = 0
    quantize: Literal["none", "dynamic"] = "none"
    weight_sparsity: Annotated[float, Bound(low=0, high=1, open_high=True)] = 0.0
    weight_structure: str = "none"

    @property
    def conv_format(self) -> FormatName:
        """Format of the convolution's taps and window."""
        return self.conv or self.vectors

    @property
    def kv_format(self) -> FormatName:
        """Format of keys and values."""
        return self.kv or self.flowing

    @property
    def flowing(self) -> FormatName:
        """Format of what flows between ops: that of products, or 16 bits where those quantise what they read."""
        if self.quantize == "none" or FORMATS[self.activations].bits >= _WIDE:
            return self.activations
        return self.vectors if FORMATS[self.vectors].bits == _WIDE else "bf16"

    @property
    def of_experts(self) -> Formats:
        """What experts multiply in; a format with scales of its own has no other groups."""
        if self.experts is None:
            return self
        group = 0 if FORMATS[self.experts].group else self.weight_group
        return replace(self, weights=self.experts, weight_group=group)

    @property
    def of_router(self) -> Formats:
        """What the choice of experts multiplies in."""
        return self if self.router is None else self._apart(self.router)

    @property
    def embedding_format(self) -> FormatName:
        """Format of embedding tables."""
        return self.embedding or self.vectors

    @property
    def head_format(self) -> FormatName:
        """Format of the head's weights."""
        return self.head or self.embedding_format

    @property
    def of_head(self) -> Formats:
        """What the head multiplies in: its weights as stored, all of them."""
        return self._apart(self.head_format)

    def _apart(self, weights: FormatName) -> Formats:
        """What a product of whole weights in a format of its own multiplies in.

        Weights that were not quantised meet activations that were not: the norm before them writes those as wide.
        """
        whole = replace(self, weights=weights, weight_group=0, weight_sparsity=0.0, weight_structure="none")
        if FORMATS[self.activations].bits < _WIDE <= FORMATS[weights].bits:
            return replace(whole, activations=weights, quantize="none", activation_group=0)
        return whole
