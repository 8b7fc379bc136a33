"""A number with its unit, kind and source."""

import math

import pytest

from hwsim.spec import Quantity


def test_a_quantity_prints_with_its_unit() -> None:
    """The short form for messages and tables."""
    assert str(Quantity(819.2e9, "bytes/s", "datasheet", "UG")) == "8.192e+11 bytes/s"
    assert str(Quantity(3, "", "assumed", "why")) == "3"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((1.0, "Hz", "datasheet", " "), "expected where the number comes from"),
        ((math.nan, "Hz", "datasheet", "x"), "expected a number"),
        ((1.0, "Hz", "fitted", "x"), "a fitted value without rows; expected rows: the published rows it was fitted on"),
        ((1.0, "Hz", "fitted", "x", " "), "a fitted value without rows"),
    ],
)
def test_what_no_quantity_may_be(arguments: tuple[object, ...], message: str) -> None:
    """A source is never empty, a fit names its rows, and nan is no value."""
    with pytest.raises(ValueError, match=message):
        Quantity(*arguments)  # type: ignore[arg-type]


def test_an_ideal_part_is_a_quantity() -> None:
    """Infinity stands for what never limits."""
    assert Quantity(math.inf, "bytes/s", "assumed", "ideal memory").value == math.inf
