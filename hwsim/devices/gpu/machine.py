"""`GpuDevice`: the GPU family behind the device protocol. A pass is a stream of kernels, one after the other."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field, replace
from itertools import pairwise
from typing import TYPE_CHECKING, Any, Final, Literal, cast

from hwsim.devices.base import Enters, FormatChoice, Lowered, PassWork, Resource, Roofs, StatePlan
from hwsim.devices.gpu.cluster import Plan, collective_seconds, parts_of, plan_of, send_seconds
from hwsim.devices.gpu.energy import dynamic_limit_w, energy_terms
from hwsim.devices.gpu.estimate import ALONE, IN_MODEL, NO_KERNEL, Estimate, Setting, host_s, is_linear
from hwsim.devices.gpu.footprint import check_memory, memory_terms
from hwsim.devices.gpu.joined import Product, siblings, turned_by_next
from hwsim.devices.gpu.parameters import GpuParameters
from hwsim.devices.gpu.paths import nearest_format, tensor_path
from hwsim.devices.gpu.stack import Stack
from hwsim.devices.gpu.structured import multiplied_share
from hwsim.devices.gpu.training import ONE_CARD, exchange_seconds, own_parameters, training_terms
from hwsim.errors import HwsimError, Infeasible
from hwsim.formats import FORMATS
from hwsim.mapping.forms import TileForm, entry_for

if TYPE_CHECKING:
    from hwsim.devices.base import KernelRows
    from hwsim.schedule import Stage
    from hwsim.workload.decoding import Policy
    from hwsim.workload.graph import Graph
    from hwsim.workload.model import FormatName, Formats
    from hwsim.workload.op import Op
    from hwsim.workload.recipe import Recipe
    from hwsim.workload.training import TrainingGraphs

__all__ = ["GpuDevice", "gpu_device"]

_KINDS: Final = frozenset(
    {"gemm", "attention", "conv1d", "scan", "norm", "softmax", "elementwise", "conv2d", "embedding", "collective"}
)
_READ_BY: Final = {
    "attention.": frozenset({"attention"}),
    "scan.": frozenset({"scan", "conv1d"}),
    "vector.softmax.": frozenset({"softmax"}),
}
"""Sections of a stack's constants that only some kinds of kernel read. Those of products and rows serve several."""
_ENERGY_ONLY: Final = ("power.alu", "power.dram", "power.l2")


@dataclass(frozen=True, slots=True)
class GpuDevice:
    """A card with its software stack: a frozen value around its catalog parameters.

    Attributes:
        parameters: the card with the stack that applies.
        stacks: every stack of its file by name, which `configured` picks from.
        given: tiles from a mapping file; products of other shapes take the best of the menu.
    """

    parameters: GpuParameters
    stacks: Mapping[str, Stack] = field(default_factory=dict)
    given: tuple[TileForm, ...] = ()

    def configured(self, settings: Mapping[str, str | int | float | bool]) -> GpuDevice:
        """The card under another software stack (``stack``), or with the host's part (``launch``).

        Raises:
            HwsimError: an unknown stack, or ``cores``, which a card has none of.
        """
        if "cores" in settings:
            found = f"cores={settings['cores']}"
            raise HwsimError.at("kernel", found, f"no cores: {self.name} is a GPU, whose kernels use all SMs")
        p, name = self.parameters, str(settings.get("stack", self.parameters.stack))
        known = {p.stack: p.software, **self.stacks}
        if name not in known:
            raise HwsimError.unknown_name(f"stack of {self.name}", "stack", name, known)
        launch = cast("Literal['none', 'graph', 'eager']", str(settings.get("launch", p.launch)))
        return replace(self, parameters=replace(p, stacks={name: known[name]}, stack=name, launch=launch))

    @property
    def name(self) -> str:
        """The name the user types."""
        return self.parameters.name

    @property
    def family(self) -> str:
        """``gpu``."""
        return self.parameters.family

    @property
    def clock_hz(self) -> float:
        """The boost clock, in which cycles are counted."""
        return self.parameters.chip.boost_clock.value

    @property
    def cards(self) -> int:
        """Cards that work together."""
        return self.parameters.cluster.cards if self.parameters.cluster else 1

    @property
    def memory_capacity_bytes(self) -> float:
        """Device memory of one card."""
        return self.parameters.memory.capacity.value

    @property
    def verifies_trees(self) -> bool:
        """Never: token trees need attention masks and state handling that common engines lack."""
        return False

    def training_terms(self, graphs: TrainingGraphs, work: PassWork, recipe: Recipe) -> Mapping[str, float]:
        """Weights, optimizer states, gradients, saved and flowing activations, on the card that holds most."""
        return training_terms(self.parameters, graphs, work, recipe)

    def updated_parameters(self, graphs: TrainingGraphs, work: PassWork, recipe: Recipe) -> int:
        """Parameters of one card's optimizer pass."""
        return own_parameters(self.parameters, graphs, work, recipe)

    @property
    def verifies_chains(self) -> bool:
        """Always: a chain is a decode of several queries, and rejected positions of the cache are overwritten."""
        return True

    @property
    def resources(self) -> tuple[Resource, ...]:
        """What can limit a kernel; a kernel holds the one that limits it."""
        p, chip = self.parameters, self.parameters.chip
        cards = self.cards
        link = (
            (Resource("link", "links between cards", cards * p.link.bandwidth.value, "bytes/s"),) if cards > 1 else ()
        )
        tensor = self._macs_per_s("bf16") or self._macs_per_s("fp16")
        alu = chip.sms.value * chip.fp32_lanes.value * chip.boost_clock.value
        return (
            Resource("memory", "device memory", cards * p.memory.bandwidth.value, "bytes/s"),
            Resource("tensor", "tensor cores", tensor, "mac/s"),
            Resource("l2", "L2 cache and operand feed", cards * p.l2.bandwidth.value, "bytes/s"),
            Resource("alu", "ALUs and SFUs", cards * alu, "mac/s"),
            Resource("latency", "kernel floors, pipeline fill and launches", 1.0, "elements/s"),
            *link,
        )

    @property
    def roofs(self) -> Roofs:
        """Tensor cores (ALUs for fp32) at the boost clock by format, and both memory levels."""
        p = self.parameters
        peaks = {name: rate for name in FORMATS if (rate := self._macs_per_s(name))}
        levels = {"dram": self.cards * p.memory.bandwidth.value, "l2": self.cards * p.l2.bandwidth.value}
        return Roofs(peaks, levels)

    def _macs_per_s(self, name: str) -> float:
        """Peak multiply-accumulates per second of a format with itself; 0 where the card has no path."""
        p = self.parameters
        path = tensor_path(p, name, name)
        if isinstance(path, Infeasible):
            return 0.0
        return (
            self.cards
            * p.chip.sms.value
            * path.flop_per_clock
            / (path.work * path.planes)
            * p.chip.boost_clock.value
            / 2.0
        )

    def formats(self, asked: Formats) -> tuple[Formats, FormatChoice]:
        """Activations in the nearest format that has a path; weights as asked where they can be converted to it."""
        p = self.parameters
        activations = asked.activations
        if isinstance(tensor_path(p, activations, asked.weights), Infeasible):
            activations = cast("FormatName", nearest_format(p, activations))
        weights = asked.weights
        if FORMATS[weights].bits > FORMATS[activations].bits:
            weights = activations
        used = {"weights": weights, "activations": activations, "state": asked.state}
        wanted = {role: getattr(asked, role) for role in used}
        adapted = replace(asked, weights=weights, activations=activations, head=asked.head_format, kv=asked.kv_format)
        return adapted, FormatChoice(wanted, used)

    def supports(self, op: Op) -> Infeasible | None:
        """None when the card has a path for the op's formats."""
        if op.kind not in _KINDS:
            reason = f"{self.name} has no kernel for {op.kind} (needed by {op.name})"
            return Infeasible(op.kind, 1, 0, "kernels", reason, {op.name: 1}, ("another machine",))
        found = self._estimate(op, ALONE)
        return found if isinstance(found, Infeasible) else None

    def _estimate(self, op: Op, setting: Setting) -> Estimate | Infeasible:
        from hwsim.devices.gpu.kernels import estimate  # noqa: PLC0415 - brings in numba, which `check` never needs

        return estimate(self.parameters, op, setting, entry_for(self.given, op))

    def map(self, op: Op) -> Any:
        """Tile, split, thread blocks and waves that the library would choose; empty where a kernel has none."""
        found = self._estimate(op, ALONE)
        return found if isinstance(found, Infeasible) else dict(found.mapping)

    def plan_state(
        self, graph: Graph, works: tuple[PassWork, ...], policy: Policy, accepted_tokens: int
    ) -> tuple[PassWork, ...]:
        """Keys and values need no backtracking. A recurrence writes its state after each token (policy ``cache``).

        Other policies are not what engines on cards do; whatever is asked, the answer says which one was used.
        """
        if not any(op.kind == "scan" for op in graph.ops):
            return works
        return tuple(
            replace(work, state=StatePlan("cache", reads=1, writes=work.tokens)) if work.role == "verify" else work
            for work in works
        )

    def fits(self, passes: tuple[tuple[Graph, PassWork], ...]) -> Infeasible | None:
        """Device memory for all passes together."""
        return check_memory(self.parameters, passes)

    def footprint(self, passes: tuple[tuple[Graph, PassWork], ...]) -> Mapping[str, float]:
        """Weights of each model once, keys, values and states of all sequences, the widest activations; of one card."""
        return memory_terms(self.parameters, passes)

    def lower(self, graph: Graph, work: PassWork) -> tuple[Lowered, ...]:
        """One program per stretch of equal layers: a stream of kernels, each after the one before it."""
        setting = self._setting(graph)
        cluster = self.parameters.cluster or (ONE_CARD if work.recipe else None)
        if cluster is None or setting is ALONE:
            return tuple(
                self._stream(self._estimates(run.ops, setting), run.repeats, setting) for run in graph.layer_runs()
            )
        if work.role == "optimizer":  # the parameters of one card, on each of them
            return (self._on_all_cards(graph.ops),)
        plan = plan_of(cluster, work)
        return tuple(self._cluster_stream(run.ops, run.repeats, plan, work) for run in graph.layer_runs())

    def _on_all_cards(self, ops: tuple[Op, ...]) -> Lowered:
        """The same kernels on every card; bytes are those of all."""
        kernels = (
            (op, replace(found, bytes={level: n * self.cards for level, n in found.bytes.items()}))
            for op, found in self._estimates(ops, IN_MODEL)
        )
        return self._stream(kernels, 1, IN_MODEL)

    def _kept(self, kernels: Iterator[tuple[Op, Estimate]], work: PassWork) -> Iterator[tuple[Op, Estimate]]:
        """The kernels of a pass; a recurrence that is verified also writes its state after all tokens but the last."""
        extra = work.state.writes - 1
        for op, found in kernels:
            state = sum(each.bytes(op.dims) for each in op.operands if each.role == "state") if extra > 0 else 0
            if not state:
                yield op, found
                continue
            p = self.parameters
            more = float(extra * state)
            rate = p.stream_bytes_s * p.software.scan.stream.value
            moved = {**found.bytes, "dram": found.bytes.get("dram", 0.0) + more}
            yield op, replace(found, time_s=found.time_s + more / rate, bytes=moved)

    def _cluster_stream(self, ops: tuple[Op, ...], repeats: int, plan: Plan, work: PassWork) -> Lowered:
        """A stretch of layers on one card of each stage, with the collectives; bytes are those of all cards."""
        parts = parts_of(ops, plan)
        own = {part.name: collectives for part, collectives in parts}
        sends = 0.0
        if ops[0].layer is None and ops[0].block == "head":  # once a pass: what goes from stage to stage before it
            sent = float(parts[0][0].operands[0].bytes(parts[0][0].dims))
            sends = send_seconds(self.parameters, plan, sent)
        reps = plan.repetitions(repeats)
        times = plan.sharers * plan.micro_batches * repeats / reps
        kernels: list[tuple[Op, Estimate]] = []
        for op, found in self._kept(self._estimates(tuple(part for part, _ in parts), IN_MODEL), work):
            kernels.append((op, replace(found, bytes={level: n * times for level, n in found.bytes.items()})))
            waits = sum(collective_seconds(self.parameters, each, found.time_s) for each in own[op.name])
            waits += sends if op.name == ops[0].name else 0.0
            if waits > 0.0:
                kernels.append((op, Estimate(waits, "link", {})))
        exposed = self._exposed(tuple(part for part, _ in parts), plan, work, sum(found.time_s for _, found in kernels))
        if exposed > 0.0:
            kernels.append((kernels[-1][0], Estimate(exposed, "link", {})))
        return self._stream(iter(kernels), reps, IN_MODEL)

    def _exposed(self, parts: tuple[Op, ...], plan: Plan, work: PassWork, kernels_s: float) -> float:
        """Time by which the exchanges of training outlast the kernels that they run beside."""
        return exchange_seconds(self.parameters, parts, plan, work) - kernels_s

    def _stream(self, kernels: Iterator[tuple[Op, Estimate]], repeats: int, setting: Setting) -> Lowered:
        from hwsim.schedule import Program, Stage, barrier, previous_rep  # noqa: PLC0415 - brings in the engine

        stages: list[Stage] = []
        moved: dict[str, Mapping[str, float]] = {}
        for op, found in kernels:
            name = f"{len(stages)}.{op.name}"
            stages.append(Stage.uniform(name, found.bound, 1, self._cycles(op, found, setting), op=op.name))
            moved[name] = found.bytes
        edges = [barrier(first, second) for first, second in pairwise(stages)]
        edges.append(previous_rep(stages[-1], stages[0]))
        return Lowered(Program(tuple(stages), tuple(edges), repeats), moved)

    def products(self, graph: Graph, work: PassWork) -> Iterator[Product]:
        """Products of a pass that have a tile; of a cluster, the part of one card."""
        setting, cluster = self._setting(graph), self.parameters.cluster
        plan = plan_of(cluster, work) if cluster and setting is not ALONE else None
        found: dict[tuple[object, ...], Product] = {}
        for run in graph.layer_runs():
            ops = tuple(part for part, _ in parts_of(run.ops, plan)) if plan else run.ops
            for group, op, each in self._launches(ops, setting):
                if "tm" in each.mapping:
                    names = tuple(one.name for one in group)
                    key = (names, *op.signature)
                    runs = run.repeats + (found[key].runs if key in found else 0)
                    found[key] = Product(names, op, runs, each, self._cycles(op, each, setting))
        yield from found.values()

    def _setting(self, graph: Graph) -> Setting:
        """A kernel that is all there is stands alone."""
        return ALONE if len(graph.ops) == 1 else IN_MODEL

    def _launches(self, ops: tuple[Op, ...], setting: Setting) -> Iterator[tuple[tuple[Op, ...], Op, Estimate]]:
        """Kernels in their order: the ops that one serves, the op that it computes, what it takes.

        Products that read the same rows and stand together run as one over the columns of all, where fused.
        """
        place = 0
        while place < len(ops):
            count = siblings(ops[place:]) if self.parameters.fusion == "fused" else 1
            group = ops[place : place + count]
            columns = sum(op.dims["n"] for op in group) if count > 1 else 0
            whole = replace(group[0], dims=group[0].dims.replace(n=columns)) if count > 1 else group[0]
            found = NO_KERNEL if turned_by_next(self.parameters, ops[place:]) else self._estimate(whole, setting)
            if isinstance(found, Infeasible):
                raise ValueError(f"{group[0].name} was not checked: {found.reason}")
            yield group, whole, found
            place += count

    def _estimates(self, ops: tuple[Op, ...], setting: Setting) -> Iterator[tuple[Op, Estimate]]:
        """Each op with its time; of a kernel that serves several, each gets its share of the columns."""
        for group, whole, found in self._launches(ops, setting):
            for op in group:
                if len(group) == 1:
                    yield op, found
                    continue
                share = op.dims["n"] / whole.dims["n"]
                moved = {level: amount * share for level, amount in found.bytes.items()}
                yield op, replace(found, time_s=found.time_s * share, bytes=moved)

    def _cycles(self, op: Op, found: Estimate, setting: Setting) -> int:
        return max(1, math.ceil(self._with_launch(op, found.time_s, setting) * self.clock_hz))

    def _with_launch(self, op: Op, time_s: float, setting: Setting) -> float:
        """A kernel's time with the host's part: a gap in a graph, or a whole call to an idle card.

        In a model the host runs ahead: a kernel called eagerly lasts at least as long as its call.
        """
        p = self.parameters
        if p.launch == "eager" and setting is not ALONE:
            return max(time_s, p.launches.eager.value)
        return float(time_s + host_s(p, is_linear(op)))

    def energy_pj(self, op: Op, moved_bytes: Mapping[str, float], work: PassWork) -> Mapping[str, float]:
        """Products by format, other arithmetic, device memory, and L2 for what it serves."""
        name, dram = op.operands[0].format, moved_bytes.get("dram", 0.0)
        served = max(0.0, float(sum(op.bytes_by_role.values())) - dram)
        macs = op.macs * multiplied_share(op)
        return energy_terms(self.parameters.power, op.kind, name, macs, float(op.other_ops), dram, served)

    def kernel_rows(self, op: Op) -> KernelRows | Infeasible | None:
        """Many kernels as one op (`hwsim.devices.base.TimesRows`)."""
        from hwsim.devices.gpu.rows import kernel_rows  # noqa: PLC0415 - brings in numba

        if self.given:  # rows have no shapes that entries could be for
            return None
        return kernel_rows(self.parameters, op)

    def enters(self, path: str) -> Enters:
        """Energies of ALUs and memories; capacity; everything else has a say in time."""
        if path.startswith(_ENERGY_ONLY):
            return "energy"
        return "capacity" if path == "memory.capacity" else "time"

    def unread(self, kinds: Collection[str]) -> tuple[str, ...]:
        """Sections of kernel kinds that do not run, of the host where none is asked, of links where there are none."""
        own = f"stacks.{self.parameters.stack}."
        absent = [own + section for section, readers in _READ_BY.items() if readers.isdisjoint(kinds)]
        called = ("launches.eager", "launches.call", "launches.linear")
        launches = {"none": ("launches.",), "graph": called, "eager": ("launches.graph",)}
        links = () if self.cards > 1 else ("link.",)
        return (*absent, *launches[self.parameters.launch], *links)

    def dynamic_limit_w(self) -> float:
        """The boards' power limits less what they draw idle."""
        return self.cards * dynamic_limit_w(self.parameters.power)

    def static_power_w(self) -> float:
        """Power of the idle boards."""
        return self.cards * self.parameters.power.idle.value


def gpu_device(parameters: GpuParameters) -> GpuDevice:
    """The device of a loaded file; stacks other than the one that applies are left out of its accounts."""
    return GpuDevice(replace(parameters, stacks={parameters.stack: parameters.software}), parameters.stacks)
