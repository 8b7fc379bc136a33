"""The roofline figure: the same bytes on every run, nothing overlaps, nothing is lost."""

from __future__ import annotations

import itertools
import sys
from typing import Any

import pytest
import result_builder as build

from hwsim.analysis.roofline import roofline
from hwsim.devices.base import Roofs
from hwsim.report.roofline import roofline_figure
from hwsim.report.style import figure_bytes


def crowded() -> Any:
    """Ten operators close together, as a model's projections are."""
    rows = tuple(
        build.op_row(f"layer.proj_{i}", bytes=1e7 * (1 + i / 50), macs=2e7, busy_s=0.002, share=0.1) for i in range(10)
    )
    return build.result(ops=rows)


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


@pytest.mark.parametrize("result", [build.result(), build.speculative(), crowded()])
def test_labels_do_not_overlap(result: Any) -> None:
    """Every pair of labels is apart (slanted names of slopes are measured by their outer box, so left out)."""
    figure = roofline_figure([roofline(result)])
    (axes,) = figure.axes
    boxes = [(name, box) for name, box in labels(figure, axes) if "GB/s" not in name]
    for (one, first), (other, second) in itertools.combinations(boxes, 2):
        assert not first.overlaps(second), f"{one} overlaps {other}"


def test_every_operator_and_roof_is_named() -> None:
    """Operators with their share, roofs with their rate, ridges with their value, the axis with its level."""
    figure = roofline_figure([roofline(build.result())])
    (axes,) = figure.axes
    names = {name for name, _ in labels(figure, axes)}
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
    names = [name for name, _ in labels(figure, figure.axes[0])]
    assert not any("ridge" in name or "GB/s" in name for name in names)
    assert "in_proj 60.0 %" in names
