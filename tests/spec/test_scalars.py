"""Plain scalars follow the YAML 1.2 core schema."""

import math

import pytest

from hwsim.spec.scalars import MAX_DIGITS, resolve, tidy_number


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1e9", 1e9),
        ("1.5E-3", 1.5e-3),
        ("819.2e+9", 819.2e9),
        (".5", 0.5),
        ("5.", 5.0),
        ("-1.0", -1.0),
        ("42", 42),
        ("+7", 7),
        ("017", 17),
        ("0o17", 15),
        ("0x1F", 31),
        ("true", True),
        ("False", False),
        ("null", None),
        ("~", None),
        ("", None),
        (".inf", math.inf),
        ("-.Inf", -math.inf),
    ],
)
def test_core_schema(text: str, value: object) -> None:
    """Each form of the specification's table 10.3.2 gives its value and its type."""
    assert resolve(text) == value
    assert type(resolve(text)) is type(value)


@pytest.mark.parametrize(
    "text",
    [
        "off",
        "on",
        "yes",
        "NO",
        "y",
        "12:30",
        "1:2:3",
        "1_000",
        "0b11",
        "1e",
        "e9",
        ".",
        "-",
        "tRUE",
        "0o8",
        "0x",
        "2024-01-01",
    ],
)
def test_yaml_1_1_words_stay_text(text: str) -> None:
    """What only YAML 1.1 reads as a bool, a time, an octal or a date is text."""
    assert resolve(text) == text


def test_not_a_number() -> None:
    """.nan is a float."""
    assert math.isnan(resolve(".NaN"))  # type: ignore[arg-type]


def test_a_number_too_long_is_refused() -> None:
    """Digits beyond what Python converts are a fault and no ValueError of int()."""
    assert resolve("1" * MAX_DIGITS) == int("1" * MAX_DIGITS)
    with pytest.raises(ValueError, match="a number of 5000 characters; expected at most 64"):
        resolve("9" * 5000)


def test_a_number_too_large_is_refused() -> None:
    """A finite text never turns into infinity in silence."""
    with pytest.raises(ValueError, match=r"1e999; expected a number below 1\.8e308, or \.inf"):
        resolve("1e999")


@pytest.mark.parametrize(("text", "tidy"), [("1_000", "1000"), ("819,200.5", "819200.5"), ("12", None), ("a_b", None)])
def test_tidy_number(text: str, tidy: str | None) -> None:
    """Separators of thousands are taken out for a suggestion, nothing else."""
    assert tidy_number(text) == tidy
