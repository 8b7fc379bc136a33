"""Builders: a model, its formats and a pass make a graph."""

from __future__ import annotations

from hwsim.workload.builders import mamba
from hwsim.workload.graph import Graph
from hwsim.workload.model import Formats, Mamba1Model, Mamba2Model, Model, Pass

__all__ = ["build"]


def build(model: Model, formats: Formats, pass_: Pass) -> Graph:
    """The graph of one pass of any model."""
    if isinstance(model, Mamba1Model | Mamba2Model):
        return mamba.build(model, formats, pass_)
    raise TypeError(f"no builder for {type(model).__name__}")
