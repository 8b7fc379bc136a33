"""The repeated body of a layer as stages and edges: LightMamba's units, FIFOs and burst order.

Resources: ``memory`` (the AXI port, serving its streams in the released order), ``linear`` (GEMM core), ``conv``,
``scan`` (state-update lanes), ``norm_in`` (residual and the norm before in_proj), ``gate`` (gate, sum of squares and
the norm after the scan). What overlaps follows from tile-level edges alone.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from hwsim.devices.fpga.layer import GemmTiles, MambaLayer, gemm_tiles
from hwsim.devices.fpga.load import Load
from hwsim.devices.fpga.parameters import FpgaParameters, whole
from hwsim.devices.fpga.traffic import conv_beats, split_beats, state_beats, transfer, weight_beats
from hwsim.schedule import Edge, Order, Stage
from hwsim.timing.scan import scan_tile_cycles
from hwsim.timing.vector import conv_tile_cycles, pass_cycles

__all__ = ["Body", "layer_body", "streams"]


@dataclass(slots=True)
class Body:
    """Stages, edges and orders under construction, with the beats that stages move to and from memory."""

    p: FpgaParameters
    stages: list[Stage] = field(default_factory=list)
    edges: list[Edge] = field(default_factory=list)
    beats: dict[str, int] = field(default_factory=dict)
    orders: list[Order] = field(default_factory=list)

    def tiles(self, name: str) -> int:
        """Tiles of a stage already added."""
        return next(stage.tiles for stage in self.stages if stage.name == name)

    def add(self, name: str, resource: str, op: str, tiles: int, cycles: int) -> None:
        """A stage of equal tiles."""
        self.stages.append(Stage(name, resource, tiles, ((tiles, max(1, cycles)),), op))

    def stream(self, name: str, op: str, beats: int) -> bool:
        """A stream through the memory port; False when it is empty and there is no stage."""
        moved = transfer(self.p, beats)
        if moved is None:
            return False
        self.stages.append(Stage(name, "memory", moved.bursts, moved.durations, op))
        self.beats[name] = moved.beats
        return True

    def after(
        self, consumer: str, producer: str, a: int, b: int, c: int = 1, lo: int = 0, hi: int | None = None
    ) -> None:
        """Tile i of ``consumer``, lo <= i < hi, waits for tile floor((a*i + b) / c) of ``producer``."""
        self.edges.append(Edge(producer, consumer, a, b, c, lo, hi))

    def barrier(self, consumer: str, producer: str) -> None:
        """The first tile of ``consumer`` waits for the last of ``producer`` (the others follow in order)."""
        self.after(consumer, producer, 0, self.tiles(producer) - 1, 1, 0, 1)

    def share(self, consumer: str, producer: str) -> None:
        """Tile i of ``consumer`` waits until ``producer`` has done the same share of its tiles, rounded up."""
        made, used = self.tiles(producer), self.tiles(consumer)
        self.after(consumer, producer, made, made - 1, used)

    def limit_weights(self, gemm: str, stream: str) -> int:
        """Tie a GEMM to its weight stream both ways; return how many bursts the stream can run ahead.

        Each tile waits for its bursts, and burst j for room: for tile ceil((j + 1 - depth) * tiles / bursts) - 1. The
        port fills and the core drains the FIFO beat by beat, while a burst here takes its room when it starts and a
        tile frees its own when it ends. So the depth in bursts counts the FIFO plus the burst being written plus the
        tile being consumed, and is at least two of each, below which whole tiles would stall where beats do not.
        """
        burst, fifo = whole(self.p.memory.burst_beats), whole(self.p.fifo.weight_beats)
        tiles, bursts = self.tiles(gemm), self.tiles(stream)
        self.share(gemm, stream)
        tile_beats = -(-self.beats[stream] // tiles)
        depth = -(-max(fifo + burst + tile_beats, 2 * (burst + tile_beats)) // burst)
        if bursts > depth:
            self.after(stream, gemm, tiles, (1 - depth) * tiles - 1, bursts, depth)
        return depth


def layer_body(p: FpgaParameters, layer: MambaLayer, load: Load) -> Body:
    """Stages and edges of one layer for one load; the residual stream ties a repetition to the one before."""
    body = Body(p)
    gemms = gemm_tiles(p, layer)
    _memory_stages(body, layer, load, gemms)
    _linear_stages(body, load, gemms)
    _other_stages(body, layer, load)
    _weight_edges(body, gemms)
    _common_edges(body)
    if layer.mixer == "mamba2":
        _mamba2_edges(body, layer)
    else:
        _mamba1_edges(body)
    return body


def _memory_stages(body: Body, layer: MambaLayer, load: Load, gemms: tuple[GemmTiles, ...]) -> None:
    """The port's streams in the released burst order."""
    for name, op, beats in streams(body.p, layer, load, gemms):
        body.stream(name, op, beats)


def streams(
    p: FpgaParameters, layer: MambaLayer, load: Load, gemms: tuple[GemmTiles, ...]
) -> list[tuple[str, str, int]]:
    """What a layer moves to and from memory, in order: (stream, op, beats); inputs saved go with the state."""
    state, sequences = load.state, load.sequences
    conv = conv_beats(p, layer.conv_channels, layer.d_conv)
    hidden = state_beats(p, layer.state_elements)
    saved = state_beats(p, layer.scan_inputs)
    total = weight_beats(p, sum(gemm.weights for gemm in gemms))
    weights = zip(gemms, split_beats(total, [gemm.weights for gemm in gemms]), strict=True)
    return [
        ("conv_in", "conv1d", conv * sequences),
        ("conv_weights", "conv1d", conv),
        ("state_in", "scan", hidden * state.reads * sequences),
        ("inputs_in", "scan", saved * state.loaded_inputs * sequences),
        *((f"weights.{gemm.name}", gemm.op, beats) for gemm, beats in weights),
        ("conv_out", "conv1d", conv * sequences),
        ("state_out", "scan", hidden * state.writes * sequences),
        ("inputs_out", "scan", saved * state.saved_inputs * sequences),
    ]


def _linear_stages(body: Body, load: Load, gemms: tuple[GemmTiles, ...]) -> None:
    for gemm in gemms:
        body.add(gemm.name, "linear", gemm.op, gemm.tiles, gemm.cycles_per_tile(body.p, load.slots))


def _other_stages(body: Body, layer: MambaLayer, load: Load) -> None:
    """Norms, conv, scan and gate; vector units take one output tile of every token slot at a time."""
    p = body.p
    cop, lanes = whole(p.linear.cop), whole(p.vector.lanes)
    tile, root = whole(p.scan.tile_channels), whole(p.vector.root_cycles)
    per_tile = conv_tile_cycles(cop, load.slots, lanes=lanes)
    body.add("residual", "norm_in", "residual", -(-layer.d_model // cop), per_tile)
    body.add("norm", "norm_in", "norm", 1, root + pass_cycles(layer.d_model, load.slots, lanes=lanes))
    body.add("conv", "conv", "conv1d", -(-layer.conv_channels // cop), per_tile)
    scan = scan_tile_cycles(tile, layer.d_state, load.scan_tokens, lanes=whole(p.scan.lanes), ports=whole(p.scan.ports))
    body.add("scan", "scan", "scan", -(-layer.d_inner // tile), scan)
    gate_op = "gated_norm" if layer.mixer == "mamba2" else "gate"
    body.add("gate", "gate", gate_op, -(-layer.d_inner // cop), per_tile)
    if layer.mixer == "mamba2":
        body.add("norm_out", "gate", gate_op, 1, root + pass_cycles(layer.d_inner, load.slots, lanes=lanes))


def _weight_edges(body: Body, gemms: tuple[GemmTiles, ...]) -> None:
    """Each GEMM's weight FIFO, and the first bursts of a stream, which wait for room that the GEMM before it leaves.

    A GEMM of less than a beat has no stream: its weights come in the beat that it shares with a neighbour.
    """
    streamed = [gemm for gemm in gemms if f"weights.{gemm.name}" in body.beats]
    before, shift = streamed[-1], -body.tiles(streamed[-1].name)
    for gemm in streamed:
        stream = f"weights.{gemm.name}"
        bursts = body.tiles(stream)
        depth = body.limit_weights(gemm.name, stream)
        old_bursts = body.tiles(f"weights.{before.name}")
        first = max(0, depth - old_bursts)
        if first < min(depth, bursts):  # the first bursts wait for the GEMM before, the last layer's for the first
            offset = (old_bursts + 1 - depth) * before.tiles - 1 + shift * old_bursts
            body.after(stream, before.name, before.tiles, offset, old_bursts, first, min(depth, bursts))
        before, shift = gemm, 0


def _common_edges(body: Body) -> None:
    """What both kinds of layer share: residual and norm, conv and state transfers, scan to gate."""
    out = body.tiles("out_proj")
    body.after("residual", "out_proj", 1, -out)
    body.barrier("norm", "residual")
    body.barrier("conv", "conv_in")
    body.barrier("conv", "conv_weights")
    body.barrier("conv_out", "conv")
    body.share("scan", "state_in")
    if "inputs_in" in body.beats:
        body.barrier("scan", "inputs_in")
    for stored in ("state_out", "inputs_out"):
        if stored in body.beats:
            body.barrier(stored, "scan")
    _scan_to_gate(body)


def _scan_to_gate(body: Body) -> None:
    """A gate tile waits for the scan tile that holds its channels."""
    tile, cop = whole(body.p.scan.tile_channels), whole(body.p.linear.cop)
    if tile >= cop:
        body.after("gate", "scan", 1, 0, tile // cop)
        return
    per_gate, last = cop // tile, body.tiles("gate") - 1
    if last:
        body.after("gate", "scan", per_gate, per_gate - 1, 1, 0, last)
    body.after("gate", "scan", 0, body.tiles("scan") - 1, 1, last)


def _channels_to_scan(body: Body, producer: str, first: int) -> None:
    """A scan tile waits for the output tile of ``producer``, counted from ``first``, that ends its channels."""
    tile, cop = whole(body.p.scan.tile_channels), whole(body.p.linear.cop)
    if tile < cop:
        body.after("scan", producer, tile, first * cop, cop)
        return
    per_scan, last = tile // cop, body.tiles("scan") - 1
    if last:
        body.after("scan", producer, per_scan, first + per_scan - 1, 1, 0, last)
    body.after("scan", producer, 0, body.tiles(producer) - 1, 1, last)


def _in_flight(body: Body) -> int:
    """Output tiles between the linear core and the gate: the FIFO, two scan tiles and the two units' own."""
    per_scan = max(1, whole(body.p.scan.tile_channels) // whole(body.p.linear.cop))
    return whole(body.p.fifo.stream_tiles) + 2 * per_scan + 2


def _mamba2_edges(body: Body, layer: MambaLayer) -> None:
    """in_proj in permuted order: B and C tiles, then per group of cop heads one dt tile and alternating x and z.

    With P x-tiles to a group (P = head_dim), x-tile k is output tile bc + floor((2P + 1) * k / P) + 1, its z the next.
    """
    cop = whole(body.p.linear.cop)
    bc = 2 * -(-layer.groups * layer.d_state // cop)
    p = layer.d_inner // layer.heads
    conv_bc = body.tiles("conv") - body.tiles("gate")
    body.barrier("in_proj", "norm")
    if conv_bc:
        body.after("conv", "in_proj", bc, bc - 1, conv_bc, 0, conv_bc)
    step = 2 * p + 1
    body.after("conv", "in_proj", step, (bc + 1) * p - step * conv_bc, p, conv_bc)
    _channels_to_scan(body, "conv", conv_bc)
    body.after("gate", "in_proj", step, (bc + 2) * p, p)
    body.after("in_proj", "gate", p, -p * (bc + 1) - step * _in_flight(body), step, bc + 1)
    body.barrier("norm_out", "gate")
    body.barrier("out_proj", "norm_out")


def _mamba1_edges(body: Body) -> None:
    """x_proj needs every conv output, so the scan waits for it and hides under the z half of in_proj."""
    body.barrier("in_proj.x", "norm")
    body.after("conv", "in_proj.x", 1, 0)
    body.barrier("x_proj", "conv")
    body.barrier("dt_proj", "x_proj")
    _channels_to_scan(body, "dt_proj", 0)
    body.after("gate", "in_proj.z", 1, 0)
    body.after("in_proj.z", "gate", 1, -_in_flight(body))
    body.barrier("out_proj", "gate")
