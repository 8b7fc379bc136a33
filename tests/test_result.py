"""`Result.to_dict` is the JSON contract; `to_json` its text."""

from __future__ import annotations

import json
import math
from dataclasses import replace

import pytest
from result_builder import FITTED, result, speculative

from hwsim import __version__
from hwsim.result import SCHEMA_VERSION, to_json

CONTRACT = {
    "schema_version",
    "hwsim_version",
    "workload",
    "device",
    "mapping",
    "phase",
    "batch",
    "context",
    "clock_hz",
    "cycles",
    "time_s",
    "step_s",
    "time_per_token_s",
    "tokens_per_s",
    "images_per_s",
    "energy_j",
    "energy_j_by",
    "tokens_per_j",
    "bound",
    "utilization",
    "bytes",
    "macs",
    "memory_bytes",
    "speculative",
    "formats",
    "ops",
    "constants",
    "inputs",
}
OP_FIELDS = ["name", "kind", "count", "time_s", "cycles", "bytes", "macs", "bound", "resource", "share"]


def test_every_field_of_the_contract_is_there() -> None:
    """DESIGN section 5's list, with versions first and inputs last."""
    plain = result().to_dict()
    assert set(plain) >= CONTRACT
    assert list(plain)[:2] == ["schema_version", "hwsim_version"]
    assert list(plain)[-1] == "inputs"
    assert (plain["schema_version"], plain["hwsim_version"]) == (SCHEMA_VERSION, __version__)
    assert set(OP_FIELDS) <= set(plain["ops"][0])
    assert set(plain["memory_bytes"]) == {"weights", "state", "activations"}
    assert set(plain["formats"]) == {"asked", "used"}
    assert set(plain["constants"]) == {"fitted", "assumed", "set"}


def test_plain_types_only() -> None:
    """The dictionary equals what is read back from its text: no tuples, no dataclasses, no programs."""
    for each in (result(), speculative()):
        plain = each.to_dict()
        assert json.loads(to_json(plain)) == plain
        assert "roofs" not in plain
        assert all("programs" not in row for row in plain["passes"])


def test_text_is_stable() -> None:
    """Same result, same bytes; a final newline."""
    assert to_json(result().to_dict()) == to_json(result().to_dict())
    assert to_json({"a": 1}) == '{\n  "a": 1\n}\n'


def test_an_ideal_constant_stands_as_the_user_writes_it() -> None:
    """JSON has no infinity: a constant of ``.inf`` is the text ``.inf``."""
    ideal = replace(FITTED, value=math.inf, kind="set")
    plain = result(set_by_user=(ideal,)).to_dict()
    assert plain["constants"]["set"][0]["value"] == ".inf"
    assert json.loads(to_json(plain)) == plain


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_text_refuses_what_json_has_not(value: float) -> None:
    """A NaN in an answer is a bug and is not written."""
    with pytest.raises(ValueError, match="JSON"):
        to_json({"time_s": value})
