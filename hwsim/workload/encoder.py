"""Encoders of texts: BERT (arXiv 1810.04805), RoBERTa (1907.11692), DistilBERT (1910.01108)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from hwsim.spec import Refused
from hwsim.workload.family_checks import divides
from hwsim.workload.ranges import Count, Layers, Whole

__all__ = ["EncoderModel"]


@dataclass(frozen=True, slots=True)
class EncoderModel:
    """A transformer that reads each text once, all tokens seeing all; norms stand behind the residual additions.

    Attributes:
        d_model: width of the residual stream.
        layers: layers.
        heads: heads.
        d_ff: inner width of the MLP.
        vocab: rows of the embedding.
        max_positions: rows of the table of positions.
        token_types: rows of the table of segments; 0 for none (DistilBERT).
        activation: activation of the MLP.
        pooler: whether a product and a tanh follow each text's first token.
        classes: classes of a head behind the pooler; 0 for none.
        family: tag of this family.
    """

    d_model: Count
    layers: Layers
    heads: Count
    d_ff: Count
    vocab: Count
    max_positions: Count = 512
    token_types: Whole = 2
    activation: Literal["gelu", "relu", "silu"] = "gelu"
    pooler: bool = True
    classes: Whole = 0
    family: Literal["encoder"] = "encoder"

    def __post_init__(self) -> None:
        divides(self.heads, self.d_model, "heads", "d_model")
        if self.classes and not self.pooler:
            raise Refused("", "0 without a pooler", at="classes")
