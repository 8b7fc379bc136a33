"""Cycles of the whole Mamba-2 block as one stream of units (`rtl.mamba_block`), by phase and in all.

Start times are max-plus: each beat starts when its input is there and its unit is free. The buffers between the units
hold a whole step, so nothing is ever pushed back; the recurrences below are exact for the RTL.
"""

from __future__ import annotations

from dataclasses import dataclass

from hwsim.timing import linear, scan, vector

__all__ = ["BlockShape", "block_cycles", "block_phases", "in_proj_order", "replay_cycles"]

CONV, DT, GATE = "conv", "dt", "gate"


@dataclass(frozen=True, slots=True)
class BlockShape:
    """What the block's timing depends on.

    Attributes:
        lanes: channels per beat, everywhere (CIP = COP = lanes).
        d_model: width of the block's input and output.
        heads: heads of the state update.
        head_dim: channels of a head.
        d_state: state elements of a channel.
        nodes: tokens of a step, run at once by the linear layers and one after the other by the scan.
        rows: state elements of each channel that the scan takes per cycle.
        ports: ports of the state memory.
    """

    lanes: int
    d_model: int
    heads: int
    head_dim: int
    d_state: int
    nodes: int
    rows: int
    ports: int

    @property
    def d_inner(self) -> int:
        """Channels of the state update."""
        return self.heads * self.head_dim

    @property
    def tiles(self) -> int:
        """Tiles of ``lanes`` inner channels."""
        return self.d_inner // self.lanes


def in_proj_order(shape: BlockShape) -> list[tuple[str, int]]:
    """The interleaved order of in_proj's output tiles: (kind, index of the tile within its kind).

    B and C first, then for each group of ``lanes`` heads one tile of dt and its x and z tiles in turn, so that the
    scan starts early and hides behind in_proj. Source: PKU-SEC-Lab/LightMamba, ACCELERATOR.scala.
    """
    state_tiles = 2 * shape.d_state // shape.lanes
    order = [(CONV, tile) for tile in range(state_tiles)]
    per_group = shape.head_dim
    for group in range(-(-shape.heads // shape.lanes)):
        order.append((DT, group))
        for tile in range(group * per_group, min((group + 1) * per_group, shape.tiles)):
            order += [(CONV, state_tiles + tile), (GATE, tile)]
    return order


def _routed(shape: BlockShape) -> list[tuple[str, int, int]]:
    """(kind, tile, cycle its first node leaves the router), in order; the step's first node beat is at cycle 0."""
    k, router, out = -(-shape.d_model // shape.lanes), 0, []
    for position, (kind, tile) in enumerate(in_proj_order(shape)):
        produced = shape.nodes + (position + 1) * k - 1 + linear.core_latency_cycles(True)
        start = max(produced + 1, router)
        out.append((kind, tile, start))
        router = start + (1 if kind == GATE else shape.nodes)
    return out


def _scan(shape: BlockShape, routed: list[tuple[str, int, int]]) -> list[int]:
    """The cycle at which each (tile, node) pair's y leaves the scan."""
    nodes, steps = shape.nodes, shape.d_state // shape.rows
    conv = vector.conv_total_cycles(0, silu=True)
    state_tiles = 2 * shape.d_state // shape.lanes
    x_starts = [start for kind, tile, start in routed if kind == CONV and tile >= state_tiles]
    last_c = [start for kind, tile, start in routed if kind == CONV and tile < state_tiles][-1] + nodes - 1
    bc_ready = last_c + conv + 1
    dt_ready = [start + nodes - 1 + vector.FUNCTION_CYCLES["softplus"] + 1 for kind, _, start in routed if kind == DT]
    interval = scan.scan_job_interval(steps, shape.ports)
    starts: list[int] = []
    taken = -1
    for tile, start in enumerate(x_starts):
        for node in range(nodes):
            job = tile * nodes + node
            room = starts[job - scan.QUEUE_JOBS] + steps if job >= scan.QUEUE_JOBS else 0
            taken = max(taken + 1, start + node + conv + 1, dt_ready[tile // shape.head_dim], room)
            ready = taken + scan.PREPARE_CYCLES
            fresh = bc_ready if tile == 0 else 0
            starts.append(max(ready, fresh, starts[-1] + interval if starts else 0))
    return [start + steps - 1 + scan.LANE_CYCLES for start in starts]


def block_phases(shape: BlockShape) -> dict[str, int]:
    """Cycles of one step by phase: the node table, in_proj, what of the scan and gate is not hidden, norm, out_proj."""
    routed = _routed(shape)
    y_out = _scan(shape, routed)
    z_out = [start + 1 for kind, _, start in routed if kind == GATE]
    gate = -1
    for job, y in enumerate(y_out):
        gate = max(gate + 1, y + 1, z_out[job // shape.nodes])
    gated = gate + vector.FUNCTION_CYCLES["gate"]
    normed = gated + vector.rms_norm_total_cycles(shape.d_inner, shape.nodes, lanes=shape.lanes)
    k = shape.tiles
    out_tiles = linear.output_tiles(shape.d_model, shape.lanes)
    end = normed + k * shape.nodes + (out_tiles - 1) * k + linear.core_latency_cycles(True)
    in_proj = len(routed) * -(-shape.d_model // shape.lanes)
    return {
        "nodes": shape.nodes,
        "in_proj": in_proj,
        "scan and gate not hidden": gated - in_proj - shape.nodes,
        "norm": normed - gated,
        "out_proj": end + 1 - normed,
    }


def block_cycles(shape: BlockShape) -> int:
    """Cycles of one step: the first node beat in to the last output beat out."""
    return sum(block_phases(shape).values())


def replay_cycles(shape: BlockShape, accepted: int) -> int:
    """Cycles that committing ``accepted`` nodes adds to a step: their list, and their jobs through the scan."""
    steps = shape.d_state // shape.rows
    return accepted + scan.scan_total_cycles(accepted * shape.tiles, steps, ports=shape.ports)
