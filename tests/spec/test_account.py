"""The accounts of a loaded value."""

from dataclasses import dataclass

from hwsim.spec import Quantity, quantities


@dataclass(frozen=True)
class Part:
    rate: Quantity
    name: str


@dataclass(frozen=True)
class Machine:
    parts: tuple[Part, ...]
    table: dict[str, Quantity]
    spare: Quantity | None = None


def test_every_quantity_with_its_path() -> None:
    """Dataclasses, tuples and mappings are walked in order; what is absent is left out."""
    one, two, three = (Quantity(value, "Hz", "assumed", "x") for value in (1, 2, 3))
    machine = Machine((Part(one, "a"), Part(two, "b")), {"k": three})
    assert list(quantities(machine)) == [("parts[0].rate", one), ("parts[1].rate", two), ("table.k", three)]
    assert list(quantities(one, "clock")) == [("clock", one)]
    assert next(quantities([machine], "m"))[0] == "m[0].parts[0].rate"
    assert list(quantities("text")) == []
