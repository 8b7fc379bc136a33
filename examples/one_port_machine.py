"""A machine family in one file: a single unit beside a single memory port, each op after the other.

`hwsim.devices.base.Device` says what a family answers; this is the least that does. Registered as below, or by an
entry point of a package (``[project.entry-points."hwsim.families"]``, ``one-port = "one_port_machine:FAMILY"``), its
files run in every command: `hwsim simulate mamba2-130m --device my.yaml`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated, Any, Literal

from hwsim.devices.base import Enters, FormatChoice, Lowered, PassWork, Resource, Roofs
from hwsim.devices.catalog import Family, find_device, register_family
from hwsim.devices.held import memory_terms
from hwsim.devices.ranges import CLOCK, ENERGY, RATE, STOCK
from hwsim.errors import Infeasible
from hwsim.pipeline import Question, simulate
from hwsim.result import Result
from hwsim.schedule import Program, Stage
from hwsim.spec import Quantity, Unit
from hwsim.workload.catalog import find_workload
from hwsim.workload.decoding import Policy
from hwsim.workload.graph import Graph
from hwsim.workload.model import Formats
from hwsim.workload.op import Op

MACHINE = """\
family: one-port
name: toy
description: a unit and a port
clock: {value: 1, unit: GHz, kind: assumed, source: a toy}
macs: {value: 1, unit: Tmac/s, kind: assumed, source: a toy}
bandwidth: {value: 100, unit: GB/s, kind: assumed, source: a toy}
capacity: {value: 16, unit: GB, kind: assumed, source: a toy}
mac_energy: {value: 1, unit: pJ/mac, kind: assumed, source: a toy}
"""


@dataclass(frozen=True, slots=True)
class OnePortParameters:
    """What a file of the family holds."""

    family: Literal["one-port"]
    name: str
    description: str
    clock: Annotated[Quantity, Unit("Hz"), CLOCK]
    macs: Annotated[Quantity, Unit("mac/s"), RATE]
    bandwidth: Annotated[Quantity, Unit("bytes/s"), RATE]
    capacity: Annotated[Quantity, Unit("bytes"), STOCK]
    mac_energy: Annotated[Quantity, Unit("pJ/mac"), ENERGY]


@dataclass(frozen=True, slots=True)
class OnePortDevice:
    """The family behind the protocol."""

    parameters: OnePortParameters
    family: str = "one-port"
    verifies_trees: bool = False

    @property
    def name(self) -> str:
        """The name the user types."""
        return self.parameters.name

    @property
    def clock_hz(self) -> float:
        """The clock that cycles are counted in."""
        return self.parameters.clock.value

    @property
    def resources(self) -> tuple[Resource, ...]:
        """What can be the limit."""
        p = self.parameters
        return (
            Resource("memory", "the port", p.bandwidth.value, "bytes/s"),
            Resource("unit", "the multipliers", p.macs.value, "mac/s"),
        )

    @property
    def roofs(self) -> Roofs:
        """Peak rates."""
        return Roofs({"fp16": self.parameters.macs.value}, {"dram": self.parameters.bandwidth.value})

    def formats(self, asked: Formats) -> tuple[Formats, FormatChoice]:
        """Any format is run as asked."""
        roles = {role: getattr(asked, role) for role in ("weights", "activations", "state")}
        return asked, FormatChoice(roles, roles)

    def supports(self, op: Op) -> Infeasible | None:
        """Every op runs."""
        return None

    def map(self, op: Op) -> Any:
        """There is nothing to choose."""
        return {}

    def plan_state(
        self, graph: Graph, works: tuple[PassWork, ...], policy: Policy, accepted_tokens: int
    ) -> tuple[PassWork, ...]:
        """The passes as they are."""
        return works

    def fits(self, passes: tuple[tuple[Graph, PassWork], ...]) -> Infeasible | None:
        """None when memory holds everything."""
        terms, room = self.footprint(passes), self.parameters.capacity.value
        needed = sum(terms.values())
        if needed <= room:
            return None
        return Infeasible("memory", needed, room, "bytes", f"{self.name} is too small", terms, ("a smaller model",))

    def footprint(self, passes: tuple[tuple[Graph, PassWork], ...]) -> Mapping[str, float]:
        """Bytes held off chip."""
        return memory_terms(passes)

    def lower(self, graph: Graph, work: PassWork) -> tuple[Lowered, ...]:
        """A program for each op; within it port and unit overlap."""
        return tuple(self._lowered(op, count) for op, count in graph.distinct())

    def _lowered(self, op: Op, count: int) -> Lowered:
        p, moved = self.parameters, float(sum(op.bytes_by_role.values()))
        unit = math.ceil((op.macs + op.other_ops) / p.macs.value * self.clock_hz)
        port = math.ceil(moved / p.bandwidth.value * self.clock_hz)
        stages = (
            Stage.uniform(f"{op.name}.port", "memory", 1, max(1, port), op=op.name),
            Stage.uniform(f"{op.name}.unit", "unit", 1, max(1, unit), op=op.name),
        )
        return Lowered(Program(stages), {stages[0].name: {"dram": moved}}, count)

    def energy_pj(self, op: Op, moved_bytes: Mapping[str, float], work: PassWork) -> Mapping[str, float]:
        """Multiplications alone cost energy."""
        return {"unit": op.macs * self.parameters.mac_energy.value}

    def enters(self, path: str) -> Enters:
        """What a constant has a say in."""
        return "energy" if path == "mac_energy" else "capacity" if path == "capacity" else "time"

    def static_power_w(self) -> float:
        """None."""
        return 0.0


FAMILY = Family(OnePortParameters, OnePortDevice)

if __name__ == "__main__":
    register_family("one-port", FAMILY)
    with TemporaryDirectory() as folder:
        file = Path(folder) / "toy.yaml"
        file.write_text(MACHINE)
        found = simulate(find_workload("mamba2-130m"), find_device(str(file)), Question(new_tokens=1))
    if isinstance(found, Result):
        print(f"{found.workload} on {found.device}: {found.tokens_per_s:.1f} tokens/s, bound by {found.bound}")
