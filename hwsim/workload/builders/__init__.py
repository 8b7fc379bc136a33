"""Builders: a model, its formats and a pass make a graph."""

from __future__ import annotations

from hwsim.workload.builders import convnet, hybrid, listed, mamba, transformer, vit
from hwsim.workload.graph import Graph
from hwsim.workload.model import (
    ConvNetModel,
    Formats,
    HybridModel,
    Mamba1Model,
    Mamba2Model,
    Model,
    OpsModel,
    Pass,
    TransformerModel,
)

__all__ = ["build"]


def build(model: Model, formats: Formats, pass_: Pass) -> Graph:
    """The graph of one pass of any model."""
    if isinstance(model, Mamba1Model | Mamba2Model):
        return mamba.build(model, formats, pass_)
    if isinstance(model, TransformerModel):
        return transformer.build(model, formats, pass_)
    if isinstance(model, HybridModel):
        return hybrid.build(model, formats, pass_)
    if isinstance(model, ConvNetModel):
        return convnet.build(model, formats, pass_)
    if isinstance(model, OpsModel):
        return listed.build(model, formats, pass_)
    return vit.build(model, formats, pass_)
