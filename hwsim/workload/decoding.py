"""How tokens are produced: one at a time, or drafted along a token tree and verified together.

:func:`compose` turns a :data:`Decoding` into the :class:`Step` that is repeated. The trees and the arithmetic of
acceptance are in :mod:`hwsim.workload.token_tree` and :mod:`hwsim.workload.acceptance`; their names are exported here
too.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Annotated, Literal, TypeAlias

from hwsim.errors import HwsimError
from hwsim.spec import Refused, Tagged
from hwsim.workload.acceptance import (
    Acceptance,
    ChainAcceptance,
    RankAcceptance,
    accepted_distribution,
    expected_tokens,
    path_probabilities,
    required_tokens_per_step,
    sample,
)
from hwsim.workload.token_tree import MAX_NODES, TokenTree, TreeForm

__all__ = [
    "MAX_NODES",
    "Acceptance",
    "Autoregressive",
    "Backtracking",
    "ChainAcceptance",
    "Decoding",
    "DraftPass",
    "Policy",
    "RankAcceptance",
    "Speculative",
    "Step",
    "TokenTree",
    "TreeForm",
    "accepted_distribution",
    "compose",
    "expected_tokens",
    "path_probabilities",
    "required_tokens_per_step",
    "sample",
]

Policy: TypeAlias = Literal["cache", "replay", "rerun", "auto"]
"""How a model gets back to the state after the accepted path.

``cache``: the state after every node was stored. ``replay``: the SSM inputs of every node were stored and the accepted
ones are applied again. ``rerun``: the accepted tokens are run through the model again. ``auto``: the machine takes the
one with the least traffic that fits.
"""


@dataclass(frozen=True, slots=True)
class Backtracking:
    """Backtracking policy of each model (:data:`Policy`)."""

    target: Policy = "auto"
    draft: Policy = "auto"


@dataclass(frozen=True, slots=True)
class Autoregressive:
    """One token per run of the model."""

    mode: Literal["autoregressive"] = "autoregressive"


@dataclass(frozen=True, slots=True)
class Speculative:
    """Draft along a tree, verify the whole tree in one run of the target.

    Attributes:
        draft: name or file of the draft's workload.
        tree: the tree's form.
        acceptance: how often drafted tokens are accepted.
        policy: how each model gets back to the accepted state.
        mode: tag of this form in a file.
    """

    draft: str
    tree: TreeForm
    acceptance: Acceptance
    policy: Backtracking = field(default_factory=Backtracking)
    mode: Literal["speculative"] = "speculative"

    def __post_init__(self) -> None:
        try:
            expected_tokens(self.tree.tree, self.acceptance)
        except HwsimError as error:
            fault = error.faults[0]
            raise Refused(fault.found, fault.expected, at=fault.where.source) from None


Decoding: TypeAlias = Annotated[Autoregressive | Speculative, Tagged("mode")]


@dataclass(frozen=True, slots=True)
class DraftPass:
    """One run of the draft, which proposes the nodes of ``level``.

    Attributes:
        level: level of the tree that the run proposes, from 1.
        tokens: tokens that the run processes per sequence: all nodes of level - 1, so that the draft's state is known
            after every node but the last level's.
        context: tokens before them on each path.
    """

    level: int
    tokens: int
    context: int


@dataclass(frozen=True, slots=True)
class Step:
    """One step of decoding: draft passes in order, then one verification.

    Attributes:
        draft_passes: one per level of the tree; empty when autoregressive.
        verify_tokens: tokens that the target processes per sequence in one run, root included.
        tokens_per_step: tokens that the step yields per sequence on average (tau).
        draft_catch_up_tokens: accepted tokens, on average, that the draft has not yet seen when the step ends: the
            last level's. The next step's first draft pass (or the target's bonus pass) takes them along.
        tree: the tree; a root alone when autoregressive.
        batch: sequences.
        context: tokens before the root.
    """

    draft_passes: tuple[DraftPass, ...]
    verify_tokens: int
    tokens_per_step: float
    draft_catch_up_tokens: float
    tree: TokenTree
    batch: int
    context: int


def compose(decoding: Decoding, batch: int = 1, context: int = 0) -> Step:
    """The step that ``decoding`` repeats, for ``batch`` sequences with ``context`` tokens before the root.

    Raises:
        HwsimError: ``batch`` below 1 or ``context`` below 0.
    """
    if batch < 1:
        raise HwsimError.at("batch", f"{batch}", "at least 1")
    if context < 0:
        raise HwsimError.at("context", f"{context}", "0 or more")
    if isinstance(decoding, Autoregressive):
        return Step((), 1, 1.0, 0.0, TokenTree(()), batch, context)
    tree = decoding.tree.tree
    passes = tuple(
        DraftPass(level, len(nodes), context + level - 1) for level, nodes in enumerate(tree.levels[:-1], start=1)
    )
    tokens = expected_tokens(tree, decoding.acceptance)
    last = accepted_distribution(tree, decoding.acceptance)[-1]
    return Step(passes, tree.nodes, tokens, last, tree, batch, context)
