"""`OpticalDevice`: the optical family behind the device protocol: frames in light, the rest on a declared host."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import TYPE_CHECKING, Any, Final

from hwsim.devices.base import Enters, FormatChoice, Lowered, PassWork, Resource, Roofs
from hwsim.devices.held import memory_terms
from hwsim.devices.optical.parameters import OpticalParameters
from hwsim.devices.optical.precision import pitch_warning, snr_of
from hwsim.devices.optical.work import Placed, host_work, link_bytes, optical_energy_pj, part_seconds, placed
from hwsim.errors import Infeasible
from hwsim.mapping.forms import LayoutForm, entry_for

if TYPE_CHECKING:
    from hwsim.schedule import Edge, Stage
    from hwsim.workload.decoding import Policy
    from hwsim.workload.graph import Graph
    from hwsim.workload.model import Formats
    from hwsim.workload.op import Op

__all__ = ["OpticalDevice"]

_TICK_HZ: Final = 1e9
_TILES: Final = 8
_ENERGY_ROOMS: Final = ("converters", "light", "power")
_ENERGY_ONLY: Final = frozenset(
    {"host.mac", "host.op", "host.dram", "host.idle", "input.bits", "kernel.bits", "plane.wavelength"}
)
_NO_TIME: Final = frozenset({"host.capacity", "plane.pitch", "plane.focal_length", "plane.window", "camera.read_noise"})


@dataclass(frozen=True, slots=True)
class OpticalDevice:
    """A 4f system with its host: a frozen value around its catalog parameters.

    Attributes:
        parameters: the file.
        given: layouts from a mapping file; ops of other shapes take the best of the menu.
    """

    parameters: OpticalParameters
    given: tuple[LayoutForm, ...] = ()

    def placed(self, op: Op) -> tuple[Placed, ...] | Infeasible:
        """The jobs of an op on the aperture; none of an op of the host."""
        return placed(self.parameters, op, entry_for(self.given, op))

    @property
    def name(self) -> str:
        """The name the user types."""
        return self.parameters.name

    @property
    def family(self) -> str:
        """``optical``."""
        return self.parameters.family

    @property
    def clock_hz(self) -> float:
        """Times are counted in nanoseconds."""
        return _TICK_HZ

    @property
    def verifies_trees(self) -> bool:
        """Never: recurrent states and tree masks stay on the host."""
        return False

    @property
    def resources(self) -> tuple[Resource, ...]:
        """Parts of the optics, the link and the host; a job in light holds the part that takes longest."""
        p = self.parameters
        if p.timing == "paper":
            parts: tuple[Resource, ...] = (
                Resource("frames", "the 4f system at its frame rate", p.frame_rate.value, "elements/s"),
            )
        else:
            parts = (
                Resource("input_modulator", "pictures into the input plane", 1.0 / p.input.picture_s, "elements/s"),
                Resource("kernel_modulator", "masks into the Fourier plane", 1.0 / p.kernel.picture_s, "elements/s"),
                Resource("camera", "frames exposed", 1.0 / p.camera.frame_s, "elements/s"),
                Resource("readout", "pixels of the camera", p.camera.readout.value, "elements/s"),
                Resource("link_in", "to the modulators", p.host.link.value, "bytes/s"),
                Resource("link_out", "from the camera", p.host.link.value, "bytes/s"),
            )
        return (*parts, Resource("host", "electronics for what light cannot", p.host.macs.value, "mac/s"))

    @property
    def roofs(self) -> Roofs:
        """A convolution of whole planes with every frame, and the link and host memory (free in the paper's mode)."""
        p = self.parameters
        rate = p.frame_rate.value if p.timing == "paper" else 1.0 / p.camera.frame_s
        peak = rate * float(p.image_rows * p.image_columns) ** 2 + p.host.macs.value
        free = p.timing == "paper"
        levels = {
            "host": math.inf if free else p.host.bandwidth.value,
            "link": math.inf if free else 2 * p.host.link.value,
        }
        return Roofs({p.format: peak}, levels)

    def formats(self, asked: Formats) -> tuple[Formats, FormatChoice]:
        """Activations and weights in the format of the modulators and converters."""
        name = self.parameters.format
        wanted = {role: getattr(asked, role) for role in ("weights", "activations", "state")}
        adapted = replace(asked, weights=name, activations=name, head=name, kv=name)
        return adapted, FormatChoice(wanted, {**wanted, "weights": name, "activations": name})

    def supports(self, op: Op) -> Infeasible | None:
        """None when light or the host can run the op; a kernel too large or signs that get lost say why not."""
        found = self.placed(op)
        return found if isinstance(found, Infeasible) else None

    def map(self, op: Op) -> Any:
        """The layout of each of the op's jobs; empty for an op of the host."""
        found = self.placed(op)
        return found if isinstance(found, Infeasible) else tuple(each.layout for each in found)

    def plan_state(
        self, graph: Graph, works: tuple[PassWork, ...], policy: Policy, accepted_tokens: int
    ) -> tuple[PassWork, ...]:
        """The passes as they are: the host keeps all state."""
        return works

    def fits(self, passes: tuple[tuple[Graph, PassWork], ...]) -> Infeasible | None:
        """The host's memory for all passes together."""
        terms, capacity = dict(self.footprint(passes)), self.parameters.host.capacity.value
        demand = sum(terms.values())
        if demand <= capacity:
            return None
        reason = f"the host of {self.name} holds {capacity / 1e9:.0f} GB"
        levers = ("a smaller batch", "a host with more memory (host.capacity)")
        return Infeasible("host memory", demand, capacity, "bytes", reason, terms, levers)

    def footprint(self, passes: tuple[tuple[Graph, PassWork], ...]) -> Mapping[str, float]:
        """Weights once, states and caches, and the widest op's activations, in the host's memory."""
        return memory_terms(passes)

    def lower(self, graph: Graph, work: PassWork) -> tuple[Lowered, ...]:
        """One program per stretch of equal layers: jobs in light with their transfers, host kernels between them.

        In the paper's mode only frames take time; a pass without any takes the host's time, as there is nothing else.
        """
        lit = any(self.placed(op) for op in graph.ops)
        free = self.parameters.timing == "paper" and lit
        lowered = []
        for run in graph.layer_runs():
            part = self._program(run.ops, run.repeats, free)
            if part is not None:
                lowered.append(part)
        return tuple(lowered)

    def _program(self, ops: tuple[Op, ...], repeats: int, free: bool) -> Lowered | None:
        from hwsim.schedule import Program, barrier, previous_rep  # noqa: PLC0415 - brings in the engine

        stages: list[Stage] = []
        edges: list[Edge] = []
        moved: dict[str, Mapping[str, float]] = {}
        groups: list[list[Stage]] = []
        for op in ops:
            for group, links, bytes_ in self._groups(op, free, len(stages)):
                stages += group
                edges += links
                moved |= bytes_
                groups.append(group)
        if not stages:
            return None
        edges += [barrier(before[-1], after[0]) for before, after in pairwise(groups)]
        edges.append(previous_rep(groups[-1][-1], groups[0][0]))
        return Lowered(Program(tuple(stages), tuple(edges), repeats), moved)

    def _groups(
        self, op: Op, free: bool, count: int
    ) -> Iterator[tuple[list[Stage], list[Edge], dict[str, Mapping[str, float]]]]:
        """Stages of an op that may overlap: (stages, edges among them, bytes that they move)."""
        found = self.placed(op)
        if isinstance(found, Infeasible):
            raise ValueError(f"{op.name} was not checked: {found.reason}")
        if found:
            yield self._light(op, found, free, count)
            count += 3 + len(found)
        work = host_work(op, found)
        seconds = work.seconds(self.parameters)
        if not free and seconds > 0.0:
            stage = self._stage(f"{count}.{op.name}.host", "host", 1, seconds, op)
            yield [stage], [], {stage.name: {"host": work.bytes}}

    def _light(
        self, op: Op, found: tuple[Placed, ...], free: bool, count: int
    ) -> tuple[list[Stage], list[Edge], dict[str, Mapping[str, float]]]:
        """Jobs of an op one after the other, between a stream of operands in and a stream of pixels out."""
        from hwsim.schedule import after  # noqa: PLC0415

        p = self.parameters
        tiles = 1 if free else min(_TILES, *(each.counts.frames for each in found))
        lit = []
        for place, each in enumerate(found):
            parts = part_seconds(p, each.counts)
            part = max(parts, key=lambda name: parts[name])
            lit.append(self._stage(f"{count + place}.{op.name}.{place}", part, tiles, parts[part], op))
        if free:
            return lit, [after(one, other) for one, other in pairwise(lit)], {}
        inward, outward = link_bytes(p, op, found)
        first = self._stage(f"{count}.{op.name}.in", "link_in", tiles, inward / p.host.link.value, op)
        last = self._stage(f"{count}.{op.name}.out", "link_out", tiles, outward / p.host.link.value, op)
        chain = [first, *lit, last]
        moved: dict[str, Mapping[str, float]] = {first.name: {"link": inward}, last.name: {"link": outward}}
        return chain, [after(one, other) for one, other in pairwise(chain)], moved

    def _stage(self, name: str, resource: str, tiles: int, seconds: float, op: Op) -> Stage:
        """A stage whose tiles share the time; together they take at least it."""
        from hwsim.schedule import Stage  # noqa: PLC0415

        ticks = max(tiles, math.ceil(round(seconds * _TICK_HZ, 6)))
        whole, rest = divmod(ticks, tiles)
        lengths = [whole + 1] * rest + [whole] * (tiles - rest)
        return Stage.of_cycles(name, resource, lengths, op=op.name)

    def energy_pj(self, op: Op, moved_bytes: Mapping[str, float], work: PassWork) -> Mapping[str, float]:
        """Converters and laser of the frames, arithmetic and memory of the host."""
        found = self.placed(op)
        if isinstance(found, Infeasible):
            raise ValueError(f"{op.name} was not checked: {found.reason}")
        return optical_energy_pj(self.parameters, op, found)

    def enters(self, path: str) -> Enters:
        """What a constant has a say in; those of the field model change neither time nor energy."""
        room = path.split(".", maxsplit=1)[0]
        free = self.parameters.timing == "paper" and room in ("input", "kernel", "camera", "host")
        if path == "camera.bits":  # whole bytes of a pixel go to the host, where that is counted
            return "energy" if free else "time"
        if path in _NO_TIME or (free and path not in _ENERGY_ONLY):
            return "capacity"
        return "energy" if path in _ENERGY_ONLY or room in _ENERGY_ROOMS else "time"

    def static_power_w(self) -> float:
        """The idle host, and camera and two modulators where their power is what is counted."""
        p = self.parameters
        optics = p.power.camera.value + 2 * p.power.modulator.value if p.energy == "frame_power" else 0.0
        return optics + p.host.idle.value

    def warnings(self) -> tuple[str, ...]:
        """What is wrong with the machine itself: a pitch that misses critical sampling."""
        return pitch_warning(self.parameters)

    def snr_db(self, op: Op) -> float | None:
        """Numeric signal-to-noise ratio of an op in light, from the field model; None for an op of the host."""
        found = self.placed(op)
        return None if isinstance(found, Infeasible) or not found else snr_of(self.parameters, found)

    def layout_words(self, op: Op) -> str | None:
        """Frames and layout of each of an op's jobs; None for an op of the host."""
        found = self.placed(op)
        if isinstance(found, Infeasible) or not found:
            return None
        return "; then ".join(f"{_frames(each.counts.frames)}, {each.layout}" for each in found)


def _frames(count: int) -> str:
    return "1 frame" if count == 1 else f"{count:,} frames"
