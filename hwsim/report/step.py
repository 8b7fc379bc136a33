"""The passes that a step is made of, and the schedules of their programs: what traces and timelines draw."""

from __future__ import annotations

from hwsim.result import PassRow, Result
from hwsim.schedule import Program, Schedule, run

__all__ = ["passes_of_a_step", "schedule_of"]


def passes_of_a_step(result: Result) -> tuple[PassRow, ...]:
    """All passes, but the prompt's where tokens are decoded after it."""
    decoding = tuple(each for each in result.passes if each.role != "prefill")
    return decoding or result.passes


def schedule_of(program: Program) -> Schedule:
    """When a program's parts run; it has run before, so it cannot stand still."""
    schedule = run(program)
    if not isinstance(schedule, Schedule):
        raise RuntimeError(f"a program of a finished result stands still: {schedule}")
    return schedule
