"""The shape of a Mamba layer, read off its ops, and how its GEMMs are cut into tiles."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from hwsim.devices.fpga.parameters import FpgaParameters, whole
from hwsim.timing.linear import tile_cycles

if TYPE_CHECKING:
    from hwsim.workload.op import Op

__all__ = ["GemmTiles", "MambaLayer", "gemm_tiles", "layer_of", "misfits"]


@dataclass(frozen=True, slots=True)
class MambaLayer:
    """Shape of one layer.

    Attributes:
        mixer: ``mamba1`` or ``mamba2``.
        d_model: width of the residual stream.
        d_inner: channels of the state update.
        d_state: state elements per channel (N).
        heads: heads; ``d_inner`` for Mamba-1, whose A is per channel.
        groups: groups that share B and C.
        conv_channels: channels of the depthwise conv.
        d_conv: its taps.
        dt_rank: inner width of the dt projection; 0 for Mamba-2.
    """

    mixer: str
    d_model: int
    d_inner: int
    d_state: int
    heads: int
    groups: int
    conv_channels: int
    d_conv: int
    dt_rank: int

    @property
    def state_elements(self) -> int:
        """Hidden-state elements of one sequence."""
        return self.d_inner * self.d_state

    @property
    def scan_inputs(self) -> int:
        """Elements per token that a replay needs: dt, x, B and the conv input."""
        dt = self.heads if self.mixer == "mamba2" else self.d_inner
        return dt + self.d_inner + self.groups * self.d_state + self.conv_channels


_OPS: Final[dict[str, frozenset[str]]] = {
    "mamba2": frozenset(("norm", "in_proj", "conv1d", "dt_softplus", "scan", "gated_norm", "out_proj", "residual")),
    "mamba1": frozenset(
        ("norm", "in_proj", "conv1d", "x_proj", "dt_proj", "dt_softplus", "scan", "gate", "out_proj", "residual")
    ),
}
"""Ops of a layer by mixer: what the dataflow has a unit and a place in its order for."""


def misfits(ops: Sequence[Op]) -> tuple[str, ...]:
    """Names of the ops for which the dataflow has no place, then of those that a Mamba layer has and ``ops`` lacks.

    Empty for a plain Mamba layer; every op when there is no Mamba scan among them.
    """
    names = [op.name for op in ops]
    mixers = [str(op.attributes["mixer"]) for op in ops if op.kind == "scan"]
    known = _OPS.get(mixers[0]) if len(mixers) == 1 else None
    if known is None:
        return tuple(names)
    return (*(name for name in names if name not in known), *sorted(known.difference(names)))


def layer_of(ops: Sequence[Op]) -> MambaLayer:
    """The shape of the Mamba layer that ``ops`` make up; they have no `misfits`."""
    by_name = {op.name: op for op in ops}
    scan, conv, in_proj = by_name["scan"], by_name["conv1d"], by_name["in_proj"]
    groups = scan.dims["groups"]
    heads = groups * scan.dims["group"]
    return MambaLayer(
        mixer=str(scan.attributes["mixer"]),
        d_model=in_proj.dims["k"],
        d_inner=heads * scan.dims["head_dim"],
        d_state=scan.dims["d_state"],
        heads=heads,
        groups=groups,
        conv_channels=conv.dims["channels"],
        d_conv=conv.dims["d_conv"],
        dt_rank=by_name["dt_proj"].dims["k"] if "dt_proj" in by_name else 0,
    )


@dataclass(frozen=True, slots=True)
class GemmTiles:
    """One stretch of output tiles on the linear core.

    Attributes:
        name: stage name.
        op: op that it belongs to.
        tiles: output tiles.
        k: input channels.
        weights: weight elements, as if every tile were full.
    """

    name: str
    op: str
    tiles: int
    k: int
    weights: int

    def cycles_per_tile(self, p: FpgaParameters, slots: int) -> int:
        """Cycles of one output tile for ``slots`` tokens."""
        return tile_cycles(self.k, slots, tp=whole(p.linear.tp), cip=whole(p.linear.cip))


def _tiles(p: FpgaParameters, name: str, op: str, k: int, *widths: int) -> GemmTiles:
    cop = whole(p.linear.cop)
    return GemmTiles(name, op, sum(-(-width // cop) for width in widths), k, sum(widths) * k)


def gemm_tiles(p: FpgaParameters, layer: MambaLayer) -> tuple[GemmTiles, ...]:
    """The layer's GEMMs in the order in which the core serves them.

    Mamba-2: in_proj in LightMamba's permuted order (B, C, then dt and alternating x and z), then out_proj.
    Mamba-1: the x half of in_proj, x_proj and dt_proj, then the z half, under which the scan runs, then out_proj.
    """
    bc = layer.groups * layer.d_state
    if layer.mixer == "mamba2":
        in_proj = _tiles(p, "in_proj", "in_proj", layer.d_model, bc, bc, layer.heads, layer.d_inner, layer.d_inner)
        return in_proj, _tiles(p, "out_proj", "out_proj", layer.d_inner, layer.d_model)
    return (
        _tiles(p, "in_proj.x", "in_proj", layer.d_model, layer.d_inner),
        _tiles(p, "x_proj", "x_proj", layer.d_inner, layer.dt_rank + 2 * bc),
        _tiles(p, "dt_proj", "dt_proj", layer.dt_rank, layer.d_inner),
        _tiles(p, "in_proj.z", "in_proj", layer.d_model, layer.d_inner),
        _tiles(p, "out_proj", "out_proj", layer.d_inner, layer.d_model),
    )
