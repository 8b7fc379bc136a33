"""Several machines in one roofline frame."""

from __future__ import annotations

import itertools

import pytest
import result_builder as build

from hwsim.analysis.roofline import roofline
from hwsim.devices.base import Roofs
from hwsim.report.roofline_together import MOST_TOGETHER, together_figure
from hwsim.report.style import figure_bytes

MACHINES = [
    roofline(build.result()),
    roofline(build.result(device="fast", roofs=Roofs({"int4": 1e12, "int1": 8e12}, {"hbm": 4e11, "dram": 8e11}))),
]


@pytest.mark.parametrize("kind", ["svg", "png"])
def test_together_is_the_same_on_every_run(kind: str) -> None:
    """No date, no random identifier."""
    assert figure_bytes(together_figure(MACHINES), kind) == figure_bytes(together_figure(MACHINES), kind)


def test_each_machine_has_a_line_style_a_mark_and_its_figures() -> None:
    """The legend names roofs, ridge and step of each; looks differ in more than colour."""
    (axes,) = together_figure(MACHINES).axes
    legend = axes.get_legend()
    assert legend is not None
    words = [text.get_text() for text in legend.get_texts()]
    assert words[0].startswith("board: int4 51.2 Gop/s, dram 12.8 GB/s, ridge 4 op/B; the step reaches ")
    assert words[1].startswith("fast: int4 2 Top/s, hbm 400 GB/s, ridge 5 op/B")
    looks = [(handle.get_linestyle(), handle.get_marker()) for handle in legend.get_lines()]
    assert all(one[0] != two[0] and one[1] != two[1] for one, two in itertools.combinations(looks, 2))


@pytest.mark.parametrize("count", [2, 4, MOST_TOGETHER])
def test_names_of_machines_do_not_overlap(count: int) -> None:
    """However near their steps are: every machine has its name, clear of all others, inside the frame."""
    drawn = [
        roofline(build.result(device=f"machine-{i}", roofs=Roofs({"int4": 25.6e9 * (1 + i / 20)}, {"dram": 12.8e9})))
        for i in range(count)
    ]
    figure = together_figure(drawn)
    (axes,) = figure.axes
    renderer = figure.canvas.get_renderer()
    boxes = {text.get_text(): text.get_window_extent(renderer) for text in axes.texts if text.get_text()}
    assert {name for words in boxes for name in words.split("\n")} == {f"machine-{i}" for i in range(count)}
    frame = axes.get_window_extent(renderer)
    assert all(frame.x0 <= box.x0 and box.x1 <= frame.x1 for box in boxes.values())
    assert not any(one.overlaps(two) for one, two in itertools.combinations(boxes.values(), 2))


def test_frame_holds_only_as_many_as_it_can_tell_apart() -> None:
    """None, or one too many, is refused."""
    with pytest.raises(ValueError, match="0 machines"):
        together_figure([])
    with pytest.raises(ValueError, match=f"{MOST_TOGETHER + 1} machines"):
        together_figure([MACHINES[0]] * (MOST_TOGETHER + 1))
