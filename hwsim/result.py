"""`Result`: what a simulation answers. Every field carries its unit in the name; `to_dict` is the JSON contract."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from hwsim.errors import HwsimError
from hwsim.units import format_seconds, format_si

if TYPE_CHECKING:
    from hwsim.devices.base import Enters, Roofs
    from hwsim.schedule import Program

__all__ = ["SCHEMA_VERSION", "Constant", "OpRow", "PassRow", "Result", "to_json"]

SCHEMA_VERSION: Final = 1
_SHOWN: Final = 6
"""Operators in the table of a notebook."""


@dataclass(frozen=True, slots=True)
class Constant:
    """A fitted or assumed constant that an answer leans on.

    Attributes:
        path: where it stands (``device.memory.bandwidth``).
        value: its value in ``unit``.
        unit: its unit.
        kind: ``fitted``, ``assumed`` or ``set``.
        source: why it has this value.
        enters: ``time``, ``energy``, or ``capacity`` (whether it fits at all).

    """

    path: str
    value: float
    unit: str
    kind: str
    source: str
    enters: Enters = "time"


@dataclass(frozen=True, slots=True)
class OpRow:
    """One operator of a step, summed over its layers.

    Attributes:
        name: operator (``in_proj``; ``draft.in_proj`` for the draft model's).
        kind: op kind (``gemm``, ``scan``, ...).
        block: layer kind it belongs to.
        count: how many times it runs in a step.
        time_s: how long it stands on the critical path (the operators' times add up to the step).
        cycles: the same in clock cycles.
        busy_s: how long it holds ``resource``, hidden behind other work or not.
        held_s: the longest time for which it holds any one resource; no machine runs it faster than that alone.
        resource: the resource that holds it up; when all is hidden, the one that it needs longest.
        bytes: bytes it moves in a step through the slowest memory level, main memory on most machines.
        macs: multiply-accumulates in a step, as if nothing were sparse.
        bound: ``memory`` (main memory, or a core's path to it), ``compute`` (all else that can hold it up, ports of
            on-chip memories and links included), or ``hidden`` when none of it is on the critical path.
        share: ``time_s`` over the step's time.
        bytes_by: memory level -> bytes it moves in a step; a byte that passes two levels counts in both.
        energy_j_by: component -> joules that it spends in a step, without static power.
        stored_macs: those of ``macs`` whose weight is stored; fewer than ``macs`` where weights are sparse.

    """

    name: str
    kind: str
    block: str
    count: int
    time_s: float
    cycles: float
    busy_s: float
    held_s: float
    resource: str
    bytes: float
    macs: float
    bound: str
    share: float
    bytes_by: Mapping[str, float] = field(default_factory=dict)
    energy_j_by: Mapping[str, float] = field(default_factory=dict)
    stored_macs: float = 0.0

    @property
    def energy_j(self) -> float:
        """Joules in a step, without static power."""
        return sum(self.energy_j_by.values())


@dataclass(frozen=True, slots=True)
class PassRow:
    """One pass of a step: a draft level, the verification, a prefill.

    Attributes:
        role: ``decode``, ``draft``, ``verify``, ``prefill`` or ``inference``.
        model: the model that runs.
        tokens: new tokens of each sequence.
        batch: sequences.
        count: times that the pass runs.
        cycles: clock cycles of one run.
        time_s: the same in seconds.
        policy: how the state is brought back after rejected tokens; ``none`` where nothing is drafted.
        programs: what was scheduled, for traces.
        level: level of the tree that a draft pass proposes, from 1; 0 for other passes.

    """

    role: str
    model: str
    tokens: int
    batch: int
    count: int
    cycles: int
    time_s: float
    policy: str
    programs: tuple[Program, ...] = field(default=(), repr=False, compare=False)
    level: int = 0


@dataclass(frozen=True, slots=True)
class Result:
    """What `simulate` answers.

    A *step* is the smallest round of work that repeats: one token of every sequence (autoregressive decode),
    one draft-and-verify round (speculative), or the whole prompt or image batch (prefill, inference).

    A field is of one of three scopes. *All the work asked*: the prompt, where the phase has one, and every new token.
    *A step*. *A rate*: of steps alone, so that time, rate and energy of a token belong together; what a request's
    prompt takes is not in a rate (in a prefill, the prompt is the step).

    Attributes:
        workload: the workload's name.
        device: the machine's name.
        family: the machine's family.
        mapping: how work was laid onto the machine.
        phase: ``decode``, ``prefill`` or ``inference`` (a whole request; images of a ViT).
        batch: sequences, or images, that run together.
        context: tokens before the new ones, or of the prompt.
        new_tokens: tokens asked of each sequence; 0 where none is decoded.
        clock_hz: the clock that cycles are counted in.
        cycles: all the work asked.
        time_s: all the work asked.
        step_s: a step.
        step_cycles: a step.
        tokens_per_step: tokens of each sequence that a step yields (or takes in: prefill).
        time_per_token_s: a rate: step over its tokens, for each sequence.
        tokens_per_s: a rate: tokens of all sequences.
        tokens_per_s_per_user: a rate: tokens of each sequence.
        images_per_s: a rate: images of the whole batch.
        time_to_first_token_s: the prompt's time, where a prompt is run.
        energy_j: all the work asked.
        energy_j_by: the same by component.
        tokens_per_j: a rate: tokens of all sequences in a step over the energy of a step, static power included.
        images_per_j: a rate: images of the batch over its energy.
        bound: the resource that is busy for most of a step.
        utilization: resource -> share of a step for which it is busy.
        bytes: memory level -> bytes moved in all the work asked.
        macs: multiply-accumulates in all the work asked.
        memory_bytes: bytes held off chip, by what they are: ``weights``; ``state`` (caches, recurrent states, conv
            windows, and what a verification keeps of them, after the last token asked); ``activations`` (of the widest
            operator; 0 where they stay on chip). Of a machine with several memories: of the one that holds most; of a
            request: of its prompt or its last step, whichever holds more.
        speculative: tree, tokens per step and policies; None where tokens come one at a time.
        formats: number formats by role, as asked and as used.
        ops: operators of a step.
        passes: passes of a prompt, then of a step.
        fitted: constants fitted to published or measured figures.
        assumed: constants without a source.
        set_by_user: constants set for this run.
        notes: what a reader should know beside the figures.
        inputs: file -> SHA-256.
        roofs: the machine's limits, for a roofline.
        speculation_dropped: whether the workload speculates and the machine, which cannot verify several tokens at
            once, decoded one at a time instead.
        snr_db: operator -> signal-to-noise ratio of its result in decibels, where arithmetic is not exact.
        largest: the largest ``batch`` at this context and ``context`` at this batch that memory holds (of each, None
            for any, 0 for none); None for machines whose memory is no bound.
        layouts: operator -> how it is laid out on such a machine.

    """

    workload: str
    device: str
    family: str
    mapping: str
    phase: str
    batch: int
    context: int
    new_tokens: int
    clock_hz: float
    cycles: int
    time_s: float
    step_s: float
    step_cycles: int
    tokens_per_step: float
    time_per_token_s: float | None
    tokens_per_s: float | None
    tokens_per_s_per_user: float | None
    images_per_s: float | None
    time_to_first_token_s: float | None
    energy_j: float
    energy_j_by: Mapping[str, float]
    tokens_per_j: float | None
    images_per_j: float | None
    bound: str
    utilization: Mapping[str, float]
    bytes: Mapping[str, float]
    macs: float
    memory_bytes: Mapping[str, float]
    speculative: Mapping[str, Any] | None
    formats: Mapping[str, Any]
    ops: tuple[OpRow, ...]
    passes: tuple[PassRow, ...]
    fitted: tuple[Constant, ...]
    assumed: tuple[Constant, ...]
    set_by_user: tuple[Constant, ...]
    notes: tuple[str, ...]
    inputs: Mapping[str, str]
    roofs: Roofs = field(repr=False)
    speculation_dropped: bool = False
    snr_db: Mapping[str, float] = field(default_factory=dict)
    largest: Mapping[str, int | None] | None = None
    layouts: Mapping[str, str] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """The JSON form: plain types only, keys in a fixed order, the fields of DESIGN section 5 and more.

        JSON has no infinity: an ideal constant stands as ``".inf"``, the text that a user writes for it.
        """
        from hwsim import __version__  # noqa: PLC0415 - the package's version, not a room

        plain: dict[str, Any] = {"schema_version": SCHEMA_VERSION, "hwsim_version": __version__}
        skip = {"ops", "passes", "fitted", "assumed", "set_by_user", "roofs"}
        for name in self.__dataclass_fields__:
            if name not in skip:
                plain[name] = _plain(getattr(self, name))
        plain["ops"] = [_fields(row) for row in self.ops]
        plain["passes"] = [_fields(row, "programs") for row in self.passes]
        plain["constants"] = {
            "fitted": [_fields(c) for c in self.fitted],
            "assumed": [_fields(c) for c in self.assumed],
            "set": [_fields(c) for c in self.set_by_user],
        }
        plain["inputs"] = plain.pop("inputs")
        return plain

    def to_dataframe(self) -> Any:
        """The operators as a pandas DataFrame, a row each, indexed by name.

        Raises:
            HwsimError: pandas is not installed.
        """
        try:
            import pandas  # type: ignore[import-untyped, import-not-found, unused-ignore] # noqa: PLC0415 - optional
        except ImportError:
            raise HwsimError.at("to_dataframe", "pandas is not installed", "pip install pandas") from None
        return pandas.DataFrame([_fields(row) for row in self.ops]).set_index("name")

    def _repr_html_(self) -> str:
        """A plain table for notebooks: the figures that a reader looks for first, and the longest operators."""
        from html import escape  # noqa: PLC0415 - a notebook's need only

        rows = [(name, value) for name, value in self._headlines() if value]
        longest = sorted(self.ops, key=lambda row: -row.time_s)[:_SHOWN]
        rows += [(f"{row.name} ({row.kind})", f"{100 * row.share:.1f} % of a step, {row.bound}") for row in longest]
        title = escape(f"{self.workload} on {self.device}, {self.phase}")
        cells = "".join(f"<tr><th>{escape(name)}</th><td>{escape(value)}</td></tr>" for name, value in rows)
        return f"<table><caption>{title}</caption><tbody>{cells}</tbody></table>"

    def _headlines(self) -> tuple[tuple[str, str], ...]:
        """What was found, in words."""
        per_token, first = self.time_per_token_s, self.time_to_first_token_s
        return (
            ("time per token", "" if per_token is None else format_seconds(per_token)),
            ("tokens per second", "" if self.tokens_per_s is None else f"{self.tokens_per_s:,.4g}"),
            ("images per second", "" if self.images_per_s is None else f"{self.images_per_s:,.4g}"),
            ("time to first token", "" if first is None else format_seconds(first)),
            ("step", format_seconds(self.step_s)),
            ("energy", format_si(self.energy_j, "J")),
            ("limit", self.bound),
            ("fitted, assumed and set constants", f"{len(self.fitted)}, {len(self.assumed)}, {len(self.set_by_user)}"),
        )


def _fields(row: Any, *skip: str) -> dict[str, Any]:
    return {name: _plain(getattr(row, name)) for name in row.__dataclass_fields__ if name not in skip}


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, tuple | list):
        return [_plain(item) for item in value]
    if isinstance(value, float) and math.isinf(value):
        return ".inf" if value > 0 else "-.inf"
    return value


def to_json(value: Mapping[str, Any]) -> str:
    """One JSON object as text: two-space indent, keys as given, a final newline; NaN and infinity are refused."""
    return json.dumps(value, indent=2, allow_nan=False, ensure_ascii=False) + "\n"
