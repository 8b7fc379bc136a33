"""GPUs: kernels from mechanisms (waves of tiles, operand feed, bytes in flight, L2), sequenced on one stream."""

from hwsim.devices.gpu.machine import GpuDevice, gpu_device
from hwsim.devices.gpu.parameters import GpuParameters

__all__ = ["GpuDevice", "GpuParameters", "gpu_device"]
