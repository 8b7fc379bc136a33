"""What stands between the units of the Mamba-2 block (`rtl.block_unit`): FIFOs, packers, transposers, tables, counters.

FIFOs and stores are read without a register, so they are LUT memories and leave counters only; but for the scan's
outputs, whose read meets the gate's first register, and which so can be a block memory.
"""

from __future__ import annotations

from typing import Final

from hwsim.golden.fixed import FIXED
from hwsim.timing import block, scan
from hwsim.timing.flip_flops import conv_memories, counter, function_memories, norm_memories, scan_memories
from hwsim.timing.memories import Placed, place, total
from hwsim.timing.resources import address_dsp, conv_address_dsp, scan_address_dsp

__all__ = ["address_blocks", "block_memories", "glue_dsp", "glue_flip_flops", "glue_memories"]

TAPS: Final = 4


def _fifo(depth: int) -> int:
    """How many are held, head and tail."""
    return counter(depth + 1) + 2 * counter(depth)


def _transpose(rows: int, columns: int) -> int:
    """Filled, draining, row and column."""
    return counter(rows * columns) + 1 + counter(rows) + counter(columns)


def glue_dsp(shape: block.BlockShape, *, speculative: bool) -> int:
    """Addresses that are wide products: both transposers, the store of B and C, the jobs kept and given again."""
    state_tiles = shape.d_state // shape.lanes
    across = (1 + 2 * speculative) * address_dsp(shape.tiles, shape.nodes)
    return across + address_dsp(shape.nodes, shape.tiles) + address_dsp(state_tiles, shape.nodes)


def address_blocks(shape: block.BlockShape, *, fifo: int, speculative: bool) -> int:
    """DSP blocks of all addresses of the block, those in its units too; ``fifo``: parent states that its FIFO holds."""
    conv_tiles = 2 * shape.d_state // shape.lanes + shape.tiles
    units = conv_address_dsp(shape.nodes + TAPS - 1, conv_tiles)
    units += scan_address_dsp(shape.tiles + fifo, shape.nodes, shape.d_state // shape.rows)
    return units + glue_dsp(shape, speculative=speculative)


def glue_memories(shape: block.BlockShape) -> Placed:
    """The FIFO of the scan's outputs; of its registers those beyond the gate's own, which may be fewer."""
    width = FIXED["value"].bits * shape.lanes
    outputs = place(width, shape.tiles * shape.nodes)
    return Placed(outputs.ramb36, outputs.ramb18, outputs.flip_flops - width)


def block_memories(shape: block.BlockShape, *, act_bits: int, fifo: int) -> dict[str, Placed]:
    """Block memories by unit; ``act_bits``: bits of a linear layer's input, ``fifo``: parent states held."""
    lanes, nodes = shape.lanes, shape.nodes
    beat, out_tiles = nodes * lanes * act_bits, -(-shape.d_model // lanes)
    replayed = [place(beat, out_tiles, readers=0), *([place(beat, shape.tiles, readers=0)] if out_tiles > 1 else [])]
    return {
        "linear cores": total(replayed),
        "conv": conv_memories(lanes, 2 * shape.d_state // lanes + shape.tiles, nodes + TAPS - 1, silu=True),
        "scan lanes": scan_memories(
            channels=lanes, rows=shape.rows, d_state=shape.d_state, tiles=shape.tiles, nodes=nodes, fifo=fifo
        ),
        "norm": norm_memories(shape.d_inner, lanes),
        "gate and softplus": total([function_memories("gate", lanes), function_memories("softplus", lanes)]),
        "FIFO of the scan's outputs": glue_memories(shape),
    }


def glue_flip_flops(shape: block.BlockShape, *, speculative: bool) -> int:
    """Registers between the units, and what goes of the units' own: last flags of in_proj and norm, a lone node.

    Args:
        shape: the block.
        speculative: whether it keeps its jobs and replays an accepted path.
    """
    lanes, nodes, tiles = shape.lanes, shape.nodes, shape.tiles
    order, groups = len(block.in_proj_order(shape)), max(2, shape.heads // lanes)
    state_tiles = 2 * shape.d_state // lanes
    conv_tiles, half, beats = state_tiles + tiles, state_tiles // 2 * nodes, tiles * nodes
    slot = counter(nodes + TAPS - 1)
    node_beat = 2 + 3 + slot * TAPS + TAPS - 1
    control = nodes * node_beat + counter(nodes) + 2 + 2 * speculative
    control += counter(order * -(-shape.d_model // lanes))
    router = _fifo(order) + counter(order) + _fifo(tiles) + counter(nodes)
    dt = 2 * counter(nodes) + FIXED["dt"].bits * lanes * (nodes - 1) + 2 * _fifo(groups)
    convolved = 2 * (counter(conv_tiles) + counter(nodes)) + _fifo(beats)
    store = counter(2 * half + 1) + 1 + counter(lanes // shape.rows) + counter(nodes) + counter(state_tiles // 2)
    store += 2 * FIXED["value"].bits * lanes * (half == 1)  # a bank of one word is a register
    jobs = counter(tiles) + counter(nodes) + counter(lanes) + counter(shape.head_dim // lanes)
    behind = _fifo(beats) + counter(nodes) + _transpose(tiles, nodes) + _transpose(nodes, tiles)
    behind += counter(nodes) + FIXED["act"].bits * lanes * (nodes - 1)
    replay = nodes * counter(nodes) + counter(nodes + 1) + 1 + counter(tiles) + counter(nodes) + 1 + counter(beats + 1)
    gone = (3 + 1 + 1) + (4 + 1) + (scan.PREPARE_CYCLES - 1) * (nodes == 1)
    found = control + router + dt + convolved + store + jobs + behind + replay * speculative
    return found + glue_memories(shape).flip_flops - gone
