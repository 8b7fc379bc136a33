"""--set: one value laid over a document."""

from dataclasses import dataclass
from typing import Annotated, Literal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hwsim.errors import HwsimError
from hwsim.spec import Document, Quantity, Tagged, Unit, load, override, parse, plain


@dataclass(frozen=True, slots=True)
class Memory:
    bandwidth: Annotated[Quantity, Unit("bytes/s")]
    latency: Annotated[Quantity, Unit("s")] | None = None
    ports: Annotated[Quantity, Unit("1")] | Literal["auto"] = "auto"


@dataclass(frozen=True, slots=True)
class Chain:
    kind: Literal["chain"]
    depth: int


@dataclass(frozen=True, slots=True)
class Tree:
    kind: Literal["tree"]
    parents: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Run:
    batch: int = 1
    context: int = 0


@dataclass(frozen=True, slots=True)
class Setup:
    memory: Memory
    decoding: Annotated[Chain | Tree, Tagged("kind")]
    run: Run | None = None
    rates: dict[str, float] | None = None


TEXT = """memory:
  bandwidth: {value: 12.8, unit: GB/s, kind: fitted, source: paper, rows: table 3}
decoding: {kind: tree, parents: [0, 0, 1]}
"""


def document() -> Document:
    """A setup as its file."""
    return parse(TEXT, "s.yaml")


def after(path: str, text: str) -> Setup:
    """The setup with one setting, loaded."""
    return load(override(document(), path, text, "--set", Setup), Setup)


def fault(path: str, text: str = "1", schema: type | None = Setup) -> str:
    """The message of a setting that is refused."""
    with pytest.raises(HwsimError) as caught:
        load(override(document(), path, text, f"--set {path}", schema), Setup)
    return str(caught.value)


def by_user(value: float, unit: str = "bytes/s") -> Quantity:
    """A quantity as a setting leaves it."""
    return Quantity(value, unit, "set", "set by the user")


@pytest.mark.parametrize(
    ("path", "text", "value"),
    [
        ("memory.bandwidth", "20", 20e9),
        ("memory.bandwidth", "819.2 GB/s", 819.2e9),
        ("memory.bandwidth", "819.2GB/s", 819.2e9),
        ("memory.bandwidth", "1e9 bytes/s", 1e9),
        ("memory.bandwidth", ".inf", float("inf")),
        ("memory.bandwidth", "2 GiB/s", 2 * 2**30),
        ("memory.bandwidth.value", "20", 20e9),
        ("memory.bandwidth.unit", "MB/s", 12.8e6),
        ("memory.bandwidth", "{value: 3, unit: MB/s}", 3e6),
        ("memory.bandwidth", "{value: 3}", 3e9),
    ],
)
def test_a_quantity_keeps_its_unit_and_says_who_set_it(path: str, text: str, value: float) -> None:
    """Shorthand, the value alone, the unit alone: kind and source tell that the user did it."""
    expected = by_user(value)
    got = after(path, text).memory.bandwidth
    assert (got.value, got.unit, got.kind, got.source) == (expected.value, "bytes/s", "set", "set by the user")


def test_a_quantity_written_out_keeps_its_source() -> None:
    """Who gives kind and source is taken at his word."""
    text = "{value: 3, unit: MB/s, kind: measured, source: my board}"
    assert after("memory.bandwidth", text).memory.bandwidth == Quantity(3e6, "bytes/s", "measured", "my board")


def test_fields_that_the_file_leaves_out() -> None:
    """The schema knows them, with their unit, and the mappings above them are made."""
    assert after("memory.latency", "80 ns").memory.latency == by_user(80 / 1e9, "s")
    assert after("memory.latency", "1e-7").memory.latency == by_user(1e-7, "s")
    assert after("memory.ports", "4").memory.ports == by_user(4, "1")
    assert after("memory.ports", "auto").memory.ports == "auto"
    assert after("run.batch", "4").run == Run(batch=4)
    assert after("rates.fast", "2").rates == {"fast": 2.0}
    assert after("run", "{context: 5}").run == Run(context=5)
    assert after("memory", "{bandwidth: 3 GB/s}").memory == Memory(by_user(3e9))


def test_list_items_and_lists() -> None:
    """Brackets and dots both index; a list is replaced whole."""
    assert after("decoding.parents[2]", "2").decoding == Tree("tree", (0, 0, 2))
    assert after("decoding.parents.0", "0").decoding == Tree("tree", (0, 0, 1))
    assert after("decoding.parents", "[0,0,1]").decoding == Tree("tree", (0, 0, 1))
    assert after("decoding", "{kind: chain, depth: 3}").decoding == Chain("chain", 3)


def test_the_document_is_not_changed() -> None:
    """A new document is returned; the old one stays, and the file's hash with it."""
    before = document()
    changed = override(before, "decoding.parents[0]", "7", "--set")
    assert plain(before.root) == plain(document().root)
    assert plain(changed.root) != plain(before.root)
    assert changed.sha256 == before.sha256


def test_null_takes_a_value_away() -> None:
    """An optional quantity can be set to null."""
    with_latency = override(document(), "memory.latency", "1 ns", "--set", Setup)
    assert load(override(with_latency, "memory.latency", "null", "--set", Setup), Setup).memory.latency is None


@pytest.mark.parametrize(
    ("path", "message"),
    [
        (
            "memory.bandwith",
            "unknown path 'memory.bandwith';"
            " expected one of bandwidth, latency, ports; did you mean 'memory.bandwidth'?",
        ),
        (
            "memory.latncy",
            "unknown path 'memory.latncy'; expected one of bandwidth, latency, ports; did you mean 'memory.latency'?",
        ),
        (
            "bandwidth",
            "unknown path 'bandwidth'; expected one of memory, decoding, run, rates; did you mean 'memory.bandwidth'?",
        ),
        ("batch", "unknown path 'batch'; expected one of memory, decoding, run, rates; did you mean 'run.batch'?"),
        (
            "decoding.parents[3]",
            "unknown path 'decoding.parents[3]';"
            " expected an index from 0 to 2 for decoding.parents; did you mean 'decoding.parents[2]'?",
        ),
        (
            "decoding.kind.x",
            "unknown path 'decoding.kind.x';"
            " expected nothing below decoding.kind, which is a single value; did you mean 'decoding.kind'?",
        ),
        (
            "memory.bandwidth.vlaue",
            "unknown path 'memory.bandwidth.vlaue';"
            " expected one of value, unit, kind, source, rows; did you mean 'memory.bandwidth'?",
        ),
        ("a..b", "the path 'a..b'; expected keys with dots between them, as tree.parents[2]"),
        ("", "the path ''; expected keys with dots between them, as tree.parents[2]"),
        ("a[x]", "the path 'a[x]'; expected keys with dots between them, as tree.parents[2]"),
    ],
)
def test_unknown_paths_name_the_nearest(path: str, message: str) -> None:
    """A wrong path says what stands at that level and which path was probably meant."""
    assert fault(path) == f"--set {path}: {message}"


def test_without_a_schema_only_paths_of_the_document_exist() -> None:
    """What the file leaves out cannot be set when nobody says that it exists."""
    assert (
        fault("memory.latency", schema=None)
        == "--set memory.latency: unknown path 'memory.latency'; expected one of bandwidth;"
        " did you mean 'memory.bandwidth'?"
    )
    assert override(document(), "memory.bandwidth", "5", "--set").root


@pytest.mark.parametrize(
    ("path", "text", "message"),
    [
        (
            "memory.bandwidth",
            "fast",
            "found 'fast' for memory.bandwidth; expected a number, or one with its unit (1.5 bytes/s)",
        ),
        (
            "memory.bandwidth",
            "inf",
            "found 'inf' for memory.bandwidth; expected a number, or one with its unit (1.5 bytes/s);"
            " did you mean '.inf'?",
        ),
        (
            "memory.bandwidth",
            "Infinity GB/s",
            "found 'Infinity GB/s' for memory.bandwidth; expected a number, or one with its unit (1.5 bytes/s);"
            " did you mean '.inf GB/s'?",
        ),
        (
            "memory.bandwidth",
            "{value: inf}",
            "found 'inf' for memory.bandwidth.value; expected a number; did you mean '.inf'?",
        ),
        ("run.batch", "inf", "found 'inf' for run.batch; expected a whole number"),
        (
            "memory.bandwidth",
            "true",
            "found 'true' for memory.bandwidth; expected a number, or one with its unit (1.5 bytes/s)",
        ),
        (
            "memory.bandwidth",
            "1e999 GB/s",
            "found '1e999 GB/s' for memory.bandwidth; expected a number, or one with its unit (1.5 bytes/s)",
        ),
        (
            "memory.bandwidth",
            "5 Hz",
            "found 'Hz' for memory.bandwidth.unit; expected a unit of bytes/s (or kB/s, MB/s, GB/s, TB/s)",
        ),
        (
            "memory.ports",
            "aut",
            "found 'aut' for memory.ports;"
            " expected {value: …, unit: 1, kind: …, source: …} or auto; did you mean 'auto'?",
        ),
        ("run.batch", "x", "found 'x' for run.batch; expected a whole number"),
        ("run.batch", "", "no value for run.batch; expected a YAML value, as 4, [0, 0, 1] or 819.2 GB/s"),
        (
            "run.batch",
            "[1",
            "not YAML: did not find expected ',' or ']' while parsing a flow sequence; expected YAML text",
        ),
        ("run.batch", "\udcff", "control character U+DCFF; expected printable text, tabs and line ends"),
        ("decoding.parents", "[0, x]", "found 'x' for decoding.parents[1]; expected a whole number"),
    ],
)
def test_bad_values_are_placed_at_the_option(path: str, text: str, message: str) -> None:
    """The fault names the option, since the file is not to blame."""
    assert fault(path, text) == f"--set {path}: {message}"


def test_a_bare_number_needs_a_unit_from_somewhere() -> None:
    """Without a declared unit and without an old one there is nothing to keep."""

    @dataclass(frozen=True)
    class Loose:
        amount: Quantity | None = None

    with pytest.raises(HwsimError, match="--set: found '5' without a unit for amount; expected a number with its unit"):
        override(parse("{}"), "amount", "5", "--set", Loose)
    assert load(override(parse("{}"), "amount", "5 LUT", "--set", Loose), Loose).amount == by_user(5.0, "LUT")


@settings(max_examples=80, deadline=None)
@given(
    st.one_of(
        st.text(max_size=20),
        st.text("memorybandwi.[]0129dcgp", max_size=24),
        st.sampled_from(["memory.bandwidth", "decoding.parents[0]", "run"]),
    ),
    st.one_of(st.text(max_size=12), st.text("{}[]:,'\" 0a1e\udcff", max_size=12)),
)
def test_any_setting_loads_or_is_a_user_error(path: str, text: str) -> None:
    """Whatever the option holds, faults point at the option."""
    try:
        places = [override(document(), path, text, "--set", Setup).root.where.source]
    except HwsimError as error:
        places = ["--set" if each.where.source == "--set" else "wrong" for each in error.faults]
    assert set(places) <= {"--set", "s.yaml"}
