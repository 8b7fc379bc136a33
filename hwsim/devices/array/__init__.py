"""Spatial PE arrays: memory levels and axes from a catalog file, mapped by `hwsim.mapping`."""

from hwsim.devices.array.parameters import ArrayParameters, hierarchy_of

__all__ = ["ArrayParameters", "hierarchy_of"]
