"""Cycle and resource rules of hardware units: pure functions of integers.

One definition of each unit's timing, imported by the simulated machines (`hwsim.devices`) and by the
RTL units' ``.cycles()``. Nothing here knows of a workload, a catalog or a schedule.
"""
