"""The linear core as a loop nest: TP x CIP x COP multipliers under the mapper's account.

The dataflow is fixed, so that an op has one nest: outputs in blocks of COP, each block's weights kept on chip while the
tokens pass TP at a time and the inputs CIP at a time. Activations lie on chip. The nest's pipelined cycles, when no
weight is late, are `hwsim.timing.linear.gemm_cycles`.
"""

from __future__ import annotations

from math import inf

from hwsim.devices.fpga.parameters import FpgaParameters, whole
from hwsim.devices.fpga.traffic import nominal_bytes_per_s
from hwsim.mapping.hierarchy import Fanout, Hierarchy, Level, SpatialAxis
from hwsim.mapping.nest import For, Hold, Nest, Spread, Step
from hwsim.mapping.problem import Problem, Role

__all__ = ["linear_hierarchy", "linear_nest"]


def linear_hierarchy(p: FpgaParameters) -> Hierarchy:
    """The core and its memories: off-chip, the activations' on-chip buffers, the block of weights, the multipliers.

    On-chip memories have the width that the core needs and the room that the design was checked for, so that only main
    memory's port and the multipliers take time. The port runs ahead by a block, as the FIFO of weights lets it.
    """
    port = nominal_bytes_per_s(p) / p.clock.value
    dram, near = p.energy.dram.value, p.energy.on_chip.value
    axes = (
        SpatialAxis("tokens", whole(p.linear.tp), ("m",), frozenset({"weight"})),
        SpatialAxis("cip", whole(p.linear.cip), ("k",), frozenset({"output"})),
        SpatialAxis("cop", whole(p.linear.cop), ("n",), frozenset({"input"})),
    )
    kept: frozenset[Role] = frozenset({"input", "output"})
    return Hierarchy(
        p.name,
        p.clock.value,
        (
            Level("dram", inf, port, port, dram, dram, frozenset({"input", "weight", "output"}), shared_port=True),
            Level("buffers", inf, inf, inf, near, near, kept, kept, double_buffered=True),
            Level(
                "weights", inf, inf, inf, near, near, frozenset({"weight"}), frozenset({"weight"}), double_buffered=True
            ),
            Fanout(axes),
        ),
        p.energy.mac.value,
    )


def linear_nest(p: FpgaParameters, problem: Problem) -> Nest:
    """The one nest of a GEMM on the core; the batch of a batched one runs outermost."""
    extents = problem.extents
    lead: tuple[Step, ...] = (For("batch", 1),) if extents.get("batch", 1) > 1 else ()
    tokens, inputs, outputs = (whole(each) for each in (p.linear.tp, p.linear.cip, p.linear.cop))
    return Nest(
        (
            *lead,
            Hold("buffers", "I"),
            Hold("buffers", "O"),
            For("n", min(outputs, extents["n"])),
            Hold("weights", "W"),
            For("m", min(tokens, extents["m"])),
            For("k", min(inputs, extents["k"])),
            Spread("tokens", "m", 1),
            Spread("cip", "k", 1),
            Spread("cop", "n", 1),
        )
    )
