"""The form of every unit: one frozen ``Parameters``, three realisations.

A unit's cycle count is taken from the first transfer into it (inclusive) to the last transfer out of it
(inclusive), with every source always valid and every sink always ready.
"""

# mypy: disable-error-code="import-untyped,misc"
from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields, replace
from typing import Any, ClassVar, Self

import numpy as np
from amaranth.hdl import Elaboratable, EnableInserter, Module, Signal, Value
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out
from numpy.typing import NDArray

from hwsim.errors import Fault, HwsimError, Where
from hwsim.timing.memories import Placed
from hwsim.timing.stalls import Control
from rtl.beat import Beat

__all__ = ["Core", "Ints", "Parameters", "Unit", "Wire", "ports_of", "require"]


Ints = NDArray[np.int64]
Wire = Any
"""An Amaranth value, view or interface (Amaranth ships no types)."""


def require(unit: str, *rules: tuple[bool, str, str]) -> None:
    """Refuse parameters that break a rule.

    Args:
        unit: the unit's name, for the message.
        rules: (holds, what was found, what is expected).

    Raises:
        HwsimError: with one fault for every rule that does not hold.
    """
    faults = [Fault(Where(f"rtl {unit}"), found, expected) for holds, found, expected in rules if not holds]
    if faults:
        raise HwsimError(*faults)


@dataclass(frozen=True)
class Parameters(ABC):
    """What fixes a unit. Subclasses are frozen dataclasses whose fields are integers (or tuples of them).

    Attributes:
        unit: the unit's name on the command line and in the catalogue.
        corners: names of the extreme inputs that ``draw`` knows.
    """

    unit: ClassVar[str]

    @abstractmethod
    def ports_in(self) -> dict[str, Beat]:
        """The streams into the unit, by port name."""

    @abstractmethod
    def ports_out(self) -> dict[str, Beat]:
        """The streams out of the unit, by port name."""

    @abstractmethod
    def compute(self, inputs: Mapping[str, Ints]) -> dict[str, Ints]:
        """The unit's arithmetic in integers: arrays in their natural shape to arrays in theirs."""

    @abstractmethod
    def encode(self, inputs: Mapping[str, Ints]) -> dict[str, list[int]]:
        """The beats that bring ``inputs`` into the unit, by port name."""

    @abstractmethod
    def expect(self, inputs: Mapping[str, Ints]) -> dict[str, list[int]]:
        """The beats that the unit must give for ``inputs``, by port name (packed ``compute``)."""

    @abstractmethod
    def draw(self, rng: np.random.Generator, corner: str = "") -> dict[str, Ints]:
        """Random inputs of the right shapes; ``corner`` names one of ``corners`` to draw extreme ones."""

    @abstractmethod
    def phases(self, inputs: Mapping[str, Ints] | None = None) -> dict[str, int]:
        """Cycles by phase, for one run of the unit (or for the given inputs); they add up to ``cycles``."""

    @abstractmethod
    def create(self) -> wiring.Component:
        """The hardware."""

    corners: ClassVar[tuple[str, ...]] = ()

    def cycles(self, inputs: Mapping[str, Ints] | None = None) -> int:
        """Cycles from the first transfer in to the last transfer out, nothing stalled."""
        return sum(self.phases(inputs).values())

    def flow(self, inputs: Mapping[str, Ints]) -> Control | None:
        """When the unit takes and gives each beat of ``inputs``, stalled or not; None where only bounds are known."""
        return None

    @classmethod
    def from_words(cls, words: Iterable[str]) -> Self:
        """Parameters from ``k=v`` words, as typed on the command line.

        Raises:
            HwsimError: a word is not ``name=integer`` or names no parameter.
        """
        return cls(**cls._values(words))

    def changed(self, words: Iterable[str]) -> Self:
        """These parameters with those of the ``k=v`` words in their place.

        Raises:
            HwsimError: as `from_words`.
        """
        return replace(self, **self._values(words))

    @classmethod
    def _values(cls, words: Iterable[str]) -> dict[str, int]:
        known = {f.name for f in fields(cls)}
        values: dict[str, int] = {}
        for word in words:
            name, _, text = word.partition("=")
            if name not in known:
                raise HwsimError.unknown_name(f"rtl {cls.unit}", "parameter", name, known)
            try:
                values[name] = int(text)
            except ValueError:
                raise HwsimError.at(f"rtl {cls.unit}", f"{word!r}", f"{name}=integer") from None
        return values

    def dsp_blocks(self) -> int:
        """DSP blocks of a part whose multipliers take 27 x 18 bits (DSP48E2): one for each multiplier that fits."""
        return 0

    def memories(self) -> Placed:
        """Block memories of the unit's buffers and tables, on an UltraScale part."""
        return Placed(0, 0, 0)

    @abstractmethod
    def flip_flops(self) -> int:
        """Flip-flops that Yosys keeps of the unit's registers."""


def ports_of(parameters: Parameters) -> dict[str, Any]:
    """The wiring signature's members for the streams of a unit."""
    members: dict[str, Any] = {}
    for name, beat in parameters.ports_in().items():
        members[name] = In(stream.Signature(beat.layout()))
    for name, beat in parameters.ports_out().items():
        members[name] = Out(stream.Signature(beat.layout()))
    return members


class Unit(wiring.Component):
    """A component whose ports are the streams named by its parameters.

    Args:
        parameters: what fixes the unit.
    """

    def __init__(self, parameters: Parameters) -> None:
        self.parameters = parameters
        super().__init__(ports_of(parameters))


class Core:
    """A pipeline that advances as one: every register in ``m`` moves only while ``en`` is high.

    The enable is low exactly while an output beat waits for its sink, so a stalled output freezes the whole
    core and nothing is lost or repeated. Inputs are taken only while the core moves.

    Args:
        top: the unit's outer module.
        output: the output stream, its registers driven inside ``m``; with none, the unit drives ``en`` itself.
    """

    def __init__(self, top: Module, output: Wire = None, name: str = "core") -> None:
        self.outer, self.m = top, Module()
        self.en = Signal(name=f"{name}_en")
        setattr(top.submodules, name, EnableInserter(self.en)(self.m))
        if output is not None:
            top.d.comb += self.en.eq(~output.valid | output.ready)

    def reg(self, value: Wire, name: str = "r", init: int = 0) -> Wire:
        """``value`` one cycle later."""
        view = Value.cast(value)
        out = Signal(view.shape(), name=name, init=init)
        self.m.d.sync += out.eq(view)
        return out

    def delay(self, value: Wire, cycles: int, name: str = "d") -> Wire:
        """``value`` some cycles later."""
        for step in range(cycles):
            value = self.reg(value, f"{name}_{step + 1}")
        return value

    def add(self, name: str, part: Elaboratable) -> None:
        """Put a part inside the core, so that it freezes with it."""
        setattr(self.m.submodules, name, part)
