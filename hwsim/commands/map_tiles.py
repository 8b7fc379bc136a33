"""`hwsim map` on a GPU and a CPU: the tile or blocking that software would choose, from its whole menu, and why."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Final, cast

from hwsim.commands.console import Console
from hwsim.cost import add_counts, scale_counts
from hwsim.errors import HwsimError, Infeasible
from hwsim.mapping.certificate import exhausted

if TYPE_CHECKING:
    from hwsim.devices.cpu import CpuDevice
    from hwsim.devices.gpu import GpuDevice
    from hwsim.workload.graph import Graph
    from hwsim.workload.op import Op

__all__ = ["blockings_form", "model_blockings_form", "refuse_search_options", "tiles_form"]

_PRODUCTS: Final = ("gemm", "conv2d")

_COVERS: Final = "kernels of the stack, loop orders, threads, and the rows and column tiles of each"

_NEST_OPTIONS: Final = {"space": "--space", "mode": "--mode", "budget_s": "--budget-s"}


def refuse_search_options(arguments: Namespace) -> None:
    """A menu is exhausted in time: there is no space, mode or budget, and nothing but latency to choose by.

    Raises:
        HwsimError: an option of the nests' search is given, or a mapping file is asked for.
    """
    for name, option in _NEST_OPTIONS.items():
        if getattr(arguments, name) is not None:
            raise HwsimError.at(option, str(getattr(arguments, name)), "no such option: the whole menu is tried")
    if arguments.objective not in (None, "latency"):
        raise HwsimError.at("--objective", arguments.objective, "latency: a library chooses by time alone")
    if arguments.out is not None and arguments.out.suffix in (".yaml", ".yml"):
        raise HwsimError.at("--out", str(arguments.out), "a .json file: a menu's tiles are no loop nests")


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
        "objective": "latency",
        "energy_j": answer.energy_j,
        "cycles": answer.cycles,
        "time_s": answer.time_s,
        "edp": answer.energy_j * answer.time_s,
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
        "objective": "latency",
        "energy_j": answer.energy_j,
        "cycles": answer.cycles,
        "time_s": answer.time_s,
        "edp": answer.energy_j * answer.time_s,
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
