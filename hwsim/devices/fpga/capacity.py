"""What the design needs of the chip and of off-chip memory, term by term, and what does not fit.

Block memories: a BRAM holds 36 Kb, at most 72 bits wide and then 512 deep; a URAM 288 Kb, 72 bits wide and 4096 deep
(AMD UG1273).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Final

from hwsim.devices.fpga.block import block_shape
from hwsim.devices.fpga.layer import MambaLayer
from hwsim.devices.fpga.load import Load, loads_of
from hwsim.devices.fpga.parameters import FpgaParameters, whole
from hwsim.devices.fpga.traffic import beat_bits, input_bits
from hwsim.errors import Infeasible
from hwsim.formats import FORMATS
from hwsim.timing import resources
from hwsim.timing.block_resources import address_blocks, block_memories

if TYPE_CHECKING:
    from hwsim.devices.base import PassWork
    from hwsim.spec import Quantity

__all__ = ["block_misfit", "check_fabric", "check_memory", "demand_of", "fabric_terms"]

BLOCK_WIDTH_BITS: Final = 72
BRAM_DEPTH: Final = 512
URAM_DEPTH: Final = 4096

BLOCK_GEOMETRY: Final = "derived: width and depth of the buffer over those of a block (AMD UG1273)"
UNIT_FORMULAS: Final = "derived: the RTL units' formulas (docs/rtl.md)"

_LEVERS: Final[dict[str, tuple[str, ...]]] = {
    "LUT": ("fewer token slots (linear.tp)", "fewer lanes (scan.lanes)", "multipliers in DSPs (linear.dsp_per_mac)"),
    "DSP": ("fewer lanes (scan.lanes)", "fewer token slots (linear.tp)", "multipliers in LUTs (linear.lut_per_mac)"),
    "BRAM": (
        "a smaller tree",
        "a smaller scan tile (scan.tile_channels)",
        "a shallower weight FIFO (fifo.weight_beats)",
    ),
    "URAM": ("policy replay instead of cache", "a smaller batch", "fewer state bits"),
}


def _blocks(width_bits: int, depth: int, block_depth: int) -> int:
    """Block memories of a buffer ``width_bits`` wide and ``depth`` words deep."""
    return -(-width_bits // BLOCK_WIDTH_BITS) * -(-depth // block_depth)


def fabric_terms(
    p: FpgaParameters, layer: MambaLayer, load: Load, nodes: int, fifo_peak: int
) -> Mapping[str, Mapping[str, float]]:
    """Demand by resource and unit, for one load of a layer.

    Args:
        p: the machine.
        layer: shape of the widest layer run.
        load: what is run in one reading of the weights.
        nodes: tree nodes in flight per sequence (1 without speculation).
        fifo_peak: parent states live at once in the tree (0 without speculation).
    """
    macs = whole(p.linear.tp) * whole(p.linear.cip) * whole(p.linear.cop)
    lanes, vector = whole(p.scan.lanes), whole(p.vector.lanes)
    tile_bits = input_bits(p, whole(p.scan.tile_channels) * layer.d_state)
    lane_bits = input_bits(p, lanes)
    depth = -(-layer.state_elements // lanes)
    copies = load.sequences * max(load.state.reads, load.state.writes)
    replay_bits = layer.d_inner * FORMATS[p.formats.activations].bits
    return {
        "LUT": {
            "linear core": macs * p.linear.lut_per_mac.value,
            "scan lanes": lanes * p.scan.lut_per_lane.value,
            "vector units": vector * p.vector.lut_per_lane.value,
            "control and routing": p.fabric.lut.value,
        },
        "DSP": _block_dsp(p, layer, fifo_peak)
        if p.structure == "block"
        else {
            "linear core": macs * p.linear.dsp_per_mac.value,
            "scan lanes": lanes * p.scan.dsp_per_lane.value,
            "vector units": vector * p.vector.dsp_per_lane.value,
            "control and routing": p.fabric.dsp.value,
        },
        "BRAM": _block_bram(p, layer, fifo_peak)
        if p.structure == "block"
        else {
            "weight FIFO": _blocks(beat_bits(p), whole(p.fifo.weight_beats), BRAM_DEPTH),
            "activation buffers": load.slots * -(-replay_bits // (BLOCK_WIDTH_BITS * BRAM_DEPTH)),
            "parent-state FIFO": _blocks(lane_bits, fifo_peak * -(-tile_bits // lane_bits), BRAM_DEPTH)
            if fifo_peak
            else 0,
            "conv inputs of tree nodes": -(
                -input_bits(p, layer.conv_channels) * (nodes - 1) // (BLOCK_WIDTH_BITS * BRAM_DEPTH)
            ),
            "control and routing": p.fabric.bram.value,
        },
        "URAM": {}
        if p.structure == "block"
        else {"hidden state of a layer": _blocks(lane_bits, depth * copies, URAM_DEPTH)},
    }


def _block_dsp(p: FpgaParameters, layer: MambaLayer, fifo_peak: int) -> dict[str, float]:
    """DSP blocks of the RTL block, by the formulas that synthesis is held to; it has two cores of equal width."""
    shape = block_shape(p, layer, whole(p.linear.tp))
    macs = whole(p.linear.tp) * whole(p.linear.cip) * whole(p.linear.cop)
    width = whole(p.linear.cop)
    act, weight = FORMATS[p.formats.activations].bits, FORMATS[p.formats.weights].bits
    return {
        "linear cores": 2 * resources.linear_dsp(macs, act, weight),
        "scan lanes": resources.scan_dsp(width, whole(p.scan.lanes) // width),
        "conv": resources.conv_dsp(width, silu=True),
        "gate and softplus": resources.function_dsp("gate", width) + resources.function_dsp("softplus", width),
        "norm": resources.norm_dsp(width, even_root=resources.even_root(layer.d_inner)),
        "addresses": address_blocks(shape, fifo=fifo_peak, speculative=p.verifies_trees),
    }


def _block_bram(p: FpgaParameters, layer: MambaLayer, fifo_peak: int) -> dict[str, float]:
    """Block memories of 36 Kb (two of 18 Kb fill one) of the RTL block, the state's among them; it has no UltraRAM."""
    shape, act = block_shape(p, layer, whole(p.linear.tp)), FORMATS[p.formats.activations].bits
    parts = block_memories(shape, act_bits=round(act), fifo=fifo_peak)
    return {name: placed.ramb36 + placed.ramb18 / 2 for name, placed in parts.items()}


def demand_of(p: FpgaParameters, layer: MambaLayer, work: PassWork) -> tuple[Mapping[str, Mapping[str, float]], ...]:
    """`fabric_terms` of each load of a pass."""
    peak = work.tree.fifo_peak if work.tree and work.role == "verify" else 0
    nodes = work.tokens if peak else 1
    return tuple(fabric_terms(p, layer, load, nodes, peak) for load in loads_of(p, work))


def _sources(p: FpgaParameters, resource: str, terms: Mapping[str, float]) -> dict[str, str]:
    """Kind and source of each term: a constant of the machine's file, or a formula."""
    if p.structure == "block" and resource in ("DSP", "BRAM", "URAM"):
        return dict.fromkeys(terms, UNIT_FORMULAS)
    constants: dict[str, dict[str, Quantity]] = {
        "LUT": {
            "linear core": p.linear.lut_per_mac,
            "scan lanes": p.scan.lut_per_lane,
            "vector units": p.vector.lut_per_lane,
            "control and routing": p.fabric.lut,
        },
        "DSP": {
            "linear core": p.linear.dsp_per_mac,
            "scan lanes": p.scan.dsp_per_lane,
            "vector units": p.vector.dsp_per_lane,
            "control and routing": p.fabric.dsp,
        },
        "BRAM": {"control and routing": p.fabric.bram},
        "URAM": {},
    }
    known = constants[resource]
    return {term: f"{known[term].kind}: {known[term].source}" if term in known else BLOCK_GEOMETRY for term in terms}


def check_fabric(p: FpgaParameters, terms: Mapping[str, Mapping[str, float]]) -> Infeasible | None:
    """None when every resource suffices, else the first that does not."""
    have = {"LUT": p.part.lut, "DSP": p.part.dsp, "BRAM": p.part.bram, "URAM": p.part.uram}
    for resource, parts in terms.items():
        demand, bound = sum(parts.values()), have[resource].value
        if demand > bound:
            reason = f"{p.name} has too few {resource} blocks" if resource != "LUT" else f"{p.name} has too few LUTs"
            sources = _sources(p, resource, parts)
            return Infeasible(resource, demand, bound, resource, reason, dict(parts), _LEVERS[resource], sources)
    return None


def block_misfit(p: FpgaParameters, layer: MambaLayer, work: PassWork) -> Infeasible | None:
    """None when a machine of ``structure: block`` can run the pass over the layer, else the first thing in the way."""
    slots, copies = max(load.slots for load in loads_of(p, work)), max(work.state.reads, work.state.writes)
    if slots > whole(p.linear.tp):
        reason = f"{p.name}'s block takes all tokens of a step at once"
        levers = ("more token slots (linear.tp)", "a smaller tree")
        return Infeasible(
            "token slots", slots, whole(p.linear.tp), "tokens", reason, {"tokens of a step": slots}, levers
        )
    if copies > 1:
        reason = f"{p.name}'s block keeps one state and verifies beside it"
        return Infeasible("state copies", copies, 1, "states", reason, {work.state.policy: copies}, ("policy replay",))
    lanes = whole(p.linear.cop)
    widths = {
        "d_model": layer.d_model,
        "heads": layer.heads,
        "head_dim": layer.d_inner // layer.heads,
        "d_state": layer.d_state,
    }
    odd: dict[str, float] = {f"{name} = {width}": 1 for name, width in widths.items() if width % lanes}
    odd |= {f"{name} = {found}": 1 for name, found, want in _block_form(layer) if found != want}
    if odd:
        reason = f"{p.name}'s block is for Mamba-2, one group, four taps, widths that are multiples of {lanes}"
        return Infeasible("layer shape", len(odd), 0, "widths", reason, odd, ("fewer lanes (linear.cop)",))
    return None


def _block_form(layer: MambaLayer) -> tuple[tuple[str, object, object], ...]:
    """What the RTL block is built for: (name, what the layer has, what it must have)."""
    return ("mixer", layer.mixer, "mamba2"), ("groups", layer.groups, 1), ("d_conv", layer.d_conv, 4)


def check_memory(p: FpgaParameters, footprint: Mapping[str, float]) -> Infeasible | None:
    """None when off-chip memory holds weights, states and saved inputs."""
    demand, bound = sum(footprint.values()), p.memory.capacity.value
    if demand <= bound:
        return None
    levers = ("a smaller batch", "policy replay instead of cache", "a smaller model or draft")
    return Infeasible("DRAM", demand, bound, "bytes", f"{p.name} cannot hold the model off chip", footprint, levers)
