"""Many kernels of one kind as one op: its dimensions are arrays, and so are its counts and bytes.

The closed forms of `hwsim.workload.counts` and of operands are sums and products, which hold for whole numbers and for
arrays of them alike. What divides, or is checked by a constructor, is done here for each row.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from hwsim.workload.named import Named
from hwsim.workload.structured import factors_of, is_structured

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from hwsim.workload.op import Axis, Op, Operand

    Columns = Mapping[str, NDArray[np.int64]]

__all__ = ["COLUMNS", "counts_exactly", "op_of_rows"]

_ROWWISE: Final = ("tokens", "width")
COLUMNS: Final[dict[str, tuple[str, ...]]] = {
    "gemm": ("m", "n", "k", "batch"),
    "norm": _ROWWISE,
    "softmax": _ROWWISE,
    "elementwise": _ROWWISE,
    "conv1d": ("batch", "seq_len", "channels", "d_conv"),
    "scan": ("batch", "seq_len", "heads", "head_dim", "d_state"),
    "attention": ("batch", "heads", "kv_heads", "q_len", "kv_len"),
    "conv2d": ("batch", "oc", "ic", "y", "x"),
    "collective": ("bytes",),
}
"""Arguments of a kind of kernel that may differ between the rows of one op."""

_OUTER: Final = {"kv_heads": ("group",), "groups": ("group", "oc", "ic")}
"""Dimensions that number whole groups: their stride along an axis is the extent of the one within, one of these."""

_MOST: Final = 2.0**61
"""Products of dimensions up to here, with the factors that counts put before them, fit 64 bits."""


def op_of_rows(op: Op, columns: Columns) -> Op | None:
    """The op of many rows that differ from ``op`` in ``columns`` only.

    Args:
        op: the first row's.
        columns: some of `COLUMNS` of its kind, a whole number from 1 for each row.

    Returns:
        The op; None where a row is one that its constructor would refuse, or whose counts arrays cannot hold.
    """
    if op.kind != "gemm" and any(each.density < 1.0 for each in op.operands):
        return None
    dims = _dims(op, columns)
    if dims is None:
        return None
    wide = {name: dims.get(name, extent) for name, extent in op.dims.items()}
    rows: Any = Named(wide)
    attributes: Any = op.attributes
    if op.kind == "attention" and "kv_len" in columns:
        attributes = attributes.replace(kv_len=columns["kv_len"])
    operands = tuple(
        replace(each, axes=tuple(_contiguous(axis, wide) for axis in each.axes), density=_density(each, wide))
        for each in op.operands
    )
    found = replace(op, dims=rows, attributes=attributes, operands=operands)
    return found if counts_exactly(found) else None


def counts_exactly(op: Op) -> bool:
    """Whether 64 bits hold the counts of every row: all dimensions multiplied, with chunks of a scan and factors."""
    size: Any = 64.0 * max(1, int(op.attributes.get("chunk", 0))) ** 2
    for extent in op.dims.values():
        size = size * np.asarray(extent, dtype=np.float64)
    return bool(np.all(size < _MOST))


def _dims(op: Op, columns: Columns) -> dict[str, Any] | None:
    """Dimensions of the rows by name; None where a row makes no sense."""
    derive = {"attention": _attention, "scan": _scan, "conv2d": _conv2d, "gemm": _gemm}.get(op.kind)
    return derive(op, columns) if derive else dict(columns)


def _gemm(op: Op, columns: Columns) -> dict[str, Any] | None:
    short = np.any(columns.get("k", np.int64(op.dims["k"])) < int(op.attributes.get("group", 0)))
    return None if short else dict(columns)


def _attention(op: Op, columns: Columns) -> dict[str, Any] | None:
    d, window = op.dims, int(op.attributes["window"])
    kv_heads: Any = columns.get("kv_heads", d["kv_heads"])
    heads: Any = columns.get("heads", d["kv_heads"] * d["group"])
    q_len: Any = columns.get("q_len", d["q_len"])
    kv_len: Any = columns.get("kv_len", int(op.attributes["kv_len"]))
    causal = op.attributes["phase"] != "bidirectional"
    if np.any(heads % kv_heads) or (causal and np.any(q_len > kv_len)):
        return None
    seen = np.minimum(kv_len, window + q_len - 1) if window else kv_len
    batch = columns.get("batch", d["batch"])
    return {"batch": batch, "kv_heads": kv_heads, "group": heads // kv_heads, "q_len": q_len, "kv_len": seen}


def _scan(op: Op, columns: Columns) -> dict[str, Any] | None:
    groups, given = op.dims["groups"], {name: each for name, each in columns.items() if name != "heads"}
    if "heads" not in columns:
        return dict(given)
    heads = columns["heads"]
    return None if np.any(heads % groups) else {**given, "group": heads // groups}


def _conv2d(op: Op, columns: Columns) -> dict[str, Any] | None:
    groups, padding = op.dims["groups"], int(op.attributes["padding"])
    for side, taps in (("y", op.dims["r"]), ("x", op.dims["s"])):
        reach = int(op.attributes["stride"]) * (columns.get(side, np.int64(op.dims[side])) - 1)
        if np.any(2 * padding > reach + int(op.attributes.get("dilation", 1)) * (taps - 1)):
            return None  # no input is left between it
    if any(np.any(columns[name] % groups) for name in ("oc", "ic") if name in columns):
        return None
    return {name: each // groups if name in ("oc", "ic") else each for name, each in columns.items()}


def _density(operand: Operand, dims: Mapping[str, Any]) -> Any:
    """Share of its elements that an operand stores: that of the factors of each row's matrix where it has some.

    Raises:
        HwsimError: blocks do not divide a row's matrix.
    """
    if not is_structured(operand.structure):
        return operand.density
    n, k = np.broadcast_arrays(dims["n"], dims["k"])
    stored = [
        sum(each.parameters for each in factors_of(operand.name, operand.structure, *pair)) / (pair[0] * pair[1])
        for pair in zip(n.ravel().tolist(), k.ravel().tolist(), strict=True)
    ]
    return np.array(stored)


def _contiguous(axis: Axis, dims: Mapping[str, Any]) -> Axis:
    """An axis of groups, one after the other, with the stride that each row's group has."""
    if len(axis) == 2 and axis[0][0] in _OUTER and axis[1][0] in _OUTER[axis[0][0]]:
        return ((axis[0][0], dims[axis[1][0]]), axis[1])
    return axis
