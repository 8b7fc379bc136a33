"""`kernel`: one op on its own."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, is_dataclass
from typing import TYPE_CHECKING, Any

from hwsim.devices.base import PassWork
from hwsim.errors import Infeasible
from hwsim.pipeline.accounts import constants_of
from hwsim.pipeline.outcome import run_pass
from hwsim.units import PICO
from hwsim.workload.graph import Graph

if TYPE_CHECKING:
    from hwsim.devices.base import Device
    from hwsim.result import Constant
    from hwsim.workload.op import Op

__all__ = ["KernelResult", "kernel"]


@dataclass(frozen=True, slots=True)
class KernelResult:
    """One kernel on one machine. Fields as in `Result`.

    Attributes:
        mapping: how it was laid onto the machine, by name; empty where the family has nothing to choose.
        notes: what a reader should know beside the figures.
    """

    kind: str
    device: str
    time_s: float
    cycles: int
    energy_j: float
    bound: str
    bytes: Mapping[str, float]
    macs: int
    utilization: Mapping[str, float]
    fitted: tuple[Constant, ...]
    assumed: tuple[Constant, ...]
    mapping: Mapping[str, Any] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """The JSON form."""
        plain: dict[str, Any] = {
            name: getattr(self, name) for name in self.__dataclass_fields__ if name not in ("fitted", "assumed")
        }
        for name in ("bytes", "utilization", "mapping"):
            plain[name] = dict(plain[name])
        plain["notes"] = list(self.notes)
        plain["constants"] = {kind: [c.path for c in getattr(self, kind)] for kind in ("fitted", "assumed")}
        return plain


def kernel(op: Op, device: Device) -> KernelResult | Infeasible:
    """One op on its own, its operands off chip."""
    graph = Graph(op.kind)
    graph.add(op)
    work = _kernel_work(op)
    outcome = run_pass(device, graph, work)
    if isinstance(outcome, Infeasible):
        return outcome
    time_s = outcome.cycles / device.clock_hz
    fitted, assumed, _ = constants_of(device, None)
    placed = device.map(op)
    return KernelResult(
        kind=op.kind,
        device=device.name,
        time_s=time_s,
        cycles=outcome.cycles,
        energy_j=sum(outcome.energy_pj.values()) * PICO + device.static_power_w() * time_s,
        bound=max(outcome.busy_cycles, key=lambda name: outcome.busy_cycles[name]),
        bytes=outcome.bytes,
        macs=op.macs,
        utilization={name: busy / outcome.cycles for name, busy in outcome.busy_cycles.items()},
        fitted=fitted,
        assumed=assumed,
        mapping=_plain_mapping(placed),
        notes=tuple(getattr(placed, "notes", ())),
    )


def _plain_mapping(placed: Any) -> dict[str, Any]:
    """A family's mapping as plain values by name."""
    if is_dataclass(placed) and not isinstance(placed, type):
        return asdict(placed)
    return dict(placed) if isinstance(placed, Mapping) else {}


def _kernel_work(op: Op) -> PassWork:
    """Rows of a kernel as tokens and sequences."""
    if op.kind in ("scan", "conv1d"):
        role = "prefill" if op.attributes.get("phase") == "prefill" else "decode"
        return PassWork(role, tokens=op.dims["seq_len"], batch=op.dims["batch"])  # type: ignore[arg-type]
    rows = op.dims["batch"] * op.dims["m"] if op.kind == "gemm" else op.dims.get("tokens", op.dims.get("batch", 1))
    return PassWork("decode", tokens=1, batch=rows)
