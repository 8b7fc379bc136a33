"""A machine as the mapper sees it, whatever its family: a hierarchy, the problems of an op, its fixed nest if any."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from hwsim.devices.array import ArrayDevice
from hwsim.devices.catalog import find_device
from hwsim.devices.fpga import FpgaDevice
from hwsim.devices.fpga.nest import linear_hierarchy, linear_nest
from hwsim.errors import HwsimError, Infeasible
from hwsim.formats import FORMATS
from hwsim.mapping.files import MappingFile, mapping_faults, read_mapping
from hwsim.mapping.hierarchy import Hierarchy
from hwsim.mapping.nest import Nest
from hwsim.mapping.ops import MAPPED, problems_of
from hwsim.mapping.problem import Problem

if TYPE_CHECKING:
    from hwsim.devices.base import Device
    from hwsim.spec import Document
    from hwsim.workload.op import Op

__all__ = ["MapperView", "load_mapping", "mapper_view", "with_mapping"]


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
    expected = "a machine of family array or fpga, which have loop nests; hwsim map also takes cpu and gpu"
    raise HwsimError.at("--device", found, expected)


def load_mapping(document: Document, device: Device | None = None) -> MappingFile:
    """A mapping file, each of its nests legal on a machine: the file's own, or another that is to run them.

    Raises:
        HwsimError: all that is wrong with the file, line by line.
    """
    file = read_mapping(document)
    view = mapper_view(device or find_device(file.device))
    faults = mapping_faults(document, file, view.hierarchy, *view.word_bits)
    if faults:
        raise HwsimError(*faults)
    return file


def with_mapping(device: Device, name: str, read: Callable[[str], Document]) -> ArrayDevice:
    """The array machine with the nests of a mapping file; ops of other shapes are still searched.

    Args:
        device: the machine.
        name: of the mapping, as the user gave it.
        read: gives the document of a name.

    Raises:
        HwsimError: the machine lays out its work by itself, or a nest is not legal on it.
    """
    if not isinstance(device, ArrayDevice):
        expected = f"auto: machines of the family {device.family} lay out the work by themselves"
        raise HwsimError.at("--mapping", repr(name), expected)
    file = load_mapping(read(name), device)
    return replace(device, nests=tuple(file.by_shape.items()))
