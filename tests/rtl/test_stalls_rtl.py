"""Periodic stalls: input every p-th cycle, output taken every q-th; each transfer in the cycle that is predicted."""

import numpy as np
import pytest
from rtl_runner import Play, run

from hwsim.timing.stalls import starved_cycles, throttled_cycles
from hwsim.timing.vector import FUNCTION_CYCLES
from rtl.catalogue import UNITS
from rtl.conv import Conv
from rtl.hadamard import Hadamard
from rtl.linear import Linear
from rtl.nonlinear import Gate, Silu
from rtl.norm import Norm
from rtl.sparse import Decompressor, SparseLinear
from rtl.ssm import Ssm
from rtl.systolic import SystolicOs, SystolicWs

SHAPES = [
    Linear(tp=2, cip=2, cop=2, k=9, n=7, tokens=4, act_bits=4, weight_bits=8, out_shift=5, out_bits=8),
    SystolicOs(side=4, length=2),
    SystolicWs(side=3, length=5),
    Ssm(),
    Ssm(ports=1, d_state=4),
    Gate(lanes=1),
    Norm(channels=6),
    Conv(lanes=1),
    Decompressor(lanes=4, bits=3),
    SparseLinear(tp=2, cip=2, cop=2, k=6, n=4, tokens=2),
    Hadamard(points=4),
]


@pytest.mark.parametrize("place", range(len(SHAPES)), ids=lambda place: SHAPES[place].unit)
def test_periodic_stalls_to_the_cycle(place):
    """Every beat of every port moves in the predicted cycle, and carries the right bits; a build plays three draws."""
    shape, drawn = SHAPES[place], np.random.default_rng(place)
    plays = []
    for seed in range(3):
        source, sink = drawn.integers(1, 8, 2)
        inputs = shape.draw(np.random.default_rng(1000 * place + seed))
        plays.append(Play(inputs, f"every:{sink}", seed, source_stall=f"every:{source}"))
    report = run(shape, plays)
    assert not report.findings, "\n".join(str(finding) for finding in report.findings[:6])


@pytest.mark.parametrize(
    ("shape", "latency"),
    [(Silu(lanes=1), FUNCTION_CYCLES["silu"]), (Gate(lanes=1), FUNCTION_CYCLES["gate"]), (Hadamard(), 3)],
    ids=str,
)
@pytest.mark.parametrize("period", [2, 5])
def test_closed_forms_of_one_side_stalled(shape, latency, period):
    """Streams whose input or output alone stalls periodically take the cycles of the closed forms."""
    inputs = shape.draw(np.random.default_rng(1), beats=11)
    plays = [
        Play(inputs, "none", source_stall=f"every:{period}"),
        Play(inputs, f"every:{period}", source_stall="none"),
    ]
    report = run(shape, plays)
    assert not report.findings
    want = [starved_cycles(11, latency, period), throttled_cycles(11, latency, period)]
    assert [cycles for _, cycles, _ in report.cycles] == want


def test_all_units_but_the_blocks_are_exact_under_stalls():
    """The whole block's stalls are bounded only (docs/rtl.md); every other unit has a flow."""
    bounded = {name for name, unit in UNITS.items() if unit().flow(unit().draw(np.random.default_rng(0))) is None}
    assert bounded == {"mamba_block", "speculative"}
