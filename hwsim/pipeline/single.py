"""`kernel`: one op on its own."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field, is_dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

from hwsim.cost import scale_counts
from hwsim.devices.base import Configurable, PassWork
from hwsim.errors import HwsimError, Infeasible
from hwsim.pipeline.accounts import constants_of
from hwsim.pipeline.outcome import run_pass
from hwsim.units import PICO
from hwsim.workload.graph import Graph
from hwsim.workload.kernel import SETTINGS

if TYPE_CHECKING:
    from hwsim.devices.base import Device
    from hwsim.result import Constant
    from hwsim.workload.op import Op

__all__ = ["KernelResult", "configured", "figures", "kernel", "kernels"]

_Constants: TypeAlias = "tuple[tuple[Constant, ...], tuple[Constant, ...]]"


@dataclass(frozen=True, slots=True)
class KernelResult:
    """One kernel on one machine. Fields as in `Result`.

    Attributes:
        mapping: how it was laid onto the machine, by name; empty where the family has nothing to choose.
        notes: what a reader should know beside the figures.
        energy_j_by: the energy by component; ``static`` is power that flows whatever is done.
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
    energy_j_by: Mapping[str, float] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """The JSON form."""
        plain: dict[str, Any] = {
            name: getattr(self, name) for name in self.__dataclass_fields__ if name not in ("fitted", "assumed")
        }
        for name in ("bytes", "utilization", "mapping", "energy_j_by"):
            plain[name] = dict(plain[name])
        plain["notes"] = list(self.notes)
        plain["constants"] = {kind: [c.path for c in getattr(self, kind)] for kind in ("fitted", "assumed")}
        return plain


def kernels(ops: Iterable[Op], device: Device) -> list[KernelResult | Infeasible]:
    """Each op on its own, its operands off chip; the constants that answers lean on are collected once.

    Raises:
        HwsimError: an op asks for a setting (launch, cores, stack) that the machine does not know.
    """
    found: dict[tuple[object, ...], tuple[Device, _Constants]] = {}
    answers = []
    for op in ops:
        key = tuple(op.attributes.get(each.name) for each in SETTINGS)
        if key not in found:
            own = configured(op, device)
            fitted, assumed, _ = constants_of(own, None)
            found[key] = own, (fitted, assumed)
        answers.append(_kernel(op, *found[key]))
    return answers


def kernel(op: Op, device: Device) -> KernelResult | Infeasible:
    """One op on its own; see `kernels`."""
    return kernels((op,), device)[0]


def figures(op: Op, device: Device) -> KernelResult | Infeasible:
    """One op on a machine as it stands, without its accounts: for callers that move constants many times."""
    return _kernel(op, device, ((), ()))


def _kernel(op: Op, device: Device, constants: _Constants) -> KernelResult | Infeasible:
    graph = Graph(op.kind)
    graph.add(op)
    work = _kernel_work(op)
    outcome = run_pass(device, graph, work)
    if isinstance(outcome, Infeasible):
        return outcome
    time_s = outcome.cycles / device.clock_hz
    placed = device.map(op)
    static_j = device.static_power_w() * time_s
    return KernelResult(
        kind=op.kind,
        device=device.name,
        time_s=time_s,
        cycles=outcome.cycles,
        energy_j=sum(outcome.energy_pj.values()) * PICO + static_j,
        bound=max(outcome.busy_cycles, key=lambda name: outcome.busy_cycles[name]),
        bytes=outcome.bytes,
        macs=op.macs,
        utilization={name: busy / outcome.cycles for name, busy in outcome.busy_cycles.items()},
        fitted=constants[0],
        assumed=constants[1],
        mapping=_plain_mapping(placed),
        notes=tuple(getattr(placed, "notes", ())),
        energy_j_by={**scale_counts(outcome.energy_pj, PICO), "static": static_j},
    )


def _plain_mapping(placed: Any) -> dict[str, Any]:
    """A family's mapping as plain values by name."""
    if is_dataclass(placed) and not isinstance(placed, type):
        return asdict(placed)
    return dict(placed) if isinstance(placed, Mapping) else {}


def configured(op: Op, device: Device) -> Device:
    """The machine as the settings of a kernel say; `launch=none` is what every machine does.

    Raises:
        HwsimError: the machine knows no such setting.
    """
    given = {each.name: op.attributes[each.name] for each in SETTINGS if each.name in op.attributes}
    if given.get("launch") == "none" and not isinstance(device, Configurable):
        del given["launch"]
    if not given:
        return device
    if isinstance(device, Configurable):
        return device.configured(given)
    words = ", ".join(f"{name}={value}" for name, value in given.items())
    raise HwsimError.at("kernel", words, f"no such setting: {device.name} ({device.family}) has none of them")


def _kernel_work(op: Op) -> PassWork:
    """Rows of a kernel as tokens and sequences; a product's rows share its weights, as tokens of one sequence do."""
    if op.kind in ("scan", "conv1d"):
        role = "prefill" if op.attributes.get("phase") == "prefill" else "decode"
        return PassWork(role, tokens=op.dims["seq_len"], batch=op.dims["batch"])  # type: ignore[arg-type]
    if op.kind == "gemm":
        return PassWork("decode", tokens=op.dims["m"], batch=op.dims["batch"])
    rows = op.dims.get("tokens", op.dims.get("batch", 1))
    return PassWork("decode", tokens=1, batch=rows)
