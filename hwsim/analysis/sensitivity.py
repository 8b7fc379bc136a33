"""What would make it faster: how the time answers to each number of a machine's file.

The elasticity of time to a parameter p is d(ln t) / d(ln p), here the difference between a run below and a run
above the value: (ln t+ - ln t-) / (ln p+ - ln p-). -1 says that 1 % more of p takes 1 % of the time away, 0 that p has
no say. The slope d(t)/d(p) is the elasticity times t / p. It holds nearby: further off another limit may take over.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, fields, is_dataclass
from typing import Any, Final, TypeAlias

from hwsim.errors import HwsimError, Infeasible
from hwsim.result import Result
from hwsim.spec.account import quantities

__all__ = ["Effect", "Parameter", "Run", "Sensitivity", "parameters_of", "sensitivity"]

_UP: Final = 1.1
_DOWN: Final = 0.9
_WHOLE: Final = ("1", "cycles", "op/cycle")
"""Units of which a machine may take whole numbers only."""
_LEAST: Final = 1e-4
"""Elasticities below this are no effect: rounding to whole cycles makes as much."""


@dataclass(frozen=True, slots=True)
class Parameter:
    """A number of a machine's file.

    Attributes:
        path: where it stands, without ``device.``.
        value: its value in ``unit``.
        unit: its unit.
        kind: who vouches for it; ``count`` for how many cards there are and how they divide a model.
    """

    path: str
    value: float
    unit: str
    kind: str


Run: TypeAlias = Callable[[Parameter, float], "float | Infeasible"]
"""Seconds of the same question on the machine with one parameter at another value; raises `HwsimError` where the file's
schema does not allow that value (a fraction of a port, a share above 1)."""


@dataclass(frozen=True, slots=True)
class Effect:
    """The runs below and above the value of one parameter.

    Attributes:
        parameter: which.
        lower: the value of the run below; None where none is possible.
        lower_time_s: its time; None where the machine cannot run it.
        upper: the value of the run above; None where none is possible.
        upper_time_s: its time.
        base_time_s: the time at the value of the file.
    """

    parameter: Parameter
    lower: float | None
    lower_time_s: float | None
    upper: float | None
    upper_time_s: float | None
    base_time_s: float

    @property
    def elasticity(self) -> float:
        """d(ln time) / d(ln parameter), over the runs that there are."""
        known = [
            (value, time_s)
            for value, time_s in (
                (self.lower, self.lower_time_s),
                (self.parameter.value, self.base_time_s),
                (self.upper, self.upper_time_s),
            )
            if value is not None and time_s is not None
        ]
        (first, first_s), (last, last_s) = known[0], known[-1]
        return math.log(last_s / first_s) / math.log(last / first) if last != first else 0.0

    @property
    def slope(self) -> float:
        """d(time) / d(parameter), in seconds per unit of the parameter."""
        return self.elasticity * self.base_time_s / self.parameter.value

    def to_dict(self) -> dict[str, Any]:
        """The JSON form."""
        return {
            "path": f"device.{self.parameter.path}",
            "value": self.parameter.value,
            "unit": self.parameter.unit,
            "kind": self.parameter.kind,
            "elasticity": self.elasticity,
            "slope_s_per_unit": self.slope,
            "lower": self.lower,
            "lower_time_s": self.lower_time_s,
            "upper": self.upper,
            "upper_time_s": self.upper_time_s,
        }


@dataclass(frozen=True, slots=True)
class Sensitivity:
    """How a time answers to every number of a machine.

    Attributes:
        workload: its name.
        device: the machine's name.
        base_time_s: the time of all the work asked, as the file stands.
        effects: parameters that have a say, the strongest first.
        without_effect: paths of those that have none.
        not_varied: paths of those that cannot be varied: zero, infinite, or no other value is allowed.
        not_in_time: paths of those that have no say in time by what they are: energies, and room for what is held.
    """

    workload: str
    device: str
    base_time_s: float
    effects: tuple[Effect, ...]
    without_effect: tuple[str, ...]
    not_varied: tuple[str, ...]
    not_in_time: tuple[str, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """The JSON form."""
        return {
            "base_time_s": self.base_time_s,
            "effects": [effect.to_dict() for effect in self.effects],
            "without_effect": [f"device.{path}" for path in self.without_effect],
            "not_varied": [f"device.{path}" for path in self.not_varied],
            "not_in_time": [f"device.{path}" for path in self.not_in_time],
        }


def parameters_of(machine: Any) -> tuple[Parameter, ...]:
    """Every number of a machine's loaded file, in its order; then the counts of a cluster, which no source vouches for.

    Of a cluster, how many cards there are and how they divide a model is varied as far as the degrees still multiply to
    the cards: half of ``tensor`` leaves twice as many groups that each hold the whole model.
    """
    constants = (Parameter(path, float(q.value), q.unit, q.kind) for path, q in quantities(machine, ""))
    return (*constants, *_counts(machine))


def _counts(machine: Any) -> Iterator[Parameter]:
    """The whole numbers of a machine's ``cluster``."""
    cluster = getattr(machine, "cluster", None)
    for each in fields(cluster) if is_dataclass(cluster) else ():
        value = getattr(cluster, each.name)
        if isinstance(value, int):
            yield Parameter(f"cluster.{each.name}", float(value), "1", "count")


def sensitivity(
    base: Result, parameters: Iterable[Parameter], run: Run, not_in_time: tuple[str, ...] = ()
) -> Sensitivity:
    """Two runs for each parameter, a tenth below and a tenth above; half and double where only those are allowed.

    Args:
        base: the answer as the file stands.
        parameters: what to vary (:func:`parameters_of`).
        run: asks the same of the machine with one parameter changed.
        not_in_time: paths that are left out, as they cannot change a time.
    """
    effects, still, fixed = [], [], []
    for parameter in parameters:
        effect = _effect(base.time_s, parameter, run)
        if effect is None or (effect.lower is None and effect.upper is None):
            fixed.append(parameter.path)
        elif abs(effect.elasticity) < _LEAST:
            still.append(parameter.path)
        else:
            effects.append(effect)
    effects.sort(key=lambda each: (-abs(each.elasticity), each.parameter.path))
    return Sensitivity(base.workload, base.device, base.time_s, tuple(effects), tuple(still), tuple(fixed), not_in_time)


def _effect(base_time_s: float, parameter: Parameter, run: Run) -> Effect | None:
    """The runs around one value; None for zero and infinity, of which a tenth more is the same."""
    if not parameter.value or math.isinf(parameter.value):
        return None
    lower, lower_s = _first_allowed(parameter, _candidates(parameter, _DOWN, 0.5), run)
    upper, upper_s = _first_allowed(parameter, _candidates(parameter, _UP, 2.0), run)
    return Effect(parameter, lower, lower_s, upper, upper_s, base_time_s)


def _candidates(parameter: Parameter, near: float, far: float) -> Iterator[float]:
    """Values to try on one side: of a count first whole ones near and far, of anything else the tenth."""
    value = parameter.value
    if parameter.unit in _WHOLE and value.is_integer():
        wholes = (float(round(value * near)), value * far)
        yield from (each for each in wholes if each.is_integer() and each not in (0.0, value))
    yield value * near


def _first_allowed(parameter: Parameter, values: Iterable[float], run: Run) -> tuple[float | None, float | None]:
    """(value, time) of the first value that the file's schema takes; no time where the machine cannot run."""
    for value in values:
        try:
            time_s = run(parameter, value)
        except HwsimError:
            continue
        return value, None if isinstance(time_s, Infeasible) else time_s
    return None, None
