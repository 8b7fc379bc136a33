"""An op on its own: the LM head, the final norm, or one kernel asked for from the command line."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hwsim.devices.fpga.body import Body
from hwsim.devices.fpga.load import Load
from hwsim.devices.fpga.parameters import FpgaParameters, whole
from hwsim.devices.fpga.traffic import conv_beats, state_beats, weight_beats
from hwsim.timing.linear import output_tiles, tile_cycles
from hwsim.timing.scan import scan_tile_cycles
from hwsim.timing.vector import conv_tile_cycles, pass_cycles

if TYPE_CHECKING:
    from hwsim.workload.op import Op

__all__ = ["single_body"]


def single_body(p: FpgaParameters, op: Op, load: Load) -> Body:
    """Stages and edges of one op run alone: its streams in, its unit, its streams out."""
    body = Body(p)
    _BUILDERS[op.kind](body, op, load)
    return body


def _gemm(body: Body, op: Op, load: Load) -> None:
    p = body.p
    n, k = op.dims["n"], op.dims["k"]
    body.stream("weights", op.name, weight_beats(p, n * k))
    tiles = output_tiles(n, whole(p.linear.cop))
    body.add(
        op.name, "linear", op.name, tiles, tile_cycles(k, load.slots, tp=whole(p.linear.tp), cip=whole(p.linear.cip))
    )
    body.limit_weights(op.name, "weights")


def _scan(body: Body, op: Op, load: Load) -> None:
    p = body.p
    channels = op.dims["groups"] * op.dims["group"] * op.dims["head_dim"]
    d_state, tile = op.dims["d_state"], whole(p.scan.tile_channels)
    beats = state_beats(p, channels * d_state)
    body.stream("state_in", op.name, beats * load.state.reads * load.sequences)
    cycles = scan_tile_cycles(tile, d_state, load.scan_tokens, lanes=whole(p.scan.lanes), ports=whole(p.scan.ports))
    body.add(op.name, "scan", op.name, -(-channels // tile), cycles)
    body.stream("state_out", op.name, beats * load.state.writes * load.sequences)
    body.share(op.name, "state_in")
    body.share("state_out", op.name)


def _conv1d(body: Body, op: Op, load: Load) -> None:
    p = body.p
    channels, cop = op.dims["channels"], whole(p.linear.cop)
    beats = conv_beats(p, channels, op.dims["d_conv"])
    body.stream("conv_in", op.name, beats * load.sequences)
    body.stream("conv_weights", op.name, beats)
    body.add(
        op.name, "conv", op.name, -(-channels // cop), conv_tile_cycles(cop, load.slots, lanes=whole(p.vector.lanes))
    )
    body.stream("conv_out", op.name, beats * load.sequences)
    for loaded in ("conv_in", "conv_weights"):
        body.barrier(op.name, loaded)
    body.share("conv_out", op.name)


def _norm(body: Body, op: Op, load: Load) -> None:
    p = body.p
    cycles = pass_cycles(op.dims["width"], load.slots, lanes=whole(p.vector.lanes))
    body.add(f"{op.name}.sum", "norm_in", op.name, 1, cycles)
    body.add(f"{op.name}.scale", "norm_in", op.name, 1, whole(p.vector.root_cycles) + cycles)


def _elementwise(body: Body, op: Op, load: Load) -> None:
    cycles = pass_cycles(op.dims["width"], load.slots, lanes=whole(body.p.vector.lanes))
    body.add(op.name, "gate", op.name, 1, cycles)


_BUILDERS = {"gemm": _gemm, "scan": _scan, "conv1d": _conv1d, "norm": _norm, "elementwise": _elementwise}
"""Kinds that this family runs, by the function that builds them."""
