"""Matrix products: from a blocking to the pipeline of one thread, and the choice among blockings."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from hwsim.devices.cpu.blocking import Blocking, Product, blockings, product_of
from hwsim.devices.cpu.instructions import ROWS, avx_tile, expand_tile, mix_cycles
from hwsim.devices.cpu.pipeline import PAGE_BYTES, Pipe, closed_form_cycles
from hwsim.errors import Infeasible
from hwsim.formats import FORMATS

if TYPE_CHECKING:
    from hwsim.devices.cpu.parameters import CpuParameters
    from hwsim.workload.op import Op

__all__ = ["Planned", "Work", "choose", "flowing_bytes", "imbalance", "tile_bytes", "vector_cycles", "works_of"]

_BUFFER: Final = 1024
"""Bytes of an expanded tile."""


@dataclass(frozen=True, slots=True)
class Work:
    """A stretch of one thread's pipeline, and the bytes that all threads move from memory in it."""

    pipe: Pipe
    dram_bytes: float


@dataclass(frozen=True, slots=True)
class Planned:
    """What an op runs as: stretches one after the other.

    Attributes:
        works: the stretches.
        blocking: the mapping, for matrix products and attention.
        floor_cycles: fixed cycles of the op beside its loops, without the machine's floors.
    """

    works: tuple[Work, ...]
    blocking: Blocking | None = None
    floor_cycles: float = 0.0


def tile_bytes(product: Product) -> float:
    """Bytes of one stored weight tile: its non-zeros, the bitmap (a bit for each), scales of the format."""
    weights = product.depth * 16.0
    bitmap = weights / 8.0 if product.bitmap else 0.0
    return bitmap + weights * product.density * FORMATS[product.stored].bits_per_element / 8.0


def imbalance(product: Product, blocking: Blocking) -> float:
    """Non-zeros of the fullest thread over the mean: all threads own equally many tiles.

    Zeros at random make a thread's count binomial; the largest of c normal variables lies about sqrt(2 ln c) standard
    deviations out.
    """
    if not product.bitmap or not 0 < product.density < 1 or blocking.cores < 2:
        return 1.0
    weights = blocking.column_tiles * blocking.k_tiles * product.depth * 16.0
    spread = math.sqrt((1 - product.density) / (product.density * weights))
    return 1.0 + spread * math.sqrt(2.0 * math.log(blocking.cores))


def _slowdown(p: CpuParameters, blocking: Blocking) -> float:
    """The clock that cycles are counted in, over the one that a kernel runs at."""
    if not blocking.kernel.startswith("amx"):
        return 1.0
    own = p.clock.amx_light if blocking.rows <= 2 * ROWS else p.clock.amx_heavy
    return p.clock.turbo.value / own.value


def vector_cycles(p: CpuParameters, product: Product, kernel: str, rows: int) -> float:
    """Vector cycles of one weight tile (all of a thread's rows, for dense vectors)."""
    extra = p.vector.expand_overhead.value if product.bitmap else 0.0
    if kernel in ("avx-sparse", "avx512"):
        each = 1 if kernel == "avx-sparse" else rows
        mix = avx_tile(p.vector, product.stored, product.computed, product.bitmap, each)
        return mix_cycles(p.vector, mix) + extra
    mix = expand_tile(product.stored, product.bitmap, product.computed)
    return mix_cycles(p.vector, mix) + extra if mix else 0.0


def _amx_cycles(p: CpuParameters, product: Product, blocking: Blocking, rows: int) -> float:
    """Tile-unit cycles of one weight tile against ``rows`` rows: products, or loads where they take longer."""
    amx = p.amx
    if amx is None:
        return 0.0
    pairs, rest = divmod(-(-rows // ROWS), 2)
    loads = amx.load.value * (2.0 * pairs + 1.5 * rest)
    if expand_tile(product.stored, product.bitmap, product.computed):
        loads += amx.forward.value
    stores = amx.store.value * (2.0 * pairs + rest) if blocking.kernel == "amx-strided" else 0.0
    return max(amx.dot.value * (2 * pairs + rest), loads) + stores


def works_of(p: CpuParameters, product: Product, blocking: Blocking, flowing_bytes: float) -> tuple[Work, ...]:
    """The stretches of one thread: all weights from memory once, then from where they stayed for further row blocks.

    Args:
        p: the machine.
        product: what is multiplied.
        blocking: how it is laid out.
        flowing_bytes: activations read and written; what exceeds the LLC comes from memory.
    """
    slow = _slowdown(p, blocking)
    stored = tile_bytes(product)
    outer = blocking.loop == "rows-outer"
    rows = min(blocking.rows, 1 if blocking.kernel == "avx-sparse" else 2 * ROWS) if outer else blocking.rows
    is_amx = blocking.kernel.startswith("amx")
    amx = _amx_cycles(p, product, blocking, rows) * slow if is_amx else 0.0
    store = p.amx.store.value * slow * -(-rows // ROWS) if p.amx and is_amx else 0.0
    heavy = stored * imbalance(product, blocking)
    clock = p.clock.turbo.value
    total = stored * product.column_tiles * product.batch * product.k_tiles
    own_tiles = blocking.k_tiles * blocking.column_tiles
    pipe = Pipe(
        tiles=blocking.k_tiles,
        reps=blocking.column_tiles,
        memory=total / own_tiles / (p.dram.bandwidth.value * p.dram.share.value) * clock,
        core=heavy / p.core_path.bandwidth.value * clock,
        restart=p.core_path.restart.value * clock,
        pages=_pages(product, blocking, stored),
        vector=vector_cycles(p, product, blocking.kernel, rows) * slow,
        amx=amx,
        tail=0.0 if blocking.kernel == "amx-strided" else store,
        window=p.core_path.window_tiles(stored),
        buffers=1 if product.computed == "int8" and blocking.kernel == "amx-sparse" else 2,
    )
    spilled = max(0.0, flowing_bytes - p.caches.llc.value)
    first = Work(_with_activations(p, pipe, blocking, spilled), total + spilled)
    if not outer or blocking.row_blocks == 1:
        return (first,)
    return first, _again(p, pipe, blocking.row_blocks - 1, stored, total)


def _with_activations(p: CpuParameters, pipe: Pipe, blocking: Blocking, spilled: float) -> Pipe:
    """The pipeline with activations that no cache holds, spread over its tiles."""
    if not spilled:
        return pipe
    clock = p.clock.turbo.value
    tiles = pipe.tiles * pipe.reps
    socket = spilled / (p.dram.bandwidth.value * p.dram.share.value) * clock / tiles
    own = spilled / blocking.cores / p.core_path.bandwidth.value * clock / tiles
    return replace(pipe, memory=pipe.memory + socket, core=pipe.core + own)


def _pages(product: Product, blocking: Blocking, stored: float) -> float:
    """Pages that a thread enters for each weight tile: one for each 4 KiB of a packed stream.

    The rows of a strided tile lie 4 n bytes apart, each in a page of its own once that is 4 KiB. Their misses do not
    depend on one another, so that they cost one restart together (assumed).
    """
    if blocking.kernel == "amx-strided" and product.n * 4 >= PAGE_BYTES:
        return 1.0
    return stored / PAGE_BYTES


def _again(p: CpuParameters, pipe: Pipe, times: int, stored: float, total: float) -> Work:
    """All row blocks but the first: weights from L2 if a thread's own fit, from LLC if all fit, else from memory."""
    own = stored * pipe.tiles * pipe.reps
    again = replace(pipe, reps=pipe.reps * times)
    if own <= p.caches.l2.value / 2:
        rate = p.caches.l2_bytes_per_cycle.value
    elif total <= p.caches.llc.value / 2:
        rate = p.caches.llc_bytes_per_cycle.value
    else:
        return Work(again, total * times)
    return Work(replace(again, cache=stored / rate).without_memory(), 0.0)


def flowing_bytes(op: Op) -> float:
    """Bytes of an op's activations and results."""
    roles = op.bytes_by_role
    return float(roles["activation"] + roles["output"])


def choose(p: CpuParameters, op: Op) -> Planned | Infeasible:
    """The fastest blocking of an op; all are tried. The first of equals wins."""
    found = blockings(p, op)
    if isinstance(found, Infeasible):
        return found
    product, flowing = product_of(op), flowing_bytes(op)
    ways = [(works_of(p, product, each, flowing), each) for each in found]
    works, best = min(ways, key=lambda way: sum(closed_form_cycles(work.pipe) for work in way[0]))
    setup = p.amx.configure.value if p.amx is not None and best.kernel.startswith("amx") else 0.0
    if best.kernel == "amx-strided":
        setup *= best.column_tiles / 2
    return Planned(works, best, setup)
