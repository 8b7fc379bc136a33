"""Whole numbers that a workload file may hold."""

from __future__ import annotations

from typing import Annotated, TypeAlias

from hwsim.spec import Bound

__all__ = ["Count", "Layers", "Whole"]

Count: TypeAlias = Annotated[int, Bound(low=1, high=1_000_000_000)]
"""A whole number from 1."""
Whole: TypeAlias = Annotated[int, Bound(low=0, high=1_000_000_000)]
"""A whole number from 0."""
Layers: TypeAlias = Annotated[int, Bound(low=1, high=10_000)]
"""Layers of a model; the graph holds each one, so that a slip of a finger does not fill the memory."""
