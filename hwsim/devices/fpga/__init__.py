"""The FPGA machine: a Mamba dataflow (LightMamba as released) and its speculative extension (SpecMamba).

What the released design is, unit by unit, comes from PKU-SEC-Lab/LightMamba. The speculative extension is our
reconstruction: of the SpecMamba paper only the abstract was readable.
"""

from hwsim.devices.fpga.machine import FpgaDevice
from hwsim.devices.fpga.parameters import FpgaParameters

__all__ = ["FpgaDevice", "FpgaParameters"]
