"""YAML text to a positioned tree: places, bounds, and a clear fault for everything else."""

from collections.abc import Iterator

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from hwsim.errors import HwsimError
from hwsim.spec import parse, plain
from hwsim.spec import text as text_module
from hwsim.spec.build import MAX_DEPTH, MAX_FAULTS, MAX_NODES, TreeBuilder
from hwsim.spec.nodes import MappingNode, ScalarNode, SequenceNode
from hwsim.spec.text import MAX_BYTES


def fault(text: str | bytes) -> str:
    """The message of the text's faults."""
    with pytest.raises(HwsimError) as caught:
        parse(text, "f.yaml")
    return str(caught.value)


def test_every_node_keeps_its_place() -> None:
    """Line and column count from 1, in characters, for keys and values."""
    root = parse("a: 1\nµb:\n  - x\n  - {c: 2}\n", "f.yaml").root
    assert isinstance(root, MappingNode)
    assert str(root.entries["µb"].key_where) == "f.yaml:2:1"
    items = root.get("µb")
    assert isinstance(items, SequenceNode)
    assert [str(item.where) for item in items.items] == ["f.yaml:3:5", "f.yaml:4:5"]
    inner = items.items[1]
    assert isinstance(inner, MappingNode)
    assert str(inner.get("c").where) == "f.yaml:4:9"  # type: ignore[union-attr]


def test_places_can_be_left_out() -> None:
    """Text from the command line has a word for its place and no line."""
    assert str(parse("[1]", "--set a", positions=False).root.where) == "--set a"


def test_quoted_text_is_text() -> None:
    """Quotes make text of what would be a number, a bool or null; block scalars are text too."""
    assert plain(parse("{a: '1', b: \"true\", c: ''}").root) == {"a": "1", "b": "true", "c": ""}
    assert plain(parse("a: |\n  12\n").root) == {"a": "12\n"}


def test_keys_are_text() -> None:
    """A key is what was written, whatever it would mean as a value."""
    assert plain(parse("off: 1\n8: 2\n1e3: 3\n").root) == {"off": 1, "8": 2, "1e3": 3}


def test_crlf_and_byte_order_mark_are_accepted() -> None:
    """A file saved on Windows reads the same, and its columns do not move."""
    document = parse("a: 1\r\nb: 2\r\n".encode("utf-8-sig"), "f.yaml")
    assert plain(document.root) == {"a": 1, "b": 2}
    assert fault("a: 1\r\nb: 2\r\nb: 3\r\n".encode("utf-8-sig")).startswith("f.yaml:3:1: ")


def test_aliases_share_their_node() -> None:
    """An alias means its anchor's node, place and all."""
    root = parse("a: &x [1, 2]\nb: *x\n").root
    assert isinstance(root, MappingNode)
    assert root.get("a") is root.get("b")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "f.yaml:1:1: no value (the text is empty); expected 'key: value' lines"),
        ("# only a comment\n", "f.yaml:1:1: no value (the text is empty); expected 'key: value' lines"),
        ("a: 1\nb: 2\na: 3\n", "f.yaml:3:1: key 'a' again; expected each key once (first at f.yaml:1:1)"),
        ("a:\n\tb: 1\n", "f.yaml:2:1: a tab in the indentation; expected spaces"),
        ("a: @x\n", "f.yaml:1:4: '@' at the start of a value; expected quotes around text that starts with it"),
        ("a: 1\n---\nb: 2\n", "f.yaml:2:1: a second document; expected one document per file"),
        ("a: b: c\n", "f.yaml:1:5: a second ':' in a plain value; expected one 'key: value' per line, or quotes"),
        ("a: 1\nb\n", "f.yaml:3:1: a line without ':'; expected 'key: value'"),
        ("a: 'x\n", "f.yaml:2:1: a quote that is never closed; expected the closing quote"),
        ("a: *x\n", "f.yaml:1:4: the alias '*x' without an anchor; expected '&x' before it"),
        ("a: &x [*x]\n", "f.yaml:1:8: the alias '*x' inside its own anchor; expected a tree without loops"),
        ("? [1]\n: 2\n", "f.yaml:1:3: a list or mapping as a key; expected a name"),
        ("a: &x [1]\n*x : 2\n", "f.yaml:2:1: a list or mapping as a key; expected a name"),
        ("{'': 1}", "f.yaml:1:2: an empty key; expected a name before ':'"),
        (": 1\n", "f.yaml:1:1: text where a key should stand; expected 'key: value' in the column of the other keys"),
        (
            "a: &x {b: 1}\nc:\n  <<: *x\n",
            "f.yaml:3:3: the merge key '<<'; expected the keys themselves, or 'extends: FILE'",
        ),
        ("a: 1e999\n", "f.yaml:1:4: 1e999; expected a number below 1.8e308, or .inf"),
        ("a: b\0c\n", "f.yaml:1:5: control character U+0000; expected printable text, tabs and line ends"),
        ("a: b\x1bc\n", "f.yaml:1:5: control character U+001B; expected printable text, tabs and line ends"),
        (b"a: 1\nb: \xe9\n", "f.yaml:2:4: byte 0xe9, which is not UTF-8; expected UTF-8 text"),
        ("a: 1\n".encode("utf-16"), "f.yaml:1:1: UTF-16 text, which is not UTF-8; expected UTF-8 text"),
    ],
)
def test_faults_name_place_and_remedy(text: str | bytes, message: str) -> None:
    """Each slip ends in one line that a reader can act on."""
    assert fault(text) == message


@pytest.mark.parametrize(
    "tag", ["!!python/object/apply:os.system ['true']", "!!python/name:os.system x", "!!str 1", "!mine 1"]
)
def test_tags_are_refused(tag: str) -> None:
    """No tag is obeyed, least of all one that would build an object."""
    assert fault(f"a: {tag}\n").startswith("f.yaml:1:4: the tag '")


def test_unclosed_list_is_a_fault_with_its_place() -> None:
    """A syntax error without wording of its own still gives file, line and column."""
    assert fault("a: [1, 2\nb: 3\n").startswith("f.yaml:2:2: not YAML: ")


def test_all_duplicate_keys_at_once() -> None:
    """Every repeated key is named, each with its first place."""
    message = fault("a: 1\na: 2\nb: {c: 1, c: 2}\n")
    assert message.splitlines() == [
        "f.yaml:2:1: key 'a' again; expected each key once (first at f.yaml:1:1)",
        "f.yaml:3:11: key 'c' again; expected each key once (first at f.yaml:3:5)",
    ]


def test_duplicate_keys_are_named_beside_a_syntax_fault() -> None:
    """What was found before the text breaks off is reported too."""
    assert [line[:10] for line in fault("a: 1\na: 2\nb: *x\n").splitlines()] == ["f.yaml:2:1", "f.yaml:3:4"]


def test_the_list_of_faults_is_bounded() -> None:
    """A thousand repeated keys do not fill the screen."""
    assert len(fault("a: 1\n" * 1000).splitlines()) == MAX_FAULTS


def bomb(levels: int) -> str:
    """The "billion laughs": each level means the one before nine times."""
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, levels)]
    return "\n".join(lines)


class Counted:
    """An iterator that counts what was taken from it."""

    def __init__(self, events: Iterator[yaml.Event]) -> None:
        self.events, self.taken = events, 0

    def __iter__(self) -> Iterator[yaml.Event]:
        for event in self.events:
            self.taken += 1
            yield event


def test_alias_bomb_is_counted_not_expanded(monkeypatch: pytest.MonkeyPatch) -> None:
    """9^30 nodes end in a fault after work that grows with the text only."""
    text = bomb(30)
    counted: list[Counted] = []
    plain_parse = yaml.parse

    def counting(*args: object, **kwargs: object) -> Counted:
        counted.append(Counted(plain_parse(*args, **kwargs)))  # type: ignore[arg-type]
        return counted[-1]

    monkeypatch.setattr(text_module.yaml, "parse", counting)
    assert f"a tree that is too large, with its aliases expanded; expected at most {MAX_NODES:,} nodes" in fault(text)
    assert counted[0].taken < len(text)


def test_alias_bomb_of_long_text_is_refused() -> None:
    """Long text counts by its length, so repeating it is bounded too."""
    assert "too large" in fault(f"a: &a {'x' * 100_000}\nb: [{', '.join(['*a'] * 5000)}]\n")


@pytest.mark.parametrize("text", ["[" * 500_000, "- " * 500_000, "{a: " * 250_000])
def test_nesting_is_bounded(text: str) -> None:
    """Half a million open brackets end in a fault and no crash."""
    assert f"nested too deeply; expected at most {MAX_DEPTH} levels" in fault(text)


def test_nesting_through_aliases_is_bounded() -> None:
    """Depth is counted through aliases as well."""
    lines = ["a0: &a0 [1]"] + [f"a{n}: &a{n} [*a{n - 1}]" for n in range(1, 80)]
    assert "nested too deeply" in fault("\n".join(lines))


def test_depth_up_to_the_bound_is_accepted() -> None:
    """The bound itself is allowed."""
    assert parse("[" * MAX_DEPTH + "]" * MAX_DEPTH).root
    assert "nested too deeply" in fault("[" * (MAX_DEPTH + 1) + "]" * (MAX_DEPTH + 1))


def test_the_number_of_nodes_is_bounded() -> None:
    """A text of a legal length can still hold too many nodes."""
    assert "too large" in fault("[" + "1," * (MAX_NODES + 1) + "]")


def test_text_that_is_too_long_is_refused() -> None:
    """More than 1 MiB is not even parsed."""
    message = f"f.yaml: a text of more than 1 MiB; expected at most {MAX_BYTES:,} bytes"
    assert fault("a" * (MAX_BYTES + 1)) == message


def test_the_pure_python_parser_agrees(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where PyYAML was built without libyaml the tree is the same, and so is the place of a fault."""
    text = "a: &n [1, 1e9, 'x']\nb: *n\nc: {d: off}\n"
    with_libyaml = parse(text)
    monkeypatch.setattr(text_module, "_LOADER", yaml.SafeLoader)
    assert parse(text) == with_libyaml
    assert fault("a:\n\tb: 1\n") == "f.yaml:2:1: a tab in the indentation; expected spaces"
    assert fault('a: "\\ud800"\n').startswith("f.yaml:1:4: half of a surrogate pair")
    assert fault('a: "\\UFFFFFFFF"\n').startswith("f.yaml:1:1: not YAML")


def test_builder_without_a_document() -> None:
    """An event stream without a node has no root."""
    events = [yaml.StreamStartEvent(), yaml.StreamEndEvent()]
    assert TreeBuilder(lambda line, column: parse("1").root.where).build(events) is None


_YAMLISH = st.text(alphabet="ab01:,[]{}&*!|>'\"%@`#-?. \n\r\t\\/~<=éx\0\ud800\U0001f600\ufeff\u2028", max_size=60)


@settings(max_examples=400, deadline=None)
@given(st.one_of(st.binary(max_size=60), _YAMLISH, st.text(max_size=40)))
def test_anything_parses_or_is_a_user_error(text: bytes | str) -> None:
    """Whatever the bytes, the outcome is a tree or an HwsimError with a place."""
    try:
        places = [parse(text, "f.yaml").root.where]
    except HwsimError as error:
        places = [fault.where for fault in error.faults]
    assert {place.source for place in places} == {"f.yaml"}
    assert all(place.line and place.column for place in places)


@settings(max_examples=100, deadline=None)
@given(
    st.recursive(
        st.one_of(
            st.integers(-(10**9), 10**9), st.floats(allow_nan=False), st.booleans(), st.none(), st.text(max_size=8)
        ),
        lambda inner: st.one_of(
            st.lists(inner, max_size=4), st.dictionaries(st.text("abc", min_size=1, max_size=3), inner, max_size=4)
        ),
        max_leaves=12,
    )
)
def test_flow_text_of_a_tree_reads_back(tree: object) -> None:
    """A tree written as YAML flow, each string as escapes, reads back as itself."""

    def write(value: object) -> str:
        if isinstance(value, dict):
            return "{" + ", ".join(f"{key}: {write(item)}" for key, item in value.items()) + "}"
        if isinstance(value, list):
            return "[" + ", ".join(map(write, value)) + "]"
        if isinstance(value, str):
            return '"' + "".join(f"\\U{ord(char):08x}" for char in value) + '"'
        if isinstance(value, float) and value in (float("inf"), float("-inf")):
            return ".inf" if value > 0 else "-.inf"
        return (
            {None: "null", True: "true", False: "false"}[value]
            if value is None or isinstance(value, bool)
            else repr(value)
        )

    assert plain(parse(write(tree)).root) == tree


def test_a_single_value_is_a_document() -> None:
    """A document may be a scalar; the schema decides whether that is right."""
    root = parse("0x10").root
    assert isinstance(root, ScalarNode)
    assert (root.value, root.text) == (16, "0x10")
