"""4f optical convolution: frames from layouts on an aperture, a declared electronic host for everything else."""

from hwsim.devices.optical.machine import OpticalDevice
from hwsim.devices.optical.parameters import OpticalParameters

__all__ = ["OpticalDevice", "OpticalParameters"]
