"""The protocol behind which every machine family stands, and the few values that cross it.

A pass (one run of one model) goes through a device in four steps: `supports` each op, `map` it, `cost` it,
and lower the whole graph to `program`; the schedule of those programs gives the cycles.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, Protocol, runtime_checkable

from hwsim.cost import Cost
from hwsim.errors import Infeasible

if TYPE_CHECKING:
    from hwsim.schedule import Program
    from hwsim.workload.decoding import TokenTree
    from hwsim.workload.graph import Graph
    from hwsim.workload.model import Formats, Workload
    from hwsim.workload.op import Op

__all__ = ["Device", "FormatChoice", "PassWork", "Resource", "Roofs", "StatePlan"]

Role = Literal["decode", "draft", "verify", "prefill", "inference"]


@dataclass(frozen=True, slots=True)
class Resource:
    """Something that serves one task at a time: a port, an array of multipliers, a row of lanes.

    Attributes:
        name: the name that stands in utilisation tables and traces.
        meaning: what it is, in a few words.
        rate: work per second at full speed, in ``unit``.
        unit: ``"bytes/s"``, ``"mac/s"`` or ``"elements/s"``.
    """

    name: str
    meaning: str
    rate: float
    unit: str


@dataclass(frozen=True, slots=True)
class StatePlan:
    """What a pass moves and recomputes of recurrent state, set by the backtracking policy.

    Attributes:
        policy: the policy that made this plan.
        reads: copies of the whole recurrent state read from memory.
        writes: copies written.
        saved_inputs: tokens whose scan inputs (dt, x, B, conv input) are written for a later replay.
        loaded_inputs: tokens whose saved inputs are read back.
        replayed_tokens: tokens that the scan runs again before the new ones (no weights needed).
        rerun_tokens: tokens that the whole model runs again together with the new ones.
    """

    policy: str = "none"
    reads: int = 1
    writes: int = 1
    saved_inputs: int = 0
    loaded_inputs: int = 0
    replayed_tokens: int = 0
    rerun_tokens: int = 0


@dataclass(frozen=True, slots=True)
class PassWork:
    """What a device must know of a pass beside its graph.

    Attributes:
        role: which part of a step or request this pass is.
        tokens: new tokens per sequence (tree nodes when verifying).
        batch: sequences.
        context: tokens before the new ones.
        tree: the token tree that is verified, if any.
        state: recurrent-state traffic of one sequence.
    """

    role: Role
    tokens: int
    batch: int = 1
    context: int = 0
    tree: TokenTree | None = None
    state: StatePlan = field(default_factory=StatePlan)


@dataclass(frozen=True, slots=True)
class FormatChoice:
    """Number formats by role: what the workload asked, what the machine uses instead where it lacks it."""

    asked: Mapping[str, str]
    used: Mapping[str, str]

    @property
    def differences(self) -> tuple[str, ...]:
        """One phrase for each role in which the machine departs from what was asked."""
        return tuple(
            f"{role}: asked {self.asked[role]}, runs {used}"
            for role, used in self.used.items()
            if role in self.asked and self.asked[role] != used
        )


@dataclass(frozen=True, slots=True)
class Roofs:
    """The machine's limits for a roofline: peak arithmetic by format and nominal bandwidth by memory level.

    Attributes:
        macs_per_s: number format -> multiply-accumulates per second with every multiplier busy.
        bytes_per_s: memory level -> bytes per second.
    """

    macs_per_s: Mapping[str, float]
    bytes_per_s: Mapping[str, float]

    def ridge_macs_per_byte(self, format_name: str, level: str) -> float:
        """Ridge point: peak arithmetic over bandwidth, in MACs per byte."""
        return self.macs_per_s[format_name] / self.bytes_per_s[level]


@runtime_checkable
class Device(Protocol):
    """A machine. Implementations are frozen values; nothing here has state."""

    @property
    def name(self) -> str:
        """The name the user types."""

    @property
    def family(self) -> str:
        """``fpga``, ``cpu``, ``optical``, ``gpu`` or ``array``."""

    @property
    def clock_hz(self) -> float:
        """The clock that cycles are counted in."""

    @property
    def parameters(self) -> Any:
        """The frozen catalog value: a dataclass tree whose constants are `hwsim.spec.Quantity`."""

    @property
    def resources(self) -> tuple[Resource, ...]:
        """What can be the bottleneck."""

    @property
    def roofs(self) -> Roofs:
        """Peak rates for the roofline and for the lower bounds that always hold."""

    @property
    def verifies_trees(self) -> bool:
        """Whether several speculated tokens can be verified in one pass."""

    def formats(self, asked: Formats) -> tuple[Formats, FormatChoice]:
        """The formats this machine runs instead of ``asked``, and what differs."""

    def fits(self, workload: Workload, work: PassWork) -> Infeasible | None:
        """None when the workload fits the machine's memories and fabric, else what does not."""

    def plan_state(self, workload: Workload, works: tuple[PassWork, ...], accepted: float) -> tuple[PassWork, ...]:
        """The passes of one speculative step with their state plans filled in by the backtracking policy."""

    def supports(self, op: Op) -> Infeasible | None:
        """None when the machine can run ``op``, else why not."""

    def map(self, op: Op) -> Any:
        """The mapping this machine would use for ``op``: a frozen value of the family's own kind."""

    def cost(self, op: Op, mapping: Any, work: PassWork) -> Cost:
        """Busy cycles, arithmetic, bytes and dynamic energy of ``op``."""

    def program(self, graph: Graph, mappings: Mapping[str, Any], work: PassWork) -> tuple[Program, ...]:
        """The pass as programs that run one after the other (a repeated layer body, then the head)."""

    def static_power_w(self) -> float:
        """Power drawn whether or not work is done."""
