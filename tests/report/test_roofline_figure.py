"""The roofline figure: the same bytes on every run, nothing overlaps, nothing is lost."""

from __future__ import annotations

import itertools
import sys
from typing import Any

import pytest
import result_builder as build

from hwsim.analysis.roofline import roofline
from hwsim.devices.base import Roofs
from hwsim.report.labels import Taken, slanted_boxes
from hwsim.report.roofline import roofline_figure
from hwsim.report.roofs import roof_words
from hwsim.report.style import figure_bytes


def crowded(spread: float = 0.5) -> Any:
    """Ten operators close together, as a model's projections are."""
    rows = tuple(
        build.op_row(f"layer.proj_{i}", bytes=1e7 * (1 + i * spread), macs=2e7, busy_s=0.02, share=0.1)
        for i in range(10)
    )
    return build.result(ops=rows)


def near() -> Any:
    """Two memory levels of nearly one rate, and a roof that four formats share, as on a large GPU."""
    formats = {"fp8_e4m3": 4e13, "fp8_e5m2": 4e13, "fp8_block": 4e13, "int8": 4e13, "bf16": 2e13, "tf32": 1e13}
    return build.result(roofs=Roofs(formats, {"dram": 12.8e9, "l2": 15.8e9}))


@pytest.mark.parametrize("kind", ["svg", "png"])
def test_same_bytes_on_every_run(kind: str) -> None:
    """No date, no random identifier."""
    first, second = (figure_bytes(roofline_figure([roofline(build.result())]), kind) for _ in range(2))
    assert first == second
    assert b"<dc:date>" not in first


def test_no_pyplot_state() -> None:
    """Drawing neither imports pyplot nor leaves a figure behind."""
    figure_bytes(roofline_figure([roofline(build.result())]), "svg")
    assert "matplotlib.pyplot" not in sys.modules


def labels(figure: Any, axes: Any) -> list[tuple[str, Any]]:
    """Labels of marks and roofs with their boxes in pixels."""
    renderer = figure.canvas.get_renderer()
    texts = [text for text in axes.texts if text.get_text() and not text.get_text().startswith("Area of")]
    return [(text.get_text(), text.get_window_extent(renderer)) for text in texts]


@pytest.mark.parametrize("result", [build.result(), build.speculative(), crowded(), near()])
def test_labels_do_not_overlap(result: Any) -> None:
    """Every pair of labels is apart (slanted names of slopes are held below: their outer box is far larger)."""
    figure = roofline_figure([roofline(result)])
    (axes,) = figure.axes
    boxes = [(name, box) for name, box in labels(figure, axes) if "GB/s" not in name]
    for (one, first), (other, second) in itertools.combinations(boxes, 2):
        assert not first.overlaps(second), f"{one} overlaps {other}"


def test_marks_that_cover_each_other_are_named_together() -> None:
    """One label for ten operators at one place: three by name, the others counted, the shares of all in it."""
    (axes,) = roofline_figure([roofline(crowded(spread=0.001))]).axes
    (words,) = [text.get_text() for text in axes.texts if "proj" in text.get_text()]
    assert words.split("\n") == [*(f"layer.proj_{i} 10.0 %" for i in range(3)), "7 more here 70.0 %"]


@pytest.mark.parametrize("count", [4, 60])
def test_no_operator_goes_missing(count: int) -> None:
    """Each is named, counted in a label, or counted below the frame where there is no room for a name."""
    rows = tuple(
        build.op_row(f"op{i}", bytes=1e6 * (1 + i / 9), macs=2e6 * (1 + i % 7), busy_s=0.02, share=0.01)
        for i in range(count)
    )
    (axes,) = roofline_figure([roofline(build.result(ops=rows))]).axes
    lines = [line for text in axes.texts for line in text.get_text().split("\n")]
    named = sum(line.startswith("op") for line in lines)
    counted = sum(int(line.split()[0]) for line in lines if "more here" in line or "no room for a name" in line)
    assert named + counted == count


def test_names_of_near_slopes_are_apart_and_clear_of_lines() -> None:
    """Two levels of nearly one rate: no name lies on the other, nor on a line or mark."""
    result = near()
    figure = roofline_figure([roofline(result)])
    (axes,) = figure.axes
    slopes = [text for text in axes.texts if text.get_text().endswith("GB/s")]
    assert len(slopes) == 2
    taken = Taken(axes)
    first, second = (slanted_boxes(text, taken) for text in slopes)
    assert not any(one.overlaps(two) for one in first for two in second)
    for rate in result.roofs.bytes_per_s.values():
        taken.add_line((axes.get_xlim()[0], axes.get_xlim()[0] * rate), (2 * 4e13 / rate, 2 * 4e13))
    assert all(taken.free(box) for box in (*first, *second))


def test_formats_of_one_rate_go_by_their_family() -> None:
    """And a roof's name stands right of its ridge's mark."""
    figure = roofline_figure([roofline(near())])
    (axes,) = figure.axes
    boxes = dict(labels(figure, axes))
    assert {"fp8, int8: 80 Top/s ", "bf16: 40 Top/s "} <= set(boxes)
    for name, rate in (("fp8, int8: 80 Top/s ", 8e13), ("bf16: 40 Top/s ", 4e13)):
        assert boxes[name].x0 > axes.transData.transform((rate / 12.8e9, rate))[0]


def test_a_family_of_formats_with_two_rates_keeps_its_names() -> None:
    """fp8 would not say which."""
    drawn = roofline(build.result(roofs=Roofs({"fp8_e4m3": 4e12, "fp8_e5m2": 2e12}, {"dram": 12.8e9})))
    assert roof_words(drawn, "fp8_e4m3", 8e12) == "fp8_e4m3: 8 Top/s"


def test_axis_titles_lie_in_the_figure() -> None:
    """Wide tick labels push no title over the edge."""
    figure = roofline_figure([roofline(near())])
    (axes,) = figure.axes
    figure.canvas.draw()
    for label in (axes.yaxis.label, axes.xaxis.label):
        box = label.get_window_extent(figure.canvas.get_renderer())
        assert box.x0 >= 0
        assert box.y0 >= 0


def test_every_operator_and_roof_is_named() -> None:
    """Operators with their share, roofs with their rate, ridges with their value, the axis with its level."""
    figure = roofline_figure([roofline(build.result())])
    (axes,) = figure.axes
    names = {line for name, _ in labels(figure, axes) for line in name.split("\n")}
    assert {"in_proj 60.0 %", "out_proj 30.0 %", "scan hidden", "whole step"} <= names
    assert {"ridge 4 op/B", "ridge 2 op/B", "dram: 12.8 GB/s"} <= names
    assert {name.strip() for name in names if "op/s" in name} == {"int4: 51.2 Gop/s", "int8: 25.6 Gop/s"}
    assert "to and from dram" in axes.get_xlabel()


def test_several_machines_share_their_axes() -> None:
    """Panels can be compared: the limits are the same."""
    fast = build.result(device="fast", roofs=Roofs({"int4": 1e12}, {"hbm": 4e11}))
    figure = roofline_figure([roofline(build.result()), roofline(fast)])
    first, second = figure.axes
    assert first.get_xlim() == second.get_xlim()
    assert first.get_ylim() == second.get_ylim()


def test_work_without_bytes_stands_at_the_right_edge() -> None:
    """It has no intensity, and is still drawn."""
    row = build.op_row("gate", bytes=0.0, macs=1e9, busy_s=0.1, share=0.2)
    figure = roofline_figure([roofline(build.result(ops=(*build.OPS, row)))])
    assert any(name.startswith("gate") for name, _ in labels(figure, figure.axes[0]))


def test_no_roofline_is_refused() -> None:
    """There is nothing to draw."""
    with pytest.raises(ValueError, match="at least one"):
        roofline_figure([])


def test_hostile_name_in_the_title_is_drawn_as_text() -> None:
    """Markup and mathematics of a name stay letters."""
    name = "<script>$\\frac{1}{2}$</script>" + "x" * 200
    data = figure_bytes(roofline_figure([roofline(build.result(workload=name))]), "svg")
    assert b"<script" not in data


def test_ideal_memory_is_drawn_without_a_slope() -> None:
    """Flat roofs and operators only."""
    figure = roofline_figure([roofline(build.result(roofs=Roofs({"int4": 25.6e9}, {"dram": float("inf")})))])
    names = [line for name, _ in labels(figure, figure.axes[0]) for line in name.split("\n")]
    assert not any("ridge" in name or "GB/s" in name for name in names)
    assert "in_proj 60.0 %" in names
