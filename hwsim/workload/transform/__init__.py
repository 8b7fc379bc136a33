"""Transforms: changes made to a model before it runs, as ``--transform NAME:k=v,…`` or ``transforms:`` in a file.

Each kind of transform is a frozen dataclass in a file of its own, built by the door from its tag ``name`` and its
parameters, and listed in ``known``. It may change the number formats, the graph, or both; the defaults leave them.
"""

from __future__ import annotations

from hwsim.workload.transform.apply import graph_of, prepared
from hwsim.workload.transform.base import Transform, with_ops
from hwsim.workload.transform.known import TRANSFORMS, AnyTransform
from hwsim.workload.transform.text import flow_of

__all__ = ["TRANSFORMS", "AnyTransform", "Transform", "flow_of", "graph_of", "prepared", "with_ops"]
