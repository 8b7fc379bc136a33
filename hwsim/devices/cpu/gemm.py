"""Matrix products: from a blocking to the pipeline of one thread."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from hwsim.devices.cpu.blocking import Blocking, Product
from hwsim.devices.cpu.instructions import ROWS, avx_tile, expand_tile, mix_cycles, port_cycles
from hwsim.devices.cpu.operands import arriving_cycles, operand_cycles, register_block, single_blocks, sums_kept
from hwsim.devices.cpu.pipeline import PAGE_BYTES, Pipe
from hwsim.formats import FORMATS

if TYPE_CHECKING:
    from hwsim.devices.cpu.parameters import CpuParameters
    from hwsim.workload.op import Op

__all__ = [
    "Planned", "Work", "arithmetic_cycles", "flowing_bytes", "imbalance", "memory_bytes", "slowdown", "tile_bytes",
    "total_bytes", "vector_cycles", "works_of",
]  # fmt: skip


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
        threads: threads that work.
    """

    works: tuple[Work, ...]
    blocking: Blocking | None = None
    floor_cycles: float = 0.0
    threads: int = 1


def tile_bytes(product: Product) -> float:
    """Bytes of one stored weight tile: its non-zeros, the bitmap (a bit for each), scales of the format."""
    weights = product.depth * 16.0
    bitmap = weights / 8.0 if product.bitmap else 0.0
    return bitmap + weights * product.density * FORMATS[product.stored].bits_per_element / 8.0


def total_bytes(product: Product) -> float:
    """Bytes of all stored weights, padding included."""
    return tile_bytes(product) * product.column_tiles * product.batch * product.k_tiles


def memory_bytes(product: Product) -> float:
    """Bytes of the second operand that come from memory whatever caches hold: all of weights, none of what flows."""
    return 0.0 if product.flows else total_bytes(product) * product.fresh


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


def slowdown(p: CpuParameters, blocking: Blocking) -> float:
    """The clock that cycles are counted in, over the one that a kernel runs at on its share of the cores."""
    if not blocking.kernel.startswith("amx"):
        return 1.0
    own = p.clock.amx_light if blocking.rows <= 2 * ROWS else p.clock.amx_heavy
    turbo = p.clock.turbo.value
    return turbo / (turbo - (turbo - own.value) * blocking.cores / p.cores.value)


def _avx_mix(p: CpuParameters, product: Product, kernel: str, rows: float) -> dict[str, float]:
    """Instructions of a weight tile on vectors. Single blocks bias int8 activations in the loop, one more each."""
    block = register_block(p, kernel)
    each = 1.0 if kernel == "avx-sparse" else rows
    mix = avx_tile(p.vector, product.stored, product.computed, product.bitmap, each, (block.rows, block.columns))
    if single_blocks(p) and "dot_int8" in mix:
        mix["add"] = mix.get("add", 0.0) + 16.0 * each
    return mix


def vector_cycles(p: CpuParameters, product: Product, kernel: str, rows: float) -> float:
    """Vector cycles of one weight tile (all of a thread's rows, for dense vectors)."""
    extra = p.vector.expand_overhead.value if product.bitmap else 0.0
    if kernel in ("avx-sparse", "avx512"):
        return mix_cycles(p.vector, _avx_mix(p, product, kernel, rows)) + extra
    mix = expand_tile(product.stored, product.bitmap, product.computed)
    return mix_cycles(p.vector, mix) + extra if mix else 0.0


def _amx_cycles(p: CpuParameters, product: Product, blocking: Blocking, rows: int) -> float:
    """Tile-unit cycles of one weight tile against ``rows`` rows: products, or loads where they take longer.

    Single blocks load into the tile registers that the product before reads, so that loads, and what they wait for,
    and products take turns.
    """
    amx = p.amx
    if amx is None:
        return 0.0
    if single_blocks(p):
        loads = 2.0 * amx.load.value * -(-rows // ROWS)
        return amx.dot.value * -(-rows // ROWS) + max(loads, operand_cycles(p, product, blocking, loads))
    pairs, rest = divmod(-(-rows // ROWS), 2)
    loads = amx.load.value * (2.0 * pairs + 1.5 * rest)
    if expand_tile(product.stored, product.bitmap, product.computed):
        loads += amx.forward.value
    stores = amx.store.value * (2.0 * pairs + rest) if blocking.kernel == "amx-strided" else 0.0
    stores += (amx.store.value + amx.load.value) * sums_kept(blocking)
    return max(amx.dot.value * (2 * pairs + rest), loads) + stores


def arithmetic_cycles(p: CpuParameters, product: Product, kernel: str, outer: bool, rows: int) -> float:
    """Cycles that a weight tile holds its busier unit in all passes together, at least: at turbo, loads left out.

    Args:
        p: the machine.
        product: what is multiplied.
        kernel: one of `hwsim.devices.cpu.blocking.KERNELS`.
        outer: whether rows are the outer loop.
        rows: rows of activations of a thread.
    """
    met = min(rows, 1 if kernel == "avx-sparse" else 2 * ROWS) if outer else rows
    tiles = p.amx.dot.value * -(-met // ROWS) if p.amx is not None and kernel.startswith("amx") else 0.0
    return max(vector_cycles(p, product, kernel, met), tiles) * -(-rows // met)


def works_of(p: CpuParameters, product: Product, blocking: Blocking, flowing_bytes: float) -> tuple[Work, ...]:
    """The stretches of one thread: all weights from memory once, then from where they stayed for further passes.

    A second operand that is an activation was just written, as the first: it comes from LLC, and from memory as far as
    all that flows exceeds that.

    Args:
        p: the machine.
        product: what is multiplied.
        blocking: how it is laid out.
        flowing_bytes: activations read and written; what exceeds the LLC comes from memory.
    """
    slow = slowdown(p, blocking)
    stored = tile_bytes(product)
    outer = blocking.loop == "rows-outer"
    rows = min(blocking.rows, 1 if blocking.kernel == "avx-sparse" else 2 * ROWS) if outer else blocking.rows
    parts = 1 if outer else blocking.passes
    is_amx = blocking.kernel.startswith("amx")
    amx = _amx_cycles(p, product, blocking, rows) * slow / parts if is_amx else 0.0
    heavy = stored * imbalance(product, blocking)
    clock = p.clock.turbo.value
    total = memory_bytes(product)
    own_tiles = blocking.k_tiles * blocking.column_tiles
    # groups share the weights: one draws a tile from memory, the others from LLC
    first_to = 0.0 if product.flows else 1.0 / blocking.row_groups
    shared = stored * (1.0 - first_to) / p.caches.llc_bytes_per_cycle.value
    pipe = Pipe(
        tiles=blocking.k_tiles,
        reps=blocking.column_tiles,
        memory=total / own_tiles / (p.dram.bandwidth.value * p.dram.share.value) * clock,
        core=heavy * first_to / p.core_path.bandwidth.value * clock,
        restart=p.core_path.restart.value * clock,
        pages=_pages(product, blocking, stored) * first_to,
        cache=((_cache_cycles(p, product, blocking, rows) + arriving_cycles(p, blocking, rows)) / parts + shared)
        * slow,
        vector=vector_cycles(p, product, blocking.kernel, rows / parts) * slow,
        amx=amx,
        tail=_tail_cycles(p, blocking, rows / parts) * slow,
        window=p.core_path.window_tiles(stored),
        buffers=1 if product.computed == "int8" and blocking.kernel == "amx-sparse" else 2,
    )
    spilled = max(0.0, flowing_bytes - p.caches.llc.value)
    first = Work(_with_activations(p, pipe, blocking, spilled) if spilled else pipe, total + spilled)
    if blocking.passes == 1:
        return (first,)
    inside = replace(pipe, cache=pipe.cache - shared * slow)  # without the weights' own way to the core
    if product.flows:
        return first, _flows_again(p, inside, product, blocking, spilled)
    return first, _again(p, pipe, inside, product, blocking)


def _cache_cycles(p: CpuParameters, product: Product, blocking: Blocking, rows: int) -> float:
    """Cycles of a weight tile's operands from LLC to registers, for the rows that it meets in a pass.

    Single blocks on the tile unit have those out of L2 in `_amx_cycles`, in turn with products. Bitmap weights that go
    straight into registers meet one row, whose loads their mix has.
    """
    arriving = arriving_cycles(p, blocking, rows)
    if blocking.kernel == "avx-sparse":
        return arriving
    if p.amx is not None and blocking.kernel.startswith("amx"):
        if single_blocks(p):
            return arriving
        loads = p.amx.load.value * 2.0 * math.ceil(rows / (2 * ROWS))
    else:
        loads = port_cycles(p.vector, _avx_mix(p, product, blocking.kernel, rows))["load"]
    met = blocking if rows == blocking.rows else replace(blocking, rows=rows)
    return arriving + operand_cycles(p, product, met, loads)


def _tail_cycles(p: CpuParameters, blocking: Blocking, rows: float) -> float:
    """Cycles at the end of a column tile: stores of its tiles of results, or the calls of its single blocks."""
    blocks = math.ceil(rows / ROWS)
    if p.software.block_call is not None:
        return p.software.block_call.value * blocks
    if p.amx is None or blocking.kernel not in ("amx", "amx-sparse"):
        return 0.0
    return p.amx.store.value * blocks


def _with_activations(p: CpuParameters, pipe: Pipe, blocking: Blocking, spilled: float) -> Pipe:
    """The pipeline with activations that no cache holds, spread over its tiles."""
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


def _again(p: CpuParameters, pipe: Pipe, inside: Pipe, product: Product, blocking: Blocking) -> Work:
    """All passes but the first: weights from L2 if a thread's own fit, from LLC if all fit, else from memory.

    Args:
        p: the machine.
        pipe: the pipeline of the first pass.
        inside: the same without the weights' way to the core.
        product: what is multiplied.
        blocking: how it is laid out.
    """
    times, stored, total = blocking.passes - 1, tile_bytes(product), total_bytes(product)
    reps = pipe.reps * times
    if stored * pipe.tiles * pipe.reps <= p.caches.l2.value / 2:
        rate = p.caches.l2_bytes_per_cycle.value
    elif total <= p.caches.llc.value / 2:
        rate = p.caches.llc_bytes_per_cycle.value
    else:
        return Work(replace(pipe, reps=reps), total * times)
    cache = inside.cache + stored / rate * slowdown(p, blocking)
    return Work(replace(inside, reps=reps, memory=0.0, core=0.0, restart=0.0, pages=0.0, cache=cache), 0.0)


def _flows_again(p: CpuParameters, pipe: Pipe, product: Product, blocking: Blocking, spilled: float) -> Work:
    """All passes but the first over a second operand that flows: out of L2 if a thread's own part fits, else as before.

    Args:
        p: the machine.
        pipe: the pipeline without the operand's way to the core.
        product: what is multiplied.
        blocking: how it is laid out.
        spilled: bytes of all that flows that LLC does not hold.
    """
    times, stored = blocking.passes - 1, tile_bytes(product)
    near = stored * pipe.tiles * pipe.reps <= p.caches.l2.value / 2
    rate = (p.caches.l2_bytes_per_cycle if near else p.caches.llc_bytes_per_cycle).value
    again = replace(pipe, reps=pipe.reps * times, cache=pipe.cache + stored / rate * slowdown(p, blocking))
    far = 0.0 if near else min(spilled, total_bytes(product)) * times
    return Work(_with_activations(p, again, blocking, far) if far else again, far)


def flowing_bytes(op: Op) -> float:
    """Bytes of an op's activations and results."""
    roles = op.bytes_by_role
    return float(roles["activation"] + roles["output"])
