"""A machine as the mapper sees it: a hierarchy, the problems of an op, its fixed nest if any; and mapping files."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from hwsim.devices.array import ArrayDevice
from hwsim.devices.catalog import find_device
from hwsim.devices.cpu import CpuDevice
from hwsim.devices.fpga import FpgaDevice
from hwsim.devices.fpga.nest import linear_hierarchy, linear_nest
from hwsim.devices.gpu import GpuDevice
from hwsim.devices.optical import OpticalDevice
from hwsim.errors import Fault, HwsimError, Infeasible
from hwsim.formats import FORMATS
from hwsim.mapping.files import MappingFile, choice_faults, mapping_faults, read_mapping
from hwsim.mapping.forms import DIMS, BlockingForm, LayoutForm, Mismatch, OpForm, TileForm
from hwsim.mapping.hierarchy import Hierarchy
from hwsim.mapping.nest import Nest
from hwsim.mapping.ops import MAPPED, problems_of
from hwsim.mapping.problem import Problem
from hwsim.spec.nodes import MappingNode

if TYPE_CHECKING:
    from hwsim.devices.base import Device
    from hwsim.spec import Document
    from hwsim.workload.op import Op

__all__ = ["MapperView", "chosen_form", "entries_of", "load_mapping", "mapper_view", "with_mapping"]

_KEYS: Final = {"cpu": "blockings", "gpu": "tiles", "optical": "layouts"}
"""What mapping files of a family hold; nests of the others."""


@dataclass(frozen=True, slots=True)
class MapperView:
    """What the mapper needs of a machine.

    Attributes:
        device: the machine.
        hierarchy: its levels and axes.
        word_bits: bits of an input or weight, and of an output word.
        formats: number formats of activations and weights.
        fixed: the only nest that the machine's dataflow has for a problem; None where it is free.
    """

    device: Device
    hierarchy: Hierarchy
    word_bits: tuple[int, int]
    formats: tuple[str, str]
    fixed: Callable[[Problem], Nest] | None = None

    def problems(self, op: Op) -> tuple[Problem, ...] | Infeasible:
        """The matrix products of an op that the machine can run; none of an op that its host runs."""
        if op.kind not in MAPPED:
            return ()
        bad = self._refused(op)
        if bad:
            return bad
        try:
            return problems_of(op, *self.word_bits)
        except HwsimError as error:
            return Infeasible("mapper", 1, 0, "ops", str(error), {op.name: 1}, ("smaller dimensions",))

    def _refused(self, op: Op) -> Infeasible | None:
        if isinstance(self.device, ArrayDevice):
            return self.device.supports_formats(op)
        if op.kind != "gemm":
            reason = f"{self.device.name}'s linear core maps gemm, not {op.kind}"
            return Infeasible("linear core", 1, 0, "ops", reason, {op.name: 1}, ("a machine of family array",))
        return self.device.supports(op)


def mapper_view(device: Device) -> MapperView:
    """The view of a machine.

    Raises:
        HwsimError: the machine is of a family without loop nests.
    """
    if isinstance(device, ArrayDevice):
        built = device.parameters.format
        return MapperView(device, device.hierarchy, device.word_bits, (built, built))
    if isinstance(device, FpgaDevice):
        p = device.parameters
        formats = (p.formats.activations, p.formats.weights)
        bits = FORMATS[p.formats.weights].bits
        hierarchy = linear_hierarchy(p)
        return MapperView(device, hierarchy, (bits, 32), formats, lambda problem: linear_nest(p, problem))
    found = f"{device.name}, of family {device.family}"
    expected = "a machine of family array or fpga, which have loop nests; hwsim map also takes cpu, gpu and optical"
    raise HwsimError.at("--device", found, expected)


def load_mapping(document: Document, device: Device | None = None) -> MappingFile:
    """A mapping file, each of its entries legal on a machine: the file's own, or another that is to run them.

    Raises:
        HwsimError: all that is wrong with the file, line by line.
    """
    file = read_mapping(document)
    machine = device or find_device(file.device)
    key = entries_of(machine)
    if file.key != key:
        node = document.root.get(file.key) if isinstance(document.root, MappingNode) else None
        found = f"{file.key} for {machine.name}, of family {machine.family}"
        raise HwsimError(Fault((node or document.root).where, found, f"{key}, which that family has"))
    if key == "nests":
        view = mapper_view(machine)
        faults = mapping_faults(document, file, view.hierarchy, *view.word_bits)
    else:
        faults = choice_faults(document, file, lambda form: _mismatches(machine, form))
    if faults:
        raise HwsimError(*faults)
    return file


def entries_of(device: Device) -> str:
    """What mapping files of a machine hold: one of `hwsim.mapping.files.KEYS`."""
    return _KEYS.get(device.family, "nests")


def _mismatches(device: Device, form: OpForm) -> Iterator[Mismatch]:
    """What is wrong with an entry on a machine of another family than arrays."""
    if isinstance(device, CpuDevice) and isinstance(form, BlockingForm):
        from hwsim.devices.cpu.given import blocking_mismatches  # noqa: PLC0415

        yield from blocking_mismatches(device.parameters, form)
    elif isinstance(device, GpuDevice) and isinstance(form, TileForm):
        from hwsim.devices.gpu.menus import tile_mismatches  # noqa: PLC0415 - brings in NumPy

        yield from tile_mismatches(form)
    elif isinstance(device, OpticalDevice) and isinstance(form, LayoutForm):
        from hwsim.devices.optical.layout import frame_mismatches  # noqa: PLC0415 - brings in NumPy

        yield from frame_mismatches(device.parameters, form)


def with_mapping(device: Device, name: str, read: Callable[[str], Document]) -> Device:
    """The machine with the entries of a mapping file; ops of other shapes are laid out as without it.

    Args:
        device: the machine.
        name: of the mapping, as the user gave it.
        read: gives the document of a name.

    Raises:
        HwsimError: the machine lays out its work by itself, or an entry is not legal on it.
    """
    if isinstance(device, ArrayDevice):
        return replace(device, nests=tuple(load_mapping(read(name), device).by_shape.items()))
    if isinstance(device, CpuDevice):
        return replace(device, given=load_mapping(read(name), device).blockings or ())
    if isinstance(device, GpuDevice):
        return replace(device, given=load_mapping(read(name), device).tiles or ())
    if isinstance(device, OpticalDevice):
        return replace(device, given=load_mapping(read(name), device).layouts or ())
    expected = f"auto: machines of the family {device.family} lay out the work by themselves"
    raise HwsimError.at("--mapping", repr(name), expected)


def chosen_form(device: Device, op: Op) -> OpForm | Infeasible | None:
    """How a CPU, a GPU or an optical machine lays out an op, as a file states it; None where it has no choice."""
    if op.kind not in DIMS:
        return None
    found = device.map(op)
    if isinstance(found, Infeasible):
        return found
    if isinstance(device, CpuDevice):
        from hwsim.devices.cpu.given import blocking_form  # noqa: PLC0415

        return blocking_form(op, found)
    if isinstance(device, GpuDevice):
        from hwsim.devices.gpu.menus import tile_form  # noqa: PLC0415 - brings in NumPy

        return tile_form(op, found) if "tm" in found else None
    if isinstance(device, OpticalDevice):
        from hwsim.devices.optical.layout import layout_form  # noqa: PLC0415 - brings in NumPy

        return layout_form(op, found) if found else None
    return None
