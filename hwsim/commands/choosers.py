"""What software chooses for an op where there are no nests: a GPU's tile, a CPU's blocking, an optical layout.

Each family has a `Chooser`: which ops have a choice, what was chosen for one, and what else there was. Of a model, rows
are of its distinct products as the machine runs them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Protocol, cast

from hwsim.cost import scale_counts
from hwsim.errors import Infeasible
from hwsim.mapping.certificate import exhausted
from hwsim.units import PICO

if TYPE_CHECKING:
    from hwsim.devices.base import Device, PassWork
    from hwsim.devices.cpu import CpuDevice
    from hwsim.devices.gpu import GpuDevice
    from hwsim.devices.gpu.joined import Product
    from hwsim.devices.optical import OpticalDevice
    from hwsim.mapping.forms import OpForm, TileForm
    from hwsim.pipeline import KernelResult
    from hwsim.workload.graph import Graph
    from hwsim.workload.op import Op

__all__ = ["Choice", "Chooser", "chooser_of"]


@dataclass(frozen=True, slots=True)
class Choice:
    """An op of a model as the machine runs it.

    Attributes:
        names: ops of the model that it serves.
        op: what is computed.
        count: runs in the pass.
        form: fields of `map` for one run.
        entry: what a mapping file states of it.
    """

    names: tuple[str, ...]
    op: Op
    count: int
    form: dict[str, Any]
    entry: OpForm


class Chooser(Protocol):
    """What `map` asks of a family whose software chooses from a menu."""

    @property
    def device(self) -> Device:
        """The machine."""
        ...

    @property
    def kinds(self) -> Mapping[str, str]:
        """Kinds of ops that have a choice -> the format of their operands where none is given, else empty."""
        ...

    @property
    def expected(self) -> str:
        """What may be asked, in the words of an error."""
        ...

    @property
    def covers(self) -> str:
        """What the certificate covers."""
        ...

    def form(self, op: Op) -> dict[str, Any] | Infeasible:
        """Fields of one op on its own: costs, mapping, certificate, and the menu where one can be ranked."""
        ...

    def choices(self, graph: Graph, work: PassWork) -> Iterator[Choice | Infeasible]:
        """The ops of a pass that have a choice."""
        ...


def chooser_of(device: Device) -> Chooser | None:
    """The chooser of a machine; None where nests are searched."""
    from hwsim.devices.cpu import CpuDevice  # noqa: PLC0415
    from hwsim.devices.gpu import GpuDevice  # noqa: PLC0415
    from hwsim.devices.optical import OpticalDevice  # noqa: PLC0415

    if isinstance(device, CpuDevice):
        return Blockings(device)
    if isinstance(device, GpuDevice):
        return Tiles(device)
    return Layouts(device) if isinstance(device, OpticalDevice) else None


def _costs(answer: KernelResult) -> dict[str, Any]:
    """What an op on its own costs as it is mapped, and what the choice made least."""
    return {
        "objective": "latency",
        "energy_j": answer.energy_j,
        "cycles": answer.cycles,
        "time_s": answer.time_s,
        "edp": answer.energy_j * answer.time_s,
        "energy_j_by_level": dict(answer.energy_j_by),
        "bytes_by_level": dict(answer.bytes),
        "bound": answer.bound,
        "notes": list(answer.notes),
    }


@dataclass(frozen=True, slots=True)
class Blockings:
    """A CPU: kernels, loop orders, threads and tiles."""

    device: CpuDevice
    kinds: ClassVar[Mapping[str, str]] = {"gemm": "", "conv2d": ""}
    expected = "gemm or conv2d: on a CPU only products have blockings"
    covers = "each product alone: kernels of the stack, loop orders, threads, and the rows and column tiles of each"

    def form(self, op: Op) -> dict[str, Any] | Infeasible:
        """The chosen blocking, and the best of each kernel, loop order and split of the rows."""
        from hwsim.devices.cpu.ranking import ranked_blockings  # noqa: PLC0415
        from hwsim.pipeline import configured  # noqa: PLC0415

        found = self._form(op)
        ranked = ranked_blockings(cast("CpuDevice", configured(op, self.device)).parameters, op)
        if isinstance(found, Infeasible) or isinstance(ranked, Infeasible):
            return found
        return {**found, "covers": self.covers, "menu": [each.to_dict() for each in ranked]}

    def _form(self, op: Op) -> dict[str, Any] | Infeasible:
        from hwsim.devices.cpu.choice import search_blockings  # noqa: PLC0415
        from hwsim.pipeline import configured, kernel  # noqa: PLC0415
        from hwsim.report.blockings import blocking_text  # noqa: PLC0415

        parameters = cast("CpuDevice", configured(op, self.device)).parameters
        if isinstance(found := search_blockings(parameters, op), Infeasible):
            return found
        if isinstance(answer := kernel(op, self.device), Infeasible):
            return answer
        text = blocking_text(answer.mapping)
        return {**_costs(answer), "mapping": text, **found.certificate.form, "stack": parameters.stack}

    def choices(self, graph: Graph, work: PassWork) -> Iterator[Choice | Infeasible]:
        """Every distinct product on its own, as `hwsim kernel` costs it."""
        for op, count in graph.distinct():
            if op.kind in self.kinds:
                found = self._form(op)
                yield found if isinstance(found, Infeasible) else _choice(self.device, op, count, found)


def _choice(device: Device, op: Op, count: int, form: dict[str, Any]) -> Choice:
    """An op that is costed on its own."""
    from hwsim.devices.mapped import chosen_form  # noqa: PLC0415
    from hwsim.mapping.forms import OpForm  # noqa: PLC0415

    entry = chosen_form(device, op)
    if not isinstance(entry, OpForm):
        raise TypeError(f"{op.name} has a choice")
    return Choice((op.name,), op, count, form, entry)


@dataclass(frozen=True, slots=True)
class Tiles:
    """A GPU: tiles and splits of the stack's menu."""

    device: GpuDevice
    kinds: ClassVar[Mapping[str, str]] = {"gemm": ""}
    expected = "gemm or a workload: on a GPU only products have a menu of tiles"

    @property
    def covers(self) -> str:
        """The menu, and of a cluster whose products they are."""
        part = ", of one card's part and one micro-batch" if self.device.cards > 1 else ""
        return f"each product alone{part}: the tiles and splits of the stack's menu"

    def form(self, op: Op) -> dict[str, Any] | Infeasible:
        """The chosen tile and the ranked menu."""
        from hwsim.devices.gpu.ranking import choices_tried, ranked_tiles  # noqa: PLC0415 - brings in NumPy
        from hwsim.pipeline import configured, kernel  # noqa: PLC0415
        from hwsim.report.tiles import tile_text  # noqa: PLC0415

        parameters = cast("GpuDevice", configured(op, self.device)).parameters
        if isinstance(ranked := ranked_tiles(parameters, op), Infeasible):
            return ranked
        if isinstance(tried := choices_tried(parameters, op), Infeasible):
            return tried
        if isinstance(answer := kernel(op, self.device), Infeasible):
            return answer
        best = ranked[0]
        return {
            **_costs(answer),
            "mapping": tile_text(best.tm, best.tn, best.tk, best.split, best.ctas),
            **_offered(tried, answer.cycles),
            "stack": parameters.stack,
            "covers": "this op alone, the tiles and splits of the stack's menu",
            "menu": [each.to_dict() for each in ranked],
        }

    def choices(self, graph: Graph, work: PassWork) -> Iterator[Choice | Infeasible]:
        """Every distinct product among the model's other kernels, as `hwsim simulate` runs it."""
        from hwsim.devices.gpu.gemm import formats_of  # noqa: PLC0415
        from hwsim.devices.gpu.menus import tile_form  # noqa: PLC0415
        from hwsim.pipeline.outcome import unsupported  # noqa: PLC0415
        from hwsim.workload.structured import is_structured  # noqa: PLC0415

        if bad := unsupported(self.device, graph):
            yield bad
            return
        for each in self.device.products(graph, work):
            if not is_structured(formats_of(each.op).structure):
                entry = tile_form(each.op, each.estimate.mapping)
                yield Choice(each.names, each.op, each.runs, self._in_model(each, entry, work), entry)

    def _in_model(self, product: Product, tile: TileForm, work: PassWork) -> dict[str, Any]:
        from hwsim.devices.gpu.ranking import choices_tried  # noqa: PLC0415
        from hwsim.report.tiles import tile_text  # noqa: PLC0415

        device, found = self.device, product.estimate
        tried = choices_tried(device.parameters, product.op)
        if isinstance(tried, Infeasible):
            raise TypeError(f"{product.op.name} has a tile: {tried.reason}")
        time_s = product.cycles / device.clock_hz
        parts = scale_counts(device.energy_pj(product.op, found.bytes, work), PICO)
        energy_by = {**parts, "static": device.static_power_w() / device.cards * time_s}
        energy_j = sum(energy_by.values())
        return {
            "objective": "latency",
            "energy_j": energy_j,
            "cycles": product.cycles,
            "time_s": time_s,
            "edp": energy_j * time_s,
            "energy_j_by_level": energy_by,
            "bytes_by_level": dict(found.bytes),
            "bound": found.bound,
            "notes": [],
            "mapping": tile_text(tile.tm, tile.tn, tile.tk, tile.split, int(found.mapping["ctas"])),
            **_offered(tried, product.cycles),
            "stack": device.parameters.stack,
        }


def _offered(tried: tuple[int, int], cycles: int) -> dict[str, Any]:
    """The certificate of a menu of which some tiles and splits are not offered for a product."""
    represented, evaluated = tried
    left_out = {"not offered": represented - evaluated}
    return exhausted("menu", "latency", cycles, represented, left_out=left_out).form


@dataclass(frozen=True, slots=True)
class Layouts:
    """A 4f system: the layout of each of an op's jobs."""

    device: OpticalDevice
    covers = "each op alone: the menu of tiles of images, channels and kernels"

    @property
    def kinds(self) -> Mapping[str, str]:
        """What goes to light; all else is the host's."""
        p = self.device.parameters
        return dict.fromkeys(p.offload, p.format)

    @property
    def expected(self) -> str:
        """What goes to light."""
        return f"{' or '.join(self.kinds)}: all else runs on the host of {self.device.name}"

    def form(self, op: Op) -> dict[str, Any] | Infeasible:
        """The layout of each of the op's jobs."""
        from hwsim.devices.optical.layout import layouts_tried  # noqa: PLC0415 - brings in NumPy
        from hwsim.pipeline import kernel  # noqa: PLC0415

        if isinstance(found := self.device.placed(op), Infeasible):
            return found
        if isinstance(answer := kernel(op, self.device), Infeasible):
            return answer
        tried = sum(layouts_tried(self.device.parameters, each.job) for each in found)
        return {
            **_costs(answer),
            "mapping": self.device.layout_words(op),
            **exhausted("layouts", "latency", answer.cycles, tried).form,
            "covers": "this op alone, the menu of tiles of images, channels and kernels",
        }

    def choices(self, graph: Graph, work: PassWork) -> Iterator[Choice | Infeasible]:
        """Every distinct op in light, on its own."""
        for op, count in graph.distinct():
            placed = self.device.placed(op)
            if isinstance(placed, Infeasible):
                yield placed
            elif placed:
                found = self.form(op)
                yield found if isinstance(found, Infeasible) else _choice(self.device, op, count, found)
