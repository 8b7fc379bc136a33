"""What a workload file says: a model (``families``), number formats, how tokens are produced, and what to run.

All are frozen dataclasses that the door (``hwsim.spec``) builds from YAML.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Annotated, Literal, TypeAlias

from hwsim.spec import Bound, Refused
from hwsim.workload.decoding import Autoregressive, Decoding
from hwsim.workload.families import (
    Count,
    HybridModel,
    Mamba1Model,
    Mamba2Model,
    Model,
    TransformerModel,
    VitModel,
    Whole,
)

__all__ = [
    "FormatName",
    "Formats",
    "HybridModel",
    "Mamba1Model",
    "Mamba2Model",
    "Model",
    "Pass",
    "Phase",
    "Run",
    "TransformerModel",
    "VitModel",
    "Workload",
]

Phase: TypeAlias = Literal["decode", "prefill", "inference", "train"]
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


@dataclass(frozen=True, slots=True)
class Formats:
    """Number formats by role.

    Attributes:
        weights: weights of the matrix products in the layers.
        activations: what flows between ops.
        state: recurrent state of the scans.
        conv: taps and window of the causal convolution; default: as ``vectors``.
        kv: keys and values; default: as ``activations``.
        vectors: gains, biases and the scans' small weights.
        embedding: embedding tables; default: as ``vectors``.
        head: the head's weights; default: as ``embedding`` (they are one table when tied).
        acc: accumulator of the matrix products.
        weight_group: elements along k that share one weight scale; 0 for one scale per row or none.
        activation_group: elements that share one activation scale; 0 for one per row or none.
        quantize: ``dynamic`` when activations are quantised as they flow.
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
        return self.kv or self.activations

    @property
    def embedding_format(self) -> FormatName:
        """Format of embedding tables."""
        return self.embedding or self.vectors

    @property
    def head_format(self) -> FormatName:
        """Format of the head's weights."""
        return self.head or self.embedding_format


@dataclass(frozen=True, slots=True)
class Run:
    """What to run when the user does not say.

    Attributes:
        phase: decode, prefill, or inference (a whole request: prompt, then new tokens; or images).
        batch: sequences or images.
        context: tokens before the new ones (decode), or tokens of the prompt (prefill).
        new_tokens: tokens to decode.
        lm_head: whether embedding, final norm and head run on the machine or on its host, outside the time measured.
    """

    phase: Phase = "decode"
    batch: Count = 1
    context: Whole = 0
    new_tokens: Count = 1
    lm_head: Literal["device", "host"] = "device"


@dataclass(frozen=True, slots=True)
class Workload:
    """A model with its formats, its decoding and its default run.

    Attributes:
        name: the name that tables show.
        model: the model.
        description: one line for a reader.
        source: where the shapes come from.
        formats: number formats.
        decoding: how tokens are produced.
        run: what to run by default.
    """

    name: str
    model: Model
    description: str = ""
    source: str = ""
    formats: Formats = field(default_factory=Formats)
    decoding: Decoding = field(default_factory=Autoregressive)
    run: Run = field(default_factory=Run)

    def __post_init__(self) -> None:
        if isinstance(self.model, VitModel) and self.run.phase != "inference":
            raise Refused("", "inference for a vision transformer", at="run.phase")


@dataclass(frozen=True, slots=True)
class Pass:
    """One run of one model.

    Attributes:
        phase: decode (a tree's verification is one with ``tokens`` nodes), prefill, or inference (images).
        batch: sequences or images.
        tokens: new tokens per sequence; 1 for inference.
        context: tokens before them.
        lm_head: whether embedding, final norm and head are part of it.
    """

    phase: Phase
    batch: int = 1
    tokens: int = 1
    context: int = 0
    lm_head: bool = True

    @property
    def rows(self) -> int:
        """New tokens of all sequences: rows of the matrix products."""
        return self.batch * self.tokens
