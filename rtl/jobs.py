"""The scan's jobs: control fields of a token tree, a chain of tokens, an accepted path."""

# mypy: disable-error-code="import-untyped,misc"
from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np

from rtl.base import Ints, require

__all__ = ["FLAGS", "FROM_FIFO", "FROM_MEMORY", "FROM_ZERO", "chain_jobs", "tree_jobs"]

FROM_MEMORY, FROM_FIFO, FROM_ZERO = 0, 1, 2
FLAGS = ("tile", "node", "source", "fresh", "pop", "push", "commit")


def tree_jobs(parents: Sequence[int], tiles: int) -> dict[str, Ints]:
    """The control fields that verify a token tree: tiles outermost, nodes in breadth-first order inside.

    Args:
        parents: each node's parent, -1 for children of the committed state; breadth-first, so never decreasing.
        tiles: tiles of channels.

    Raises:
        HwsimError: a parent does not come before its child, or parents decrease.
    """
    ordered = all(a <= b for a, b in pairwise(parents))
    require(
        "ssm",
        (all(-1 <= parent < node for node, parent in enumerate(parents)), "a parent after its child", "parent < node"),
        (ordered, f"parents {list(parents)}", "breadth-first order: parents never decrease"),
    )
    last_child = {parent: node for node, parent in enumerate(parents)}
    rows = [
        {
            "tile": tile,
            "node": node,
            "source": FROM_MEMORY if parent < 0 else FROM_FIFO,
            "fresh": int(tile == 0),
            "pop": int(parent >= 0 and last_child[parent] == node),
            "push": int(node in parents),
            "commit": 0,
        }
        for tile in range(tiles)
        for node, parent in enumerate(parents)
    ]
    return {name: np.array([row[name] for row in rows], dtype=np.int64) for name in FLAGS}


def chain_jobs(nodes: Sequence[int], tiles: int, *, fresh: bool, zero: bool = False) -> dict[str, Ints]:
    """The control fields that run nodes one after the other and commit each: plain decoding, or an accepted path.

    Args:
        nodes: slots of the nodes' B and C.
        tiles: tiles of channels.
        fresh: B and C come from the stream (else they were kept).
        zero: the first node starts from a zero state.
    """
    tile, index = (a.reshape(-1) for a in np.meshgrid(np.arange(tiles), np.arange(len(nodes)), indexing="ij"))
    none = np.zeros_like(tile)
    return {
        "tile": tile,
        "node": np.asarray(nodes, dtype=np.int64)[index],
        "source": np.where(zero & (index == 0), FROM_ZERO, FROM_MEMORY),
        "fresh": ((tile == 0) & fresh).astype(np.int64),
        "pop": none,
        "push": none,
        "commit": none + 1,
    }
