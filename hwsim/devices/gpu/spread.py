"""Experts spread over the cards that divide a layer: each card has some of them whole, and their tokens.

All cards of the group hold all tokens, so that no rows are sent to experts; the sum of what experts give is the same
all-reduce as with experts that are divided. Which card a token's choices fall on is random: the step waits for the card
that got most.
"""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from hwsim.workload.training import GRAD_WEIGHT, forward_name

if TYPE_CHECKING:
    from hwsim.workload.op import Op

__all__ = ["busiest", "spread"]

_BETWEEN: Final = frozenset({"dispatch", "mlp_act", "combine"})
"""Ops beside the products of experts."""
_MANY: Final = 1000.0
"""Mean above which a card's share is taken to be normal."""


def busiest(count: int, cards: int) -> int:
    """Choices on the card with most, when ``count`` fall on ``cards`` at random, to the next whole number.

    The expectation of the largest of independent Poisson numbers; of large ones, of normal numbers with their spread.
    """
    if cards == 1 or not count:
        return count
    mean = count / cards
    if mean > _MANY:
        deviation = math.sqrt(mean * (1.0 - 1.0 / cards))
        return min(count, math.ceil(mean + deviation * _largest_normal(cards)))
    expected, below, term, at_most = 0.0, 0, math.exp(-mean), 0.0
    while below < count:
        at_most += term
        expected += 1.0 - min(1.0, at_most) ** cards
        below += 1
        term *= mean / below
    return min(count, max(math.ceil(mean), math.ceil(expected - 1e-9)))


def _largest_normal(cards: int) -> float:
    """Expectation of the largest of so many standard normal numbers, nearly (Blom 1958)."""
    from statistics import NormalDist  # noqa: PLC0415 - a slow import

    return NormalDist().inv_cdf((cards - 0.375) / (cards + 0.25))


def spread(op: Op, cards: int) -> Op | None:
    """The busiest card's part of an op between a layer's tokens and the sum of what experts give; None for others."""
    d = op.dims
    if op.kind == "gemm" and "experts" in op.attributes:
        return _product(op, cards)
    name = forward_name(op.name)
    if op.block != "moe" or name not in _BETWEEN:
        return None
    if name == "mlp_act":
        return replace(op, dims=d.replace(tokens=busiest(d["tokens"], cards)))
    return replace(op, dims=d.replace(picked=-(-d["picked"] // cards)))


def _product(op: Op, cards: int) -> Op:
    """The busiest card's part of a product of experts, or of its gradients: whole matrices, fewer of them."""
    d, experts = op.dims, -(-int(op.attributes["experts"]) // cards)
    held = min(experts, busiest(d["expert"], cards))
    m = d["m"] // d["expert"] * held if op.name.endswith(GRAD_WEIGHT) else busiest(d["m"], cards)
    operands = tuple(
        each if each.resident is None else replace(each, resident=-(-each.resident // cards)) for each in op.operands
    )
    attributes = op.attributes.replace(experts=experts)
    return replace(op, dims=d.replace(expert=held, m=m), operands=operands, attributes=attributes)
