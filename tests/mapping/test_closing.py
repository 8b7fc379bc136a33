"""Pipelined answers proven: a bound of a nest is below its cycles, and no nest of a space beats the answer."""

from itertools import count, pairwise, product
from math import inf
from types import SimpleNamespace

import numpy as np
import pytest
from array_machines import make_ws16
from hypothesis import given, settings
from hypothesis import strategies as st

from hwsim.devices.catalog import find_device
from hwsim.mapping import closing
from hwsim.mapping.account import account
from hwsim.mapping.check import nest_faults
from hwsim.mapping.closing import open_nests
from hwsim.mapping.family import divisors, nest_of
from hwsim.mapping.hierarchy import Fanout, Hierarchy, Level, SpatialAxis
from hwsim.mapping.mapper import Search, best_nest, cost_of
from hwsim.mapping.pipelined import pipelined_cycles
from hwsim.mapping.problem import conv2d, gemm
from hwsim.mapping.search import candidates_of, score

ALL = frozenset({"input", "weight", "output"})
SMALL = [gemm(4, 2, 2), gemm(2, 2, 4), gemm(2, 2, 2, batch=2), conv2d(1, 2, 2, 2, 1, 2, 1)]


@st.composite
def machines(draw):
    """Two memories and registers under two axes: any port, buffer, role and kind of array."""
    rate, flag = st.sampled_from([0.5, 1.0, 3.0, 16.0]), st.booleans()
    stays = draw(st.sampled_from(["weight", "output", "input"]))
    kind = draw(st.sampled_from(["", stays])) if stays != "input" else ""
    room = draw(st.sampled_from([8.0, 20.0, 1e9]))
    may = frozenset(draw(st.sets(st.sampled_from(sorted(ALL - {stays})), min_size=1)))
    axes = (
        SpatialAxis("rows", 2, draw(st.sampled_from([("k", "ic"), ("m", "y")])), ALL, full=True),
        SpatialAxis("columns", 2, ("n", "oc"), ALL, full=draw(flag)),
    )
    parts = (
        Level("mem", inf, draw(rate), draw(rate), 8, 16, ALL, shared_port=draw(flag)),
        Level("buf", room, draw(rate), draw(rate), 1, 2, may, may, draw(flag), draw(flag)),
        Fanout(axes),
        Level("reg", 8, draw(rate), draw(rate), 0.1, 0.1, frozenset({stays}), double_buffered=draw(flag)),
    )
    return Hierarchy("drawn", 1e9, parts, 0.25, draw(st.sampled_from([1, 2])), kind)


def every_nest(problem, hierarchy):
    """All nests of the perfect space with room, one after the other."""
    for candidate in candidates_of(problem, hierarchy, "perfect"):
        extents = [int(row.max()) for row in candidate.tiles]
        for order in candidate.orders:
            falls = [
                [row for row in product(divisors(extent), repeat=len(order)) if falling((extent, *row))]
                for extent in extents
            ]
            for columns in product(*falls):
                tiles = np.array(columns).T.reshape(len(order), len(extents))
                nest = nest_of(problem, hierarchy, candidate.lanes, [candidate.nodes[n] for n in order], tiles)
                if not nest_faults(problem, hierarchy, nest):
                    yield nest


def falling(row):
    """Each divides the one before."""
    return all(before % after == 0 for before, after in pairwise(row))


@pytest.mark.parametrize("problem", SMALL, ids=["gemm", "other", "batched", "conv"])
@settings(max_examples=12, deadline=None)
@given(hierarchy=machines(), objective=st.sampled_from(["latency", "edp"]))
def test_no_nest_of_the_space_is_better(problem, hierarchy, objective):
    """Every nest, costed one by one: the answer is the best of them, its bound is below all, and the proof is true."""
    nests = list(every_nest(problem, hierarchy))
    found = best_nest(problem, hierarchy, Search(objective, mode="pipelined"))
    if not nests:
        assert not hasattr(found, "nest")
        return
    best = min(score(objective, cost_of(problem, hierarchy, nest, "pipelined")) for nest in nests)
    proof = found.certificate
    assert proof.lower_bound <= best <= score(objective, found.cost)
    assert proof.optimal == (proof.lower_bound == score(objective, found.cost))
    if proof.optimal:
        assert best == score(objective, found.cost)
    assert proof.evaluated + sum(proof.pruned.values()) == proof.represented
    assert proof.pruned["capacity"] <= proof.represented - len(nests)


@pytest.mark.parametrize("problem", SMALL, ids=["gemm", "other", "batched", "conv"])
@settings(max_examples=12, deadline=None)
@given(hierarchy=machines())
def test_a_bound_is_below_the_engine_s_integer(problem, hierarchy):
    """Every nest of the space: its bound is at least its ideal cycles and at most its pipelined ones."""
    found = open_nests(problem, hierarchy, "latency", inf)
    for bound, _, nest in found.nests:
        assert account(problem, hierarchy, nest).cycles <= bound <= pipelined_cycles(problem, hierarchy, nest)


@pytest.mark.parametrize(
    "problem", [gemm(1, 256, 256), gemm(197, 768, 768), gemm(1024, 1024, 1024), conv2d(1, 32, 32, 8, 8, 3, 3)]
)
@pytest.mark.parametrize("objective", ["latency", "edp"])
def test_the_large_array_s_answers_are_proven(problem, objective):
    """The 256 x 256 array: loads and the wave lie open in short work, which the ideal bound cannot see."""
    hierarchy = find_device("tpu-256").hierarchy
    found = best_nest(problem, hierarchy, Search(objective, mode="pipelined"))
    assert found.certificate.optimal
    ideal = best_nest(problem, hierarchy, Search(objective))
    assert found.certificate.lower_bound > ideal.certificate.lower_bound


def test_a_space_too_large_to_list_keeps_the_ideal_bound(monkeypatch):
    """Six million million nests are not bounded one by one."""
    assert open_nests(gemm(1024, 1024, 1024), make_ws16(), "edp", inf) is None
    monkeypatch.setattr(closing, "MOST_NESTS", 1)
    monkeypatch.setenv("HWSIM_MAPPING_CACHE", "")
    problem, hierarchy = gemm(1, 256, 256), find_device("tpu-256").hierarchy
    found, ideal = (best_nest(problem, hierarchy, Search(mode=mode)) for mode in ("pipelined", "ideal"))
    assert found.certificate.lower_bound == ideal.cost.edp < found.cost.edp
    assert not found.certificate.optimal


def test_what_is_not_costed_bounds_the_answer(monkeypatch):
    """With room for a few nests only, and with rounds for one only, the gap is what the others leave open."""
    monkeypatch.setenv("HWSIM_MAPPING_CACHE", "")
    problem, hierarchy = gemm(1, 256, 256), find_device("systolic-ws-16").hierarchy
    asked = Search("latency", mode="pipelined")
    whole = best_nest(problem, hierarchy, asked).certificate
    assert whole.optimal
    for name, room in (("hwsim.mapping.closing._KEPT", 3), ("hwsim.mapping.mapper._MOST_ROUNDS", 1)):
        with monkeypatch.context() as patch:
            patch.setattr(name, room)
            less = best_nest(problem, hierarchy, asked).certificate
        assert less.evaluated < whole.evaluated
        assert less.lower_bound <= whole.lower_bound
        assert less.gap > 0


def stopped(monkeypatch, name, stand_in):
    """The certificate of a search that something ends while nests are costed."""
    monkeypatch.setenv("HWSIM_MAPPING_CACHE", "")
    problem, hierarchy = gemm(1, 256, 256), find_device("systolic-ws-16").hierarchy
    whole = best_nest(problem, hierarchy, Search("latency", mode="pipelined")).certificate
    with monkeypatch.context() as patch:
        patch.setattr(name, stand_in)
        found = best_nest(problem, hierarchy, Search("latency", mode="pipelined"))
    proof = found.certificate
    assert not proof.optimal
    assert proof.pruned["unsearched"] > 0
    assert proof.lower_bound <= whole.lower_bound <= found.cost.cycles
    assert proof.evaluated < whole.evaluated
    assert proof.evaluated + sum(proof.pruned.values()) == proof.represented


def test_out_of_time_says_what_is_unsearched(monkeypatch):
    """A clock that runs out while nests are costed: the best so far, a bound, and how many are left."""
    ticks = iter([0.0] * 4)
    stopped(monkeypatch, "hwsim.mapping.mapper.time", SimpleNamespace(monotonic=lambda: next(ticks, inf)))


def test_interrupted_gives_the_best_so_far(monkeypatch):
    """Ctrl-C while nests are costed: the same."""
    calls = count()

    def interrupted(*arguments):
        if next(calls) == 9:
            raise KeyboardInterrupt
        return cost_of(*arguments)

    stopped(monkeypatch, "hwsim.mapping.mapper.cost_of", interrupted)


def test_interrupted_while_listing_keeps_the_ideal_bound(monkeypatch):
    """Ctrl-C before the space is listed: what the ideal search knows."""

    def interrupted(*_):
        raise KeyboardInterrupt

    monkeypatch.setenv("HWSIM_MAPPING_CACHE", "")
    monkeypatch.setattr("hwsim.mapping.mapper.open_nests", interrupted)
    problem, hierarchy = gemm(1, 256, 256), find_device("tpu-256").hierarchy
    found, ideal = (best_nest(problem, hierarchy, Search(mode=mode)) for mode in ("pipelined", "ideal"))
    assert found.certificate.lower_bound == ideal.cost.edp
