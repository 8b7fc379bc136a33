"""Scale constants, and numbers as a reader sees them."""

from __future__ import annotations

import math
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hwsim import units
from hwsim.units import format_bytes, format_count, format_rate, format_seconds, format_si

SCALES = {"Z": 1e21, "E": 1e18, "P": 1e15, "T": 1e12, "G": 1e9, "M": 1e6, "k": 1e3, "": 1.0}
SCALES |= {"m": 1e-3, "u": 1e-6, "n": 1e-9, "p": 1e-12}


def test_decimal_and_binary_scales_differ() -> None:
    """GB is not GiB."""
    assert (units.KILO, units.MEGA, units.GIGA, units.TERA) == (10**3, 10**6, 10**9, 10**12)
    assert (units.KIB, units.MIB, units.GIB) == (2**10, 2**20, 2**30)
    assert units.PICO == 1e-12


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0, "0 s"),
        (0.1387, "138.7 ms"),
        (0.0123, "12.3 ms"),
        (1.0, "1 s"),
        (999.99, "1 ks"),
        (999.94, "999.9 s"),
        (-2.5e-7, "-250 ns"),
        (3e-15, "0.003 ps"),
        (2.5e18, "2.5 Es"),
        (2.5e25, "2.5e+04 Zs"),
        (math.inf, "inf s"),
        (-math.inf, "-inf s"),
    ],
)
def test_seconds(value: float, text: str) -> None:
    """A prefix that leaves one to three digits before the point, four significant digits."""
    assert format_seconds(value) == text


def test_other_units() -> None:
    """Bytes and rates have decimal prefixes; a bare number has no trailing space."""
    assert format_bytes(1_394_403_328) == "1.394 GB"
    assert format_rate(819.2e9) == "819.2 GB/s"
    assert format_si(1500, "") == "1.5 k"
    assert format_si(0, "") == "0"
    assert format_si(1234.5, "J", digits=2) == "1.2 kJ"


@given(st.floats(1e-12, 9.999e23), st.integers(2, 8))
def test_printed_values_read_back(value: float, digits: int) -> None:
    """The text's number times its prefix is the value to the digits asked, and stays below 1000 of the prefix."""
    found = re.fullmatch(r"([0-9.e+]+) ([ZEPTGMkmunp]?)B", format_si(value, "B", digits))
    assert found, format_si(value, "B", digits)
    number, prefix = float(found[1]), found[2]
    assert number * SCALES[prefix] == pytest.approx(value, rel=0.5 * 10 ** (1 - digits) * 1.001)
    assert prefix == "Z" or number < 1000 or digits < 3


@pytest.mark.parametrize(
    ("value", "text"), [(635199, "635,199"), (2.0, "2"), (3.0475, "3.047"), (12345.678, "1.235e+04"), (0, "0")]
)
def test_counts(value: float, text: str) -> None:
    """Whole numbers with separators of thousands, others with four significant digits."""
    assert format_count(value) == text
