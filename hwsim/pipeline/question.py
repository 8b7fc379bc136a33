"""What is asked, and what a simulation has found before it is put into an answer."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from hwsim.devices.base import FormatChoice, PassWork
from hwsim.workload.model import Phase

if TYPE_CHECKING:
    from hwsim.devices.base import Device
    from hwsim.pipeline.outcome import PassOutcome
    from hwsim.workload.decoding import Step
    from hwsim.workload.graph import Graph
    from hwsim.workload.model import Workload

__all__ = ["Question", "RunPass", "Simulated"]


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked of a workload; None falls back to the workload's own ``run``.

    Attributes:
        phase: decode, prefill or inference (a whole request: prompt, then new tokens; or images of a ViT).
        batch: sequences or images.
        context: tokens before the new ones, or tokens of the prompt.
        new_tokens: tokens to decode.
        mapping: ``auto`` or a mapping file.
        inputs: file -> sha256 of what was read, for the record.
        accounts: whether bytes, energies, operators and notes are wanted beside the time.
        leaning: whether the constants named are to be those that move this very answer (a run for each); otherwise
            all that machine and workload have for such kernels.
    """

    phase: Phase | None = None
    batch: int | None = None
    context: int | None = None
    new_tokens: int | None = None
    mapping: str = "auto"
    inputs: Mapping[str, str] = field(default_factory=dict)
    accounts: bool = True
    leaning: bool = False


@dataclass(frozen=True, slots=True)
class RunPass:
    """A pass of a step that has been run: what ran, and what came of it."""

    model: str
    work: PassWork
    graph: Graph
    outcome: PassOutcome


@dataclass(frozen=True, slots=True)
class Simulated:
    """Everything that an answer is made of.

    Attributes:
        passes: passes of one step (draft levels, verification), or the one pass of a prefill or image batch.
        prompt: the prefill of a whole request, if one was asked.
        tokens_per_step: tokens of each sequence that a step yields.
        steps: steps in all the work asked.
        step: what is repeated, None for prefill and images.
        footprint: bytes held off chip, by what they are.
        notes: what a reader should know beside the figures.
        largest: the largest batch and context that fit, where memory is a bound.
    """

    workload: Workload
    device: Device
    question: Question
    formats: FormatChoice
    passes: tuple[RunPass, ...]
    prompt: tuple[RunPass, ...]
    tokens_per_step: float
    steps: float
    step: Step | None
    footprint: Mapping[str, float]
    notes: tuple[str, ...]
    largest: Mapping[str, int | None] | None = None
