"""The door: YAML text to frozen dataclasses, or every fault at once with file, line and column.

``read(file)`` gives a positioned tree, ``override`` lays ``--set`` over it, and ``load(tree, Schema)`` builds
the dataclass. Numbers of a machine are a :class:`Quantity`: value, unit, kind and source.
"""

from __future__ import annotations

from hwsim.spec.account import quantities
from hwsim.spec.dump import OneLine, dump_yaml
from hwsim.spec.fields import Bound, Fraction, NonNegative, OneOf, Positive, Refused, Tagged, Unit
from hwsim.spec.files import Resolver, read
from hwsim.spec.nodes import Document, plain
from hwsim.spec.override import append, override
from hwsim.spec.quantity import Kind, Quantity
from hwsim.spec.schema import load, schema_json
from hwsim.spec.text import parse

__all__ = [
    "Bound",
    "Document",
    "Fraction",
    "Kind",
    "NonNegative",
    "OneLine",
    "OneOf",
    "Positive",
    "Quantity",
    "Refused",
    "Resolver",
    "Tagged",
    "Unit",
    "append",
    "dump_yaml",
    "load",
    "override",
    "parse",
    "plain",
    "quantities",
    "read",
    "schema_json",
]
