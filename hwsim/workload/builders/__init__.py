"""Builders: a model, its formats and a pass make a graph."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from hwsim.workload.builders import convnet, encoder, hybrid, listed, mamba, transformer, vit
from hwsim.workload.graph import Graph
from hwsim.workload.model import (
    ConvNetModel,
    EncoderModel,
    Formats,
    HybridModel,
    Mamba1Model,
    Mamba2Model,
    Model,
    OpsModel,
    Pass,
    TransformerModel,
    VitModel,
)

__all__ = ["build"]

_BUILDERS: Final[dict[type, Callable[[Any, Formats, Pass], Graph]]] = {
    ConvNetModel: convnet.build,
    EncoderModel: encoder.build,
    HybridModel: hybrid.build,
    Mamba1Model: mamba.build,
    Mamba2Model: mamba.build,
    OpsModel: listed.build,
    TransformerModel: transformer.build,
    VitModel: vit.build,
}


def build(model: Model, formats: Formats, pass_: Pass) -> Graph:
    """The graph of one pass of any model."""
    return _BUILDERS[type(model)](model, formats, pass_)
