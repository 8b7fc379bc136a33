"""Token trees: what is drafted, in which order it is verified, and how many parent states are live meanwhile.

Node 0, the root, is the last accepted token and is always verified; node i > 0 is a drafted token, and its *rank* is
its place among its siblings (0 = the draft's first choice). Trees are numbered breadth-first, so parents never
decrease: parent states leave a first-in first-out buffer in the order in which they entered it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

from hwsim.spec import Refused

__all__ = ["MAX_NODES", "TokenTree", "TreeForm"]

MAX_NODES: Final = 1024
"""Largest tree accepted, root included: far beyond published ones (13 in STree), small enough to enumerate at once."""


@dataclass(frozen=True, slots=True)
class TokenTree:
    """A token tree in breadth-first order.

    Attributes:
        parents: ``parents[i - 1]`` is the parent of node ``i``, for nodes 1 to n-1; node 0 is the root. Empty for a
            root alone (autoregressive decoding).

    Raises:
        Refused: a parent does not come before its child, the order is not breadth-first, or more than
            :data:`MAX_NODES` nodes.
    """

    parents: tuple[int, ...]

    def __post_init__(self) -> None:
        if len(self.parents) >= MAX_NODES:
            raise Refused(f"{len(self.parents) + 1} nodes with the root", f"at most {MAX_NODES}")
        for node, parent in enumerate(self.parents, start=1):
            if not 0 <= parent < node:
                expected = f"a node that comes before it: 0 to {node - 1}"
                raise Refused(f"parent {parent} of node {node}", expected, at=f"[{node - 1}]")
        for index, (before, after) in enumerate(pairwise(self.parents), start=1):
            if after < before:
                expected = "breadth-first order, in which parents never decrease"
                raise Refused(f"parent {after} after parent {before}", expected, at=f"[{index}]")

    @classmethod
    def chain(cls, drafted: int) -> TokenTree:
        """The chain of ``drafted`` tokens behind the root."""
        if not 0 <= drafted < MAX_NODES:
            raise Refused(f"{drafted} drafted tokens", f"0 to {MAX_NODES - 1}")
        return cls(tuple(range(drafted)))

    @classmethod
    def from_levels(cls, levels: Sequence[Sequence[int]]) -> TokenTree:
        """The tree given by level: ``levels[l][j]`` is the parent of node j of level l+1, counted within level l.

        STree's static tree is ``[[0,0,0],[0,0,1],[0,0,1],[0,0,0]]`` (repository wyc1997/stree, hybrid wrapper).
        """
        parents: list[int] = []
        first, width = 0, 1
        for depth, level in enumerate(levels):
            _check_level(depth, level, width)
            parents.extend(first + index for index in level)
            first, width = first + width, len(level)
        return cls(tuple(parents))

    @property
    def nodes(self) -> int:
        """Nodes with the root: the tokens that one verification processes."""
        return len(self.parents) + 1

    @property
    def drafted(self) -> int:
        """Nodes without the root."""
        return len(self.parents)

    @property
    def node_depths(self) -> tuple[int, ...]:
        """Depth of each node, [nodes]; 0 for the root."""
        depths = [0]
        for parent in self.parents:
            depths.append(depths[parent] + 1)
        return tuple(depths)

    @property
    def depth(self) -> int:
        """Depth of the deepest node: the most drafted tokens that a step can accept."""
        return self.node_depths[-1]

    @property
    def levels(self) -> tuple[tuple[int, ...], ...]:
        """Nodes of each level, root's level first, [depth + 1][nodes of the level]."""
        rows: list[list[int]] = [[] for _ in range(self.depth + 1)]
        for node, depth in enumerate(self.node_depths):
            rows[depth].append(node)
        return tuple(tuple(row) for row in rows)

    @property
    def children(self) -> tuple[tuple[int, ...], ...]:
        """Children of each node in order of rank, [nodes][children]."""
        rows: list[list[int]] = [[] for _ in range(self.nodes)]
        for node, parent in enumerate(self.parents, start=1):
            rows[parent].append(node)
        return tuple(tuple(row) for row in rows)

    @property
    def ranks(self) -> tuple[int, ...]:
        """Place of each node among its siblings, [nodes]; 0 for the root."""
        ranks = [0] * self.nodes
        for siblings in self.children:
            for rank, node in enumerate(siblings):
                ranks[node] = rank
        return tuple(ranks)

    @property
    def internal(self) -> tuple[int, ...]:
        """Nodes that have children, in order."""
        return tuple(sorted(set(self.parents)))

    @property
    def is_chain(self) -> bool:
        """Whether no node has two children."""
        return self.parents == tuple(range(self.drafted))

    def path(self, node: int) -> tuple[int, ...]:
        """Nodes from the root to ``node``, both included."""
        nodes = [node]
        while nodes[-1] != 0:
            nodes.append(self.parents[nodes[-1] - 1])
        return tuple(reversed(nodes))

    @property
    def fifo_peak(self) -> int:
        """Most parent states live at once when nodes are processed in order.

        A node reads its parent's state at the head of the buffer; the parent is popped when its last child has read
        it, then the node's own state is pushed if it has children. Between levels l and l+1 at most
        internal(l) + internal(l+1) states are live, one fewer where a level's last node is internal.
        A root without children needs none.
        """
        children = self.children
        live = peak = int(bool(self.parents))
        for node, parent in enumerate(self.parents, start=1):
            live -= node == children[parent][-1]
            live += bool(children[node])
            peak = max(peak, live)
        return peak


@dataclass(frozen=True, slots=True)
class TreeForm:
    """A tree as a file gives it: exactly one of the three fields.

    Attributes:
        chain: number of drafted tokens in a row.
        parents: parents of nodes 1 to n-1 (:class:`TokenTree`).
        levels: parents by level (:meth:`TokenTree.from_levels`).
    """

    chain: int | None = None
    parents: tuple[int, ...] | None = None
    levels: tuple[tuple[int, ...], ...] | None = None

    def __post_init__(self) -> None:
        forms = {"chain": self.chain, "parents": self.parents, "levels": self.levels}
        given = [name for name, form in forms.items() if form is not None]
        if len(given) != 1:
            raise Refused(" and ".join(given) or "no tree", "exactly one of " + ", ".join(forms))
        try:
            drafted = self.tree.drafted
        except Refused as error:
            raise Refused(error.found, error.expected, at=given[0] + error.at) from None
        if not drafted:
            raise Refused("no drafted token", "at least one (mode: autoregressive drafts none)", at=given[0])

    @property
    def tree(self) -> TokenTree:
        """The tree."""
        if self.chain is not None:
            return TokenTree.chain(self.chain)
        if self.parents is not None:
            return TokenTree(self.parents)
        return TokenTree.from_levels(self.levels or ())


def _check_level(depth: int, level: Sequence[int], width: int) -> None:
    """Raise unless ``level`` holds indices into a previous level of ``width`` nodes, in order."""
    if not level:
        raise Refused("an empty level", "at least one node in each level", at=f"[{depth}]")
    for index, parent in enumerate(level):
        if not 0 <= parent < width:
            expected = f"an index into the previous level: 0 to {width - 1}"
            raise Refused(f"parent {parent}", expected, at=f"[{depth}][{index}]")
        if parent < level[index - 1] and index:
            expected = "breadth-first order, in which parents never decrease"
            raise Refused(f"parent {parent} after parent {level[index - 1]}", expected, at=f"[{depth}][{index}]")
