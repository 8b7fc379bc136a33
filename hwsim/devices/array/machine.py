"""`ArrayDevice`: spatial PE arrays behind the device protocol. Each op runs on its own, by a given or its best nest.

What is no matrix product runs on the host that the machine's file declares, or is infeasible.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from math import ceil
from typing import TYPE_CHECKING, Final, TypeAlias, cast

from hwsim.devices.array.host import HostWork, host_work, no_host, softmax_between
from hwsim.devices.array.parameters import ArrayParameters, hierarchy_of
from hwsim.devices.base import Enters, FormatChoice, Lowered, PassWork, Resource, Roofs
from hwsim.devices.held import memory_terms
from hwsim.errors import HwsimError, Infeasible
from hwsim.formats import FORMATS
from hwsim.mapping.files import Shape, shape_of
from hwsim.mapping.hierarchy import Hierarchy, Level
from hwsim.mapping.nest import Nest
from hwsim.mapping.ops import MAPPED, padded_to_lanes, problems_of
from hwsim.mapping.problem import Problem

if TYPE_CHECKING:
    from hwsim.mapping.account import Account
    from hwsim.mapping.search import Mode
    from hwsim.workload.decoding import Policy
    from hwsim.workload.graph import Graph
    from hwsim.workload.model import FormatName, Formats
    from hwsim.workload.op import Op

__all__ = ["ArrayDevice"]

_MEMORY: Final = "memory"
"""The outermost level as a resource: what an op that is bound by main memory waits for, on every family."""
_PES: Final = "pes"


_HOST: Final = "host"
_WAITS: Final = "waits"


@dataclass(frozen=True, slots=True)
class Placed:
    """A matrix product on the array: its nest and what it costs."""

    problem: Problem
    nest: Nest
    cost: Account


Part: TypeAlias = Placed | HostWork
"""What an op is made of: products on the array and work of the host, one after the other."""


@lru_cache(maxsize=1024)
def _best(problem: Problem, hierarchy: Hierarchy, mode: Mode) -> Placed | Infeasible:
    """The best nest by energy-delay product, of the op or of the op padded with zeros; equal ops are searched once."""
    from hwsim.mapping.mapper import Search, best_nest  # noqa: PLC0415 - brings in numba, which `check` never needs
    from hwsim.mapping.search import Mapped  # noqa: PLC0415 - as above

    found = best_nest(problem, hierarchy, Search(mode=mode))
    padded = padded_to_lanes(problem, hierarchy)
    if padded != problem:
        other = best_nest(padded, hierarchy, Search(mode=mode))
        if isinstance(other, Mapped) and (isinstance(found, Infeasible) or other.cost.edp < found.cost.edp):
            return Placed(padded, other.nest, other.cost)
    return found if isinstance(found, Infeasible) else Placed(problem, found.nest, found.cost)


@lru_cache(maxsize=1024)
def _given(problem: Problem, hierarchy: Hierarchy, mode: Mode, nest: Nest) -> Placed:
    """A nest from a file."""
    from hwsim.mapping.mapper import cost_of  # noqa: PLC0415 - as above

    return Placed(problem, nest, cost_of(problem, hierarchy, nest, mode))


@dataclass(frozen=True, slots=True)
class ArrayDevice:
    """A machine of the array family: a frozen value around its catalog parameters.

    Attributes:
        parameters: the file.
        nests: nests from a mapping file, by the shape of the op that they serve; other ops are searched.
    """

    parameters: ArrayParameters
    nests: tuple[tuple[Shape, Nest], ...] = ()

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
    def searches_mappings(self) -> bool:
        """Always: a nest for each op."""
        return True

    @property
    def verifies_trees(self) -> bool:
        """No scan, and no mask of a tree: tokens come one at a time."""
        return False

    @property
    def resources(self) -> tuple[Resource, ...]:
        """Main memory, the PEs, and the ports of each level further in, all instances together."""
        hierarchy = self.hierarchy
        outer, *inner = hierarchy.levels
        host = self.parameters.host
        return (
            Resource(_MEMORY, f"port of {outer.name}", self._bytes_per_s(outer), "bytes/s"),
            Resource(_PES, "processing elements", self._macs_per_s, "mac/s"),
            *(Resource(each.name, f"ports of {each.name}", self._bytes_per_s(each), "bytes/s") for each in inner),
            *((Resource(_HOST, "host beside the array", host.rate.value, "op/s"),) if host else ()),
            *((Resource(_WAITS, "fill, drain and stalls", 1.0, "share"),) if self.mode == "pipelined" else ()),
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
        """Most bytes per second through all ports of all instances; a shared port has its faster rate at best."""
        hierarchy = self.hierarchy
        above = hierarchy.fanouts_above(hierarchy.level_index(level.name))
        instances = 1
        for fanout in hierarchy.fanouts[:above]:
            for axis in fanout.axes:
                instances *= axis.extent
        rates = level.read_bytes_per_cycle, level.write_bytes_per_cycle
        ports = max(rates) if level.shared_port else sum(rates)
        return instances * ports * self.clock_hz

    def formats(self, asked: Formats) -> tuple[Formats, FormatChoice]:
        """Weights and activations in the format of the multipliers; the rest as asked."""
        built = cast("FormatName", self.parameters.format)
        used = {"weights": built, "activations": built, "state": asked.state}
        wanted = {role: getattr(asked, role) for role in used}
        adapted = replace(asked, weights=built, activations=built, kv=built, embedding=built, head=built)
        return adapted, FormatChoice(wanted, used)

    @property
    def mode(self) -> Mode:
        """Cycles that the machine is counted in."""
        return self.parameters.cycles

    def supports(self, op: Op) -> Infeasible | None:
        """None for matrix products in the machine's format that have a nest, and for all else where there is a host."""
        if op.kind not in MAPPED:
            return None if self.parameters.host else no_host(self.parameters, op.kind, op.name)
        bad = self.supports_formats(op)
        if bad:
            return bad
        found = self.map(op)
        return found if isinstance(found, Infeasible) else None

    def supports_formats(self, op: Op) -> Infeasible | None:
        """None when the operands are dense and in the machine's format, else what is not."""
        built = self.parameters.format
        for operand in op.operands if op.kind in MAPPED else ():
            if operand.name == "bias":  # added to the sums, in their width
                continue
            if operand.role in ("weight", "activation", "cache") and operand.format != built:
                reason = f"{self.name}'s multipliers take {built} for {operand.role}, not {operand.format}"
                return Infeasible(
                    "number format", 1, 0, "units", f"{reason} (needed by {op.name})", {op.name: 1},
                    (f"run it with {operand.role} in {built}",),
                )  # fmt: skip
            if operand.density != 1.0 and operand.role in ("weight", "activation"):
                reason = f"{self.name} has no unit for sparse operands (needed by {op.name})"
                return Infeasible("sparse operands", 1, 0, "units", reason, {op.name: 1}, ("store it dense",))
        return None

    @property
    def word_bits(self) -> tuple[int, int]:
        """Bits of an input or weight, and of an output word."""
        return FORMATS[self.parameters.format].bits, int(self.parameters.sum_bits.value)

    def problems(self, op: Op) -> tuple[Problem, ...] | Infeasible:
        """The matrix products of an op as the mapper sees them; none of an op for the host."""
        try:
            return problems_of(op, *self.word_bits)
        except HwsimError as error:
            return Infeasible("mapper", 1, 0, "ops", str(error), {op.name: 1}, ("smaller dimensions",))

    def map(self, op: Op) -> tuple[Part, ...] | Infeasible:
        """What an op is made of, each product by its given nest or the best by energy-delay product."""
        problems = self.problems(op)
        if isinstance(problems, Infeasible):
            return problems
        if not problems or (op.kind == "attention" and self.parameters.host is None):
            kind = op.kind if op.kind != "attention" else "softmax"
            return (
                (host_work(self.parameters, op),) if self.parameters.host else no_host(self.parameters, kind, op.name)
            )
        given, parts = dict(self.nests), list[Part]()
        for problem in problems:
            nest = given.get(shape_of(problem))
            found = _given(problem, self.hierarchy, self.mode, nest) if nest else None
            placed = found or _best(problem, self.hierarchy, self.mode)
            if isinstance(placed, Infeasible):
                return placed
            parts.append(placed)
        if op.kind == "attention":
            parts.insert(1, softmax_between(self.parameters, problems))
        return tuple(parts)

    def _parts(self, op: Op) -> tuple[Part, ...]:
        """The parts of an op that `supports` has let through."""
        found = self.map(op)
        if isinstance(found, Infeasible):
            raise ValueError(f"{op.name} has no mapping on {self.name}: {found.reason}")
        return found

    def plan_state(
        self, graph: Graph, works: tuple[PassWork, ...], policy: Policy, accepted_tokens: int
    ) -> tuple[PassWork, ...]:
        """The passes as they are: tokens come one at a time, so that no state is ever taken back."""
        return works

    def fits(self, passes: tuple[tuple[Graph, PassWork], ...]) -> Infeasible | None:
        """None when main memory holds all that `footprint` counts."""
        level = self.hierarchy.levels[0]
        terms = self.footprint(passes)
        if sum(terms.values()) <= level.capacity_bytes:
            return None
        reason = f"{self.name} keeps the model in {level.name}, which is too small"
        levers = ("a smaller batch or context", "more capacity (--set device.levels[0].capacity=…)")
        return Infeasible(level.name, sum(terms.values()), level.capacity_bytes, "bytes", reason, terms, levers)

    def footprint(self, passes: tuple[tuple[Graph, PassWork], ...]) -> dict[str, float]:
        """Bytes of weights, of caches and states, and of the inputs and outputs of the op with most of them."""
        return memory_terms(passes)

    def lower(self, graph: Graph, work: PassWork) -> tuple[Lowered, ...]:
        """Programs one after the other, one for each part of an op; within one, compute and every port overlap."""
        return tuple(
            self._lowered(op, part, run.repeats)
            for run in graph.layer_runs()
            for op in run.ops
            for part in self._parts(op)
        )

    def _lowered(self, op: Op, part: Part, repeats: int) -> Lowered:
        from hwsim.schedule import Edge, Program, Stage  # noqa: PLC0415 - brings in the engine, which `check` never needs

        busy, moved_bytes = self._busy(part)
        stages, moved, edges = [], {}, []
        for resource, cycles in busy.items():
            if cycles:
                stages.append(Stage.uniform(f"{op.name}.{resource}", resource, 1, ceil(cycles), op=op.name))
                moved[stages[-1].name] = moved_bytes.get(resource, {})
        longest = max(stages, key=lambda stage: stage.cycles_per_rep)
        waits = part.cost.cycles - longest.cycles_per_rep if isinstance(part, Placed) else 0
        if waits > 0:
            stages.append(Stage.uniform(f"{op.name}.{_WAITS}", _WAITS, 1, waits, op=op.name))
            edges.append(Edge(longest.name, stages[-1].name))
        return Lowered(Program(tuple(stages), tuple(edges), 1), moved, repeats)

    def _busy(self, part: Part) -> tuple[dict[str, float], dict[str, dict[str, float]]]:
        """Cycles by resource, and the bytes that pass it by level."""
        outer = self.hierarchy.levels[0].name
        if isinstance(part, HostWork):
            total = part.read_bytes + part.written_bytes
            return {_HOST: max(1, part.cycles), _MEMORY: part.memory_cycles}, {_MEMORY: {outer: total}}
        names = {"compute": _PES, outer: _MEMORY}
        busy = {names.get(name, name): cycles for name, cycles in part.cost.cycles_by.items()}
        moved = {names.get(name, name): {name: count} for name, count in part.cost.bytes_by.items()}
        return busy, moved

    def energy_pj(self, op: Op, moved_bytes: Mapping[str, float], work: PassWork) -> dict[str, float]:
        """Energy by level, of the multipliers and the host, from the nests' own account."""
        total: dict[str, float] = {}
        outer = self.hierarchy.levels[0].name
        for part in self._parts(op):
            if isinstance(part, HostWork):
                spent: Mapping[str, float] = {_HOST: part.energy_pj, outer: part.memory_pj}
            else:
                spent = part.cost.energy_pj_by
            for name, amount in spent.items():
                total[name] = total.get(name, 0.0) + amount
        return total

    def enters(self, path: str) -> Enters:
        """Energies have no say in cycles; the outermost capacity decides what fits, inner ones which nests do."""
        if path.endswith("energy"):
            return "energy"
        return "capacity" if path == "levels[0].capacity" else "time"

    def static_power_w(self) -> float:
        """None is declared: an array's energy is dynamic."""
        return 0.0
