"""The declared host of an array: what computes norms, softmax and all else that is no matrix product."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil
from typing import TYPE_CHECKING

from hwsim.devices.array.parameters import ArrayParameters
from hwsim.errors import Infeasible
from hwsim.workload.counts import SOFTMAX_OPS

if TYPE_CHECKING:
    from hwsim.mapping.problem import Problem
    from hwsim.workload.op import Op

__all__ = ["HostWork", "host_work", "no_host", "softmax_between"]


@dataclass(frozen=True, slots=True)
class HostWork:
    """What an op, or a part of one, takes on the host: its operations, and its bytes through main memory.

    Attributes:
        cycles: of the array's clock, operations alone.
        memory_cycles: its bytes over main memory's port.
        read_bytes: bytes read from main memory.
        written_bytes: bytes written there.
        energy_pj: of the operations.
        memory_pj: of the bytes.
    """

    cycles: int
    memory_cycles: int
    read_bytes: float
    written_bytes: float
    energy_pj: float
    memory_pj: float


def no_host(parameters: ArrayParameters, kind: str, needed_by: str) -> Infeasible:
    """Why an op that is no matrix product cannot run on an array without a host."""
    reason = f"a PE array maps gemm, conv2d and attention's products, not {kind} (needed by {needed_by})"
    return Infeasible(
        "host", 1, 0, "units", f"{reason}; {parameters.name} declares no host", {needed_by: 1},
        ("a host: in the machine's file", "another machine"),
    )  # fmt: skip


def host_work(parameters: ArrayParameters, op: Op) -> HostWork:
    """A whole op on the host: each operation once, each operand through main memory once."""
    moved = op.bytes_by_role
    written = float(moved.get("output", 0))
    return _work(parameters, op.macs + op.other_ops, sum(moved.values()) - written, written)


def softmax_between(parameters: ArrayParameters, problems: Sequence[Problem]) -> HostWork:
    """The softmax between attention's products: scores in, probabilities out."""
    scores, values = problems
    count = scores.elements(scores.output)
    read, written = count * scores.output.bits / 8, count * values.operands[0].bits / 8
    return _work(parameters, SOFTMAX_OPS * count, read, written)


def _work(parameters: ArrayParameters, operations: float, read: float, written: float) -> HostWork:
    host, memory, clock = parameters.host, parameters.levels[0], parameters.clock.value
    if host is None:
        raise ValueError(f"{parameters.name} declares no host")
    ports = (read / memory.read_bandwidth.value, written / memory.write_bandwidth.value)
    memory_s = sum(ports) if memory.shared_port else max(ports)
    return HostWork(
        cycles=ceil(operations / host.rate.value * clock),
        memory_cycles=ceil(memory_s * clock),
        read_bytes=read,
        written_bytes=written,
        energy_pj=operations * host.energy.value,
        memory_pj=read * memory.read_energy.value + written * memory.write_energy.value,
    )
