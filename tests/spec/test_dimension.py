"""Units: names, prefixes, products and quotients."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hwsim.spec.dimension import _SHOWN, convert, examples_of, parse_unit, suggest_unit


@pytest.mark.parametrize(
    ("value", "unit", "to", "expected"),
    [
        (819.2, "GB/s", "bytes/s", 819.2e9),
        (1, "GiB/s", "bytes/s", 2**30),
        (1, "KiB", "bytes", 1024),
        (1, "kB", "bytes", 1000),
        (8, "bits", "bytes", 1),
        (100, "Gbit/s", "bytes/s", 12.5e9),
        (1.4, "GHz", "Hz", 1.4e9),
        (400, "MHz", "Hz", 400e6),
        (138.7, "ms", "s", 0.1387),
        (3, "ns", "s", 3e-9),
        (1, "pJ/bit", "pJ/byte", 8),
        (2, "nJ/byte", "pJ/byte", 2000),
        (5, "mW", "W", 5e-3),
        (1, "J/s", "W", 1),
        (1, "1/s", "Hz", 1),
        (50, "%", "1", 0.5),
        (3, "", "1", 3),
        (2, "TFLOP/s", "flop/s", 2e12),
        (3, "LUTs", "LUT", 3),
        (64, "mac/cycle", "macs/cycles", 64),
        (1, "mm2", "um2", 1e6),
        (650, "nm", "m", 650e-9),
        (math.inf, "GB/s", "bytes/s", math.inf),
    ],
)
def test_conversions(value: float, unit: str, to: str, expected: float) -> None:
    """Each scale is that of the SI brochure, or of IEC 80000-13 for Ki, Mi, Gi; exact where floats allow."""
    assert convert(value, unit, to) == expected


@pytest.mark.parametrize(
    ("unit", "to"),
    [
        ("Hz", "bytes/s"),
        ("GB", "GB/s"),
        ("cycles", "s"),
        ("LUT", "DSP"),
        ("pJ", "pJ/byte"),
        ("GBs", "GB/s"),
        ("1", "Hz"),
    ],
)
def test_other_dimensions_do_not_convert(unit: str, to: str) -> None:
    """A unit of something else has no value in the field's unit."""
    assert convert(1.0, unit, to) is None


def test_open_names_count_their_own_kind() -> None:
    """A name that no table knows is a unit of its own, singular and plural alike; 's' stays seconds."""
    assert parse_unit("lanes") == parse_unit("lane")
    assert parse_unit("lane").dimension == (("lane", 1),)
    assert parse_unit("bytes/s").dimension == (("byte", 1), ("second", -1))


@given(st.sampled_from(_SHOWN), st.sampled_from(_SHOWN), st.floats(1e-3, 1e6))
def test_conversion_there_and_back(unit: str, to: str, value: float) -> None:
    """Converting back gives the number again, within rounding."""
    there = convert(value, unit, to)
    if there is None:
        assert parse_unit(unit).dimension != parse_unit(to).dimension
    else:
        assert convert(there, to, unit) == pytest.approx(value, rel=1e-15 * 4)


@pytest.mark.parametrize(
    ("written", "unit", "suggestion"),
    [
        ("GBs", "bytes/s", "GB/s"),
        ("gb/s", "bytes/s", "GB/s"),
        ("mhz", "Hz", "MHz"),
        ("byte/sec", "bytes/s", "bytes/s"),
        ("DSP", "LUT", None),
    ],
)
def test_suggestions(written: str, unit: str, suggestion: str | None) -> None:
    """The nearest unit of the right dimension, letter case forgiven first."""
    assert suggest_unit(written, unit) == suggestion


def test_examples_measure_the_same() -> None:
    """Examples in a message convert to the field's unit."""
    assert examples_of("Hz") == ("kHz", "MHz", "GHz")
    assert examples_of("LUT") == ()
