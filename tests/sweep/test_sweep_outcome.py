"""Rows of a sweep, and which of them are best."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from hwsim.errors import Infeasible
from hwsim.sweep import FIGURES, front, row_of

figures = st.lists(st.tuples(st.integers(1, 6), st.integers(1, 6)), max_size=12)


def row(index: int, rate: float | None, per_j: float | None) -> dict[str, object]:
    """A row with only what `front` reads."""
    return {"point": index, "tokens_per_s": rate, "images_per_s": None, "tokens_per_j": per_j, "images_per_j": None}


@given(figures)
def test_front_is_what_no_other_point_beats(rates: list[tuple[int, int]]):
    """Against the definition: no point outside is unbeaten, and none inside is beaten; of equals the first counts."""
    kept = front([row(index, rate, per_j) for index, (rate, per_j) in enumerate(rates)])

    def beaten(index: int) -> bool:
        mine = rates[index]
        return any(
            other[0] >= mine[0] and other[1] >= mine[1] and (other != mine or place < index)
            for place, other in enumerate(rates)
            if place != index
        )

    assert sorted(kept) == [index for index in range(len(rates)) if not beaten(index)]
    assert [rates[index][0] for index in kept] == sorted((rates[index][0] for index in kept), reverse=True)


def test_what_cannot_run_is_on_no_front():
    """An infeasible point has its reason and no figure."""
    bad = row_of(3, {"batch": 9}, Infeasible("device memory", 2, 1, "bytes", "too large"))
    assert bad["point"] == 3
    assert bad["batch"] == 9
    assert bad["infeasible"] == "too large"
    assert all(bad[name] is None for name in FIGURES)
    assert front([bad]) == ()
