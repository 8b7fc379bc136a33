"""CPUs: weight tiles through memory, vector units and tile units (AMX), bitmap-sparse or dense."""

from hwsim.devices.cpu.machine import CpuDevice, cpu_device
from hwsim.devices.cpu.parameters import CpuParameters

__all__ = ["CpuDevice", "CpuParameters", "cpu_device"]
