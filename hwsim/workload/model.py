"""What a workload file says: a model (``families``), number formats, how tokens are produced, and what to run.

All are frozen dataclasses that the door (``hwsim.spec``) builds from YAML.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal, TypeAlias

from hwsim.spec import Refused
from hwsim.workload.decoding import Autoregressive, Decoding
from hwsim.workload.families import (
    ONE_PASS_MODELS,
    ConvNetModel,
    Count,
    EncoderModel,
    HybridModel,
    Mamba1Model,
    Mamba2Model,
    Model,
    OpsModel,
    TransformerModel,
    VitModel,
    Whole,
    kind_of,
    of_images,
    phases_of,
    takes_context,
)
from hwsim.workload.number_formats import FormatName, Formats
from hwsim.workload.recipe import Recipe
from hwsim.workload.transform.known import AnyTransform

__all__ = [
    "ONE_PASS_MODELS",
    "ConvNetModel",
    "EncoderModel",
    "FormatName",
    "Formats",
    "HybridModel",
    "Mamba1Model",
    "Mamba2Model",
    "Model",
    "OpsModel",
    "Pass",
    "Phase",
    "Recipe",
    "Run",
    "TransformerModel",
    "VitModel",
    "Workload",
    "kind_of",
    "of_images",
    "phases_of",
    "takes_context",
]

Phase: TypeAlias = Literal["decode", "prefill", "inference", "train"]


@dataclass(frozen=True, slots=True)
class Run:
    """What to run when the user does not say.

    Attributes:
        phase: decode, prefill, or inference (a whole request: prompt, then new tokens; or texts, or images).
        batch: sequences or images.
        context: tokens before the new ones (decode), of the prompt (prefill), or of a text (encoders).
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
        transforms: changes made to the model, in order (``hwsim.workload.transform``).
        training: how it is trained (``--phase train``).
    """

    name: str
    model: Model
    description: str = ""
    source: str = ""
    formats: Formats = field(default_factory=Formats)
    decoding: Decoding = field(default_factory=Autoregressive)
    run: Run = field(default_factory=Run)
    transforms: tuple[AnyTransform, ...] = ()
    training: Recipe = field(default_factory=Recipe)

    def __post_init__(self) -> None:
        phases = phases_of(self.model)
        if self.run.phase not in phases:
            raise Refused("", f"{' or '.join(phases)} for {kind_of(self.model)}", at="run.phase")


@dataclass(frozen=True, slots=True)
class Pass:
    """One run of one model.

    Attributes:
        phase: decode (a tree's verification is one with ``tokens`` nodes), prefill, or inference (texts, images).
        batch: sequences or images.
        tokens: new tokens per sequence, of a text; 1 for images.
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
