"""What a transform may change, and a graph with some of its ops changed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, ClassVar

if TYPE_CHECKING:
    from hwsim.workload.graph import Graph
    from hwsim.workload.model import Pass, Workload
    from hwsim.workload.number_formats import Formats
    from hwsim.workload.op import Op

__all__ = ["Transform", "with_ops"]


@dataclass(frozen=True, slots=True)
class Transform:
    """A change of a model. Subclasses add parameters, a tag ``name``, and override what they change."""

    MEANING: ClassVar[str] = ""
    """One line for `hwsim list transforms`."""

    def __str__(self) -> str:
        """As it may be typed, with the parameters that were given."""
        given = (each.name for each in fields(self) if each.name != "name" and getattr(self, each.name) != each.default)
        parameters = ",".join(f"{name}={getattr(self, name)}" for name in given)
        tag = str(getattr(self, "name", ""))
        return f"{tag}:{parameters}" if parameters else tag

    def of_formats(self, formats: Formats) -> Formats:
        """The number formats after the change.

        Raises:
            HwsimError: the formats cannot be changed so.
        """
        return formats

    def of_graph(self, graph: Graph, workload: Workload, pass_: Pass) -> Graph:
        """The graph of one pass after the change; ``workload`` is the one that the graph was built from.

        Raises:
            HwsimError: the graph has nothing that this transform applies to.
        """
        return graph


def with_ops(graph: Graph, change: Callable[[Op], Op]) -> Graph:
    """A graph of changed ops with the same names and edges; shapes are checked anew.

    Raises:
        HwsimError: a changed op no longer fits its neighbours.
    """
    from hwsim.workload.graph import Graph  # noqa: PLC0415 - networkx stays out of what reads files

    changed = Graph(graph.name)
    for op in graph.ops:
        changed.add(change(op))
    for edge in graph.edges:
        changed.connect(*edge)
    return changed
