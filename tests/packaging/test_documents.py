"""What stands beside the code keeps up with it: YAML headers, the layout page, the changelog, the pinned versions."""

from __future__ import annotations

import re
import tomllib
from itertools import takewhile
from pathlib import Path

import pytest

import hwsim

ROOT = Path(__file__).resolve().parents[2]
SHIPPED = sorted(
    path
    for folder in ("workloads", "mappings", "hwsim/devices/catalog", "hwsim/published")
    for path in (ROOT / folder).rglob("*.yaml")
)
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
PINS = dict(
    line.split("==")
    for line in (ROOT / "constraints.txt").read_text().splitlines()
    if line and not line.startswith("#")
)
MIN_HEADER_WORDS = 4


def normalized(name: str) -> str:
    """A package name as an index compares it."""
    return re.sub(r"[-_.]+", "-", name).lower()


def test_shipped_yaml_has_a_header() -> None:
    """Each shipped YAML file begins with a comment that says what it is, in more than a word."""
    assert SHIPPED
    bare = [path.relative_to(ROOT).as_posix() for path in SHIPPED if len(header(path).split()) < MIN_HEADER_WORDS]
    assert not bare


def header(path: Path) -> str:
    """The comment that a file begins with."""
    lines = path.read_text(encoding="utf-8").splitlines()
    return " ".join(line.lstrip("# ") for line in takewhile(lambda line: line.startswith("#"), lines))


def rooms() -> list[str]:
    """Modules and packages of `hwsim` that exist, as docs/layout.md writes them."""
    found = []
    for path in (ROOT / "hwsim").iterdir():
        if path.suffix == ".py" and not path.name.startswith("__"):
            found.append(f"hwsim/{path.name}")
        elif path.is_dir() and (path / "__init__.py").exists():
            found.append(f"hwsim/{path.name}/")
    return found


def layers() -> list[str]:
    """Rooms in the order of the import contract, first to last."""
    contract = next(c for c in PROJECT["tool"]["importlinter"]["contracts"] if c["type"] == "layers")
    return [re.sub(r"[()\s]", "", name) for layer in reversed(contract["layers"]) for name in layer.split(":")]


def test_layout_names_every_room() -> None:
    """docs/layout.md has a row for each room that exists, and none twice."""
    rows = re.findall(r"^\| `(hwsim/[^`]+)`", (ROOT / "docs/layout.md").read_text(encoding="utf-8"), re.MULTILINE)
    assert len(rows) == len(set(rows))
    assert set(rooms()) <= set(rows)


def test_layout_has_the_order_of_imports() -> None:
    """The rows of docs/layout.md stand in the order that the import contract holds."""
    rows = re.findall(r"^\| `hwsim/([a-z_]+)(?:\.py|/)`", (ROOT / "docs/layout.md").read_text("utf-8"), re.MULTILINE)
    order = layers()
    level = {"cost": 1, "formats": 1, "units": 1}  # one layer: they may import one another
    places = [level.get(row, 1 + order.index(row)) for row in rows if row != "errors"]
    assert rows[0] == order[0] == "errors"
    assert places == sorted(places)


@pytest.mark.parametrize("place", ["workloads", "mappings", "rtl", "tests", "bench", "docs", "tools", "reports"])
def test_layout_names_what_stands_around(place: str) -> None:
    """docs/layout.md has a row for each folder beside the package."""
    assert f"\n| `{place}/` |" in (ROOT / "docs/layout.md").read_text(encoding="utf-8")


def test_changelog_has_this_version() -> None:
    """CHANGELOG.md begins with an entry for the version that `hwsim` says it is, and the entry is not empty."""
    text = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    versions = re.findall(r"^## \[(.+?)\]", text, re.MULTILINE)
    assert versions[0] == hwsim.__version__
    assert re.search(
        rf"^## \[{re.escape(versions[0])}\].*\n+### (?:Added|Changed|Fixed|Removed)\n+- ", text, re.MULTILINE
    )


def test_constraints_pin_every_dependency() -> None:
    """Each dependency and development tool of pyproject.toml is pinned, by name and version only."""
    project = PROJECT["project"]
    wanted = project["dependencies"] + PROJECT["build-system"]["requires"]
    wanted += [each for extra in project["optional-dependencies"].values() for each in extra]
    names = {normalized(re.split(r"[<>=!~;\[ ]", requirement)[0]) for requirement in wanted}
    assert names <= {normalized(name) for name in PINS}
    assert all(re.fullmatch(r"[0-9]+(?:\.[0-9a-z]+)*", version) for version in PINS.values()), PINS


def test_the_licence_is_whole() -> None:
    """LICENSE is the Apache License 2.0 from its title to its appendix."""
    text = (ROOT / "LICENSE").read_text(encoding="utf-8")
    assert PROJECT["project"]["license"] == "Apache-2.0"
    for part in (
        "Version 2.0, January 2004",
        "9. Accepting Warranty",
        "END OF TERMS AND CONDITIONS",
        "APPENDIX: How to",
    ):
        assert part in text
