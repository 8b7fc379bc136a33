"""The tables of fields on the pages hold the fields and defaults of the code, all of them and no other."""

from __future__ import annotations

import re
from dataclasses import MISSING, fields
from pathlib import Path
from typing import Any

import pytest

from hwsim.cli import COMMANDS
from hwsim.devices.base import Device
from hwsim.devices.catalog import find_device
from hwsim.spec import quantities
from hwsim.workload import model as workload_model

DOCS = Path(__file__).resolve().parents[2] / "docs"
FORMATS_PAGE = (DOCS / "file-formats.md").read_text(encoding="utf-8")
FAMILIES = {
    "mamba1": workload_model.Mamba1Model,
    "mamba2": workload_model.Mamba2Model,
    "transformer": workload_model.TransformerModel,
    "hybrid": workload_model.HybridModel,
    "encoder": workload_model.EncoderModel,
    "vit": workload_model.VitModel,
    "convnet": workload_model.ConvNetModel,
}


def declared(cls: Any) -> tuple[set[str], dict[str, str]]:
    """(required fields, others with their defaults as YAML shows them), without the family's tag."""
    required = {each.name for each in fields(cls) if each.default is MISSING and each.default_factory is MISSING}
    rest = {each.name: each.default for each in fields(cls) if each.default is not MISSING and each.name != "family"}
    return required, {name: as_yaml(value) for name, value in rest.items()}


def as_yaml(value: object) -> str:
    """A default as the pages write it."""
    if isinstance(value, tuple):
        return f"[{', '.join(value)}]"
    return str(value).lower() if isinstance(value, bool) else str(value)


@pytest.mark.parametrize("family", FAMILIES)
def test_the_keys_of_a_family_are_listed(family: str) -> None:
    """Its row has the required keys and the others with their defaults."""
    (row,) = re.findall(rf"^\| `{family}` \| (`.*) \|$", FORMATS_PAGE, re.MULTILINE)
    spans = re.findall(r"`([^`]+)`", row)
    shown = dict(span.split(": ", 1) for span in spans[1:])
    assert (set(spans[0].split()), shown) == declared(FAMILIES[family])


def test_the_formats_by_role_are_listed() -> None:
    """Each role stands with its default, or with the role that it follows."""
    text = FORMATS_PAGE.split("`formats` has")[1].split("\n\n")[0]
    _, defaults = declared(workload_model.Formats)
    for name, value in defaults.items():
        shown = (
            rf"`{name}` \((vectors|activations|embedding|weights)[,)]"
            if value == "None"
            else rf"`{name}: {re.escape(value)}`"
        )
        assert re.search(shown, text), name
    names = re.search(r"The formats are `([^`]+)`", text)
    assert names is not None
    assert tuple(names[1].split()) == workload_model.FormatName.__args__


def test_the_fields_of_a_machine_are_listed() -> None:
    """The table of machines.md has a cell for every number of a machine file, and for no other."""
    section = (DOCS / "machines.md").read_text(encoding="utf-8").split("## The fields of a machine file")[1]
    listed: set[str] = set()
    for row in re.findall(r"^\| (`[^|]+) \|", section.split("\n## ")[0], re.MULTILINE):
        spans = re.findall(r"`([^`]+)`", row)
        parent = spans[0].rpartition(".")[0]
        listed |= {parent + span if span.startswith(".") else span for span in spans}
    device = find_device("vck190")
    numbers = {path for path, _ in quantities(device.parameters, "")}
    numbers = {path.removeprefix(".") for path in numbers}
    others = {"family", "name", "description", "verifies_trees", "compare_with"}
    words = {"formats.weights", "formats.activations", "formats.state"}
    assert listed == numbers | others | words


def test_the_protocol_of_a_device_is_listed() -> None:
    """The table of design.md names every member of the protocol, and no other."""
    table = (DOCS / "design.md").read_text(encoding="utf-8").split("| method | gives |")[1].split("\n\n")[0]
    named = {
        name for cell in re.findall(r"^\| (`[^|]+) \|", table, re.MULTILINE) for name in re.findall(r"`(\w+)", cell)
    }
    assert named == {name for name in vars(Device) if not name.startswith("_")} - {"name", "family"}


def test_every_command_is_in_the_readme() -> None:
    """The table of commands in the README has each of them."""
    table = (DOCS.parent / "README.md").read_text(encoding="utf-8").split("## Commands")[1].split("\n## ")[0]
    assert set(re.findall(r"`hwsim (\w+)", table)) == set(COMMANDS)
