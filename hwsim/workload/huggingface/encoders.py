"""Encoders of texts of Hugging Face: what their configuration classes mean as an `EncoderModel`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from hwsim.workload.encoder import EncoderModel
from hwsim.workload.families import Model
from hwsim.workload.huggingface.config import Config, activation_of

__all__ = ["bert", "distilbert"]

_CLASSIFIES = "ForSequenceClassification"


def bert(*, vocab: int, segments: int = 2, pooler: bool = True) -> Callable[[Config], Model]:
    """BERT and what is like it; ``vocab`` and ``segments`` where the file names none."""

    def model(config: Config) -> Model:
        if config.flag("is_decoder", False):
            raise config.refuse("is_decoder", "false: an encoder that decodes is in no family")
        position = config.keys.get("position_embedding_type", "absolute")
        if position != "absolute":
            raise config.refuse("position_embedding_type", "absolute: relative positions are in no family")
        width = config.whole("hidden_size", default=768)
        if config.whole("embedding_size", default=width) != width:
            raise config.refuse("embedding_size", f"hidden_size = {width}: a narrower embedding is in no family")
        return EncoderModel(
            d_model=width,
            layers=config.whole("num_hidden_layers", default=12),
            heads=config.whole("num_attention_heads", default=12),
            d_ff=config.whole("intermediate_size", default=3072),
            vocab=config.whole("vocab_size", default=vocab),
            max_positions=config.whole("max_position_embeddings", default=512),
            token_types=config.whole("type_vocab_size", default=segments),
            **_end(config, "hidden_act", pooler),
        )

    return model


def distilbert(config: Config) -> Model:
    """DistilBERT: no segments, no pooler; that of its classifier stands in for it."""
    return EncoderModel(
        d_model=config.whole("dim", default=768),
        layers=config.whole("n_layers", default=6),
        heads=config.whole("n_heads", default=12),
        d_ff=config.whole("hidden_dim", default=3072),
        vocab=config.whole("vocab_size", default=30522),
        max_positions=config.whole("max_position_embeddings", default=512),
        token_types=0,
        **_end(config, "activation", False),
    )


def _end(config: Config, activation: str, pooler: bool) -> dict[str, Any]:
    """Activation, pooler and head: a classifier has both, other checkpoints are taken for the bare encoder."""
    word = activation_of(config, activation, default="gelu")
    if word == "relu2":
        raise config.refuse(activation, "gelu, relu or silu")
    classes = 0
    if any(each.endswith(_CLASSIFIES) for each in config.words("architectures")):
        labels = config.keys.get("id2label")
        classes = len(labels) if isinstance(labels, dict) and labels else config.whole("num_labels", default=2)
    return {"activation": word, "pooler": pooler or classes > 0, "classes": classes}
