"""Acceptance: how often drafted tokens agree with the target, and the tokens that a step therefore yields.

Glossary (Leviathan et al. 2023 for chains; Miao et al. 2024, SpecInfer, for trees):

* a: probability that one drafted token is accepted, given that all before it were.
* K: drafted tokens of a chain.
* tau: tokens that one verification yields on average, 1 (the target's own token) + accepted drafted tokens.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import Annotated, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from hwsim.errors import HwsimError
from hwsim.spec import Quantity, Refused, Tagged, Unit
from hwsim.workload.token_tree import MAX_NODES, TokenTree

__all__ = [
    "Acceptance",
    "ChainAcceptance",
    "RankAcceptance",
    "accepted_distribution",
    "expected_tokens",
    "path_probabilities",
    "rank_probabilities",
    "required_tokens_per_step",
    "sample",
]


@dataclass(frozen=True, slots=True)
class ChainAcceptance:
    """How often the drafted tokens of a chain are accepted: exactly one of the two quantities.

    Attributes:
        per_token: probability ``a`` that a drafted token is accepted, given that all before it were; the same for all.
        accepted_ratio: accepted / drafted tokens as measured on a chain, so tau = 1 + K * ratio.
        drafted: chain length K at which ``accepted_ratio`` was measured. When given, a chain of another length uses the
            per-token probability that yields the ratio at this length; when left out, the ratio is taken as measured
            on the chain at hand.
        model: tag of this form in a file.
    """

    model: Literal["chain"] = "chain"
    per_token: Annotated[Quantity, Unit("1")] | None = None
    accepted_ratio: Annotated[Quantity, Unit("1")] | None = None
    drafted: int | None = None

    def __post_init__(self) -> None:
        given = [name for name in ("per_token", "accepted_ratio") if getattr(self, name) is not None]
        if len(given) != 1:
            raise Refused(" and ".join(given) or "no probability", "exactly one of per_token, accepted_ratio")
        _check_probability(getattr(self, given[0]), given[0])
        if self.drafted is not None and self.accepted_ratio is None:
            raise Refused("drafted without accepted_ratio", "drafted only beside accepted_ratio", at="drafted")
        if self.drafted is not None and not 1 <= self.drafted < MAX_NODES:
            raise Refused(f"{self.drafted} drafted tokens", f"a chain length, 1 to {MAX_NODES - 1}", at="drafted")

    def per_token_at(self, drafted: int) -> float:
        """Per-token probability for a chain of ``drafted`` tokens."""
        if self.per_token is not None:
            return self.per_token.value
        measured_at = self.drafted or drafted
        if self.accepted_ratio is None or not measured_at:
            return 0.0
        return _per_token_from_ratio(self.accepted_ratio.value, measured_at)


@dataclass(frozen=True, slots=True)
class RankAcceptance:
    """Acceptance by rank, for trees.

    Attributes:
        per_rank: probability that the true next token is the sibling of rank r, given that the parent was accepted;
            at most 1 in all, what is left being the probability that no sibling matches.
        model: tag of this form in a file.
    """

    per_rank: tuple[Annotated[Quantity, Unit("1")], ...]
    model: Literal["rank"] = "rank"

    def __post_init__(self) -> None:
        if not self.per_rank:
            raise Refused("no probability", "at least one", at="per_rank")
        for rank, quantity in enumerate(self.per_rank):
            _check_probability(quantity, f"per_rank[{rank}]")
        total = sum(self.values)
        if total > 1 + 1e-9:
            raise Refused(f"probabilities that add up to {total:.6g}", "at most 1 in all", at="per_rank")

    @property
    def values(self) -> tuple[float, ...]:
        """The bare probabilities."""
        return tuple(quantity.value for quantity in self.per_rank)


Acceptance: TypeAlias = Annotated[ChainAcceptance | RankAcceptance, Tagged("model")]


def rank_probabilities(tree: TokenTree, acceptance: Acceptance) -> tuple[float, ...]:
    """Probability of acceptance by rank that holds for ``tree``, [at least the tree's ranks].

    Raises:
        HwsimError: the tree branches further than the acceptance says anything about.
    """
    if isinstance(acceptance, ChainAcceptance):
        if not tree.is_chain:
            raise HwsimError.at(
                "acceptance", "a chain's acceptance for a tree that branches", "model: rank with per_rank"
            )
        return (acceptance.per_token_at(tree.drafted),)
    needed = max(tree.ranks) + 1
    if needed > len(acceptance.per_rank):
        raise HwsimError.at(
            "acceptance.per_rank",
            f"{len(acceptance.per_rank)} probabilities for a tree in which a node has {needed} children",
            f"at least {needed}",
        )
    return acceptance.values


def path_probabilities(tree: TokenTree, acceptance: Acceptance) -> tuple[float, ...]:
    """Probability that each node's whole path from the root is accepted, [nodes]; 1 for the root."""
    by_rank = rank_probabilities(tree, acceptance)
    probabilities = [1.0]
    for parent, rank in zip(tree.parents, tree.ranks[1:], strict=True):
        probabilities.append(probabilities[parent] * by_rank[rank])
    return tuple(probabilities)


def expected_tokens(tree: TokenTree, acceptance: Acceptance) -> float:
    """Tokens that a step yields on average (tau).

    Chains in closed form: (1 - a^(K+1)) / (1 - a), or 1 + K * ratio as measured. Trees by enumeration: the number of
    accepted tokens is the number of nodes whose whole path is accepted, so tau = 1 + the sum of those probabilities.
    """
    if isinstance(acceptance, ChainAcceptance) and tree.is_chain:
        ratio = acceptance.accepted_ratio
        if ratio is not None and acceptance.drafted in (None, tree.drafted):
            return 1.0 + tree.drafted * ratio.value
        return _chain_tokens(acceptance.per_token_at(tree.drafted), tree.drafted)
    return sum(path_probabilities(tree, acceptance))


def accepted_distribution(tree: TokenTree, acceptance: Acceptance) -> tuple[float, ...]:
    """Probability that exactly L drafted tokens are accepted, L = 0 to the tree's depth, [depth + 1]."""
    probabilities = path_probabilities(tree, acceptance)
    reached = [sum(probabilities[node] for node in level) for level in tree.levels] + [0.0]
    return tuple(here - deeper for here, deeper in pairwise(reached))


def sample(tree: TokenTree, acceptance: Acceptance, rng: np.random.Generator, steps: int) -> NDArray[np.int64]:
    """Tokens that each of ``steps`` random steps yields, [steps], by walking the tree from the root."""
    cumulative = np.cumsum(rank_probabilities(tree, acceptance))
    fanout = max((len(siblings) for siblings in tree.children), default=0)
    child = np.full((tree.nodes + 1, max(fanout, 1)), tree.nodes, dtype=np.int64)
    for node, siblings in enumerate(tree.children):
        child[node, : len(siblings)] = siblings
    at = np.zeros(steps, dtype=np.int64)
    tokens = np.ones(steps, dtype=np.int64)
    for _ in range(tree.depth):
        rank = np.searchsorted(cumulative, rng.random(steps), side="right")
        known = rank < child.shape[1]
        at = np.where(known, child[at, np.where(known, rank, 0)], tree.nodes)
        tokens += at < tree.nodes
    return tokens


def required_tokens_per_step(speedup: float, step_time_s: float, autoregressive_time_s: float) -> float:
    """Tokens per step (tau) at which steps of ``step_time_s`` are ``speedup`` times as fast as one token at a time.

    From speedup = tau * autoregressive_time / step_time. It may exceed what the tree can yield.
    """
    if min(speedup, step_time_s, autoregressive_time_s) <= 0:
        found = f"speedup {speedup:g}, step {step_time_s:g} s, autoregressive {autoregressive_time_s:g} s"
        raise HwsimError.at("required tokens per step", found, "three positive numbers")
    return speedup * step_time_s / autoregressive_time_s


def _chain_tokens(per_token: float, drafted: int) -> float:
    """(1 - a^(K+1)) / (1 - a), the geometric sum 1 + a + ... + a^K (Leviathan et al. 2023, equation 1)."""
    if per_token > 1 - 1e-6:
        return sum(per_token**i for i in range(drafted + 1))
    return float((1 - per_token ** (drafted + 1)) / (1 - per_token))


def _per_token_from_ratio(ratio: float, drafted: int) -> float:
    """The per-token probability whose chain of ``drafted`` tokens accepts the share ``ratio``, by bisection."""
    low, high = 0.0, 1.0
    for _ in range(80):
        middle = (low + high) / 2
        if _chain_tokens(middle, drafted) - 1 < drafted * ratio:
            low = middle
        else:
            high = middle
    return (low + high) / 2


def _check_probability(quantity: Quantity, at: str) -> None:
    if not 0 <= quantity.value <= 1:
        raise Refused(f"{quantity.value:g}", "a probability, 0 to 1", at=f"{at}.value")
