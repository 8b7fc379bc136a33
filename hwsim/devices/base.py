"""The protocol behind which every machine family stands, and the few values that cross it.

A pass (one run of one model) goes through a device in three steps: `supports` each op, `fits` as a whole, and
`lower` to programs whose stages name the op that they work for. The schedule of the programs gives the cycles; busy
cycles and bytes of an op are sums over its stages, so a cost is never stated twice.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, Literal, Protocol, TypeAlias, runtime_checkable

from hwsim.errors import Infeasible

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from hwsim.schedule import Program
    from hwsim.workload.decoding import Policy, TokenTree
    from hwsim.workload.graph import Graph
    from hwsim.workload.model import Formats
    from hwsim.workload.op import Op
    from hwsim.workload.recipe import Recipe
    from hwsim.workload.training import TrainingGraphs

__all__ = [
    "MEMORY",
    "Analogue",
    "Configurable",
    "Device",
    "Enters",
    "FormatChoice",
    "HoldsInMemory",
    "KernelRows",
    "LimitsPower",
    "Lowered",
    "PassWork",
    "ReadsInPart",
    "Resource",
    "Roofs",
    "SearchesMappings",
    "StatePlan",
    "TimesRows",
    "Trains",
    "VerifiesChains",
    "verifies",
]

Role: TypeAlias = Literal[
    "decode", "draft", "verify", "prefill", "inference", "forward", "recompute", "backward", "optimizer"
]
MEMORY: Final = "device memory"
"""The resource of an `Infeasible` that a smaller batch or a shorter context would mend."""

Enters: TypeAlias = Literal["time", "energy", "capacity"]
"""What a constant has a say in; ``capacity`` is whether things fit at all."""


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
        level: level of the tree that a draft pass proposes, from 1; 0 for other passes.
        tree: the token tree that is drafted or verified, if any.
        state: recurrent-state traffic of one sequence.
        recipe: how the model is trained; None where it is not.

    """

    role: Role
    tokens: int
    batch: int = 1
    context: int = 0
    level: int = 0
    tree: TokenTree | None = None
    state: StatePlan = field(default_factory=StatePlan)
    recipe: Recipe | None = None


@dataclass(frozen=True, slots=True)
class Lowered:
    """A program, and what its stages move between memory levels.

    Attributes:
        program: the schedule's input; each stage names the op it works for.
        stage_bytes: stage -> memory level -> bytes in one repetition. Stages that move nothing are absent.
        repeats: times that the whole program is run, one after the other.
    """

    program: Program
    stage_bytes: Mapping[str, Mapping[str, float]]
    repeats: int = 1


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

    def least_s(
        self, macs: float, moved_bytes: Mapping[str, float], format_name: str | None = None
    ) -> dict[str, float]:
        """Seconds below which no schedule can go, by roof: what charts draw, and what tests hold every answer to.

        Args:
            macs: multiply-accumulates that are performed.
            moved_bytes: memory level -> bytes. Levels without a roof bound nothing.
            format_name: number format of the multiplications; None, or a format without a roof, for the fastest.
        """
        peak = self.macs_per_s.get(format_name or "", max(self.macs_per_s.values(), default=math.inf))
        levels = {level: moved_bytes.get(level, 0.0) / rate for level, rate in self.bytes_per_s.items()}
        return {"arithmetic": macs / peak, **levels}


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

    def supports(self, op: Op) -> Infeasible | None:
        """None when the machine can run ``op``, else why not."""

    def map(self, op: Op) -> Any:
        """The mapping this machine would use for ``op``: a frozen value of the family's own kind."""

    def plan_state(
        self, graph: Graph, works: tuple[PassWork, ...], policy: Policy, accepted_tokens: int
    ) -> tuple[PassWork, ...]:
        """Passes of one model in a speculative step, with state plans by the backtracking policy (resolved if auto).

        Args:
            graph: the model's graph in any of these passes.
            works: the passes, in order.
            policy: what the workload asks.
            accepted_tokens: tokens that a step keeps, rounded up to a whole token.
        """

    def fits(self, passes: tuple[tuple[Graph, PassWork], ...]) -> Infeasible | None:
        """None when fabric and memories hold all that these passes need together, else what does not fit."""

    def footprint(self, passes: tuple[tuple[Graph, PassWork], ...]) -> Mapping[str, float]:
        """Bytes that must be held off chip: ``weights``, ``state``, ``activations`` (see `Result.memory_bytes`)."""

    def lower(self, graph: Graph, work: PassWork) -> tuple[Lowered, ...]:
        """The pass as programs that run one after the other (a repeated layer body, then the head)."""

    def energy_pj(self, op: Op, moved_bytes: Mapping[str, float], work: PassWork) -> Mapping[str, float]:
        """Dynamic energy of one run of ``op`` by component, given the bytes that it moves by memory level."""

    def enters(self, path: str) -> Enters:
        """What the catalog constant at a dotted path has a say in."""

    def static_power_w(self) -> float:
        """Power drawn whether or not work is done."""


@dataclass(frozen=True, slots=True)
class KernelRows:
    """Answers to many kernels, an entry for each.

    Attributes:
        time_s: seconds, in whole cycles.
        energy_j: joules, static power included.
        bounds: the resource that limits it.
    """

    time_s: NDArray[np.float64]
    energy_j: NDArray[np.float64]
    bounds: NDArray[np.object_]


@runtime_checkable
class TimesRows(Protocol):
    """What a family adds that times kernels by the array; answers are those of one kernel at a time."""

    def kernel_rows(self, op: Op) -> KernelRows | Infeasible | None:
        """Many kernels as one op whose dimensions are arrays (`hwsim.workload.rows`); None: row by row."""


@runtime_checkable
class HoldsInMemory(Protocol):
    """A machine whose memory bounds batch and context."""

    @property
    def memory_capacity_bytes(self) -> float:
        """Bytes that `Device.footprint` must stay within."""


@runtime_checkable
class Trains(HoldsInMemory, Protocol):
    """A machine that can run a step of training."""

    def training_terms(self, graphs: TrainingGraphs, work: PassWork, recipe: Recipe) -> Mapping[str, float]:
        """Bytes that a step needs (of the card that holds most): weights, state, gradients, activations."""

    def updated_parameters(self, graphs: TrainingGraphs, work: PassWork, recipe: Recipe) -> int:
        """Parameters that one card updates in the optimizer's pass."""


@runtime_checkable
class VerifiesChains(Protocol):
    """A machine that can verify several drafted tokens in a row at once, though no tree of them."""

    @property
    def verifies_chains(self) -> bool:
        """Whether it can."""


def verifies(device: Device, tree: TokenTree) -> bool:
    """Whether a machine can verify the nodes of a tree in one pass; a chain is a tree without branches."""
    is_chain = tree.depth == tree.drafted
    return device.verifies_trees or (is_chain and isinstance(device, VerifiesChains) and device.verifies_chains)


@runtime_checkable
class ReadsInPart(Protocol):
    """A machine with constants for each kind of kernel, of which a workload without that kind reads none."""

    def unread(self, kinds: Collection[str]) -> tuple[str, ...]:
        """Prefixes of the constants' dotted paths that kernels of these kinds do not read."""


@runtime_checkable
class SearchesMappings(Protocol):
    """A machine that finds a mapping for each op by a search, so that another constant is another search."""

    @property
    def searches_mappings(self) -> bool:
        """Always."""


@runtime_checkable
class LimitsPower(Protocol):
    """A machine whose power is held to a limit, so that no work spends more than the limit over its time."""

    def dynamic_limit_w(self) -> float:
        """Watts that it may draw beyond what it draws idle."""


@runtime_checkable
class Configurable(Protocol):
    """A machine that knows settings of a single kernel (`hwsim.workload.kernel.SETTINGS`)."""

    def configured(self, settings: Mapping[str, str | int | float | bool]) -> Device:
        """This machine as the settings say.

        Raises:
            HwsimError: a setting or a value that it does not know.
        """


@runtime_checkable
class Analogue(Protocol):
    """What a machine adds whose arithmetic is not exact: how far off it is. A `Device` may be one."""

    def warnings(self) -> tuple[str, ...]:
        """What is wrong with the machine itself, a sentence each."""

    def snr_db(self, op: Op) -> float | None:
        """Signal-to-noise ratio of the op's result in decibels; None where it is computed exactly."""

    def layout_words(self, op: Op) -> str | None:
        """How the op is laid out, in words; None where it is computed exactly."""
