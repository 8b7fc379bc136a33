"""`CpuDevice`: the CPU family behind the device protocol. Operators run one after the other, each on all threads."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Final, cast

from hwsim.devices.base import Enters, FormatChoice, Lowered, PassWork, Resource, Roofs
from hwsim.devices.cpu.attention import plan_attention
from hwsim.devices.cpu.choice import fixed_cycles, search_blockings
from hwsim.devices.cpu.footprint import check_memory, held_bytes
from hwsim.devices.cpu.gemm import Planned
from hwsim.devices.cpu.given import planned_by
from hwsim.devices.cpu.parameters import CpuParameters, Stack
from hwsim.devices.cpu.pipeline import pipe_program
from hwsim.devices.cpu.vector import plan_vector
from hwsim.errors import HwsimError, Infeasible
from hwsim.formats import FORMATS
from hwsim.mapping.forms import BlockingForm, entry_for

if TYPE_CHECKING:
    from hwsim.schedule import Program
    from hwsim.workload.decoding import Policy
    from hwsim.workload.graph import Graph
    from hwsim.workload.model import FormatName, Formats
    from hwsim.workload.op import Op

__all__ = ["CpuDevice", "cpu_device"]

_PRODUCTS: Final = frozenset({"gemm", "conv2d"})
_FUSED: Final = frozenset({"add", "rope", "softplus", "softplus_bias", "copy", "scale", "silu", "mul", "silu_mul"})
_ENERGY: Final = "energy."


@dataclass(frozen=True, slots=True)
class CpuDevice:
    """A socket with its software: a frozen value around its catalog parameters.

    Attributes:
        parameters: the machine, with the memory and the stack that apply.
        stacks: every stack of its file, for settings of single kernels.
        given: blockings from a mapping file; products of other shapes are searched.
    """

    parameters: CpuParameters
    stacks: Mapping[str, Stack] = field(default_factory=dict)
    given: tuple[BlockingForm, ...] = ()
    _plans: dict[tuple[object, ...], Planned | Infeasible] = field(
        default_factory=dict, init=False, repr=False, compare=False
    )

    def plan(self, op: Op) -> Planned | Infeasible:
        """What an op runs as, or why it cannot; ops of one signature are searched once."""
        key = (op.name, *op.signature)
        if key not in self._plans:
            self._plans[key] = self._planned(op)
        return self._plans[key]

    def _planned(self, op: Op) -> Planned | Infeasible:
        if op.kind not in _PRODUCTS:
            return plan_attention(self.parameters, op) if op.kind == "attention" else plan_vector(self.parameters, op)
        if (form := entry_for(self.given, op)) is not None:
            return planned_by(self.parameters, op, form)
        found = search_blockings(self.parameters, op)
        return found if isinstance(found, Infeasible) else found.best

    def configured(self, settings: Mapping[str, str | int | float | bool]) -> CpuDevice:
        """The machine under another software stack (``stack``), or on fewer threads (``cores``, read from the op).

        Raises:
            HwsimError: an unknown stack, no thread at all, or a ``launch``, which a CPU has none of.
        """
        p, name = self.parameters, str(settings.get("stack", self.parameters.stack))
        if settings.get("launch", "none") != "none":
            found = f"launch={settings['launch']}"
            raise HwsimError.at("kernel", found, "none: a CPU launches nothing; stack=eager has the calls' time")
        if int(settings.get("cores", 1)) < 1:
            raise HwsimError.at("kernel", f"cores={settings['cores']}", f"1 to {p.cores.value:g}")
        known = {p.stack: p.software, **self.stacks}
        if name not in known:
            raise HwsimError.unknown_name(f"stack of {self.name}", "stack", name, known)
        return replace(self, parameters=replace(p, stacks={name: known[name]}, stack=name))

    @property
    def name(self) -> str:
        """The name the user types."""
        return self.parameters.name

    @property
    def family(self) -> str:
        """``cpu``."""
        return self.parameters.family

    @property
    def clock_hz(self) -> float:
        """The turbo clock with all cores busy, in which cycles are counted."""
        return self.parameters.clock.turbo.value

    @property
    def searches_mappings(self) -> bool:
        """Always: a blocking for each product."""
        return True

    @property
    def verifies_trees(self) -> bool:
        """Never: the kernels modelled here take one token of each sequence, or a prompt."""
        return False

    @property
    def resources(self) -> tuple[Resource, ...]:
        """What can limit an operator."""
        p = self.parameters
        cores, clock = p.cores.value, p.clock.turbo.value
        vector = 16.0 * cores * clock / p.vector.instructions["fma"].cycles.value
        return (
            Resource("memory", f"memory of the socket ({p.memory})", p.dram.bandwidth.value, "bytes/s"),
            Resource("memory_core", "a core's path to memory", p.core_path.bandwidth.value * cores, "bytes/s"),
            Resource("cache", "L2 and LLC", p.caches.llc_bytes_per_cycle.value * cores * clock, "bytes/s"),
            Resource("vector", "AVX-512 units", vector, "mac/s"),
            Resource("amx", "tile units", self._macs_per_s("bf16"), "mac/s"),
            Resource("latency", "threads' start and join, and the software's calls", 1.0, "elements/s"),
        )

    @property
    def roofs(self) -> Roofs:
        """Tile units, or vectors where there is none, at the turbo clock; and nominal memory bandwidth."""
        peaks = {name: self._macs_per_s(name) for name in ("fp32", "bf16", "int8")}
        return Roofs(peaks, {"dram": self.parameters.dram.bandwidth.value})

    def _macs_per_s(self, name: str) -> float:
        """Peak multiply-accumulates per second: the faster of the tile unit and the widest vector instruction."""
        p, v = self.parameters, self.parameters.vector
        per_cycle = 16.0 / v.instructions["fma"].cycles.value
        dots = {"bf16": ("dot", v.dot_bf16.value), "int8": ("dot_int8", v.dot_int8.value)}
        if name in dots:
            instruction, macs_each = dots[name]
            per_cycle = max(per_cycle, macs_each / v.instructions[instruction].cycles.value)
        if p.amx is not None and name in dots:
            macs = p.amx.bf16_macs if name == "bf16" else p.amx.int8_macs
            per_cycle = max(per_cycle, macs.value / p.amx.dot.value)
        return p.cores.value * per_cycle * p.clock.turbo.value

    def formats(self, asked: Formats) -> tuple[Formats, FormatChoice]:
        """Activations in bf16, int8 or fp32; weights stay as they are stored and are widened where they are narrower.

        Integer activations of 8 bits and fewer run in int8, with int8 weights; all else in bf16.
        """
        activations: str = asked.activations
        if activations not in ("fp32", "tf32", "bf16", "int8"):
            integer = FORMATS[activations].kind == "int" and FORMATS[activations].bits <= 8
            activations = "int8" if integer else "bf16"
        weights: str = asked.weights
        if activations == "int8" and weights not in ("int8",):
            weights = "int8"
        if FORMATS[weights].bits > FORMATS[activations].bits or weights == "fp16":
            weights = activations
        used = {"weights": weights, "activations": activations, "state": asked.state}
        wanted = {role: getattr(asked, role) for role in used}
        adapted = replace(
            asked,
            weights=cast("FormatName", weights),
            activations=cast("FormatName", activations),
            head=asked.head_format,
            kv=asked.kv_format,
        )
        return adapted, FormatChoice(wanted, used)

    def supports(self, op: Op) -> Infeasible | None:
        """None when the machine runs the op."""
        found = self.plan(op)
        return found if isinstance(found, Infeasible) else None

    def map(self, op: Op) -> Any:
        """The `hwsim.devices.cpu.blocking.Blocking` of a product or of attention; None for streaming kernels."""
        found = self.plan(op)
        return found if isinstance(found, Infeasible) else found.blocking

    def plan_state(
        self, graph: Graph, works: tuple[PassWork, ...], policy: Policy, accepted_tokens: int
    ) -> tuple[PassWork, ...]:
        """The passes as they are: one token at a time, its state in place."""
        return works

    @property
    def memory_capacity_bytes(self) -> float:
        """The memory in use of the socket."""
        return self.parameters.dram.capacity.value

    def fits(self, passes: tuple[tuple[Graph, PassWork], ...]) -> Infeasible | None:
        """The socket's memory for all passes together."""
        return check_memory(self.parameters, passes)

    def footprint(self, passes: tuple[tuple[Graph, PassWork], ...]) -> Mapping[str, float]:
        """Weights with their bitmaps, keys, values and states, and the widest activations."""
        return held_bytes(passes)

    def lower(self, graph: Graph, work: PassWork) -> tuple[Lowered, ...]:
        """One program after the other: for each op its threads' start, then its pipeline, for each layer."""
        lowered: list[Lowered] = []
        for run in graph.layer_runs():
            for op in run.ops:
                lowered += self._lowered(op, run.repeats, alone=len(graph.ops) == 1)
        return tuple(lowered)

    def _lowered(self, op: Op, repeats: int, alone: bool) -> list[Lowered]:
        found = self.plan(op)
        if isinstance(found, Infeasible):
            raise ValueError(f"{op.name} was not checked: {found.reason}")
        parts: list[Lowered] = []
        floor = self._floor_cycles(op, found, alone)
        if floor:
            parts.append(Lowered(_wait(op.name, floor), {}, repeats))
        for work in found.works:
            program = pipe_program(work.pipe, op.name)
            moved = {}
            if work.dram_bytes:
                moved = {program.stages[0].name: {"dram": work.dram_bytes / program.reps}}
            parts.append(Lowered(program, moved, repeats))
        return parts

    def _floor_cycles(self, op: Op, found: Planned, alone: bool) -> int:
        """Fixed time of an op: threads' start and join, the software's call, and tile shapes; none where fused."""
        if self.parameters.software.fused and not alone and str(op.attributes.get("op", "")) in _FUSED:
            return 0
        return fixed_cycles(self.parameters, found)

    def energy_pj(self, op: Op, moved_bytes: Mapping[str, float], work: PassWork) -> Mapping[str, float]:
        """Tile unit or vector units by their work, caches by what ops read and write, memory by what moved."""
        energy = self.parameters.energy
        found = self.plan(op)
        tiles = not isinstance(found, Infeasible) and found.blocking is not None
        tiles = tiles and found.blocking.kernel.startswith("amx")  # type: ignore[union-attr]
        half = 0.5 if op.operands[0].format == "int8" else 1.0
        arithmetic = op.macs * energy.amx_mac.value * half if tiles else op.macs / 16.0 * energy.vector_op.value
        if not isinstance(found, Infeasible) and found.blocking and found.blocking.kernel == "avx-sparse":
            arithmetic = 0.0  # the products stand among the instructions that expand
        vector = op.other_ops / 16.0 * energy.vector_op.value
        if not isinstance(found, Infeasible):
            vector += self._expansion_pj(found)
        cached = float(sum(op.bytes_by_role.values())) * energy.cache.value
        parts = {"dram": moved_bytes.get("dram", 0.0) * energy.dram.value, "cache": cached, "vector": vector}
        name = "amx" if tiles else "vector"
        return {**parts, name: parts.get(name, 0.0) + arithmetic}

    def _expansion_pj(self, found: Planned) -> float:
        """Energy of the vector instructions that expand weights: one a cycle of the vector stage, on all threads."""
        if found.blocking is None or found.blocking.kernel not in ("amx-sparse", "avx-sparse"):
            return 0.0
        cycles = sum(work.pipe.vector * work.pipe.tiles * work.pipe.reps for work in found.works)
        return cycles * found.blocking.cores * self.parameters.energy.vector_op.value

    def enters(self, path: str) -> Enters:
        """Energies, capacity; everything else has a say in time."""
        if path.startswith(_ENERGY):
            return "energy"
        return "capacity" if path.endswith(".capacity") else "time"

    def static_power_w(self) -> float:
        """Power of the package whatever it does."""
        return self.parameters.energy.static.value


def _wait(op: str, cycles: int) -> Program:
    """One stage that holds nothing but time."""
    from hwsim.schedule import Program, Stage  # noqa: PLC0415 - brings in the engine

    return Program((Stage.uniform("start", "latency", 1, cycles, op=op),))


def cpu_device(parameters: CpuParameters) -> CpuDevice:
    """The device of a loaded file; memories and software that are not in use are left out of its accounts."""
    memories = {parameters.memory: parameters.dram}
    used = replace(parameters, memories=memories, stacks={parameters.stack: parameters.software})
    return CpuDevice(used, parameters.stacks)
