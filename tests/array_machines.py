"""The golden array machine, built by hand for the tests of the mapper."""

from math import inf

from hwsim.mapping.hierarchy import Fanout, Hierarchy, Level, SpatialAxis

ALL = frozenset({"input", "weight", "output"})


def make_ws16() -> Hierarchy:
    """The golden machine, by hand (the catalog's must equal it)."""
    return Hierarchy(
        "ws16",
        1e9,
        (
            Level("DRAM", inf, 16, 16, 64, 64, ALL, shared_port=True),
            Level("L2", 262144, 32, 32, 2, 2, ALL),
            Level("L1", 65536, 128, 128, 1, 1, ALL, frozenset({"input", "output"})),
            Fanout(
                (
                    SpatialAxis("rows", 16, ("k",), frozenset({"output"}), True),
                    SpatialAxis("columns", 16, ("n",), frozenset({"input"}), True),
                )
            ),
            Level("wreg", 1, 1, 1, 0.02, 0.02, frozenset({"weight"}), frozenset({"weight"})),
        ),
        0.2,
    )
