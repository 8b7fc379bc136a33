"""A small machine, and legal nests drawn for it."""

from hypothesis import strategies as st

from hwsim.mapping.hierarchy import Fanout, Hierarchy, Level, SpatialAxis
from hwsim.mapping.nest import For, Hold, Nest, Spread

ALL = frozenset({"input", "weight", "output"})


def machine(top_shared=False, doubled=(False, False, False), systolic=""):
    """A small machine with a fan-out between two buffers and another above the registers."""
    axis = SpatialAxis("cols", 4, ("n", "oc", "k", "y", "x"), ALL)
    rows = SpatialAxis("rows", 4, ("k", "ic", "m", "y", "r", "s"), ALL)
    return Hierarchy(
        "small",
        1e9,
        (
            Level("top", float("inf"), 4, 4, 8, 16, ALL, shared_port=top_shared),
            Level("big", 1e9, 2, 2, 2, 4, ALL, double_buffered=doubled[0]),
            Fanout((axis,)),
            Level("mid", 1e9, 2, 2, 1, 2, ALL, double_buffered=doubled[1]),
            Fanout((rows,)),
            Level("reg", 1e9, 1, 1, 0.5, 0.25, ALL, double_buffered=doubled[2]),
        ),
        0.25,
        systolic=systolic,
    )


@st.composite
def nests(draw, problem, *, perfect):
    """A legal nest of the small machine: every level optional per operand, loops and lanes anywhere."""
    tile = problem.extents
    steps = []

    def cut(dim):
        values = [t for t in range(1, tile[dim] + 1) if not perfect or tile[dim] % t == 0]
        tile[dim] = draw(st.sampled_from(values))
        return tile[dim]

    def loops():
        for dim in draw(st.lists(st.sampled_from([d for d, _ in problem.dims]), max_size=2)):
            steps.append(For(dim, cut(dim)))

    def lanes(axis, dims):
        dims = [d for d in dims if d in tile]
        dim = draw(st.sampled_from(dims))
        before = tile[dim]
        new = cut(dim)
        if -(-before // new) > 4:
            new = tile[dim] = before
        steps.append(Spread(axis, dim, new))

    for level in ("big", "mid", "reg"):
        if level == "mid":
            lanes("cols", ["n", "oc", "k", "y", "x"])
        if level == "reg":
            lanes("rows", ["k", "ic", "m", "y", "r", "s"])
        names = [o.name for o in problem.operands]
        for name in draw(st.lists(st.sampled_from(names), unique=True, max_size=3)):
            loops()
            steps.append(Hold(level, name))
    loops()
    return Nest(tuple(steps))
