"""`hwsim sweep`: every combination of the values of some axes, in one table."""

from __future__ import annotations

import csv
import io
from argparse import Namespace
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

from hwsim.commands.arguments import Parser, path, whole_number
from hwsim.commands.console import Console
from hwsim.commands.inputs import LoadedDevice, LoadedWorkload, device_of, split_overrides, workload_of
from hwsim.errors import Fault, HwsimError, Where

if TYPE_CHECKING:
    from concurrent.futures import Executor

    from hwsim.sweep import Journal, Point, Row, Sweep

__all__ = ["add_arguments", "evaluate", "run"]

EXIT_INFEASIBLE = 3


def add_arguments(parser: Parser) -> None:
    """Declare the command's arguments."""
    parser.add_argument(
        "spec", metavar="SPEC.yaml", type=path("SPEC.yaml"), help="axes and what is held: docs/sweeps.md"
    )
    parser.add_argument("--out", type=path("--out"), metavar="FILE.csv", help="write all rows, a column for each axis")
    workers = "processes that work at once (1: this one)"
    parser.add_argument("--workers", type=whole_number("--workers", 1, 1024), metavar="N", help=workers)
    scheduler = "a Dask scheduler whose workers run the points, tcp://HOST:PORT"
    parser.add_argument("--scheduler", metavar="ADDRESS", help=scheduler)
    parser.add_argument(
        "--resume", action="store_true", help="go on with FILE.csv.partial, which a stopped sweep leaves"
    )
    parser.add_json()


def run(arguments: Namespace) -> int:
    """Run every point; 3 only when none can run."""
    from hwsim.sweep import checked_points, front, load_sweep  # noqa: PLC0415

    console = Console(arguments.json, arguments.quiet)
    _check(arguments)
    sweep, inputs = load_sweep(arguments.spec)
    console.announce_compilation()

    def check(point: Point) -> None:
        try:
            inputs.update(_inputs_of(point))
        except HwsimError as error:
            raise HwsimError(*(_of_file(fault, arguments.spec) for fault in error.faults)) from None

    points = checked_points(sweep, arguments.spec.parent, check)
    rows = _all_rows(console, arguments, sweep, points, inputs)
    best = front(rows)
    if console.shows_text:
        from hwsim.report.sweep import sweep_blocks  # noqa: PLC0415

        console.show(sweep_blocks(sweep.sweep, sweep.description, tuple(sweep.axes), rows, best))
    form = {"sweep": sweep.sweep, "axes": {name: list(sweep.values(name)) for name in sweep.axes}}
    console.write_json({**form, "front": list(best), "inputs": inputs, "results": rows})
    return 0 if best else EXIT_INFEASIBLE


def evaluate(point: Point) -> Row:
    """The row of a point: what `hwsim simulate` says to its words."""
    from hwsim.pipeline import Question, simulate  # noqa: PLC0415
    from hwsim.sweep import row_of  # noqa: PLC0415

    workload, device = _loaded(point.workload, point.device, point.settings, point.transforms)
    asked: dict[str, Any] = dict(point.question)
    return row_of(point.index, point.values, simulate(workload.value, device.value, Question(**asked)))


@lru_cache(maxsize=256)
def _loaded(
    workload: str, device: str, settings: tuple[str, ...], transforms: tuple[str, ...]
) -> tuple[LoadedWorkload, LoadedDevice]:
    """What a point names, read once for all points that differ in their question only."""
    overrides = split_overrides(settings, transforms)
    return workload_of(workload, overrides), device_of(device, overrides)


def _of_file(fault: Fault, spec: Path) -> Fault:
    """A fault of an axis' value, with the file that gives it."""
    return replace(fault, where=Where(f"{spec}: {fault.where}"))


def _check(arguments: Namespace) -> None:
    """Options that contradict one another."""
    if arguments.workers is not None and arguments.scheduler is not None:
        raise HwsimError.at("hwsim sweep", "--workers and --scheduler", "one of the two")
    if arguments.resume and arguments.out is None:
        raise HwsimError.at("hwsim sweep", "--resume without --out", "--out FILE.csv, beside which the journal lies")


def _inputs_of(point: Point) -> dict[str, str]:
    """Load what a point names, so that its faults are told before anything runs; the files that were read."""
    from hwsim.workload.model import Phase  # noqa: PLC0415

    for name, least in (("batch", 1), ("context", 0), ("new_tokens", 1)):
        value = point.question[name]
        if value is not None and (isinstance(value, bool) or not isinstance(value, int) or value < least):
            raise HwsimError.at(f"axes.{name}", f"{value!r}", f"a whole number of at least {least}")
    phases = get_args(Phase)
    if point.question["phase"] not in (None, *phases):
        raise HwsimError.unknown_name("axes.phase", "phase", str(point.question["phase"]), phases)
    workload, device = _loaded(point.workload, point.device, point.settings, point.transforms)
    return workload.inputs | device.inputs


def _all_rows(
    console: Console, arguments: Namespace, sweep: Sweep, points: Sequence[Point], inputs: dict[str, str]
) -> list[Row]:
    """Every row in the order of the points; those of a journal are not run again, the file is written at the end."""
    from hwsim import __version__  # noqa: PLC0415
    from hwsim.sweep import Journal, run_points  # noqa: PLC0415

    with ExitStack() as stack:
        journal: Journal | None = None
        if arguments.out is not None:
            journal = Journal(arguments.out, {**inputs, "hwsim": __version__}, arguments.resume)
            stack.enter_context(journal)
        known = {} if journal is None else dict(journal.rows)
        if known:
            console.note(f"{len(known)} of {len(points)} points were done before")
        left = [point for point in points if point.index not in known]
        executor = _executor(arguments, len(left))
        if executor is not None:
            stack.push(_ending(executor))
        step = stack.enter_context(console.progress("simulating", len(left)))
        for row in step(run_points(left, evaluate, executor)):
            known[row["point"]] = row
            if journal is not None:
                journal.keep(row)
        rows = [known[point.index] for point in points]
        if journal is not None:
            _write_csv(console, arguments.out, tuple(sweep.axes), rows)
            journal.remove()
    return rows


def _ending(executor: Executor) -> Callable[[object, object, object], None]:
    """Ends the workers: waits for them after the last point, and drops what was not begun when something went wrong.

    A pool that is still closing as Python exits complains of a closed file. Dask's executor drops points by itself.
    """
    from concurrent.futures import ProcessPoolExecutor  # noqa: PLC0415

    def end(kind: object, *_: object) -> None:
        if isinstance(executor, ProcessPoolExecutor):
            executor.shutdown(wait=kind is None, cancel_futures=True)
        else:
            executor.shutdown(wait=kind is None)

    return end


def _executor(arguments: Namespace, points: int) -> Executor | None:
    """Who runs the points, by `--workers` and `--scheduler`; None for this process."""
    from hwsim.sweep import dask_executor, process_executor  # noqa: PLC0415

    if arguments.scheduler is not None:
        return dask_executor(arguments.scheduler)
    workers = min(arguments.workers or 1, points)
    return process_executor(workers) if workers > 1 else None


def _write_csv(console: Console, target: Path, axes: tuple[str, ...], rows: Sequence[Row]) -> None:
    """Rows with a column for each axis and figure; empty cells where a point cannot run."""
    from hwsim.report.files import write_text  # noqa: PLC0415
    from hwsim.sweep import FIGURES  # noqa: PLC0415

    names = (*axes, *FIGURES, "infeasible")
    stream = io.StringIO(newline="")
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(names)
    writer.writerows([_cell(row[name]) for name in names] for row in rows)
    write_text(target, stream.getvalue())
    infeasible = sum(row["infeasible"] is not None for row in rows)
    console.note(f"wrote {target}: {len(rows)} rows, {infeasible} of them infeasible")


def _cell(value: Any) -> str:
    """A value; floats in the shortest form that reads back the same."""
    return "" if value is None else repr(value) if isinstance(value, float) else str(value)
