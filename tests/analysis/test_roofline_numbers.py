"""The roofline by its definitions."""

from __future__ import annotations

import pytest
import result_builder as build
from hypothesis import given
from hypothesis import strategies as st

from hwsim.analysis.roofline import roofline
from hwsim.devices.base import Roofs
from hwsim.devices.catalog import find_device
from hwsim.errors import HwsimError
from hwsim.pipeline import simulate
from hwsim.workload import find_workload


def test_points_ridges_and_step_by_hand() -> None:
    """2 operations a MAC; intensity is operations over bytes; ridge is peak over bandwidth."""
    drawn = roofline(build.result())
    point = drawn.points[0]
    assert (point.name, point.ops, point.bytes) == ("in_proj", 2.4e9, 0.62e9)
    assert point.ops_per_byte == pytest.approx(2.4 / 0.62)
    assert point.ops_per_s == pytest.approx(2.4e9 / 0.062)
    assert {(r.format, r.ops_per_byte) for r in drawn.ridges} == {("int4", 4.0), ("int8", 2.0)}
    assert drawn.step.ops == pytest.approx(2 * 1.92e9)
    assert drawn.step.time_s == 0.1
    assert drawn.without_ops == ("norm",)
    assert drawn.step_roof == "dram"


@given(st.floats(1e6, 1e15), st.floats(1e6, 1e13))
def test_ridge_is_where_both_roofs_are_equal(macs_per_s: float, bytes_per_s: float) -> None:
    """At the ridge the slope reaches the flat roof: peak over bandwidth, not the product."""
    quiet = build.op_row(macs=1e3, bytes=1e3, busy_s=1.0)
    drawn = roofline(build.result(ops=(quiet,), roofs=Roofs({"int4": macs_per_s}, {"dram": bytes_per_s})))
    (ridge,) = drawn.ridges
    assert ridge.ops_per_byte * bytes_per_s == pytest.approx(2 * macs_per_s)


@pytest.mark.parametrize("change", [{"held_s": 0.01}, {"macs": 60e9}, {"bytes": 1e9}])
def test_point_above_its_roof_is_our_bug(change: dict[str, float]) -> None:
    """Too short a time, too many operations or too many bytes are not drawn."""
    with pytest.raises(ArithmeticError, match=r"in_proj on board takes .* above its (arithmetic|dram) roof"):
        roofline(build.result(ops=(build.op_row(**change),)))


def test_step_above_its_roof_is_our_bug() -> None:
    """A step cannot be shorter than its bytes take."""
    with pytest.raises(ArithmeticError, match="step on board"):
        roofline(build.result(step_s=0.05))


def test_work_that_moves_no_byte_is_under_the_flat_roof() -> None:
    """Without bytes there is no intensity, and the flat roof alone holds."""
    drawn = roofline(build.result(ops=(build.op_row(bytes=0.0, macs=1e9, busy_s=0.1, share=1.0),)))
    assert drawn.points[0].ops_per_byte is None
    assert drawn.attainable_ops_per_s(drawn.points[0]) == 2 * 25.6e9
    assert drawn.step_roof == "int4"


def test_slowest_level_is_the_one_whose_bytes_count() -> None:
    """With several memory levels the intensities are of the slowest, and every pair has a ridge."""
    drawn = roofline(build.result(roofs=Roofs({"int4": 25.6e9}, {"uram": 1e12, "dram": 12.8e9})))
    assert drawn.level == "dram"
    assert [r.level for r in drawn.ridges] == ["uram", "dram"]
    assert drawn.to_dict()["memory_level"] == "dram"


def test_ideal_memory_has_no_roof() -> None:
    """An infinite bandwidth leaves the flat roofs alone, with no ridge."""
    drawn = roofline(build.result(roofs=Roofs({"int4": 25.6e9}, {"dram": float("inf")})))
    assert drawn.ridges == ()
    assert drawn.attainable_ops_per_s(drawn.points[0]) == 2 * 25.6e9
    assert drawn.step_roof == "int4"


def test_intensity_counts_the_bytes_of_the_level_asked() -> None:
    """Each level has its own bytes, so its own intensities; an unknown level is refused with the nearest name."""
    row = build.op_row(bytes=9e6, bytes_by={"dram": 1e6, "sram": 8e6}, macs=4e6, held_s=1.0)
    answer = build.result(ops=(row,), roofs=Roofs({"int4": 25.6e9}, {"dram": 12.8e9, "sram": 1e11}))
    assert roofline(answer).points[0].ops_per_byte == 8.0
    assert roofline(answer, "sram").points[0].ops_per_byte == 1.0
    with pytest.raises(HwsimError, match=r"--level: unknown memory level 'srm'.*dram, sram"):
        roofline(answer, "srm")


def test_every_level_is_a_roof() -> None:
    """Bytes of a fast level that could not have moved in the time are refused too, whatever level is drawn."""
    row = build.op_row(bytes=5e9, bytes_by={"dram": 1e6, "sram": 5e9}, macs=4e6, held_s=0.01, share=0.1)
    roofs = Roofs({"int4": 25.6e9}, {"dram": 12.8e9, "sram": 1e11})
    with pytest.raises(ArithmeticError, match="sram roof"):
        roofline(build.result(ops=(row,), roofs=roofs))


def test_sparse_work_is_performed_or_dense_equivalent() -> None:
    """Skipped zeros are not performed; their dense equivalent may pass the roof, and is drawn only when asked for."""
    row = build.op_row(macs=2e9, stored_macs=1e9, bytes=1e6, held_s=0.05, share=0.5)
    answer = build.result(ops=(row,))
    performed, dense = roofline(answer), roofline(answer, counting="dense-equivalent")
    assert performed.is_sparse
    assert performed.points[0].ops == 2e9
    assert dense.points[0].ops == 4e9
    assert performed.points[0].ops_per_s <= performed.attainable_ops_per_s(performed.points[0])
    assert dense.points[0].ops_per_s > dense.attainable_ops_per_s(dense.points[0])


def test_formats_of_one_rate_are_one_roof() -> None:
    """Fastest first, names sorted; the roof in use is the one of the formats that ran."""
    drawn = roofline(build.result(roofs=Roofs({"int8": 9e10, "fp8_e4m3": 9e10, "int4": 25.6e9}, {"dram": 12.8e9})))
    assert drawn.flat_roofs == (("fp8_e4m3, int8", 18e10), ("int4", 51.2e9))
    assert drawn.used_roof == ("int4", 51.2e9)


def test_work_of_a_host_is_not_under_the_arrays_roof() -> None:
    """An array of 1 Hz beside a host of its own speed: the convolution that the host runs is no point above a roof."""
    slow = find_device("systolic-os-16", ("clock=1",))
    drawn = roofline(simulate(find_workload("mamba2-130m"), slow))
    assert "conv1d" in drawn.on_host
    assert "conv1d" not in {point.name for point in drawn.points}
