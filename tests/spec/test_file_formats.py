"""The page on file formats says what the door does."""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import pytest

from hwsim.errors import HwsimError
from hwsim.spec import OneOf, Quantity, Unit, load, parse
from hwsim.spec.build import MAX_DEPTH, MAX_NODES
from hwsim.spec.dimension import parse_unit
from hwsim.spec.files import MAX_EXTENDS

_PAGE = (Path(__file__).parents[2] / "docs" / "file-formats.md").read_text(encoding="utf-8")
_SECTIONS = _PAGE.split("\n## ")


@dataclass(frozen=True)
class Memory:
    bandwidth: Annotated[Quantity, Unit("bytes/s")]


@dataclass(frozen=True)
class Formats:
    weights: Annotated[str, OneOf(("int4", "int8"))]


@dataclass(frozen=True)
class Mine:
    name: str
    clock: Annotated[Quantity, Unit("Hz")]
    memory: Memory
    formats: Formats


def block(section: str, language: str) -> str:
    """The first code block of a language under a heading."""
    (text,) = (part for part in _SECTIONS if part.startswith(section))
    match = re.search(rf"^```{language}\n(.*?)^```", text, re.DOTALL | re.MULTILINE)
    assert match
    return match[1]


def test_the_faults_shown_are_those_given() -> None:
    """The file on the page gives the lines on the page."""
    with pytest.raises(HwsimError) as caught:
        load(parse(block("Faults", "yaml"), "my.yaml"), Mine)
    assert f"{caught.value}\n" == block("Faults", "text")


def test_the_quantity_shown_loads() -> None:
    """The example of a quantity is one."""
    assert load(parse(block("Quantities", "yaml")), Memory).bandwidth.value == 12.8e9


def test_the_units_shown_are_known() -> None:
    """Each unit of the table is made of known names: none counts things of its own kind."""
    known = {"byte", "second", "joule", "op", "flop", "mac", "metre"}
    table = _PAGE.split("| measures | names |")[1].split("| anything else")[0]
    for name in re.findall(r"`([^` ]+)`", table):
        assert {base for base, _ in parse_unit(name).dimension} <= known, name


def test_the_bounds_shown_are_those_held() -> None:
    """The page names the bounds of the code."""
    assert f"{MAX_DEPTH} levels, {MAX_NODES:,} values" in _PAGE
    assert f"{MAX_EXTENDS} files in a chain" in _PAGE
