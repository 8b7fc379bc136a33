"""Flip-flops of the hardware units, exactly as Yosys keeps them: the sum of a unit's named registers.

Every register of `rtl` counts with its width, but for four things that synthesis does, and that each sum below states:
registers of equal input and enable become one; bits that nothing reads (below a rounding) or that never change go; the
output register of a memory lies in the block memory, where the memory does (`hwsim.timing.memories`); a memory of one
word is a register. Derived from the units of `rtl`, held to recorded counts of Yosys 0.66 (docs/rtl.md).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from hwsim.golden.fixed import FIXED, TABLE_FRAC, rms_bits, rms_root
from hwsim.timing import scan, vector
from hwsim.timing.memories import CHORD_TABLE, Placed, place, total

__all__ = [
    "CoreShape",
    "conv_flip_flops",
    "conv_memories",
    "counter",
    "decompressor_flip_flops",
    "function_flip_flops",
    "function_memories",
    "hadamard_flip_flops",
    "linear_flip_flops",
    "linear_memories",
    "norm_flip_flops",
    "norm_memories",
    "scan_flip_flops",
    "scan_memories",
    "systolic_os_flip_flops",
    "systolic_ws_flip_flops",
]

VALUE: Final = FIXED["value"].bits
CHORD_BASE: Final = TABLE_FRAC + 1


def counter(states: int) -> int:
    """Bits of a register that counts ``states`` states."""
    return (states - 1).bit_length()


def _chord(rise: int, part: int, read: int, base: int = CHORD_BASE) -> int:
    """Part, base and product (down to the bit that rounds) of a chord; ``read``: the table's output register."""
    return read + part + base + rise + part - (part - 1)


def _decay() -> int:
    """Argument (down to the rounding bit), exponent, chord, whole part twice, value; 35 bits of table in LUTs."""
    argument = FIXED["dt"].bits + FIXED["rate"].bits
    drop = FIXED["dt"].frac + FIXED["rate"].frac - 16
    return (argument - drop + 1) + (argument + 1 - drop) + _chord(15, 10, 35) + 2 * 5 + FIXED["decay"].bits


def _softplus() -> int:
    """Magnitude, chord (base below 1), ramp three times, value."""
    return 16 + _chord(16, 7, 0, TABLE_FRAC) + 3 * VALUE + FIXED["dt"].bits


def _silu() -> int:
    """Magnitude, chord, sign three times, logistic; its argument four times, product, value."""
    logistic = 16 + _chord(15, 7, 0) + 3 + FIXED["gate"].bits
    product = VALUE + FIXED["gate"].bits - (FIXED["gate"].frac - 1)
    return logistic + 4 * VALUE + product + VALUE


def _rsqrt(bits: int, mantissa: int = CHORD_BASE) -> int:
    """Argument, pairs, normalised 18, chord with 34 bits of table in LUTs, exponent four times, mantissa."""
    return bits + counter(bits // 2) + 18 + _chord(14, 10, 34) + 4 * counter(bits // 2) + mantissa


def function_flip_flops(name: str, lanes: int, bits: int = 0) -> int:
    """The lanes' data with their outputs, and a valid bit for each register on the way.

    Args:
        name: the function unit.
        lanes: values of a beat.
        bits: bits of an argument of the reciprocal root.
    """
    product = 2 * VALUE - (FIXED["value"].frac - 1)
    lane = {
        "decay": lambda: _decay() + FIXED["decay"].bits,
        "softplus": lambda: _softplus() + FIXED["dt"].bits,
        "silu": lambda: _silu() + VALUE,
        "gate": lambda: _silu() + 6 * VALUE + product + VALUE,
        "rsqrt": lambda: _rsqrt(bits) + CHORD_BASE + counter(bits // 2),
    }[name]()
    return lane * lanes + vector.FUNCTION_CYCLES[name]


def function_memories(name: str, lanes: int) -> Placed:
    """The tables that are long enough for a block memory."""
    return total([CHORD_TABLE] * lanes if name in ("softplus", "silu", "gate") else [])


def hadamard_flip_flops(points: int, bits: int) -> int:
    """Every stage holds all points, one bit wider than the stage before, and a valid bit."""
    stages = points.bit_length() - 1
    return points * sum(bits + stage for stage in range(1, stages + 1)) + stages


def conv_memories(lanes: int, tiles: int, slots: int, *, silu: bool) -> Placed:
    """The slots of inputs, read at three ancestors, and the SiLU's tables."""
    return total([place(VALUE * lanes, slots * tiles, readers=3), *[CHORD_TABLE] * (lanes * silu)])


def conv_flip_flops(lanes: int, tiles: int, slots: int, *, silu: bool) -> int:
    """Window, products, taps with bias, sum, output; blanks and valid bits; the SiLU behind it."""
    kept = conv_memories(lanes, tiles, slots, silu=silu).flip_flops
    tap = FIXED["tap"].bits
    total = VALUE + tap + 3 + 1 - (FIXED["tap"].frac - 1)
    lane = VALUE + 4 * (VALUE + tap) + (4 * tap + VALUE) + VALUE + total + VALUE
    behind = lanes * (VALUE + _silu()) + vector.FUNCTION_CYCLES["silu"] if silu else 0
    return lanes * lane + kept + 3 + vector.CONV_CYCLES + behind


def norm_memories(channels: int, lanes: int) -> Placed:
    """The ring: two tokens and the wait for a root."""
    return place(VALUE * lanes, 2 * (channels // lanes) + vector.NORM_ROOT_CYCLES)


def norm_flip_flops(channels: int, lanes: int) -> int:
    """Ring, first pass, root, queue of roots, second pass."""
    steps = channels // lanes
    ring = 2 * steps + vector.NORM_ROOT_CYCLES
    bits = rms_bits(channels)
    root, root_bits = rms_root(channels)
    drop = TABLE_FRAC - 1 - (root.bit_length() - 1) if root & (root - 1) == 0 else 0
    queue = ring // steps + 2
    control = counter(ring + 1) + 2 * counter(ring) + 2 * counter(steps)
    first = 2 * VALUE * lanes + min(2 * VALUE + lanes - 1, bits) + bits
    marks = 2 * (3 if steps > 1 else 2) + 7  # with one beat a token the end is the beat itself
    factor = 18 + (5 if root_bits == 6 else 6)
    roots = counter(queue + 1) + 2 * counter(queue)
    tap = FIXED["tap"].bits
    gained = VALUE + tap - (FIXED["value"].frac + FIXED["tap"].frac - FIXED["act"].frac - 1)
    lane = 3 * tap + 2 * VALUE + VALUE + gained + FIXED["act"].bits
    second = lanes * lane + 18 + 2 * 6 + 5 * (2 if steps > 1 else 1)
    return (
        control
        + norm_memories(channels, lanes).flip_flops
        + first
        + marks
        + _rsqrt(bits, CHORD_BASE - drop)
        + factor
        + roots
        + second
    )


@dataclass(frozen=True, slots=True)
class CoreShape:
    """What the tensor core's registers depend on.

    Attributes:
        tp: token slots.
        cip: input channels per cycle.
        cop: outputs of a tile.
        steps: beats along k.
        tiles: output tiles.
        passes: passes over a weight tile.
        act_bits: bits of an activation.
        weight_bits: bits of a weight.
        product_bits: bits of a product.
        acc_bits: bits of a sum.
        out_bits: bits of a rounded output; 0 gives the sums.
        out_shift: right shift of a rounded output.
        act_shift_bits: bits of a group's activation scale, 0 without scales.
        weight_shift_bits: bits of a group's weight scale, 0 without scales.
    """

    tp: int
    cip: int
    cop: int
    steps: int
    tiles: int
    passes: int
    act_bits: int
    weight_bits: int
    product_bits: int
    acc_bits: int
    out_bits: int
    out_shift: int
    act_shift_bits: int
    weight_shift_bits: int

    @property
    def act_beat_bits(self) -> int:
        """Bits of a beat of activations."""
        return self.tp * (self.cip * self.act_bits + self.act_shift_bits)

    @property
    def weight_beat_bits(self) -> int:
        """Bits of a beat of weights."""
        return self.cop * (self.cip * self.weight_bits + self.weight_shift_bits)

    @property
    def result_bits(self) -> int:
        """Bits of an output that differ; above a narrower sum, rounded, stand copies of its sign but one."""
        rounded = self.acc_bits - self.out_shift + (self.out_shift > 0)
        return min(self.out_bits, rounded + 1) if self.out_bits else self.acc_bits


def linear_memories(p: CoreShape) -> Placed:
    """What is replayed: activations for every tile but the first, weights for every pass but the first."""
    parts = []
    if p.tiles > 1:
        parts.append(place(p.act_beat_bits, p.steps * p.passes, readers=0))
    if p.passes > 1:
        parts.append(place(p.weight_beat_bits, p.steps, readers=0))
    return total(parts)


def linear_flip_flops(p: CoreShape) -> int:
    """Operands with their replay buffers, products, sums over CIP, accumulators, outputs, flags, counters.

    A layer of one beat along k needs no accumulator, unless it rounds: the sum goes to the output.
    """
    cells, one_beat = p.tp * p.cop, p.steps == 1
    operands = p.act_beat_bits + p.weight_beat_bits + linear_memories(p).flip_flops + (p.tiles > 1) + (p.passes > 1)
    shift = max(p.act_shift_bits, p.weight_shift_bits) + 1 if p.act_shift_bits else 0
    sums = min(p.product_bits + p.cip - 1 + ((1 << shift) - 1 if shift else 0), p.acc_bits)
    acc = 0 if one_beat and not p.out_bits else p.acc_bits
    cell = p.cip * p.product_bits + sums + shift + acc + p.result_bits
    flags = 3 * _core_flags(p) + (2 if p.out_bits else 0) + 2
    counters = counter(p.tiles) + counter(p.passes) + counter(p.steps)
    return operands + cells * cell + flags + counters


def _core_flags(p: CoreShape) -> int:
    """Different ones of valid, first, done and last: with one beat every beat is done and first, and perhaps last."""
    if p.steps > 1:
        return 4
    return 2 if p.tiles == p.passes == 1 else 3


def decompressor_flip_flops(lanes: int, bits: int) -> int:
    """Two beats of packed values, how many are held, the dense beat and its valid bit."""
    return 2 * lanes * bits + counter(2 * lanes + 1) + lanes * bits + 1


def systolic_os_flip_flops(side: int, length: int, bits: int, acc_bits: int) -> int:
    """Skews, operands (none behind the last element), products, sums, shadows, deskew, output, flags, counters.

    Flags travel by antidiagonals: elements of one share them, and the last flag of all but the first is the drain's
    line. With tiles of one beat a sum is its own shadow in the first row. A gap of one cycle is the flag itself.
    """
    n, half, gap = side, side * (side - 1) // 2, max(0, side - length)
    operands = 2 * (half + 2 * half) * bits
    shadows = n * n if length > 1 else n * (n - 1)
    sums = n * n * (2 * bits + acc_bits) + shadows * acc_bits + half * acc_bits
    flags = 3 * (2 * n - 1) - (2 * n - 2) if length > 1 else (2 * n - 1) + 1
    control = flags + (3 * n - 2) + counter(length) + counter(gap + 1) - (gap == 1)
    return operands + sums + control + n * acc_bits + 2


def systolic_ws_flip_flops(side: int, length: int, bits: int, acc_bits: int) -> int:
    """Skews, operands, two weights an element, sums (narrower in the first two rows), deskew, output, flags, counters.

    Flags travel by antidiagonals. With tiles of one row every row swaps and is the last.
    """
    n, half = side, side * (side - 1) // 2
    operands = 2 * (half + 2 * half) * bits + 2 * n * n * bits
    sums = n * (2 * bits + 2 * bits + 1 + (n - 2) * acc_bits) + half * acc_bits
    loads = (2 * n - 2) * (1 + counter(n + 1)) + counter(n + 1)
    rows = 2 * (2 * n - 2) + 2 * n + 2 if length > 1 else (2 * n - 2) + 2
    return operands + sums + loads + rows + counter(length) + n * acc_bits


def scan_memories(*, channels: int, rows: int, d_state: int, tiles: int, nodes: int, fifo: int) -> Placed:
    """The states of the tiles and of the FIFO, and the nodes' B and C."""
    steps = d_state // rows
    states = place(FIXED["state"].bits * channels * rows, (tiles + fifo) * steps)
    return total([states, place(2 * VALUE * rows, nodes * steps, readers=0)])


def scan_flip_flops(*, channels: int, rows: int, d_state: int, tiles: int, nodes: int, ports: int, fifo: int) -> int:
    """Preparation (five registers and a queue), sequencer, operands, lanes, sums, write-back."""
    state, drive, skip = FIXED["state"].bits, FIXED["drive"].bits, FIXED["skip"].bits
    steps, slots = d_state // rows, tiles + fifo
    registers = scan.PREPARE_CYCLES - 1
    job = max(1, counter(tiles)) + max(1, counter(nodes)) + 2 + 4 + 1
    drop = FIXED["dt"].frac + VALUE - VALUE + FIXED["value"].frac - FIXED["drive"].frac - 1
    prepared = FIXED["dt"].bits + VALUE - drop + (registers - 1) * drive + registers * (skip + VALUE)
    queue = 2 * counter(scan.QUEUE_JOBS + 1) + 2 * counter(scan.QUEUE_JOBS)
    sum_bits = state + VALUE + d_state.bit_length()
    lane = (FIXED["decay"].bits + state) + (drive + VALUE) + state + (state + VALUE)
    channel = prepared + drive + 4 * (skip + VALUE) + sum_bits + VALUE
    buffers = scan_memories(channels=channels, rows=rows, d_state=d_state, tiles=tiles, nodes=nodes, fifo=fifo)
    row = 2 * VALUE + 2 * VALUE
    marks = 1 + 1 + 5 + 4 * (2 if steps > 1 else 1) + 1
    rest = scan.scan_job_interval(steps, ports) - steps
    sequence = counter(steps) + counter(rest + 1) + (2 * counter(fifo) if fifo else 0)
    write = 3 * (1 + counter(steps)) + (3 * counter(slots) if ports == 2 else counter(slots) + 1)
    fixed = registers * job + _decay() + queue + FIXED["decay"].bits + marks + sequence + write
    return fixed + buffers.flip_flops + channels * channel + channels * rows * lane + rows * row
