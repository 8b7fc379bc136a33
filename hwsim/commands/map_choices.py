"""`hwsim map` where there are no nests: the answer for one op or a model, and the mapping file of it."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

from hwsim.commands.choosers import Chooser
from hwsim.commands.console import Console
from hwsim.cost import add_counts, scale_counts
from hwsim.errors import HwsimError, Infeasible

if TYPE_CHECKING:
    from pathlib import Path

    from hwsim.devices.base import Device, PassWork
    from hwsim.mapping.forms import OpForm
    from hwsim.workload.graph import Graph
    from hwsim.workload.op import Op

__all__ = ["model_form", "op_entries", "op_form", "refuse_search_options", "write_choices"]

_NEST_OPTIONS: Final = {"space": "--space", "mode": "--mode", "budget_s": "--budget-s"}


def refuse_search_options(arguments: Namespace) -> None:
    """A menu is exhausted in time: there is no space, mode or budget, and nothing but latency to choose by.

    Raises:
        HwsimError: an option of the nests' search is given.
    """
    for name, option in _NEST_OPTIONS.items():
        if getattr(arguments, name) is not None:
            raise HwsimError.at(option, str(getattr(arguments, name)), "no such option: the whole menu is tried")
    if arguments.objective not in (None, "latency"):
        raise HwsimError.at("--objective", arguments.objective, "latency: a library chooses by time alone")


def op_form(chooser: Chooser, kind: str, pairs: Mapping[str, str], console: Console) -> dict[str, Any] | Infeasible:
    """The answer of `map` for one op: its costs, what was chosen, and what else there was.

    Raises:
        HwsimError: a kind without a choice, or arguments that are wrong.
    """
    op = _asked_op(chooser, kind, pairs)
    console.announce_compilation()
    found = chooser.form(op)
    if isinstance(found, Infeasible):
        return found
    return {"kind": kind, "arguments": dict(pairs), "device": chooser.device.name, **found}


def op_entries(chooser: Chooser, kind: str, pairs: Mapping[str, str]) -> tuple[OpForm, ...]:
    """The entries of a mapping file for one op."""
    from hwsim.devices.mapped import chosen_form  # noqa: PLC0415
    from hwsim.mapping.forms import OpForm  # noqa: PLC0415
    from hwsim.pipeline import configured  # noqa: PLC0415

    op = _asked_op(chooser, kind, pairs)
    found = chosen_form(configured(op, chooser.device), op)
    return (found,) if isinstance(found, OpForm) else ()


def _asked_op(chooser: Chooser, kind: str, pairs: Mapping[str, str]) -> Op:
    """The op that the user describes, in the machine's own format where it has only one.

    Raises:
        HwsimError: a kind without a choice, or arguments that are wrong.
    """
    from hwsim.workload.kernel import build_kernel  # noqa: PLC0415

    if kind not in chooser.kinds:
        raise HwsimError.at("hwsim map", kind, chooser.expected)
    own = chooser.kinds[kind]
    return build_kernel(kind, ({"dtype": own} if own else {}) | dict(pairs), "hwsim map")


def model_form(
    chooser: Chooser, graph: Graph, work: PassWork, tell: Callable[[float], None]
) -> tuple[dict[str, Any], tuple[OpForm, ...]] | Infeasible:
    """The answer of `map` for a model: the choice for each of its products, and their sums; entries for a file.

    What has no choice is named, and in no sum.
    """
    elsewhere: dict[str, int] = {}
    for op, count in graph.distinct():
        elsewhere[op.name] = elsewhere.get(op.name, 0) + count
    rows: list[dict[str, Any]] = []
    entries: list[OpForm] = []
    total_runs = sum(elsewhere.values())
    for found in chooser.choices(graph, work):
        if isinstance(found, Infeasible):
            return found
        for name in found.names:
            elsewhere[name] -= found.count
        tell(1.0 - sum(elsewhere.values()) / total_runs)
        name = " + ".join(found.names)
        rows.append({"name": name, "count": found.count, "dims": dict(found.op.dims), **found.form})
        entries.append(found.entry)
    left = {name: count for name, count in elsewhere.items() if count}
    form = {**_sums(rows), "covers": chooser.covers, "searched": len(rows), "not_mapped": left, "results": rows}
    return form, tuple(entries)


def _sums(rows: list[dict[str, Any]]) -> dict[str, Any]:
    """Fields of `map` over all runs of all products."""

    def total(value: Callable[[dict[str, Any]], float]) -> float:
        return float(sum(value(row) * row["count"] for row in rows))

    energy_j, time_s = total(lambda row: row["energy_j"]), total(lambda row: row["time_s"])
    levels = ("energy_j_by_level", "bytes_by_level")
    return {
        "objective": "latency",
        "energy_j": energy_j,
        "cycles": total(lambda row: row["cycles"]),
        "time_s": time_s,
        "edp": energy_j * time_s,
        "mapping": " ; ".join(row["mapping"] for row in rows),
        "optimal": all(row["optimal"] for row in rows),
        "lower_bound": total(lambda row: row["lower_bound"]),
        "gap": max((row["gap"] for row in rows), default=0.0),
        "space": rows[0]["space"] if rows else "menu",
        "nests": {
            "represented": sum(row["nests"]["represented"] for row in rows),
            "evaluated": sum(row["nests"]["evaluated"] for row in rows),
            "pruned": {rule: int(n) for rule, n in add_counts(*(row["nests"]["pruned"] for row in rows)).items()},
        },
        **{level: add_counts(*(scale_counts(row[level], row["count"]) for row in rows)) for level in levels},
        **({"stack": rows[0]["stack"]} if rows and "stack" in rows[0] else {}),
    }


def write_choices(target: Path, title: str, device: Device, forms: Sequence[OpForm]) -> None:
    """Write how a machine lays out some ops as a mapping file."""
    from hwsim.devices.mapped import entries_of  # noqa: PLC0415
    from hwsim.mapping.files import choices_text  # noqa: PLC0415
    from hwsim.report.files import write_text  # noqa: PLC0415

    write_text(target, choices_text(target.stem, f"{title} on {device.name}", device.name, entries_of(device), forms))
