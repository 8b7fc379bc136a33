"""Loaded values back to YAML."""

import enum
from dataclasses import dataclass, field
from typing import Annotated, Literal

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from hwsim.spec import Quantity, Unit, dump_yaml, load, parse


class Order(enum.Enum):
    FIRST = "first"
    LAST = "off"


@dataclass(frozen=True, slots=True)
class Level:
    name: str
    factors: tuple[int, ...]
    energy: Annotated[Quantity, Unit("pJ/byte")]
    bypass: bool = False


@dataclass(frozen=True, slots=True)
class Nest:
    levels: tuple[Level, ...]
    order: Order
    rates: dict[str, float] = field(default_factory=dict)
    note: str | None = None
    limit: int | None = 3
    mode: Literal["ideal", "pipelined"] = "ideal"


_NEST = Nest(
    (
        Level("L1", (2, 4), Quantity(1.5, "pJ/byte", "assumed", "no source: a guess")),
        Level("on", (), Quantity(2, "pJ/byte", "fitted", "x", "all"), True),
    ),
    Order.LAST,
    {"1e9": 1e9, "b": 1e16},
    limit=None,
)

_TEXT = """levels:
- name: L1
  factors: [2, 4]
  energy: {value: 1.5, unit: pJ/byte, kind: assumed, source: "no source: a guess"}
  bypass: false
- name: "on"
  factors: []
  energy: {value: 2.0, unit: pJ/byte, kind: fitted, source: x, rows: all}
  bypass: true
order: "off"
rates:
  "1e9": 1000000000.0
  b: 1e+16
limit: null
mode: ideal
"""


def test_the_text_is_as_expected() -> None:
    """Fields in the order of the class, quantities on a line, and quotes where YAML 1.1 readers would slip."""
    nest = load(parse(dump_yaml(_NEST)), Nest)
    assert nest == _NEST
    assert dump_yaml(nest) == _TEXT


def test_a_value_without_a_yaml_form() -> None:
    """What no schema can hold is our own bug."""
    with pytest.raises(TypeError, match="no YAML form for a set"):
        dump_yaml({"a": {1}})


_FLOATS = st.floats(allow_nan=False)
_QUANTITY = st.builds(
    Quantity,
    _FLOATS,
    st.just("pJ/byte"),
    st.sampled_from(["datasheet", "set"]),
    st.text(min_size=1).filter(str.strip),
    st.none() | st.text(),
)
_NESTS = st.builds(
    Nest,
    st.lists(
        st.builds(
            Level,
            st.text(),
            st.lists(st.integers(-(2**63), 2**63 - 1), max_size=3).map(tuple),
            _QUANTITY,
            st.booleans(),
        ),
        max_size=3,
    ).map(tuple),
    st.sampled_from(Order),
    st.dictionaries(st.text(min_size=1).filter(lambda key: key != "<<"), _FLOATS, max_size=3),
    st.none() | st.text(),
    st.none() | st.integers(0, 9),
    st.sampled_from(["ideal", "pipelined"]),
)


@settings(max_examples=150, deadline=None)
@given(_NESTS)
def test_round_trip(nest: Nest) -> None:
    """Any value comes back, any text among it, and writes the same bytes again."""
    text = dump_yaml(nest)
    assert load(parse(text), Nest) == nest
    assert dump_yaml(load(parse(text), Nest)) == text


@settings(max_examples=100, deadline=None)
@given(st.text(max_size=12))
def test_text_is_text_to_other_readers_too(text: str) -> None:
    """PyYAML's YAML 1.1 rules read the same text."""
    assert yaml.safe_load(dump_yaml({"a": text})) == {"a": text}
