"""Resources of a unit: what Yosys maps it to, beside the formula.

Only counts of blocks are given: no open tool can time the parts that the simulated machines use.
"""

from __future__ import annotations

import json
from typing import Final

from rtl.base import Parameters
from rtl.emit import run_yosys, to_rtlil

__all__ = ["FLOWS", "measure", "predict"]

_LUT_MEMORIES: Final = (
    *("RAM32M", "RAM32M16", "RAM64M", "RAM64M8", "RAM32X16DR8", "RAM64X8SW"),
    *(f"RAM{depth}X1{port}" for depth in (32, 64, 128, 256, 512) for port in "DS"),
)

FLOWS: Final[dict[str, tuple[str, dict[str, tuple[str, ...]]]]] = {
    "xcup": (
        "synth_xilinx -family xcup -flatten -noiopad -noclkbuf",
        {
            "LUT": ("LUT1", "LUT2", "LUT3", "LUT4", "LUT5", "LUT6"),
            "FF": ("FDRE", "FDSE", "FDCE", "FDPE"),
            "DSP": ("DSP48E2",),
            "BRAM36": ("RAMB36E2",),
            "BRAM18": ("RAMB18E2",),
            "LUTRAM": _LUT_MEMORIES,
        },
    ),
    "ecp5": (
        "synth_ecp5",
        {
            "LUT": ("LUT4",),
            "FF": ("TRELLIS_FF",),
            "DSP": ("MULT18X18D",),
            "BRAM36": (),
            "BRAM18": ("DP16KD",),
            "LUTRAM": ("TRELLIS_DPR16X4",),
        },
    ),
}
"""Part family to its synthesis command and the cells that count as each resource."""


def measure(parameters: Parameters, family: str = "xcup") -> dict[str, int]:
    """Blocks by kind after synthesis for a part family.

    Raises:
        HwsimError: see `rtl.emit.run_yosys`.
    """
    command, kinds = FLOWS[family]
    script = f"read_rtlil top.il; {command} -top top; tee -q -o stat.json stat -json"
    text = run_yosys(script, {"top.il": to_rtlil(parameters)}, ["stat.json"])[0]
    cells = json.loads(text)["design"]["num_cells_by_type"]
    return {kind: sum(cells.get(name, 0) for name in names) for kind, names in kinds.items()}


def predict(parameters: Parameters, family: str = "xcup") -> dict[str, int]:
    """The formulas' counts, for the part family that they are derived for: DSP blocks, flip-flops, block memories."""
    if family != "xcup":
        return {}
    memories = parameters.memories()
    return {
        "FF": parameters.flip_flops(),
        "DSP": parameters.dsp_blocks(),
        "BRAM36": memories.ramb36,
        "BRAM18": memories.ramb18,
    }
