"""A positioned tree to frozen dataclasses: every fault at once, each at its place.

pydantic judges (strictly, through its JSON mode: ``true`` is no 1, ``"1"`` is no number, a list is a tuple);
the faults are worded here. It is imported with the first file, not with this module.
"""

from __future__ import annotations

import json
import math
from functools import cache
from typing import TYPE_CHECKING, Any, Final, TypeVar, cast

from hwsim.errors import Fault, HwsimError
from hwsim.spec.build import MAX_FAULTS
from hwsim.spec.faults import Problem, faults_of
from hwsim.spec.nodes import Document, MappingNode, Node, ScalarNode, SequenceNode, scalars
from hwsim.spec.scalars import MAX_DIGITS
from hwsim.spec.shorthand import is_quantity

if TYPE_CHECKING:
    from pydantic import TypeAdapter

__all__ = ["load", "schema_json"]

_T = TypeVar("_T")
_INT64: Final = 1 << 63
_MAX_RECORDS: Final = 5 * MAX_FAULTS


def load(document: Document, schema: type[_T]) -> _T:
    """Check a document against a dataclass and build it.

    Args:
        document: what :func:`hwsim.spec.read` or :func:`hwsim.spec.parse` gave.
        schema: a frozen stdlib dataclass; its fields may be ``int float bool str``, ``Literal``, ``Enum``,
            ``Quantity``, ``X | None``, ``tuple[X, ...]``, ``dict[str, X]``, dataclasses, and unions of
            dataclasses marked :class:`hwsim.spec.Tagged`; marks stand in ``Annotated``.

    Raises:
        HwsimError: all that is wrong with the document, in the order of the file.
    """
    from pydantic import ValidationError  # noqa: PLC0415 - loaded with the first file

    faults = list(_bad_numbers(document.root))
    value: Any = None
    left = 0
    try:
        value = _adapter(cast("type", schema)).validate_json(json.dumps([_for_fields(document.root)]))
    except ValidationError as error:
        records = error.errors(include_url=False, include_input=False)
        problems = [Problem(tuple(each["loc"])[1:], each) for each in records[:_MAX_RECORDS]]
        faults += faults_of(problems, document.root, schema)
        left = len(records) - len(problems)
    if faults:
        raise HwsimError(*_in_order(faults, left))
    return cast("_T", value[0])


def schema_json(schema: type) -> dict[str, Any]:
    """The JSON Schema (draft 2020-12) of what :func:`load` takes for a dataclass."""
    whole = _adapter(schema).json_schema()
    (item,) = whole["prefixItems"]
    out = {"$schema": "https://json-schema.org/draft/2020-12/schema", **item}
    if "$defs" in whole:
        out["$defs"] = whole["$defs"]
    return out


def _for_fields(node: Node) -> Any:
    """The tree as plain values; the unit of a pure number, ``unit: 1``, as the text that it stands for."""
    if isinstance(node, ScalarNode):
        return node.value
    if isinstance(node, SequenceNode):
        return [_for_fields(item) for item in node.items]
    values = {key: _for_fields(entry.node) for key, entry in node.entries.items()}
    if is_quantity(node) and _is_one(node):
        values["unit"] = "1"
    return values


def _is_one(quantity: MappingNode) -> bool:
    unit = quantity.get("unit")
    return isinstance(unit, ScalarNode) and unit.text == "1"


@cache
def _adapter(schema: type) -> TypeAdapter[Any]:
    """The validator of a schema; a 1-tuple around it carries the settings that a stdlib dataclass cannot."""
    from pydantic import ConfigDict, TypeAdapter  # noqa: PLC0415 - loaded with the first file

    return TypeAdapter(tuple[schema], config=ConfigDict(extra="forbid", strict=True))  # type: ignore[valid-type]


def _bad_numbers(root: Node) -> list[Fault]:
    """Numbers that no field takes: ``.nan``, and whole numbers that 64 bits cannot hold."""
    faults = []
    for path, node in scalars(root):
        value = node.value
        if isinstance(value, float) and math.isnan(value):
            faults.append(Fault(node.where, f"found .nan for {path}", "a number"))
        elif type(value) is int and not -_INT64 <= value < _INT64:
            shown = node.text if len(node.text) <= MAX_DIGITS else "a longer number"
            faults.append(Fault(node.where, f"found {shown} for {path}", "a whole number of at most 64 bits"))
    return faults


def _in_order(faults: list[Fault], left: int) -> list[Fault]:
    """Faults file by file (as first met), then by line and column; after the first hundred a count.

    Args:
        faults: the faults that were worded.
        left: how many more there are.
    """
    sources = {source: rank for rank, source in enumerate(dict.fromkeys(fault.where.source for fault in faults))}
    unique = list(dict.fromkeys(faults))
    unique.sort(key=lambda fault: (sources[fault.where.source], fault.where.line or 0, fault.where.column or 0))
    left += max(0, len(unique) - MAX_FAULTS)
    if left:
        last = unique[: MAX_FAULTS + 1][-1]
        unique[MAX_FAULTS:] = [Fault(last.where, f"{left} more faults from here on", "a valid file")]
    return unique
