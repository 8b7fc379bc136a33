"""How a pass is cut into loads: what the machine runs in one reading of the weights.

Tokens of a tree are verified together, however many they are: n > tp takes ceil(n / tp) passes of compute and one of
weights. Prefill and batch run through the same datapath in tp-wide groups: a chain of up to tp prompt tokens, or as
many sequences as fill the token slots, per reading of the weights. Groups are as few as can be and as equal as can be:
an uneven rest would leave slots idle in one group and make another the bottleneck.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from hwsim.devices.fpga.parameters import FpgaParameters, whole

if TYPE_CHECKING:
    from hwsim.devices.base import PassWork, StatePlan

__all__ = ["Load", "loads_of"]


@dataclass(frozen=True, slots=True)
class Load:
    """Work done in one reading of the weights.

    Attributes:
        tokens: new tokens of each sequence.
        sequences: sequences run side by side.
        state: recurrent-state traffic of each sequence.
        repeats: times that this load is run, one after the other.
    """

    tokens: int
    sequences: int
    state: StatePlan
    repeats: int

    @property
    def slots(self) -> int:
        """Tokens that go through the linear core."""
        return (self.tokens + self.state.rerun_tokens) * self.sequences

    @property
    def scan_tokens(self) -> int:
        """Tokens that go through the state-update lanes, replayed ones included."""
        return self.slots + self.state.replayed_tokens * self.sequences


def loads_of(p: FpgaParameters, work: PassWork) -> tuple[Load, ...]:
    """The loads of a pass, in order; together they cover every token of every sequence once."""
    tp = whole(p.linear.tp)
    if work.role == "prefill":
        return tuple(Load(tokens, 1, work.state, repeats * work.batch) for tokens, repeats in _cut(work.tokens, tp))
    together = max(1, tp // (work.tokens + work.state.rerun_tokens))
    return tuple(Load(work.tokens, sequences, work.state, repeats) for sequences, repeats in _cut(work.batch, together))


def _cut(total: int, most: int) -> Iterator[tuple[int, int]]:
    """``total`` in the fewest groups of at most ``most``, which differ by one at most: (group, how many)."""
    groups = -(-total // most)
    least, larger = divmod(total, groups)
    if larger:
        yield least + 1, larger
    yield least, groups - larger
