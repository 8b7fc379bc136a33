"""Spatial PE arrays: memory levels and axes from a file, mapped by `hwsim.mapping`."""

from hwsim.devices.array.machine import ArrayDevice
from hwsim.devices.array.parameters import ArrayParameters, hierarchy_of

__all__ = ["ArrayDevice", "ArrayParameters", "hierarchy_of"]
