"""A workload with its transforms applied: first the formats, then, pass by pass, the graph."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from hwsim.workload.graph import Graph
    from hwsim.workload.model import Pass, Workload

__all__ = ["graph_of", "prepared"]


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
    from hwsim.workload.builders import build  # noqa: PLC0415 - networkx stays out of what reads files

    graph = build(workload.model, workload.formats, pass_)
    for transform in workload.transforms:
        graph = transform.of_graph(graph, workload, pass_)
    return graph
