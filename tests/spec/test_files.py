"""Files: bounded reading, and extends between files."""

import hashlib
import os
from pathlib import Path

import pytest

from hwsim.errors import HwsimError, Where
from hwsim.spec import parse, plain, read
from hwsim.spec.files import MAX_EXTENDS, merge, read_bytes
from hwsim.spec.nodes import Document, MappingNode
from hwsim.spec.text import MAX_BYTES


def fault(path: Path | str) -> str:
    """The message of reading a file that cannot be read."""
    with pytest.raises(HwsimError) as caught:
        read(path)
    return str(caught.value)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty working directory, so that messages hold short names."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def write(name: str, text: str) -> None:
    """A file in the working directory."""
    Path(name).parent.mkdir(exist_ok=True)
    Path(name).write_text(text)


def test_a_file_gives_its_name_and_hash(folder: Path) -> None:
    """The document names the file as the user did, and the SHA-256 of its bytes."""
    write("a.yaml", "x: 1\n")
    document = read("a.yaml")
    assert document.inputs == {"a.yaml": hashlib.sha256(b"x: 1\n").hexdigest()}
    assert str(document.root.where) == "a.yaml:1:1"


def test_a_text_is_parsed_once_and_a_changed_one_anew(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was parsed before is taken again by its text, never by its name: a file that changed is read as it is."""
    parsed: list[bytes] = []

    def counting(data: bytes, source: str) -> Document:
        parsed.append(data)
        return parse(data, source)

    monkeypatch.setattr("hwsim.spec.files.parse", counting)
    write("once.yaml", "only: here\n")
    assert read("once.yaml") == read("once.yaml")
    write("once.yaml", "only: 1234\n")
    assert plain(read("once.yaml").root) == {"only": 1234}
    assert parsed == [b"only: here\n", b"only: 1234\n"]


def test_missing_file_suggests_its_neighbour(folder: Path) -> None:
    """A slip in the name is met with the nearest file there."""
    write("vck190.yaml", "x: 1\n")
    assert (
        fault("vkc190.yaml")
        == "vkc190.yaml: no such file: 'vkc190.yaml'; expected a YAML file; did you mean 'vck190.yaml'?"
    )
    assert fault("none/there.yaml") == "none/there.yaml: no such file: 'none/there.yaml'; expected a YAML file"


def test_directory(folder: Path) -> None:
    """A directory is named as one."""
    assert fault(".") == ".: the file is a directory; expected a YAML file"


@pytest.mark.parametrize("path", ["/dev/zero", "/dev/null"])
def test_endless_device_is_never_opened(path: str) -> None:
    """A device, endless or empty, is refused by its kind."""
    assert fault(path) == f"{path}: the file is a device; expected a YAML file"


def test_pipe_does_not_hang(folder: Path) -> None:
    """A named pipe without a writer would block for ever on opening."""
    os.mkfifo("pipe")
    assert fault("pipe") == "pipe: the file is a pipe; expected a YAML file"


def test_huge_file_is_refused_before_reading(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file of 1 GB (sparse) is refused by its length: it is not even opened."""
    with Path("big.yaml").open("wb") as stream:
        stream.truncate(10**9)
    monkeypatch.setattr(Path, "open", lambda *_: pytest.fail("the file was opened"))
    assert fault("big.yaml") == f"big.yaml: the file has 1,000,000,000 bytes; expected at most {MAX_BYTES:,} (1 MiB)"


def test_a_file_that_hides_its_length_is_read_up_to_the_bound(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the length is reported wrongly (as under /proc), reading itself stops after 1 MiB."""
    write("grows.yaml", "x" * (MAX_BYTES + 10))
    honest = Path.stat

    def small(path: Path, **options: bool) -> os.stat_result:
        values = list(honest(path, **options))
        values[6] = 0
        return os.stat_result(values)

    monkeypatch.setattr(Path, "stat", small)
    assert fault("grows.yaml") == f"grows.yaml: the file has more than 1 MiB; expected at most {MAX_BYTES:,} bytes"


def test_a_file_of_exactly_the_bound_is_read(folder: Path) -> None:
    """The bound itself is allowed."""
    write("full.yaml", "#" * MAX_BYTES)
    assert len(read_bytes("full.yaml")) == MAX_BYTES


def test_paths_that_the_system_refuses() -> None:
    """A NUL, a name too long: a fault, no traceback."""
    assert "cannot read 'a\\x00b'" in fault("a\0b")
    assert "File name too long" in fault("x" * 5000)


def test_unreadable_file(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Missing rights are reported in the system's words."""
    write("secret.yaml", "x: 1\n")

    def refuse(*_: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "open", refuse)
    assert (
        fault("secret.yaml")
        == "secret.yaml: cannot read 'secret.yaml': Permission denied; expected a readable YAML file"
    )


def test_extends_merges_mappings_and_replaces_lists(folder: Path) -> None:
    """The child's values win, key by key; lists are replaced; places keep the file they came from."""
    write("lib/base.yaml", "a: {x: 1, y: 2}\nl: [1, 2, 3]\nk: base\n")
    write("child.yaml", "extends: lib/base.yaml\na: {y: 3, z: 4}\nl: [9]\n")
    document = read("child.yaml")
    assert plain(document.root) == {"a": {"x": 1, "y": 3, "z": 4}, "l": [9], "k": "base"}
    assert list(document.inputs) == ["child.yaml", "lib/base.yaml"]
    assert isinstance(document.root, MappingNode)
    a = document.root.get("a")
    assert isinstance(a, MappingNode)
    assert [str(entry.node.where) for entry in a.entries.values()] == [
        "lib/base.yaml:1:8",
        "child.yaml:2:8",
        "child.yaml:2:14",
    ]


def test_extends_looks_beside_the_file_that_says_so(folder: Path) -> None:
    """A relative name starts from the directory of the file that names it."""
    write("lib/a.yaml", "extends: b.yaml\nx: 1\n")
    write("lib/b.yaml", "y: 2\n")
    write("c.yaml", "extends: lib/a.yaml\n")
    assert plain(read("c.yaml").root) == {"y": 2, "x": 1}


def test_extends_a_shipped_name(folder: Path) -> None:
    """A bare name goes to the resolver, whose error is placed at the name."""
    write("shipped/vck190.yaml", "x: 1\n")
    write("c.yaml", "y: 2\nextends: vck190\n")
    write("d.yaml", "extends: vck109\n")

    def shipped(name: str) -> Path:
        if name != "vck190":
            raise HwsimError.unknown_name("catalog", "device", name, ["u280", "vck190"])
        return Path("shipped") / f"{name}.yaml"

    assert plain(read("c.yaml", shipped).root) == {"x": 1, "y": 2}
    with pytest.raises(HwsimError) as caught:
        read("d.yaml", shipped)
    assert (
        str(caught.value)
        == "d.yaml:1:10: unknown device 'vck109'; expected one of u280, vck190; did you mean 'vck190'?"
    )
    assert fault("c.yaml") == "c.yaml:2:10: 'extends: vck190' names no file; expected a file such as base.yaml"


def test_extends_a_missing_file_is_placed(folder: Path) -> None:
    """The fault points at the line that asks for the file."""
    write("c.yaml", "x: 1\nextends: bsae.yaml\n")
    write("base.yaml", "x: 1\n")
    assert fault("c.yaml") == "c.yaml:2:10: no such file: 'bsae.yaml'; expected a YAML file; did you mean 'base.yaml'?"


def test_extends_loop_names_the_chain(folder: Path) -> None:
    """A loop is refused with its files in order."""
    write("a.yaml", "extends: b.yaml\n")
    write("b.yaml", "extends: c.yaml\n")
    write("c.yaml", "extends: ./b.yaml\n")
    write("self.yaml", "extends: self.yaml\n")
    assert fault("a.yaml") == "c.yaml:1:10: a loop of extends: b.yaml -> c.yaml -> b.yaml; expected a chain that ends"
    assert "self.yaml -> self.yaml" in fault("self.yaml")


def test_extends_depth_is_bounded(folder: Path) -> None:
    """A chain may hold 16 files."""
    for index in range(MAX_EXTENDS + 1):
        write(f"f{index}.yaml", f"extends: f{index + 1}.yaml\n")
    write(f"f{MAX_EXTENDS}.yaml", "x: 1\n")
    assert (
        fault("f0.yaml")
        == f"f{MAX_EXTENDS - 1}.yaml:1:10: a chain of more than 16 files; expected a shorter chain of extends"
    )
    assert plain(read("f1.yaml").root) == {"x": 1}


@pytest.mark.parametrize("value", ["", "[a]", "3", "{a: 1}"])
def test_extends_needs_one_name(folder: Path, value: str) -> None:
    """A list or a number names no file."""
    write("c.yaml", f"extends: {value}\nx: 1\n")
    assert "'extends' without a name; expected a shipped name or a file such as base.yaml" in fault("c.yaml")


_BASE = "bw: {value: 2, unit: GB/s, kind: fitted, source: paper, rows: table 3}\n"


def merged(child: str) -> object:
    """The quantity of the base file with a child laid over it."""
    return plain(merge(parse(_BASE, "base.yaml").root, parse(child, "child.yaml").root))["bw"]


def test_a_quantity_is_replaced_whole() -> None:
    """A child's value never inherits the base's source and rows: it would claim what nobody measured."""
    assert merged("bw: {value: 3, unit: GB/s}") == {"value": 3, "unit": "GB/s"}
    assert merged("bw: {source: other}") == {
        "value": 2,
        "unit": "GB/s",
        "kind": "fitted",
        "source": "other",
        "rows": "table 3",
    }


def test_a_plain_number_over_a_quantity_is_marked_as_set() -> None:
    """Shorthand keeps the unit, or names its own, and says which file set it."""
    assert merged("bw: 5") == {"value": 5, "unit": "GB/s", "kind": "set", "source": "set in child.yaml"}
    assert merged("bw: 5 GiB/s") == {"value": 5, "unit": "GiB/s", "kind": "set", "source": "set in child.yaml"}
    assert merged("bw: null") is None


def test_what_is_no_number_over_a_quantity_is_left_to_the_schema() -> None:
    """So that it is refused beside every other fault of the file, not before them."""
    assert merged("bw: fast") == "fast"


def test_read_bytes_names_the_asking_place(folder: Path) -> None:
    """A file that another file asks for is named, since the place is not its own."""
    with pytest.raises(HwsimError, match=r"c\.yaml:3:1: '\.' is a directory; expected a YAML file"):
        read_bytes(".", Where("c.yaml", 3, 1))


def test_carries_turns_findings_into_assumptions(folder: Path) -> None:
    """What another machine's file measured or fitted is assumed here, with its origin; own values stay as they are."""
    write(
        "old.yaml",
        "name: old\n"
        "a: {value: 1, unit: s, kind: fitted, source: a fit, rows: some rows}\n"
        "b: {value: 2, unit: s, kind: assumed, source: a guess}\n"
        "deep:\n"
        "  c: {value: 3, unit: s, kind: measured, source: a bench}\n"
        "  d: {value: 4, unit: s, kind: datasheet, source: p. 3}\n",
    )
    write(
        "new.yaml",
        "carries: ./old.yaml\nname: new\ndeep: {d: {value: 5, unit: s, kind: measured, source: a bench here}}\n",
    )
    write("card.yaml", "extends: ./new.yaml\ne: 1\n")
    assert plain(read("card.yaml").root) == {
        "name": "new",
        "a": {"value": 1, "unit": "s", "kind": "assumed", "source": "fitted on old: a fit"},
        "b": {"value": 2, "unit": "s", "kind": "assumed", "source": "a guess"},
        "deep": {
            "c": {"value": 3, "unit": "s", "kind": "assumed", "source": "measured on old: a bench"},
            "d": {"value": 5, "unit": "s", "kind": "measured", "source": "a bench here"},
        },
        "e": 1,
    }
    assert len(read("card.yaml").parents) == 2


def test_carried_twice_says_the_nearest_origin_once(folder: Path) -> None:
    """Along a chain of carried files the source names the machine where the value was found."""
    write("a.yaml", "x: {value: 1, unit: s, kind: fitted, source: a fit, rows: r}\n")
    write("b.yaml", "carries: ./a.yaml\n")
    write("c.yaml", "carries: ./b.yaml\n")
    assert plain(read("c.yaml").root)["x"]["source"] == "fitted on a: a fit"


def test_one_parent_only(folder: Path) -> None:
    """A file has one base: both keys are a fault at the second."""
    write("a.yaml", "x: 1\n")
    write("b.yaml", "extends: ./a.yaml\ncarries: ./a.yaml\n")
    assert fault("b.yaml") == (
        "b.yaml:2:1: 'carries' beside 'extends'; expected one of them: the file named there may have the other"
    )
    write("c.yaml", "carries: [a]\n")
    assert "'carries' without a name" in fault("c.yaml")


@pytest.mark.parametrize("text", ["[1, 2]", "{value: 1, unit: s}", "{value: 1, unit: s, kind: [1], source: {}}", "7"])
def test_what_is_no_whole_quantity_is_left_to_the_schema(folder: Path, text: str) -> None:
    """Carrying judges nothing: lists, numbers and quantities without kind or source stay for the schema to refuse."""
    write("a.yaml", f"x: {text}\n")
    write("b.yaml", "carries: ./a.yaml\ny: 1\n")
    assert plain(read("b.yaml").root)["x"] == plain(parse(f"x: {text}\n".encode(), "t").root)["x"]
