"""A workload with its transforms applied: first the formats, then, pass by pass, the graph."""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from hwsim.workload.graph import Graph
    from hwsim.workload.model import Pass, Workload

__all__ = ["graph_of", "prepared"]

_MOST_LAYERS: Final = 1000
"""Layers of the largest model whose graph is kept: of more, a few graphs would fill the memory."""


def prepared(workload: Workload) -> Workload:
    """The workload in the formats that its transforms leave; a machine is asked for those.

    Raises:
        HwsimError: a transform does not apply to this workload.
    """
    formats = workload.formats
    for transform in workload.transforms:
        formats = transform.of_formats(formats)
    return replace(workload, formats=formats)


def graph_of(workload: Workload, pass_: Pass) -> Graph:
    """The graph of one pass, transforms applied in order. Formats are taken as they stand (see :func:`prepared`).

    Raises:
        HwsimError: a transform does not apply to this workload.
    """
    return _kept(workload, pass_) if workload.model.layers <= _MOST_LAYERS else _built(workload, pass_)


def _built(workload: Workload, pass_: Pass) -> Graph:
    from hwsim.workload.builders import build  # noqa: PLC0415 - networkx stays out of what reads files

    graph = build(workload.model, workload.formats, pass_)
    for transform in workload.transforms:
        graph = transform.of_graph(graph, workload, pass_)
    return graph


_kept = lru_cache(maxsize=32)(_built)
"""The last graphs: a question to several machines, or to one with other constants, is about the same ones. A graph that
is built is not changed."""
