"""`ArrayDevice`: spatial PE arrays behind the device protocol. Each op runs on its own, by its proven best nest."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from math import ceil
from typing import TYPE_CHECKING, Final, cast

from hwsim.devices.array.parameters import ArrayParameters, hierarchy_of
from hwsim.devices.base import Enters, FormatChoice, Lowered, PassWork, Resource, Roofs
from hwsim.errors import HwsimError, Infeasible
from hwsim.formats import FORMATS
from hwsim.mapping.hierarchy import Hierarchy, Level
from hwsim.mapping.ops import problem_of
from hwsim.mapping.problem import Problem

if TYPE_CHECKING:
    from hwsim.mapping.search import Mapped
    from hwsim.workload.decoding import Policy
    from hwsim.workload.graph import Graph
    from hwsim.workload.model import FormatName, Formats
    from hwsim.workload.op import Op

__all__ = ["ArrayDevice"]

_MEMORY: Final = "memory"
"""The outermost level as a resource: what an op that is bound by main memory waits for, on every family."""
_PES: Final = "pes"


@lru_cache(maxsize=1024)
def _best(problem: Problem, hierarchy: Hierarchy) -> Mapped | Infeasible:
    """The proven best nest by energy-delay product; equal ops are searched once."""
    from hwsim.mapping.search import find_best  # noqa: PLC0415 - brings in numba, which `check` never needs

    return find_best(problem, hierarchy, "edp")


@dataclass(frozen=True, slots=True)
class ArrayDevice:
    """A machine of the array family: a frozen value around its catalog parameters."""

    parameters: ArrayParameters

    def __post_init__(self) -> None:
        hierarchy_of(self.parameters)  # its faults belong to the file, not to the first op that is mapped

    @property
    def name(self) -> str:
        """The name the user types."""
        return self.parameters.name

    @property
    def family(self) -> str:
        """``array``."""
        return self.parameters.family

    @property
    def clock_hz(self) -> float:
        """The one clock."""
        return self.parameters.clock.value

    @property
    def hierarchy(self) -> Hierarchy:
        """The machine as the mapper sees it."""
        return hierarchy_of(self.parameters)

    @property
    def verifies_trees(self) -> bool:
        """No attention and no scan: there is no tree to verify."""
        return False

    @property
    def resources(self) -> tuple[Resource, ...]:
        """Main memory, the PEs, and the ports of each level further in, all instances together."""
        hierarchy = self.hierarchy
        outer, *inner = hierarchy.levels
        return (
            Resource(_MEMORY, f"port of {outer.name}", self._bytes_per_s(outer), "bytes/s"),
            Resource(_PES, "processing elements", self._macs_per_s, "mac/s"),
            *(Resource(each.name, f"ports of {each.name}", self._bytes_per_s(each), "bytes/s") for each in inner),
        )

    @property
    def roofs(self) -> Roofs:
        """Every PE busy; every port of every level busy."""
        levels = self.hierarchy.levels
        return Roofs(
            {self.parameters.format: self._macs_per_s}, {each.name: self._bytes_per_s(each) for each in levels}
        )

    @property
    def _macs_per_s(self) -> float:
        hierarchy = self.hierarchy
        return hierarchy.pes * hierarchy.macs_per_cycle * self.clock_hz

    def _bytes_per_s(self, level: Level) -> float:
        """Bytes per second through all ports of all instances."""
        hierarchy = self.hierarchy
        above = hierarchy.fanouts_above(hierarchy.level_index(level.name))
        instances = 1
        for fanout in hierarchy.fanouts[:above]:
            for axis in fanout.axes:
                instances *= axis.extent
        ports = level.read_bytes_per_cycle + (0.0 if level.shared_port else level.write_bytes_per_cycle)
        return instances * ports * self.clock_hz

    def formats(self, asked: Formats) -> tuple[Formats, FormatChoice]:
        """Weights and activations in the format of the multipliers; the rest as asked."""
        built = cast("FormatName", self.parameters.format)
        used = {"weights": built, "activations": built}
        wanted = {role: getattr(asked, role) for role in used}
        adapted = replace(asked, weights=built, activations=built, embedding=built, head=built)
        return adapted, FormatChoice(wanted, used)

    def supports(self, op: Op) -> Infeasible | None:
        """None for a GEMM (batched too) or a convolution in the machine's format that has a nest."""
        bad = self.supports_formats(op)
        if bad:
            return bad
        found = self.map(op)
        return found if isinstance(found, Infeasible) else None

    def supports_formats(self, op: Op) -> Infeasible | None:
        """None when the operands are dense and in the machine's format, else what is not."""
        built = self.parameters.format
        for operand in op.operands if op.kind in ("gemm", "conv2d") else ():
            if operand.role in ("weight", "activation") and operand.format != built:
                reason = f"{self.name}'s multipliers take {built} for {operand.role}, not {operand.format}"
                return Infeasible(
                    "number format", 1, 0, "units", f"{reason} (needed by {op.name})", {op.name: 1},
                    (f"run it with {operand.role} in {built}",),
                )  # fmt: skip
            if operand.density != 1.0 and operand.role in ("weight", "activation"):
                reason = f"{self.name} has no unit for sparse operands (needed by {op.name})"
                return Infeasible("sparse operands", 1, 0, "units", reason, {op.name: 1}, ("store it dense",))
        return None

    def problem(self, op: Op) -> Problem | Infeasible:
        """The op as the mapper sees it."""
        word_bits, sum_bits = FORMATS[self.parameters.format].bits, int(self.parameters.sum_bits.value)
        try:
            return problem_of(op, word_bits, sum_bits)
        except HwsimError as error:
            return Infeasible("mapper", 1, 0, "ops", str(error), {op.name: 1}, ("smaller dimensions",))

    def map(self, op: Op) -> Mapped | Infeasible:
        """The best nest by energy-delay product, `ideal` cycles, tiles that divide, with its certificate."""
        problem = self.problem(op)
        return problem if isinstance(problem, Infeasible) else _best(problem, self.hierarchy)

    def _mapped(self, op: Op) -> Mapped:
        """The nest of an op that `supports` has let through."""
        found = self.map(op)
        if isinstance(found, Infeasible):
            raise ValueError(f"{op.name} has no mapping on {self.name}: {found.reason}")
        return found

    def plan_state(
        self, graph: Graph, works: tuple[PassWork, ...], policy: Policy, accepted_tokens: int
    ) -> tuple[PassWork, ...]:
        """The passes as they are: an array keeps no recurrent state."""
        return works

    def fits(self, passes: tuple[tuple[Graph, PassWork], ...]) -> Infeasible | None:
        """None when main memory holds the weights and the largest op's inputs and outputs."""
        level = self.hierarchy.levels[0]
        terms = self.footprint(passes)
        if sum(terms.values()) <= level.capacity_bytes:
            return None
        return Infeasible(
            level.name, sum(terms.values()), level.capacity_bytes, "bytes",
            f"{level.name} holds neither more nor elsewhere", terms, (f"more capacity of {level.name}",),
        )  # fmt: skip

    def footprint(self, passes: tuple[tuple[Graph, PassWork], ...]) -> dict[str, float]:
        """Bytes of the weights of each model once, and of the inputs and outputs of the op with most of them."""
        weights: dict[str, float] = {}
        activations = 0.0
        for graph, work in passes:
            model = "draft" if work.role == "draft" else "target"
            weights.setdefault(model, float(sum(op.weight_bytes * count for op, count in graph.distinct())))
            moved = (op.bytes_by_role for op, _ in graph.distinct())
            most = max((float(row["activation"] + row["output"]) for row in moved), default=0.0)
            activations = max(activations, most)
        return {"weights": sum(weights.values()), "state": 0.0, "activations": activations}

    def lower(self, graph: Graph, work: PassWork) -> tuple[Lowered, ...]:
        """One program per op, one after the other; within an op compute and every port overlap without loss."""
        return tuple(
            self._lowered(op, run.repeats)
            for run in graph.layer_runs()
            for op in run.ops
        )  # fmt: skip

    def _lowered(self, op: Op, repeats: int) -> Lowered:
        from hwsim.schedule import Program, Stage  # noqa: PLC0415 - brings in the engine, which `check` never needs

        cost = self._mapped(op).cost
        outer = self.hierarchy.levels[0].name
        stages, moved = [], {}
        for name, cycles in cost.cycles_by.items():
            resource = {"compute": _PES, outer: _MEMORY}.get(name, name)
            if cycles:
                stages.append(Stage.uniform(f"{op.name}.{resource}", resource, 1, ceil(cycles), op=op.name))
                moved[stages[-1].name] = {name: cost.bytes_by[name]} if name in cost.bytes_by else {}
        return Lowered(Program(tuple(stages), (), 1), moved, repeats)

    def energy_pj(self, op: Op, moved_bytes: Mapping[str, float], work: PassWork) -> dict[str, float]:
        """Energy by level and of the multipliers, from the nest's own account: reads and writes cost apart."""
        return dict(self._mapped(op).cost.energy_pj_by)

    def enters(self, path: str) -> Enters:
        """Energies have no say in cycles but through the choice of the nest; capacities decide what fits at all."""
        if path.endswith("energy"):
            return "energy"
        return "capacity" if path.endswith("capacity") else "time"

    def static_power_w(self) -> float:
        """None is declared: an array's energy is dynamic."""
        return 0.0
