"""Files of sweeps: what their axes mean, and each fault in words."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hwsim.errors import HwsimError
from hwsim.spec import load, parse
from hwsim.sweep import MOST_POINTS, Range, Sweep

HEAD = "sweep: s\nworkload: mamba\ndevice: vck190\n"


def loaded(text: str) -> Sweep:
    """The sweep of a text."""
    return load(parse(text.encode(), "s.yaml"), Sweep)


def test_values_of_lists_and_ranges():
    """Lists stay as written, whole numbers of ranges stay whole, the end counts where it is met."""
    sweep = loaded(
        HEAD + "axes:\n  batch: {start: 1, to: 64, factor: 4}\n  context: {start: 0, to: 5, step: 2}\n"
        "  device.memory.bandwidth: [12.8 GB/s, 25.6e9]\n"
    )
    assert sweep.values("batch") == (1, 4, 16, 64)
    assert sweep.values("context") == (0, 2, 4)
    assert sweep.values("device.memory.bandwidth") == ("12.8 GB/s", 25.6e9)
    assert all(isinstance(value, int) for value in sweep.values("batch"))
    assert sweep.points == 4 * 3 * 2


@given(st.integers(-50, 50), st.integers(0, 300), st.integers(1, 40))
def test_a_range_of_whole_numbers_is_python_s(start: int, length: int, step: int):
    """`step` goes as `range` does, the end included."""
    assert Range(start, start + length, step=step).values == tuple(range(start, start + length + 1, step))


def test_a_range_of_tenths_gathers_no_error():
    """Numbers are those that a user would write, and an end that is met counts."""
    assert Range(0.0, 1.0, step=0.1).values[7] == 0.7
    assert Range(0.1, 0.3, step=0.1).values == (0.1, 0.2, 0.3)
    assert Range(0, 0.6, step=0.2).values == (0, 0.2, 0.4, 0.6)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (HEAD + "axes: {}\n", "s.yaml:4:7: no axis; expected at least one"),
        (HEAD + "axes: {bacth: [1]}\n", "unknown axis 'bacth'"),
        (HEAD + "axes: {batch: []}\n", "no value; expected at least one"),
        (HEAD + "axes: {device: [vck190]}\n", "expected no device here, as an axis says it"),
        ("sweep: s\nworkload: mamba\naxes: {batch: [1]}\n", "no device; expected device: NAME"),
        (HEAD + "axes: {batch: {start: 1, to: 0, step: 1}}\n", "a number of at least start, 1"),
        (HEAD + "axes: {batch: {start: 1, to: 2}}\n", "neither step nor factor; expected one of the two"),
        (HEAD + "axes: {batch: {start: 0, to: 2, factor: 2}}\n", "a number above 0, as factor multiplies it"),
        (HEAD + "axes: {batch: [1]}\nset: {bandwidth: 3}\n", "path 'bandwidth'; expected device.PATH or workload.PATH"),
        (HEAD + "axes: {device.a: [1]}\nset: {device.a: 3}\n", "expected no such path here, as an axis changes it"),
        (HEAD + "axes: {batch: {start: 1, to: 200000, step: 1}}\n", f"points; expected at most {MOST_POINTS:,}"),
    ],
)
def test_faults(text: str, words: str):
    """Each fault says what was found and what would be right."""
    with pytest.raises(HwsimError, match=r"s\.yaml") as caught:
        loaded(text)
    assert words in str(caught.value)
