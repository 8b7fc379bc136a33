"""The layer body of ``structure: block``: `rtl.mamba_block` register by register, on memory that is never the limit.

Where `body` knows a unit by its throughput, here every register counts: a beat of one token is a tile, and a unit's
latency is a chain of stages behind it. Latencies and intervals are those of `hwsim.timing`, which the RTL is held to;
how they add up is left to the engine. Tests hold the engine's total equal to the block's own cycles, to the last one.

The block has a stream for each of its inputs and none waits, so nothing runs on a memory port: bytes are booked to the
stages that use them. Residual, first norm, and all ops outside the layers are the host's, as they are the RTL's.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from hwsim.devices.fpga.body import Body, streams
from hwsim.devices.fpga.layer import MambaLayer, gemm_tiles
from hwsim.devices.fpga.parameters import whole
from hwsim.schedule import Block, Edge, Order, Stage
from hwsim.timing import linear, scan, vector
from hwsim.timing.block import BlockShape

if TYPE_CHECKING:
    from hwsim.devices.fpga.load import Load
    from hwsim.devices.fpga.parameters import FpgaParameters

__all__ = ["block_body", "block_shape"]

_USERS = {"in_proj": "in_proj", "out_proj": "out_proj", "conv1d": "conv", "scan": "scan"}
"""Op to the stage that its bytes are booked to."""
_END = "out_proj.registers"
"""The stage whose end is the end of a step."""


def block_shape(p: FpgaParameters, layer: MambaLayer, nodes: int) -> BlockShape:
    """The RTL block that this machine is for a layer and ``nodes`` tokens of a step."""
    lanes = whole(p.linear.cop)
    return BlockShape(
        lanes=lanes,
        d_model=layer.d_model,
        heads=layer.heads,
        head_dim=layer.d_inner // layer.heads,
        d_state=layer.d_state,
        nodes=nodes,
        rows=whole(p.scan.lanes) // lanes,
        ports=whole(p.scan.ports),
        interleaved=p.order == "interleaved",
    )


def block_body(p: FpgaParameters, layer: MambaLayer, load: Load) -> Body:
    """Stages and edges of one layer for one load; a replay of accepted tokens stands before the step."""
    shape, body = block_shape(p, layer, load.slots), Body(p)
    replayed = load.state.replayed_tokens
    if replayed:
        body.add("accept", "accept", "scan", replayed, 1)
        body.edges.append(Edge(_END, "accept", 0, -1))
        _scan_jobs(body, shape, "replay", replayed * shape.tiles)
        body.barrier("replay.jobs", "accept")
    body.add("nodes", "nodes", "in_proj", shape.nodes, 1)
    body.edges.append(Edge(_END, "nodes", 0, -1))
    if replayed:
        body.barrier("nodes", "replay.lanes")
        if "replay.back" in [stage.name for stage in body.stages]:
            body.barrier("nodes", "replay.back")
    _in_proj(body, shape)
    _router(body, shape)
    _conv_and_dt(body, shape)
    _scan_jobs(body, shape, "scan", shape.tiles * shape.nodes)
    _scan_edges(body, shape)
    if any(stage.name == "scan.back" for stage in body.stages):
        body.edges.append(Edge("scan.back", "accept" if replayed else "nodes", 0, -1))
    _behind_the_scan(body, p, shape)
    for _, op, beats in streams(p, layer, load, gemm_tiles(p, layer)):
        body.beats[_USERS[op]] = body.beats.get(_USERS[op], 0) + beats
    body.orders += _orders(shape, replayed * shape.tiles)
    return body


def _registers(body: Body, name: str, after: str, op: str, cycles: int, interval: int) -> None:
    """Stages that give the tiles of ``after`` on ``cycles`` later; the last of them is called ``name``.

    Tiles come at least ``interval`` cycles apart, so registers are taken together as far as none then waits.
    """
    parts = [interval] * ((cycles - 1) // interval) + [(cycles - 1) % interval + 1]
    for k, part in enumerate(parts):
        stage = name if k == len(parts) - 1 else f"{name}.{k + 1}"
        body.add(stage, stage, op, body.tiles(after), part)
        body.after(stage, after, 1, 0)
        after = stage


def _last_out(body: Body, name: str, after: str, op: str, cycles: int) -> None:
    """The way of the last tile of ``after`` through a unit whose next needs all of them."""
    body.add(name, name, op, 1, cycles)
    body.barrier(name, after)


def _state_tiles(shape: BlockShape) -> int:
    """Tiles of B and C."""
    return 2 * shape.d_state // shape.lanes


def _in_proj(body: Body, shape: BlockShape) -> None:
    """The core's output tiles in the block's order, then its registers, the last of which tells kinds apart."""
    k, groups, bc = shape.d_model // shape.lanes, shape.heads // shape.lanes, _state_tiles(shape)
    body.add("in_proj", "linear", "in_proj", bc + groups + 2 * shape.tiles, k)
    body.barrier("in_proj", "nodes")
    _registers(body, "in_proj.registers", "in_proj", "in_proj", linear.core_latency_cycles(True) - 1, k)
    for kind, tiles in (("conv", bc + shape.tiles), ("dt", groups), ("z", shape.tiles)):
        body.add(f"out.{kind}", "linear.out", "in_proj", tiles, 1)
    core = "in_proj.registers"
    if not shape.interleaved:
        body.after("out.z", core, 1, 0)
        body.after("out.conv", core, 1, shape.tiles)
        body.after("out.dt", core, 1, 2 * shape.tiles + bc)
        return
    per_group, step = shape.head_dim, 2 * shape.head_dim + 1  # x tile k is tile bc + floor(step * k / per_group) + 1
    body.after("out.conv", core, 1, 0, 1, 0, bc)
    body.after("out.conv", core, step, (bc + 1) * per_group - step * bc, per_group, bc)
    body.after("out.dt", core, step, bc)
    body.after("out.z", core, step, (bc + 2) * per_group, per_group)


def _router(body: Body, shape: BlockShape) -> None:
    """Conv and dt tiles node by node, z tiles whole."""
    n = shape.nodes
    for kind, beats, op in (("conv", n, "conv1d"), ("dt", n, "dt_softplus"), ("z", 1, "gated_norm")):
        body.add(f"route.{kind}", "router", op, body.tiles(f"out.{kind}") * beats, 1)
        body.after(f"route.{kind}", f"out.{kind}", 1, 0, beats)


def _conv_and_dt(body: Body, shape: BlockShape) -> None:
    """The convolution, a beat each cycle; softplus, whose beats of a group leave together."""
    body.add("conv", "conv", "conv1d", body.tiles("route.conv"), 1)
    body.after("conv", "route.conv", 1, 0)
    _registers(body, "convolved", "conv", "conv1d", vector.conv_total_cycles(0, silu=True) - 1, 1)
    _registers(body, "softplus", "route.dt", "dt_softplus", vector.FUNCTION_CYCLES["softplus"] - 1, 1)
    body.add("dt", "dt", "dt_softplus", body.tiles("out.dt"), 1)
    body.after("dt", "softplus", shape.nodes, shape.nodes - 1)


def _scan_jobs(body: Body, shape: BlockShape, name: str, jobs: int) -> None:
    """(tile, token) pairs through the lanes: taken, prepared, a pass of the state, and what follows before the next."""
    steps, interval = _passes(shape)
    body.add(f"{name}.jobs", "jobs", "scan", jobs, 1)
    body.after(f"{name}.jobs", name, 1, -scan.QUEUE_JOBS, 1, min(scan.QUEUE_JOBS, jobs))
    _registers(body, f"{name}.prepared", f"{name}.jobs", "scan", scan.PREPARE_CYCLES - 1, 1)
    body.add(name, "scan", "scan", jobs, steps)
    body.after(name, f"{name}.prepared", 1, 0)
    if interval > steps:
        body.add(f"{name}.back", "scan", "scan", jobs, interval - steps)
    _registers(body, f"{name}.lanes", name, "scan", scan.LANE_CYCLES, interval)


def _passes(shape: BlockShape) -> tuple[int, int]:
    """Cycles of a pass over a tile's state, and between the tokens of a tile."""
    steps = shape.d_state // shape.rows
    return steps, scan.scan_job_interval(steps, shape.ports)


def _scan_edges(body: Body, shape: BlockShape) -> None:
    """A job needs its x and its group's dt; the first tile needs all of B and C."""
    bc_beats, group_jobs = _state_tiles(shape) * shape.nodes, shape.nodes * shape.head_dim
    body.after("scan.jobs", "convolved", 1, bc_beats)
    body.after("scan.jobs", "dt", 1, 0, group_jobs)
    body.after("scan", "convolved", 0, bc_beats - 1, 1, 0, 1)


def _behind_the_scan(body: Body, p: FpgaParameters, shape: BlockShape) -> None:
    """Gate, both passes of the norm with the root between, and the projection, whose first tile is fed by token."""
    n, k = shape.nodes, shape.tiles
    body.add("gate", "gate", "gated_norm", k * n, 1)
    body.after("gate", "scan.lanes", 1, 0)
    body.after("gate", "route.z", 1, 0, n)
    _last_out(body, "gate.registers", "gate", "gated_norm", vector.FUNCTION_CYCLES["gate"])
    one = vector.pass_cycles(shape.d_inner, 1, lanes=shape.lanes)
    body.add("squares", "gate", "gated_norm", n, one)
    body.barrier("squares", "gate.registers")
    _registers(body, "root", "squares", "gated_norm", whole(p.vector.root_cycles), one)
    body.add("norm_out", "norm_out", "gated_norm", n, one)
    body.after("norm_out", "root", 1, 0)
    _last_out(body, "norm_out.registers", "norm_out", "gated_norm", vector.NORM_SCALE_CYCLES)
    tiles = linear.output_tiles(shape.d_model, shape.lanes)
    body.stages.append(Stage.of_cycles("out_proj", "linear", [k * n] + [k] * (tiles - 1), op="out_proj"))
    body.barrier("out_proj", "norm_out.registers")
    _last_out(body, _END, "out_proj", "out_proj", linear.core_latency_cycles(True))


def _orders(shape: BlockShape, replayed_jobs: int) -> list[Order]:
    """Kinds on the core's output and the router, and the passes of the state memory."""
    jobs = shape.tiles * shape.nodes
    orders = [_kinds("linear.out", "out", shape, 1), _kinds("router", "route", shape, shape.nodes)]
    steps, interval = _passes(shape)
    if interval > steps:
        passes = [Block(jobs, (("scan", 1), ("scan.back", 1)))]
        if replayed_jobs:
            passes.insert(0, Block(replayed_jobs, (("replay", 1), ("replay.back", 1))))
        orders.append(Order("scan", tuple(passes)))
    return orders


def _kinds(resource: str, prefix: str, shape: BlockShape, beats: int) -> Order:
    """The block's order of tiles, ``beats`` to a conv or dt tile."""
    conv, dt, z = (f"{prefix}.conv", beats), (f"{prefix}.dt", beats), (f"{prefix}.z", 1)
    groups, bc = shape.heads // shape.lanes, _state_tiles(shape)
    if not shape.interleaved:
        return Order(resource, (Block(shape.tiles, (z,)), Block(bc + shape.tiles, (conv,)), Block(groups, (dt,))))
    group = (Block(1, (dt,)), Block(shape.head_dim, (conv, z)))
    return Order(resource, (Block(bc, (conv,)), *group * groups))
