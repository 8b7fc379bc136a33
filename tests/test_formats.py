"""The table of number formats."""

from __future__ import annotations

import math
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hwsim.errors import HwsimError
from hwsim.formats import FORMATS, NumberFormat, format_named

NAMES = ["fp32", "tf32", "fp16", "bf16", "fp8_e4m3", "fp8_e5m2", "fp8_block"]
NAMES += ["int8", "int6", "int4", "int1", "mxfp4", "nvfp4"]


def test_the_names_a_user_may_type() -> None:
    """DESIGN section 5's list, each under its own name and with a source."""
    assert list(FORMATS) == NAMES
    assert all(format_named(name).name == name and FORMATS[name].source for name in NAMES)


@pytest.mark.parametrize(
    ("name", "bits"),
    [("fp32", 32), ("tf32", 32), ("bf16", 16), ("fp8_block", 8.25), ("int6", 6), ("mxfp4", 4.25), ("nvfp4", 4.5)],
)
def test_bits_with_scales(name: str, bits: float) -> None:
    """OCP MX: 4 + 8/32 bits; NVFP4: 4 + 8/16; DeepSeek's blocks: 8 + 32/128."""
    assert format_named(name).bits_per_element == bits


@given(st.sampled_from(NAMES), st.integers(0, 5000))
def test_bytes_count_whole_groups(name: str, elements: int) -> None:
    """Elements and scales, counted group by group, each stream rounded up to bytes."""
    form = format_named(name)
    scales = len(range(0, elements, form.group)) if form.group else 0
    wanted = math.ceil(Fraction(elements * form.bits, 8)) + math.ceil(Fraction(scales * form.scale_bits, 8))
    assert form.bytes_for(elements) == wanted
    assert form.bytes_for(elements) * 8 >= elements * form.bits_per_element


def test_scales_belong_to_groups() -> None:
    """A format has a scale and a group, or neither."""
    assert all((form.scale_bits > 0) == (form.group > 0) for form in FORMATS.values())
    assert all(isinstance(form, NumberFormat) and form.kind in ("float", "int") for form in FORMATS.values())


def test_an_unknown_format_names_the_nearest() -> None:
    """The message lists the valid names and suggests one."""
    with pytest.raises(HwsimError) as caught:
        format_named("fp8_e4m4", "--set device.formats.weights")
    text = str(caught.value)
    assert text.startswith("--set device.formats.weights: unknown number format 'fp8_e4m4'; expected one of bf16, ")
    assert text.endswith("did you mean 'fp8_e4m3'?")
