"""What `show` says of a machine, a workload and a paper; the tables are made from the JSON form."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from hwsim.report.table import Block, Column, Heading, Paragraph, Table, amount
from hwsim.units import format_bytes, format_count, format_rate, format_si

if TYPE_CHECKING:
    from hwsim.devices.base import Device
    from hwsim.workload.model import Workload

__all__ = ["device_blocks", "device_form", "paper_blocks", "workload_blocks", "workload_form"]


# --- a machine -------------------------------------------------------------------------------------------------------


def device_form(device: Device, inputs: Mapping[str, str]) -> dict[str, Any]:
    """A machine as JSON: resources, roofs, and every constant with its source."""
    from hwsim.spec import quantities  # noqa: PLC0415 - pulls in the door

    parameters = device.parameters
    return {
        "name": device.name,
        "family": device.family,
        "description": str(getattr(parameters, "description", "")),
        "clock_hz": device.clock_hz,
        "verifies_trees": device.verifies_trees,
        "compare_with": getattr(parameters, "compare_with", None),
        "stacks": {name: each.description for name, each in getattr(device, "stacks", {}).items()},
        "resources": [asdict(resource) for resource in device.resources],
        "macs_per_s": dict(device.roofs.macs_per_s),
        "bytes_per_s": dict(device.roofs.bytes_per_s),
        "constants": [
            {"path": path, "value": q.value, "unit": q.unit, "kind": q.kind, "source": q.source, "rows": q.rows}
            for path, q in quantities(parameters, "device")
        ],
        "inputs": dict(inputs),
    }


def device_blocks(form: Mapping[str, Any]) -> list[Block]:
    """A machine's tables."""
    resources = tuple((r["name"], r["meaning"], _rate(r["rate"], r["unit"])) for r in form["resources"])
    constants = tuple(
        (c["path"].removeprefix("device."), amount(c["value"], c["unit"]),
         c["kind"], c["source"] + (f" (fitted on: {c['rows']})" if c["rows"] else ""))
        for c in form["constants"]
    )  # fmt: skip
    counts: dict[str, int] = {}
    for constant in form["constants"]:
        counts[constant["kind"]] = counts.get(constant["kind"], 0) + 1
    summary = ", ".join(f"{count} {kind}" for kind, count in counts.items())
    blocks: list[Block] = [Heading(f"{form['name']} ({form['family']})")]
    if form["description"]:
        blocks.append(Paragraph(form["description"]))
    if form["stacks"]:
        named = Column("stack"), Column("software")
        blocks += [Heading("Software stacks (stack=NAME)"), Table(named, tuple(form["stacks"].items()))]
    blocks += [
        Heading("Resources"),
        Table((Column("resource"), Column("what it is"), Column("at full speed", "right")), resources),
        Heading(f"Constants: {summary}"),
        Table((Column("constant"), Column("value", "right"), Column("kind"), Column("source")), constants),
    ]
    return blocks


def _rate(rate: float, unit: str) -> str:
    """A rate with its unit; empty for what has none, as a GPU's latency."""
    if (rate, unit) == (1.0, "elements/s"):
        return ""
    return format_rate(rate) if unit == "bytes/s" else format_si(rate, unit)


# --- a workload ------------------------------------------------------------------------------------------------------


def workload_form(workload: Workload, inputs: Mapping[str, str]) -> dict[str, Any]:
    """A workload as JSON: what the file says, and its sums."""
    from hwsim.workload.summary import summary  # noqa: PLC0415 - pulls in the graph

    sums = summary(workload)
    names = [name for name in sums.__dataclass_fields__ if name != "blocks"]
    return {
        **{name: getattr(sums, name) for name in names},
        "blocks": {
            name: {
                **{field: _plain(getattr(totals, field)) for field in totals.__dataclass_fields__},
                "bytes": totals.bytes,
            }
            for name, totals in sums.blocks.items()
        },
        **{part: _plain(asdict(getattr(workload, part))) for part in ("model", "formats", "decoding", "run")},
        "inputs": dict(inputs),
    }


def _plain(value: Any) -> Any:
    """A tree of mappings and tuples as plain dicts and lists."""
    if isinstance(value, Mapping):
        return {str(name): _plain(item) for name, item in value.items()}
    return [_plain(item) for item in value] if isinstance(value, tuple | list) else value


def workload_blocks(form: Mapping[str, Any]) -> list[Block]:
    """A workload's tables."""
    sums = (
        ("parameters", format_count(form["parameters"])),
        ("weights", format_bytes(form["weight_bytes"])),
        ("layers", format_count(form["layers"])),
        (f"MACs per {_unit_of(form)}", format_count(form["macs"])),
        ("of these in the layers' matrix products", format_count(form["linear_macs_body"])),
        ("of these in the head", format_count(form["head_macs"])),
        ("state elements (scan)", _unless_zero(form["scan_state_elements"])),
        ("state elements (conv)", _unless_zero(form["conv_state_elements"])),
        ("state", format_bytes(form["state_bytes"]) if form["state_bytes"] else ""),
        ("keys and values per token", format_bytes(c) if (c := form["cache_bytes_per_token"]) else ""),
    )
    blocks: list[Block] = [Heading(f"{form['name']} ({form['family']})")]
    if form["description"]:
        blocks.append(Paragraph(form["description"]))
    rows = tuple(row for row in sums if row[1])
    blocks += [Table((Column("per sequence"), Column("", "right")), rows), Paragraph(_weights_words(form))]
    blocks += [Heading("By layer kind, all layers"), _block_table(form["blocks"])]
    settings = tuple(row for part in ("model", "formats", "decoding", "run") for row in _settings(form[part], part))
    blocks += [Heading("Settings"), Table((Column("setting"), Column("value")), settings)]
    return blocks


def _unit_of(form: Mapping[str, Any]) -> str:
    """What a workload's sums are of."""
    if form["family"] == "encoder":
        return "text"
    if form["family"] in ("vit", "convnet"):
        return "image"
    return "token" if form["family"] != "ops" else "input" if form["model"]["tokens"] else "image"


def _weights_words(form: Mapping[str, Any]) -> str:
    """What the bytes of the weights count, which a machine's footprint does not."""
    text = "Weights are all parameters in the formats of the file. What a machine holds may differ: it counts the "
    text += "formats that it runs"
    if form["run"]["lm_head"] == "host":
        text += ", and leaves out the embedding, the final norm and the LM head, which the host keeps (run.lm_head)"
    return f"{text}."


def _settings(value: Any, path: str) -> list[tuple[str, str]]:
    """Every setting with its path; a constant in one row with its kind and source."""
    if isinstance(value, list) and value and isinstance(value[0], Mapping):
        return [row for place, item in enumerate(value) for row in _listed(item, f"{path}[{place}]")]
    if not isinstance(value, Mapping):
        text = ", ".join(map(str, value)) if isinstance(value, list) else str(value)
        return [] if value in (None, "") else [(path, text)]
    if {"value", "unit", "kind", "source"} <= value.keys():
        return [(path, f"{amount(value['value'], value['unit'])} ({value['kind']}: {value['source']})")]
    return [row for name, item in value.items() for row in _settings(item, f"{path}.{name}")]


def _listed(item: Mapping[str, Any], path: str) -> list[tuple[str, str]]:
    """An entry of a list in one row, what it leaves open left out; what it holds itself in rows of its own."""
    plain = {name: value for name, value in item.items() if not isinstance(value, list)}
    told = ", ".join(f"{name}={value}" for name, value in plain.items() if value not in (None, "", 0, False))
    inner = (
        row for name, value in item.items() if isinstance(value, list) for row in _settings(value, f"{path}.{name}")
    )
    return [(path, told), *inner]


def _unless_zero(count: int) -> str:
    return format_count(count) if count else ""


def _block_table(blocks: Mapping[str, Mapping[str, Any]]) -> Table:
    """Sums by layer kind: a column for each number that a block's totals have."""
    names = list(dict.fromkeys(name for totals in blocks.values() for name, v in totals.items() if _is_count(v)))
    columns = (Column("layer kind"), *(Column(name.replace("_", " "), "right") for name in names))
    rows = tuple(
        (block, *(format_bytes(totals[n]) if n.endswith("bytes") else format_count(totals[n]) for n in names))
        for block, totals in blocks.items()
    )
    return Table(columns, rows)


def _is_count(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


# --- a paper ---------------------------------------------------------------------------------------------------------


def paper_blocks(form: Mapping[str, Any]) -> list[Block]:
    """A paper's rows, as its catalogue states them."""
    rows = tuple(
        (row["id"], row["claim"], amount(row["published"], row["unit"]), _expected_words(row), row["source"])
        for row in form["rows"]
    )
    columns = (Column("row"), Column("claim"), Column("published", "right"), Column("expected"), Column("source"))
    return [Heading(f"{form['paper']}: {form['title']}"), Paragraph(form["reference"]), Table(columns, rows)]


def _expected_words(row: Mapping[str, Any]) -> str:
    """The verdict that a row expects, in the words of `hwsim paper`."""
    words = str(row["expected"]).replace("_", " ")
    return f"{words} (fitted to it)" if row["fitted_to_it"] else words
