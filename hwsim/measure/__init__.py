"""Timing the user's own machine, and a catalog file from what was timed.

A measuring module (``hwsim/measure/gpu.py``, ``hwsim/measure/cpu.py``) gives what `Measurer` lists: ``measure`` times
this machine and returns a `Measurement`; ``calibrate`` turns a measurement, read back from its folder, into the
text of a catalog file whose constants are ``measured``. Both hold each row to what the machine can do at most.

A measurement is a folder: ``machine.yaml`` (card or processor, versions, method, date) and a CSV file per kind of
kernel. It is plain text, so that it can be kept, compared and calibrated elsewhere.
"""

from hwsim.measure.family import Measurer, Request, measured_families, measurer
from hwsim.measure.folder import Header, Line, Measurement, Table, read_measurement, write_measurement

__all__ = [
    "Header",
    "Line",
    "Measurement",
    "Measurer",
    "Request",
    "Table",
    "measured_families",
    "measurer",
    "read_measurement",
    "write_measurement",
]
