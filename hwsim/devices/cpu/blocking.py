"""`Blocking`: how a matrix product is laid onto cores and tiles, and the blockings that are searched for one."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, NamedTuple

from hwsim.devices.cpu.operands import depth_blocks, passes_over_weights, single_blocks
from hwsim.errors import HwsimError, Infeasible
from hwsim.mapping.forms import Kernel, Loop

if TYPE_CHECKING:
    from hwsim.devices.cpu.parameters import CpuParameters
    from hwsim.workload.op import Op

__all__ = [
    "KERNELS", "Blocking", "Kernel", "Loop", "Product", "Split", "Splits", "blocking_of", "cores_of",
    "has_fixed_threads", "loops", "missing_unit", "product_of", "row_groups", "splits", "unfit_shape",
]  # fmt: skip

KERNELS: Final[dict[str, str]] = {
    "amx": "dense tiles as oneDNN runs them: weights packed in tiles, each read from memory once",
    "amx-strided": "dense tiles of the SparAMX release: row-major weights, accumulators stored after every k-tile",
    "amx-sparse": "bitmap weights expanded into a buffer for the tile unit (SparAMX, LIBXSMM)",
    "avx-sparse": "bitmap weights expanded into registers and multiplied there, row of activations by row (SparAMX)",
    "avx512": "dense vectors, no tile unit",
}
"""Kernels of matrix products by name."""

_RELEASE: Final = "release"
"""The software stack whose kernels are the SparAMX release's own."""

_DENSE: Final = ("amx", "avx512")
"""Kernels that are blocked for caches and may split rows among threads."""

_COLUMNS: Final = 16
_PAIR_ROWS: Final = 32


@dataclass(frozen=True, slots=True)
class Product:
    """A matrix product as kernels see it.

    Attributes:
        m: rows of activations.
        n: columns.
        k: depth.
        batch: independent products.
        stored: format of the weights in memory.
        computed: format of the multiplication: bf16, int8 or fp32.
        density: share of the weights that is stored.
        bitmap: whether a bitmap says which.
        flows: whether the second operand is an activation too (scores of a list of operators, keys of an image).
        fresh: share of the stored weights that is read for the first time; caches have the rest (values that are keys).
    """

    m: int
    n: int
    k: int
    batch: int
    stored: str
    computed: str
    density: float
    bitmap: bool
    flows: bool = False
    fresh: float = 1.0

    @property
    def depth(self) -> int:
        """Weights along k of a tile."""
        return {"bf16": 32, "int8": 64, "fp32": 16}[self.computed]

    @property
    def k_tiles(self) -> int:
        """Tiles along k, the last one padded."""
        return -(-self.k // self.depth)

    @property
    def column_tiles(self) -> int:
        """Tiles along n, the last one padded."""
        return -(-self.n // _COLUMNS)


@dataclass(frozen=True, slots=True)
class Blocking:
    """The mapping of a matrix product.

    Attributes:
        kernel: one of `KERNELS`.
        loop: ``rows-outer`` goes over all weights again for each row block, ``columns-outer`` over the rows for each
            column tile.
        cores: threads that work.
        row_groups: groups of threads that each take a part of the rows.
        column_tiles: column tiles of the thread that has most.
        row_blocks: row blocks of a thread: 32 rows for the tile unit, one row for ``avx-sparse``.
        passes: times that a thread goes over its weights: row blocks where they are the outer loop, else parts of the
            rows whose activations half of L2 holds.
        depth_blocks: parts of k, one after the other; sums go out to L2 between them.
        rows: rows of activations of a thread.
        k_tiles: tiles along k.
        idle_cores: threads for which there is no tile.
        spare_cores: threads that have none because more threads would not end sooner.
        padded_columns: columns that fill up the last tile.
        padded_depth: weights along k that fill up the last tile.
    """

    kernel: Kernel
    loop: Loop
    cores: int
    row_groups: int
    column_tiles: int
    row_blocks: int
    passes: int
    depth_blocks: int
    rows: int
    k_tiles: int
    idle_cores: int
    spare_cores: int
    padded_columns: int
    padded_depth: int

    @property
    def notes(self) -> tuple[str, ...]:
        """What a reader should know: padding and threads without work."""
        found = []
        if self.padded_columns or self.padded_depth:
            found.append(f"padded to whole tiles: {self.padded_columns} columns, {self.padded_depth} along k")
        if self.idle_cores:
            found.append(f"{self.idle_cores} threads have no tile and stay idle")
        if self.spare_cores:
            found.append(f"{self.spare_cores} threads are left out: with them it would end no sooner")
        return tuple(found)


def cores_of(p: CpuParameters, op: Op) -> int | Infeasible:
    """Threads that an op asks for (``cores=``), or all cores of the machine."""
    asked = int(op.attributes.get("cores", 0)) or int(p.cores.value)
    if asked <= p.cores.value:
        return asked
    reason = f"{p.name} has {p.cores.value:g} cores"
    levers = (f"cores={p.cores.value:g}", "a machine with more cores")
    return Infeasible("cores", asked, p.cores.value, "cores", reason, {op.name: asked}, levers)


def product_of(op: Op) -> Product:
    """The matrix product of a gemm or conv2d op (a convolution as pixels x channels x kernel)."""
    d, weights = op.dims, op.operands[1]
    a, stored = op.operands[0].format, weights.format
    computed = "int8" if a == "int8" and stored == "int8" else "fp32" if a in ("fp32", "tf32") else "bf16"
    bitmap = weights.structure != "dense"
    if op.kind == "conv2d":
        rows, columns, depth = d["batch"] * d["y"] * d["x"], d["oc"], d["ic"] * d["r"] * d["s"]
        return Product(rows, columns, depth, d["groups"], stored, computed, weights.density, bitmap)
    flows = weights.role == "activation"
    batch, rows = op.side_by_side
    return Product(rows, d["n"], d["k"], batch, stored, computed, weights.density, bitmap, flows)


def _allowed(p: CpuParameters, product: Product, asked: str, cores: int) -> list[Kernel]:
    """Kernels that may run a product: the one asked for, or those among which the library chooses."""
    if asked != "auto":
        if asked not in KERNELS:
            raise HwsimError.unknown_name("gemm", "kernel", asked, ("auto", *KERNELS))
        return [asked]  # type: ignore[list-item]
    tiles = p.amx is not None and product.computed != "fp32"
    if product.bitmap:
        return ["amx-sparse", "avx-sparse"] if tiles else ["avx-sparse"]
    wanted = p.software.dense
    if not tiles:
        return ["avx512"]
    if wanted != "auto" and unfit_shape(p, product, wanted, cores):
        return ["amx"]  # the release leaves such layers, as the head, to the stock library
    return ["amx", "avx512"] if wanted == "auto" else [wanted]


def missing_unit(p: CpuParameters, product: Product, kernel: str) -> Infeasible | None:
    """Why a machine cannot run a kernel on a product; None when it can."""
    if not kernel.startswith("amx"):
        return None
    if p.amx is None:
        reason = f"{p.name} has no AMX: kernel {kernel} needs its tile unit"
        levers = ("kernel=avx-sparse or kernel=avx512", "a machine with AMX, as xeon-8475b")
        return Infeasible("AMX tile unit", 1, 0, "units", reason, {kernel: 1}, levers)
    if product.computed == "fp32":
        reason = "the tile unit multiplies bf16 and int8"
        return Infeasible("AMX fp32 tiles", 1, 0, "units", reason, {kernel: 1}, ("dtype=bf16", "kernel=avx512"))
    return None


def unfit_shape(p: CpuParameters, product: Product, kernel: str, cores: int) -> Infeasible | None:
    """Why a kernel of the SparAMX release refuses a shape; None for every other kernel, which pads.

    The release has no tails (n and k are whole tiles) and asserts that its threads share the column tiles evenly.
    """
    if kernel != "amx-strided" and not (kernel == "amx-sparse" and p.stack == _RELEASE):
        return None
    columns, depth = product.column_tiles * _COLUMNS, product.k_tiles * product.depth
    even = max(c for c in range(1, cores + 1) if product.column_tiles % c == 0)
    whole = -(-product.column_tiles // cores) * cores * _COLUMNS
    other = "kernel=amx" if kernel == "amx-strided" else "stack=onednn"
    levers = (f"{other}, which pads", f"cores={even}", f"n={whole}")
    if columns != product.n or depth != product.k:
        reason = f"{kernel} of the SparAMX release has no tails: n in steps of {_COLUMNS}, k of {product.depth}"
        dim, demand, step = ("n", product.n, _COLUMNS) if columns != product.n else ("k", product.k, product.depth)
        mend = (f"n={columns} k={depth}", levers[0])
        return Infeasible("whole tiles", demand, demand // step * step, "elements", reason, {dim: demand}, mend)
    if even != cores:
        reason = f"{kernel} of the SparAMX release shares {product.column_tiles} column tiles evenly among its threads"
        return Infeasible("even threads", cores, even, "cores", reason, {"threads": cores}, levers)
    return None


class Split(NamedTuple):
    """A member of the space of blockings: what is chosen; all else of a `Blocking` follows from it."""

    kernel: Kernel
    loop: Loop
    row_groups: int
    column_tiles: int


class Splits(NamedTuple):
    """Members that differ in the column tiles of a thread only, those that use most threads first."""

    kernel: Kernel
    loop: Loop
    row_groups: int
    shares: tuple[int, ...]

    @property
    def members(self) -> tuple[Split, ...]:
        """Each of them."""
        return tuple(Split(self.kernel, self.loop, self.row_groups, each) for each in self.shares)


def splits(p: CpuParameters, op: Op) -> tuple[Splits, ...] | Infeasible:
    """Every blocking that is searched for an op.

    Kernels that may run it; all threads, or one, which need not be started; groups of threads that each take a part of
    the rows, and with them the column tiles of each; and both loop orders, where rows make more than one block.
    """
    product, cores = product_of(op), cores_of(p, op)
    if isinstance(cores, Infeasible):
        return cores
    found: list[Splits] = []
    for kernel in _allowed(p, product, str(op.attributes.get("kernel", "auto")), cores):
        bad = missing_unit(p, product, kernel) or unfit_shape(p, product, kernel, cores)
        if bad:
            return bad
        for groups in row_groups(product, kernel, cores):
            alone = groups == 1 and not has_fixed_threads(p, kernel)
            shares = _shares(product, cores // groups, alone)
            found += [Splits(kernel, loop, groups, shares) for loop in loops(p, product, kernel, groups)]
    return tuple(found)


def has_fixed_threads(p: CpuParameters, kernel: str) -> bool:
    """Whether a kernel runs on all threads that it is given: those of the SparAMX release."""
    return kernel == "amx-strided" or (kernel == "amx-sparse" and p.stack == _RELEASE)


def row_groups(product: Product, kernel: str, cores: int) -> tuple[int, ...]:
    """Groups into which a kernel may split the rows, 32 rows at least to each; other kernels than dense split none."""
    most = min(cores, -(-product.m // _PAIR_ROWS)) if kernel in _DENSE else 1
    return tuple(dict.fromkeys(-(-product.m // -(-product.m // groups)) for groups in range(1, most + 1)))


def loops(p: CpuParameters, product: Product, kernel: str, groups: int) -> tuple[Loop, ...]:
    """Loop orders of a kernel: dense ones have both, which differ where a thread has several blocks of rows."""
    if kernel not in _DENSE:
        return ("rows-outer",)
    one = -(-product.m // groups) <= _PAIR_ROWS or single_blocks(p)
    return ("columns-outer",) if one else ("columns-outer", "rows-outer")


def _shares(product: Product, threads: int, alone: bool) -> tuple[int, ...]:
    """Column tiles of the thread that has most: on all threads, or all tiles on one where it may work alone."""
    columns = product.column_tiles * product.batch
    return tuple(dict.fromkeys((-(-columns // threads), *((columns,) if alone else ()))))


def blocking_of(p: CpuParameters, product: Product, split: Split, cores: int) -> Blocking:
    """The blocking of a choice.

    Args:
        p: the machine.
        product: what is multiplied.
        split: the choice.
        cores: threads at hand.
    """
    kernel, loop, groups, each = split
    rows, columns = -(-product.m // groups), product.column_tiles * product.batch
    row_blocks = rows if kernel == "avx-sparse" else math.ceil(rows / _PAIR_ROWS)
    working = -(-columns // each) * groups
    most = max(working, -(-columns // -(-columns // (cores // groups))) * groups)
    outer = loop == "rows-outer"
    return Blocking(
        kernel=kernel,
        loop=loop,
        cores=working,
        row_groups=groups,
        column_tiles=each,
        row_blocks=row_blocks,
        passes=row_blocks if outer else passes_over_weights(p, product, kernel, rows),
        depth_blocks=1 if outer else depth_blocks(p, product, rows),
        rows=rows,
        k_tiles=product.k_tiles,
        idle_cores=cores - most,
        spare_cores=most - working,
        padded_columns=product.column_tiles * _COLUMNS - product.n,
        padded_depth=product.k_tiles * product.depth - product.k,
    )
