"""Numba loops: arrays in, arrays out. Nothing here knows what a stage, a layer or a file is."""
