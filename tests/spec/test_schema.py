"""Documents to dataclasses: strict, all faults at once, each at its place."""

import enum
import json
import math
import subprocess
import sys
from dataclasses import dataclass, field
from typing import Annotated, Literal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hwsim.errors import HwsimError
from hwsim.spec import (
    Bound,
    Fraction,
    NonNegative,
    OneOf,
    Positive,
    Quantity,
    Refused,
    Tagged,
    Unit,
    load,
    parse,
    schema_json,
)
from hwsim.spec.build import MAX_FAULTS


class Policy(enum.Enum):
    CACHE = "cache"
    REPLAY = "replay"


@dataclass(frozen=True, slots=True)
class Memory:
    bandwidth: Annotated[Quantity, Unit("bytes/s"), Positive]
    efficiency: Annotated[Quantity, Unit("1"), Fraction] | None = None


@dataclass(frozen=True, slots=True)
class Tree:
    parents: tuple[int, ...]
    policy: Policy = Policy.CACHE

    def __post_init__(self) -> None:
        for node, parent in enumerate(self.parents):
            if parent > node:
                raise Refused(f"parent {parent} of node {node + 1}", "an earlier node", at=f"parents[{node}]")
        if not self.parents:
            raise ValueError("a tree without nodes")


@dataclass(frozen=True, slots=True)
class Mamba:
    family: Literal["mamba1", "mamba2"]
    layers: Annotated[int, Positive]


@dataclass(frozen=True, slots=True)
class Decoder:
    family: Literal["decoder"]
    heads: int
    decoder: bool = False


@dataclass(frozen=True, slots=True)
class Device:
    name: str
    clock: Annotated[Quantity, Unit("Hz")]
    memory: Memory
    weights: Annotated[str, OneOf(("int4", "int8", "bf16"))]
    model: Annotated[Mamba | Decoder, Tagged("family")]
    tree: Tree | None = None
    shape: tuple[int, int] = (1, 1)
    curve: dict[str, float] = field(default_factory=dict)
    lanes: Literal["auto"] | int | tuple[int, ...] = "auto"
    ratio: Annotated[float, Bound(0, 2, open_high=True)] = 1.0
    slack: Annotated[float, NonNegative] = 0.0
    head: bool = True


GOOD = {
    "name": "vck",
    "clock": {"value": 400, "unit": "MHz", "kind": "datasheet", "source": "DS957"},
    "memory": {"bandwidth": {"value": 12.8, "unit": "GB/s", "kind": "fitted", "source": "paper", "rows": "table 3"}},
    "weights": "int4",
    "model": {"family": "mamba2", "layers": 64},
}


def document(**changes: object) -> str:
    """The good document with changed keys, a line per key; None leaves a key out."""
    keys = {**GOOD, **changes}
    return "".join(f"{key}: {json.dumps(value)}\n" for key, value in keys.items() if value is not ...)


def faults(text: str, schema: type = Device) -> list[str]:
    """The faults of loading a text, a line each."""
    with pytest.raises(HwsimError) as caught:
        load(parse(text, "d.yaml"), schema)
    return str(caught.value).splitlines()


def loaded(**changes: object) -> Device:
    """The good document with changes, loaded."""
    return load(parse(document(**changes), "d.yaml"), Device)


def test_a_good_document_becomes_frozen_values() -> None:
    """Units are converted to the field's, lists become tuples, enum text becomes the member."""
    device = loaded(tree={"parents": [0, 0, 1], "policy": "replay"}, curve={"8": 1}, lanes=[1, 2], ratio=1)
    assert device.clock == Quantity(400e6, "Hz", "datasheet", "DS957")
    assert device.memory.bandwidth == Quantity(12.8e9, "bytes/s", "fitted", "paper", "table 3")
    assert device.tree == Tree((0, 0, 1), Policy.REPLAY)
    assert (device.curve, device.lanes, device.shape) == ({"8": 1.0}, (1, 2), (1, 1))
    assert type(device.ratio) is float
    assert device.model == Mamba("mamba2", 64)


def test_traps_of_yaml_1_1_do_not_reach_a_value() -> None:
    """1e9 is a number, off is text, 12:30 is text, 017 is seventeen."""
    text = document(name=..., clock=..., curve=...) + (
        "clock: {value: 1e9, unit: Hz, kind: assumed, source: x}\nname: off\ncurve: {a: 1e9, b: 017}\n"
    )
    device = load(parse(text), Device)
    assert (device.clock.value, device.name, device.curve) == (1e9, "off", {"a": 1e9, "b": 17.0})
    assert faults(text.replace("name: off", "name: 12:30").replace("b: 017", "b: 12:30")) == [
        "d.yaml:6:20: found '12:30' for curve.b; expected a number"
    ]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"name": 3}, "d.yaml:1:7: found 3 for name; expected text"),
        ({"name": None}, "d.yaml:1:7: found null for name; expected text"),
        (
            {"weights": "int5"},
            "d.yaml:4:10: found 'int5' for weights; expected one of int4, int8, bf16; did you mean 'int8'?",
        ),
        ({"weights": "zzz"}, "d.yaml:4:10: found 'zzz' for weights; expected one of int4, int8, bf16"),
        ({"head": 1}, "d.yaml:6:7: found 1 for head; expected true or false"),
        ({"ratio": True}, "d.yaml:6:8: found true for ratio; expected a number of at least 0 and below 2"),
        ({"ratio": 2}, "d.yaml:6:8: found 2 for ratio; expected a number of at least 0 and below 2"),
        ({"slack": -1}, "d.yaml:6:8: found -1 for slack; expected a number of at least 0"),
        ({"ratio": "1"}, "d.yaml:6:8: found '1' for ratio; expected a number of at least 0 and below 2"),
        (
            {"ratio": "1,000"},
            "d.yaml:6:8: found '1,000' for ratio; expected a number of at least 0 and below 2; did you mean '1000'?",
        ),
        ({"shape": [1, 2.0]}, "d.yaml:6:12: found 2.0 for shape[1]; expected a whole number; did you mean '2'?"),
        (
            {"shape": [1]},
            "d.yaml:6:8: found a list of 1 for shape; expected a list of 2: a whole number, a whole number",
        ),
        (
            {"shape": [1, 2, 3]},
            "d.yaml:6:8: found a list of 3 for shape; expected a list of 2: a whole number, a whole number",
        ),
        ({"curve": [1]}, "d.yaml:6:8: found a list of 1 for curve; expected a mapping of names to a number"),
        (
            {"lanes": "atuo"},
            "d.yaml:6:8: found 'atuo' for lanes;"
            " expected auto or a whole number or a list, each item a whole number; did you mean 'auto'?",
        ),
        ({"lanes": [1, "x"]}, "d.yaml:6:12: found 'x' for lanes[1]; expected a whole number"),
        (
            {"lanes": {}},
            "d.yaml:6:8: found an empty mapping for lanes;"
            " expected auto or a whole number or a list, each item a whole number",
        ),
        ({"memory": 3}, "d.yaml:3:9: found 3 for memory; expected a mapping with bandwidth, efficiency"),
        (
            {"memory": {}},
            "d.yaml:3:9: no key 'bandwidth' in memory;"
            " expected bandwidth: {value: …, unit: bytes/s, kind: …, source: …}",
        ),
        ({"memory": ...}, "d.yaml:1:1: no key 'memory'; expected memory: a mapping with bandwidth, efficiency"),
        ({"tree": {"parents": []}}, "d.yaml:6:7: a tree without nodes; expected a valid tree"),
        ({"tree": {"parents": [0, 5]}}, "d.yaml:6:23: parent 5 of node 2; expected an earlier node"),
        (
            {"tree": {"parents": [0], "policy": "cach"}},
            "d.yaml:6:34: found 'cach' for tree.policy; expected one of cache, replay; did you mean 'cache'?",
        ),
        ({"tree": 3}, "d.yaml:6:7: found 3 for tree; expected a mapping with parents, policy or null"),
        (
            {"model": {"family": "mamba3", "layers": 1}},
            "d.yaml:5:19: found 'mamba3' for model.family;"
            " expected one of mamba1, mamba2, decoder; did you mean 'mamba2'?",
        ),
        (
            {"model": {"layers": 1}},
            "d.yaml:5:8: no key 'family' in model; expected family: one of mamba1, mamba2, decoder",
        ),
        (
            {"model": {"famly": "mamba2", "layers": 1}},
            "d.yaml:5:9: unknown key 'famly' in model;"
            " expected family: one of mamba1, mamba2, decoder; did you mean 'family'?",
        ),
        ({"model": 7}, "d.yaml:5:8: found 7 for model; expected a mapping with family: one of mamba1, mamba2, decoder"),
        (
            {"model": {"family": "mamba2", "layers": 0}},
            "d.yaml:5:39: found 0 for model.layers; expected a whole number above 0",
        ),
        (
            {"model": {"family": "decoder", "heads": 1, "decoder": 3}},
            "d.yaml:5:53: found 3 for model.decoder; expected true or false",
        ),
        (
            {"model": {"family": "decoder", "heads": 1, "layers": 3}},
            "d.yaml:5:42: unknown key 'layers' in model; expected one of family, heads, decoder",
        ),
        ({"clock": 4e8}, "d.yaml:2:8: found 400000000.0 for clock; expected {value: …, unit: Hz, kind: …, source: …}"),
        (
            {"clock": "400 MHz"},
            "d.yaml:2:8: found '400 MHz' for clock; expected {value: …, unit: Hz, kind: …, source: …}",
        ),
    ],
)
def test_each_fault_in_the_words_of_the_field(changes: dict[str, object], message: str) -> None:
    """One slip, one line: place, what was found, what was expected, the nearest valid name."""
    assert faults(document(**changes)) == [message]


def quantity(**changes: object) -> dict[str, object]:
    """The clock of the good document with changed parts."""
    whole = {**GOOD["clock"], **changes}  # type: ignore[dict-item]
    return {key: value for key, value in whole.items() if value is not ...}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"unit": "GB/s"}, "d.yaml:2:31: found 'GB/s' for clock.unit; expected a unit of Hz (or kHz, MHz, GHz)"),
        (
            {"unit": "mhz"},
            "d.yaml:2:31: found 'mhz' for clock.unit; expected a unit of Hz (or kHz, MHz, GHz); did you mean 'MHz'?",
        ),
        (
            {"kind": "datashet"},
            "d.yaml:2:46: found 'datashet' for clock.kind;"
            " expected one of datasheet, measured, derived, fitted, assumed, set; did you mean 'datasheet'?",
        ),
        ({"source": ""}, "d.yaml:2:69: found '' for clock.source; expected where the number comes from"),
        ({"source": ...}, "d.yaml:2:8: no key 'source' in clock; expected source: text"),
        (
            {"kind": "fitted"},
            "d.yaml:2:8: a fitted value without rows; expected rows: the published rows it was fitted on",
        ),
        ({"value": "400"}, "d.yaml:2:18: found '400' for clock.value; expected a number"),
        (
            {"valeu": 4, "value": ...},
            "d.yaml:2:64: unknown key 'valeu' in clock;"
            " expected one of value, unit, kind, source, rows; did you mean 'value'?",
        ),
    ],
)
def test_each_fault_of_a_quantity(changes: dict[str, object], message: str) -> None:
    """The parts of a quantity are judged one by one, each at its own place."""
    assert faults(document(clock=quantity(**changes))) == [message]


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (0, "d.yaml:3:33: found 0 for memory.bandwidth.value; expected a number above 0"),
        (-1.5, "d.yaml:3:33: found -1.5 for memory.bandwidth.value; expected a number above 0"),
    ],
)
def test_bounds_of_a_quantity(value: float, message: str) -> None:
    """A bound points at the value inside the quantity."""
    assert faults(document(memory={"bandwidth": quantity(value=value, unit="GB/s")})) == [message]


def test_a_fraction_lies_above_zero_and_up_to_one() -> None:
    """Percent converts first, then the bound speaks."""
    good = GOOD["memory"]["bandwidth"]  # type: ignore[index]
    share = quantity(value=100, unit="%")
    assert loaded(memory={"bandwidth": good, "efficiency": share}).memory.efficiency.value == 1.0  # type: ignore[union-attr]
    (message,) = faults(document(memory={"bandwidth": good, "efficiency": quantity(value=101, unit="%")}))
    assert message.endswith("found 101 for memory.efficiency.value; expected a number above 0 and of at most 1")


def test_counts_may_be_plain_numbers() -> None:
    """Cycles and operations a cycle may say 1, as machine files did before these units; anything else may not."""
    for name in ("cycles", "op/cycle"):
        assert Unit(name).apply(Quantity(7.0, "1", "assumed", "x")) == Quantity(7.0, name, "assumed", "x")
    with pytest.raises(Refused):
        Unit("Hz").apply(Quantity(7.0, "1", "assumed", "x"))


def test_the_unit_of_a_pure_number_needs_no_quotes() -> None:
    """``unit: 1`` is the unit 1, although YAML reads a whole number there; other numbers are no units."""
    good = GOOD["memory"]["bandwidth"]  # type: ignore[index]
    share = quantity(value=0.5, unit=1)
    assert loaded(memory={"bandwidth": good, "efficiency": share}).memory.efficiency.unit == "1"  # type: ignore[union-attr]
    (message,) = faults(document(memory={"bandwidth": good, "efficiency": quantity(unit=2)}))
    assert message.endswith("found 2 for memory.efficiency.unit; expected text")


@dataclass(frozen=True, slots=True)
class Odd:
    """Forms that the shipped schemas use rarely."""

    part: Tree | Decoder | None = None
    parts: dict[str, Tree] = field(default_factory=dict)
    limit: Annotated[Quantity, Unit("1")] | Literal["auto"] = "auto"
    pairs: tuple[tuple[str, int], ...] = ()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "part: 3",
            "1:7: found 3 for part;"
            " expected a mapping with parents, policy or a mapping with family, heads, decoder or null",
        ),
        (
            "part: {heads: x}",
            "1:7: found a mapping for part;"
            " expected a mapping with parents, policy or a mapping with family, heads, decoder or null",
        ),
        ("parts: {a: {parents: [x]}}", "1:23: found 'x' for parts.a.parents[0]; expected a whole number"),
        ("limit: {value: x, unit: 1, kind: set, source: y}", "1:16: found 'x' for limit.value; expected a number"),
        (
            "limit: {value: 1, unit: Hz, kind: set, source: y}",
            "1:25: found 'Hz' for limit.unit; expected a pure number (unit: 1)",
        ),
        ("limit: 3", "1:8: found 3 for limit; expected {value: …, unit: 1, kind: …, source: …} or auto"),
        ("pairs: [[a, 1], [b]]", "1:17: found a list of 1 for pairs[1]; expected a list of 2: text, a whole number"),
        ("pairs: [[a, b]]", "1:13: found 'b' for pairs[0][1]; expected a whole number"),
        (
            "pairs: {}",
            "1:8: found an empty mapping for pairs; expected a list, each item a list of 2: text, a whole number",
        ),
    ],
)
def test_faults_in_nested_forms(text: str, message: str) -> None:
    """Unions without a tag, mappings of dataclasses, lists of lists: the place is still the innermost one."""
    assert faults(text, Odd) == [f"d.yaml:{message}"]


def test_every_fault_at_once_in_the_order_of_the_file() -> None:
    """One run names them all."""
    text = """name: 3
clok: {value: 1, unit: Hz, kind: assumed, source: x}
memory:
  bandwidth: {value: true, unit: bytes/s, kind: guess, source: x}
  colour: red
weights: int5
model: {family: mamba2, layers: x}
curve: {a: .nan, b: y}
shape: [1, 99999999999999999999]
"""
    assert [fault.split(":")[1] for fault in faults(text)] == ["1", "2", "4", "4", "5", "6", "7", "8", "8", "9"]
    assert faults(text)[1].endswith("did you mean 'clock'?")
    assert faults(text)[-3:] == [
        "d.yaml:8:12: found .nan for curve.a; expected a number",
        "d.yaml:8:21: found 'y' for curve.b; expected a number",
        "d.yaml:9:12: found 99999999999999999999 for shape[1]; expected a whole number of at most 64 bits",
    ]


def test_a_list_where_a_file_should_be_a_mapping() -> None:
    """The root is judged like any other place."""
    assert faults("[1, 2]")[0].startswith("d.yaml:1:1: found a list of 2; expected a mapping with name, clock, memory")


def test_many_faults_are_cut() -> None:
    """After a hundred lines the rest is counted."""
    lines = faults(document(shape=[1, 1], curve={f"k{n}": "x" for n in range(300)}))
    assert len(lines) == MAX_FAULTS + 1
    assert "200 more faults from here on" in lines[-1]


def test_infinity_is_a_number() -> None:
    """An ideal memory has infinite bandwidth; JSON's lack of it does not matter."""
    text = document(memory=...) + "memory: {bandwidth: {value: .inf, unit: GB/s, kind: assumed, source: ideal}}\n"
    assert load(parse(text), Device).memory.bandwidth.value == math.inf


def test_our_own_bugs_are_not_the_users_faults() -> None:
    """A schema that fails in another way than by ValueError is not reported as a fault of the file."""

    @dataclass(frozen=True)
    class Broken:
        x: int

        def __post_init__(self) -> None:
            raise RuntimeError("bug")

    with pytest.raises(RuntimeError, match="bug"):
        load(parse("x: 1"), Broken)


def test_json_schema_names_fields_bounds_and_refuses_other_keys() -> None:
    """Editors get types, names, bounds and the closed set of keys."""
    schema = schema_json(Device)
    assert schema["$schema"].endswith("2020-12/schema")
    device = schema["$defs"][schema["$ref"].rsplit("/", 1)[1]] if "$ref" in schema else schema
    assert device["additionalProperties"] is False
    assert device["required"] == ["name", "clock", "memory", "weights", "model"]
    assert device["properties"]["weights"]["enum"] == ["int4", "int8", "bf16"]
    assert device["properties"]["ratio"]["exclusiveMaximum"] == 2
    assert device["properties"]["ratio"]["minimum"] == 0
    assert json.loads(json.dumps(schema)) == schema


def test_declaring_a_schema_costs_no_pydantic() -> None:
    """pydantic, numba, matplotlib and networkx stay out until a file is loaded."""
    code = (
        "import sys, hwsim.spec; "
        "print([name for name in ('pydantic', 'numba', 'matplotlib', 'networkx', 'numpy') if name in sys.modules])"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert out.strip() == "[]"


_LEAF = st.one_of(
    st.sampled_from(
        ["1", "x", "true", "null", "1e9", ".nan", ".inf", "int4", "400 MHz", "''", "[]", "{}", "[1, 2]", "mamba2"]
    ),
    st.sampled_from(
        ["{value: 1, unit: Hz, kind: set, source: x}", "{family: mamba1, layers: 2}", "{parents: [0, 9]}", "[[{a: 1}]]"]
    ),
)
_KEY = st.sampled_from(
    ["name", "clock", "memory", "weights", "model", "tree", "shape", "curve", "lanes", "ratio", "clok", "'[0]'"]
)


@settings(max_examples=300, deadline=None)
@given(st.dictionaries(_KEY, _LEAF, max_size=8), st.sampled_from(["name", "model", "tree", "lanes", None]))
def test_any_document_loads_or_is_a_user_error(keys: dict[str, str], inside: str | None) -> None:
    """Whatever stands under the known keys, faults have a place inside the file and say what was expected."""
    body = "{" + ", ".join(f"{key}: {value}" for key, value in keys.items()) + "}"
    text = f"{{{inside}: {body}}}" if inside else body
    with pytest.raises(HwsimError) as caught:
        load(parse(document(memory=...) if not keys else text, "d.yaml"), Device)
    for fault in caught.value.faults:
        assert fault.where.line == 1
        assert 1 <= (fault.where.column or 0) <= len(text)
        assert fault.expected
