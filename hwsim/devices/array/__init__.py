"""Spatial PE arrays: memory levels and axes from a file, mapped by `hwsim.mapping`."""

from hwsim.devices.array.load import array_names, find_array
from hwsim.devices.array.parameters import ArrayParameters, hierarchy_of

__all__ = ["ArrayParameters", "array_names", "find_array", "hierarchy_of"]
