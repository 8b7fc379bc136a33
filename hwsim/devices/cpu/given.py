"""Blockings from mapping files: what is not legal on a machine, what an op runs as, a blocking as a file has it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from hwsim.devices.cpu.blocking import Split, cores_of, missing_unit, product_of, unfit_shape
from hwsim.devices.cpu.choice import planned_as
from hwsim.errors import Infeasible
from hwsim.mapping.forms import BlockingForm, Mismatch, head_of

if TYPE_CHECKING:
    from hwsim.devices.cpu.blocking import Blocking
    from hwsim.devices.cpu.gemm import Planned
    from hwsim.devices.cpu.parameters import CpuParameters
    from hwsim.workload.op import Op

__all__ = ["blocking_form", "blocking_mismatches", "planned_by"]

_ROWS_OUTER = ("amx-strided", "amx-sparse", "avx-sparse")


def blocking_mismatches(p: CpuParameters, form: BlockingForm) -> Iterator[Mismatch]:
    """What a machine cannot do of a blocking: its units and cores, and tiles that do not add up."""
    if form.kernel.startswith("amx") and p.amx is None:
        yield "kernel", f"kernel {form.kernel}, which needs a tile unit", f"avx512 or avx-sparse on {p.name}"
    if form.kernel in _ROWS_OUTER and form.loop != "rows-outer":
        yield "loop", f"loop {form.loop} of kernel {form.kernel}", "rows-outer, its only order"
    if form.cores > p.cores.value:
        yield "cores", f"{form.cores} cores", f"at most the {p.cores.value:g} of {p.name}"
    rows, columns = _extent(form)
    most = 1 if form.kernel in _ROWS_OUTER else rows
    if form.row_groups > most:
        yield "row_groups", f"{form.row_groups} row groups", f"at most {most}, for {rows} rows under {form.kernel}"
    elif (working := -(-columns // form.column_tiles) * form.row_groups) != form.cores:
        each = f"{form.column_tiles} each in {form.row_groups} row groups"
        yield "cores", f"{form.cores} cores for {columns} column tiles, {each}", f"{working} cores"


def _extent(form: BlockingForm) -> tuple[int, int]:
    """Rows, and tiles of 16 columns, of the products side by side."""
    d = form.dims
    if form.kind == "conv2d":
        rows, columns, count = d.get("batch", 1) * d.get("y", 1) * d.get("x", 1), d.get("oc", 1), d.get("groups", 1)
    else:
        rows, columns, count = d.get("m", 1), d.get("n", 1), d.get("batch", 1)
    return rows, -(-columns // 16) * count


def planned_by(p: CpuParameters, op: Op, form: BlockingForm) -> Planned | Infeasible:
    """What an op runs as under an entry of its shape, or why it cannot: formats, threads, the kernel's shapes."""
    product, cores = product_of(op), cores_of(p, op)
    if isinstance(cores, Infeasible):
        return cores
    if form.cores > cores:
        reason = f"the mapping of {op.name} works on {form.cores} cores, and it is to run on {cores}"
        levers = (f"cores={form.cores}", "another mapping")
        return Infeasible("cores", form.cores, cores, "cores", reason, {op.name: form.cores}, levers)
    bad = missing_unit(p, product, form.kernel) or unfit_shape(p, product, form.kernel, form.cores)
    return bad or planned_as(p, op, Split(form.kernel, form.loop, form.row_groups, form.column_tiles))


def blocking_form(op: Op, blocking: Blocking) -> BlockingForm:
    """A blocking as a file states it."""
    return BlockingForm(
        **head_of(op),
        kernel=blocking.kernel,
        loop=blocking.loop,
        cores=blocking.cores,
        row_groups=blocking.row_groups,
        column_tiles=blocking.column_tiles,
    )
