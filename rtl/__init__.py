"""RTL of the FPGA machine's units in Amaranth.

One frozen ``Parameters`` per unit gives ``compute()`` (integers, bit-exact), ``cycles()`` (from `hwsim.timing`)
and ``create()`` (a `wiring.Component` with `amaranth.lib.stream` ports). `rtl.catalogue` lists the shipped shapes.
"""
