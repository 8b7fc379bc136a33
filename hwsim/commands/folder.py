"""What `simulate --out DIR` writes: the page, the result, the figures and the trace."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from hwsim.analysis.roofline import roofline
from hwsim.report.breakdown import breakdown_figure
from hwsim.report.files import make_folder, write_bytes, write_text
from hwsim.report.page import PageFigure, page_html
from hwsim.report.roofline import roofline_figure
from hwsim.report.style import figure_bytes
from hwsim.report.timeline import timeline_figure
from hwsim.report.tornado import tornado_figure
from hwsim.report.trace import trace_text
from hwsim.result import to_json

if TYPE_CHECKING:
    from hwsim.analysis.sensitivity import Sensitivity
    from hwsim.commands.console import Console
    from hwsim.errors import Infeasible
    from hwsim.result import Result

__all__ = ["write_folder", "write_trace"]


def write_trace(console: Console, target: Path, answer: Result) -> None:
    """Write a step as a trace for Perfetto."""
    write_text(target, trace_text(answer))
    console.note(f"wrote {target}")


def write_folder(
    console: Console,
    folder: Path,
    answer: Result,
    rival: Result | Infeasible | None,
    found: Sensitivity | None,
    command: str,
) -> None:
    """Write every file of a run, the page last: it is there when the others are."""
    make_folder(folder)
    figures = _figures(answer, found)
    plain = answer.to_dict() | ({"sensitivity": found.to_dict()} if found is not None else {})
    files = {
        "result.json": to_json(plain).encode("utf-8", errors="backslashreplace"),
        **{f"{figure.name}.svg": figure.svg for figure in figures},
    }
    for name, data in files.items():
        write_bytes(folder / name, data)
        console.note(f"wrote {folder / name}")
    write_trace(console, folder / "trace.json", answer)
    write_text(folder / "report.html", page_html(answer, figures, rival, command))
    console.note(f"wrote {folder / 'report.html'}")


def _figures(answer: Result, found: Sensitivity | None) -> list[PageFigure]:
    """The figures of a run, with what they show in words."""
    drawn = roofline(answer)
    step = drawn.step
    reached = 100 * step.ops_per_s / drawn.attainable_ops_per_s(step)
    figures = [
        PageFigure(
            "roofline",
            f"Roofline, log-log: the step reaches {reached:.1f} per cent of the {drawn.step_roof} roof. "
            "The table of operators has the numbers.",
            figure_bytes(roofline_figure([drawn]), "svg"),
            "Operators under the machine's roofs. On a slope a point waits for bytes, on a flat roof for arithmetic.",
        ),
        PageFigure(
            "breakdown",
            "Stacked bars of time, energy and bytes by operator, layer kind and resource.",
            figure_bytes(breakdown_figure(answer), "svg"),
            "What a step is made of. By resource, time is that for which a resource holds the step up.",
        ),
    ]
    if any(each.programs for each in answer.passes):
        figures.append(
            PageFigure(
                "timeline",
                "Gantt chart of resources: the first repetition of the longest pass, and one in its steady state.",
                figure_bytes(timeline_figure(answer), "svg"),
                "Who works when. trace.json has every tile, for ui.perfetto.dev.",
            )
        )
    if found is not None and found.effects:
        strongest = found.effects[0]
        figures.append(
            PageFigure(
                "tornado",
                f"Tornado chart: the strongest constant is {strongest.parameter.path}, elasticity "
                f"{strongest.elasticity:+.3f}.",
                figure_bytes(tornado_figure(found), "svg"),
                "What would make it faster: each constant of the machine's file a tenth lower and higher, or the next "
                "value that it may have.",
            )
        )
    return figures
