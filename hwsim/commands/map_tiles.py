"""`hwsim map` where there are no nests: a GPU's tile, a CPU's blocking, an optical machine's layout, and why."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any, Final, cast

from hwsim.commands.console import Console
from hwsim.cost import add_counts, scale_counts
from hwsim.errors import HwsimError, Infeasible
from hwsim.mapping.certificate import exhausted

if TYPE_CHECKING:
    from pathlib import Path

    from hwsim.devices.base import Device
    from hwsim.devices.cpu import CpuDevice
    from hwsim.devices.gpu import GpuDevice
    from hwsim.devices.optical import OpticalDevice
    from hwsim.pipeline import KernelResult
    from hwsim.workload.graph import Graph
    from hwsim.workload.op import Op

__all__ = [
    "blockings_form", "layouts_form", "model_blockings_form", "refuse_search_options", "tiles_form", "write_choices",
]  # fmt: skip

_PRODUCTS: Final = ("gemm", "conv2d")

_COVERS: Final = "kernels of the stack, loop orders, threads, and the rows and column tiles of each"

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


def _costs(answer: KernelResult) -> dict[str, Any]:
    """What an op costs as it is mapped, and what the choice made least."""
    return {
        "objective": "latency",
        "energy_j": answer.energy_j,
        "cycles": answer.cycles,
        "time_s": answer.time_s,
        "edp": answer.energy_j * answer.time_s,
    }


def tiles_form(device: GpuDevice, kind: str, pairs: Mapping[str, str], console: Console) -> dict[str, Any] | Infeasible:
    """The fields of `map` for one product: the kernel's costs, the chosen tile, and the ranked menu.

    Raises:
        HwsimError: another kind than gemm, or arguments that are wrong.
    """
    from hwsim.devices.gpu.ranking import choices_tried, ranked_tiles  # noqa: PLC0415 - brings in NumPy
    from hwsim.pipeline import configured, kernel  # noqa: PLC0415
    from hwsim.report.tiles import tile_text  # noqa: PLC0415
    from hwsim.workload.kernel import build_kernel  # noqa: PLC0415

    if kind != "gemm":
        raise HwsimError.at("hwsim map", kind, "gemm: on a GPU only one product has a menu of tiles")
    op = build_kernel(kind, pairs, "hwsim map")
    console.announce_compilation()
    parameters = cast("GpuDevice", configured(op, device)).parameters
    if isinstance(ranked := ranked_tiles(parameters, op), Infeasible):
        return ranked
    if isinstance(tried := choices_tried(parameters, op), Infeasible):
        return tried
    if isinstance(answer := kernel(op, device), Infeasible):
        return answer
    represented, evaluated = tried
    not_offered = {"not offered": represented - evaluated}
    return {
        "kind": kind,
        "arguments": dict(pairs),
        "device": device.name,
        **_costs(answer),
        "mapping": tile_text(ranked[0]),
        **exhausted("menu", "latency", answer.cycles, represented, left_out=not_offered).form,
        "bytes_by_level": dict(answer.bytes),
        "bound": answer.bound,
        "stack": parameters.stack,
        "covers": "this op alone, the tiles and splits of the stack's menu",
        "menu": [each.to_dict() for each in ranked],
    }


def blockings_form(
    device: CpuDevice, kind: str, pairs: Mapping[str, str], console: Console
) -> dict[str, Any] | Infeasible:
    """The fields of `map` for one product on a CPU: its costs, the chosen blocking, and the others ranked.

    Raises:
        HwsimError: a kind that is no product, or arguments that are wrong.
    """
    from hwsim.workload.kernel import build_kernel  # noqa: PLC0415

    if kind not in _PRODUCTS:
        raise HwsimError.at("hwsim map", kind, "gemm or conv2d: on a CPU only products have blockings")
    op = build_kernel(kind, pairs, "hwsim map")
    console.announce_compilation()
    found = _product_form(device, op)
    if isinstance(found, Infeasible):
        return found
    return {"kind": kind, "arguments": dict(pairs), "device": device.name, **found, "menu": _menu(device, op)}


def model_blockings_form(device: CpuDevice, graph: Graph, tell: Callable[[float], None]) -> dict[str, Any] | Infeasible:
    """The fields of `map` for a model on a CPU: sums over its products, and the blocking of each.

    Products are costed each alone, as `hwsim kernel` does; what is no product is named, and in no sum.
    """
    distinct = graph.distinct()
    rows: list[dict[str, Any]] = []
    elsewhere: dict[str, int] = {}
    for done, (op, count) in enumerate(distinct):
        tell(done / len(distinct))
        if op.kind not in _PRODUCTS:
            elsewhere[op.name] = elsewhere.get(op.name, 0) + count
            continue
        found = _product_form(device, op)
        if isinstance(found, Infeasible):
            return found
        rows.append({"name": op.name, "count": count, "dims": dict(op.dims), **found})

    def total(value: Callable[[dict[str, Any]], float]) -> float:
        return float(sum(value(row) * row["count"] for row in rows))

    energy_j, time_s = total(lambda row: row["energy_j"]), total(lambda row: row["time_s"])
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
        "space": "blockings",
        "nests": {
            "represented": sum(row["nests"]["represented"] for row in rows),
            "evaluated": sum(row["nests"]["evaluated"] for row in rows),
            "pruned": {rule: int(n) for rule, n in add_counts(*(row["nests"]["pruned"] for row in rows)).items()},
        },
        "energy_j_by_level": add_counts(*(scale_counts(row["energy_j_by_level"], row["count"]) for row in rows)),
        "bytes_by_level": add_counts(*(scale_counts(row["bytes_by_level"], row["count"]) for row in rows)),
        "stack": device.parameters.stack,
        "covers": f"each product alone: {_COVERS}",
        "searched": len(rows),
        "not_mapped": elsewhere,
        "results": rows,
    }


def _product_form(device: CpuDevice, op: Op) -> dict[str, Any] | Infeasible:
    """The chosen blocking of a product, with its costs and the certificate of the search."""
    from hwsim.devices.cpu.choice import search_blockings  # noqa: PLC0415
    from hwsim.pipeline import configured, kernel  # noqa: PLC0415
    from hwsim.report.blockings import blocking_text  # noqa: PLC0415

    parameters = cast("CpuDevice", configured(op, device)).parameters
    if isinstance(found := search_blockings(parameters, op), Infeasible):
        return found
    if isinstance(answer := kernel(op, device), Infeasible):
        return answer
    return {
        **_costs(answer),
        "mapping": blocking_text(answer.mapping),
        **found.certificate.form,
        "energy_j_by_level": dict(answer.energy_j_by),
        "bytes_by_level": dict(answer.bytes),
        "bound": answer.bound,
        "stack": parameters.stack,
        "notes": list(answer.notes),
        "covers": _COVERS,
    }


def _menu(device: CpuDevice, op: Op) -> list[dict[str, Any]]:
    """The best blocking of each kernel, loop order and split of the rows, as rows of the answer."""
    from hwsim.devices.cpu.ranking import ranked_blockings  # noqa: PLC0415
    from hwsim.pipeline import configured  # noqa: PLC0415

    ranked = ranked_blockings(cast("CpuDevice", configured(op, device)).parameters, op)
    return [] if isinstance(ranked, Infeasible) else [each.to_dict() for each in ranked]


def layouts_form(
    device: OpticalDevice, kind: str, pairs: Mapping[str, str], console: Console
) -> dict[str, Any] | Infeasible:
    """The fields of `map` for one op on a 4f system: its costs, and the layout of each of its jobs.

    Raises:
        HwsimError: an op of the host, or arguments that are wrong.
    """
    from hwsim.devices.optical.layout import layouts_tried  # noqa: PLC0415 - brings in NumPy
    from hwsim.pipeline import kernel  # noqa: PLC0415
    from hwsim.workload.kernel import build_kernel  # noqa: PLC0415

    p = device.parameters
    if kind not in p.offload:
        raise HwsimError.at("hwsim map", kind, f"{' or '.join(p.offload)}: all else runs on the host of {device.name}")
    op = build_kernel(kind, {"dtype": p.format} | dict(pairs), "hwsim map")
    if isinstance(found := device.placed(op), Infeasible):
        return found
    console.announce_compilation()
    if isinstance(answer := kernel(op, device), Infeasible):
        return answer
    tried = sum(layouts_tried(p, each.job) for each in found)
    return {
        "kind": kind,
        "arguments": dict(pairs),
        "device": device.name,
        **_costs(answer),
        "mapping": device.layout_words(op),
        **exhausted("layouts", "latency", answer.cycles, tried).form,
        "energy_j_by_level": dict(answer.energy_j_by),
        "bytes_by_level": dict(answer.bytes),
        "bound": answer.bound,
        "notes": list(answer.notes),
        "covers": "this op alone, the menu of tiles of images, channels and kernels",
    }


def write_choices(target: Path, title: str, device: Device, ops: Iterable[Op]) -> None:
    """Write how a machine lays out some ops as a mapping file."""
    from hwsim.devices.mapped import chosen_form, entries_of  # noqa: PLC0415
    from hwsim.mapping.files import choices_text  # noqa: PLC0415
    from hwsim.mapping.forms import OpForm  # noqa: PLC0415
    from hwsim.pipeline import configured  # noqa: PLC0415
    from hwsim.report.files import write_text  # noqa: PLC0415

    found = (chosen_form(configured(op, device), op) for op in ops)
    forms = [form for form in found if isinstance(form, OpForm)]
    write_text(target, choices_text(target.stem, f"{title} on {device.name}", device.name, entries_of(device), forms))
