"""The mapper: golden points, an exhaustive oracle that must never find better, and what the certificate counts."""

from itertools import pairwise, permutations, product
from math import inf, prod

import pytest
from array_machines import ALL
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from hwsim.errors import Infeasible
from hwsim.mapping.account import account
from hwsim.mapping.check import nest_faults
from hwsim.mapping.family import divisors, lane_choices
from hwsim.mapping.hierarchy import Fanout, Hierarchy, Level, SpatialAxis
from hwsim.mapping.nest import For, Hold, Nest, Spread
from hwsim.mapping.problem import conv2d, gemm
from hwsim.mapping.search import Mapped, find_best


def test_golden_gemm(ws16):
    """GEMM 1024^3: the cross-checked optimum, its mapping and a closed certificate."""
    problem = gemm(1024, 1024, 1024)
    best = find_best(problem, ws16, "edp")
    assert best.cost.energy_pj / 1e6 == pytest.approx(863.44, abs=0.005)
    assert best.cost.cycles == 4_194_304
    assert best.nest.text(problem) == (
        "n 4 | L2 holds W | m 8 | L1 holds O | k 64 | L1 holds I | n 16 | "
        "spatial rows k 16 | spatial columns n 16 | wreg holds W | m 128"
    )
    assert best.certificate.optimal
    assert best.certificate.gap == 0


def test_golden_gemv(ws16):
    """m=1, k=n=4096: the second golden point."""
    best = find_best(gemm(1, 4096, 4096), ws16, "edp")
    assert (round(best.cost.energy_pj / 1e6, 2), best.cost.cycles) == (1081.44, 1_049_088)


@pytest.mark.parametrize("objective", ["latency", "energy", "edp", "pareto"])
def test_certificate_accounts_for_every_nest(ws16, objective):
    """Evaluated and pruned nests add up to those represented, exactly."""
    found = find_best(gemm(96, 64, 48), ws16, objective).certificate
    assert found.evaluated + sum(found.pruned.values()) == found.represented


def test_same_answer_each_run(ws16):
    """Two runs give equal answers, certificate included."""
    assert find_best(gemm(60, 96, 80), ws16) == find_best(gemm(60, 96, 80), ws16)


CAPACITIES = st.integers(2, 40)
WIDTHS = st.sampled_from([0.25, 0.5, 1, 2, 4])
PICOJOULES = st.sampled_from([0.0, 0.125, 0.5, 1.0, 3.0, 8.0])


SOME = [ALL, ALL - {"output"}, frozenset({"weight"}), frozenset({"output"})]


@st.composite
def hierarchies(draw, dims):
    """Main memory, a buffer, a fan-out, registers; capacities, widths, energies and bypass rules drawn."""

    def level(name, capacity, must=frozenset()):
        widths, energies = draw(st.tuples(WIDTHS, WIDTHS)), draw(st.tuples(PICOJOULES, PICOJOULES))
        buffered = draw(st.booleans()) if capacity < inf else False
        may = (
            ALL
            if capacity == inf
            else draw(st.sampled_from([ALL, ALL - {"output"}, frozenset({"weight"}), frozenset({"output"})])) | must
        )
        return Level(name, capacity, *widths, *energies, may, must, draw(st.booleans()), buffered)

    must = draw(st.sampled_from([frozenset(), frozenset({"output"})]))
    axes = (
        SpatialAxis("rows", 2, (dims[-1],), ALL, draw(st.booleans())),
        SpatialAxis("columns", draw(st.integers(1, 3)), (dims[1], dims[0]), ALL),
    )
    parts = (
        level("top", inf),
        level("buffer", draw(CAPACITIES), must),
        Fanout(axes[: draw(st.integers(1, 2))]),
        level("reg", draw(st.integers(1, 6))),
    )
    return Hierarchy("drawn", 1e9, parts, draw(PICOJOULES))


def every_nest(problem, hierarchy, space="perfect"):
    """All nests of a space, with room or not, built without the mapper's tables."""
    levels = hierarchy.levels[1:]
    pairs = [[(o, level) for level in levels if o.role in level.may] for o in problem.operands]
    chains = [
        [kept for flags in product((0, 1), repeat=len(row)) if good(kept := keep(row, flags), row)] for row in pairs
    ]
    for held in product(*chains):
        nodes = [pair for chain in held for pair in chain]
        for order in permutations(nodes):
            ranks = [levels.index(level) for _, level in order]
            if any(order.index(a) > order.index(b) for c in held for a, b in pairwise(c)):
                continue
            if any(ranks[i] == 1 and 0 in ranks[i:] for i in range(len(ranks))):  # registers are inside the fan-out
                continue
            for lanes in lane_choices(problem, hierarchy):
                yield from tiled(problem, order, levels, lanes, space)


def keep(row, flags):
    return [pair for pair, flag in zip(row, flags, strict=True) if flag]


def good(kept, row):
    return all(pair in kept for pair in row if pair[0].role in pair[1].must)


def tiled(problem, order, levels, lanes, space):
    left = {d: e // prod(n for _, name, n in lanes if name == d) for d, e in problem.dims}
    for rows in product(*(falling(left[d], len(order), space) for d, _ in problem.dims)):
        steps, now, spread = [], dict(problem.dims), False
        inside = {d: prod(n for _, name, n in lanes if name == d) for d in now}
        for i, (operand, level) in enumerate(order):
            for (d, _), row in zip(problem.dims, rows, strict=True):
                tile = row[i] * inside[d]
                if tile < now[d]:
                    steps.append(For(d, tile))
                    now[d] = tile
            if levels.index(level) == 1 and not spread:  # lanes lie inside the loops between two tiles
                spread = True
                steps += spreads(lanes, now)
                inside = dict.fromkeys(now, 1)
            steps.append(Hold(level.name, operand.name))
        if not spread:
            for d, tile in inside.items():
                if tile < now[d]:
                    steps.append(For(d, tile))
                    now[d] = tile
            steps += spreads(lanes, now)
        yield Nest(tuple(steps))


def spreads(lanes, now):
    for axis, dim, count in lanes:
        now[dim] //= count
        yield Spread(axis, dim, now[dim])


def falling(extent, count, space):
    if count == 0:
        return [()]
    tiles = divisors(extent) if space == "perfect" else range(1, extent + 1)
    return [(d, *rest) for d in tiles for rest in falling(d, count - 1, space)]


def compare(problem, hierarchy, space="perfect"):
    """The exhaustive best of each objective against the mapper's, where the space is small enough to walk."""
    mapped = find_best(problem, hierarchy, space=space)
    assume(isinstance(mapped, Infeasible) or mapped.certificate.represented <= 1200)
    assume(isinstance(mapped, Mapped) or problem.macs <= 4)
    legal = [
        (cost.energy_pj, cost.cycles)
        for nest in every_nest(problem, hierarchy, space)
        if not nest_faults(problem, hierarchy, nest)
        for cost in [account(problem, hierarchy, nest)]
    ]
    total = sum(1 for _ in every_nest(problem, hierarchy, space))
    answers = {
        name: find_best(problem, hierarchy, name, space=space) for name in ("latency", "energy", "edp", "pareto")
    }
    if not legal:
        assert all(isinstance(answer, Infeasible) for answer in answers.values())
        return
    assert all(isinstance(answer, Mapped) for answer in answers.values())
    least = {
        "latency": min(c for _, c in legal),
        "energy": min(e for e, _ in legal),
        "edp": min(e * c for e, c in legal),
    }
    mine = {name: (a.cost.energy_pj, a.cost.cycles) for name, a in answers.items()}
    assert mine["latency"][1] == least["latency"]
    assert mine["energy"][0] == pytest.approx(least["energy"], rel=1e-12)
    assert mine["edp"][0] * mine["edp"][1] == pytest.approx(least["edp"], rel=1e-12)
    front = [(cost.energy_pj, cost.cycles) for _, cost in answers["pareto"].front]
    for e, c in legal:
        assert any(fe <= e * (1 + 1e-12) and fc <= c for fe, fc in front)
    for nest, cost in answers["pareto"].front:
        assert nest_faults(problem, hierarchy, nest) == ()
        assert min(abs(cost.energy_pj - e) + abs(cost.cycles - c) for e, c in legal) <= 1e-9 * cost.energy_pj
    for answer in answers.values():
        assert answer.certificate.represented == total
        assert answer.certificate.evaluated + sum(answer.certificate.pruned.values()) == total


@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(data=st.data())
def test_nothing_beats_the_mapper_on_gemms(data):
    """Every nest of a tiny GEMM on a drawn machine, dominated ones included: none is better; the count is exact."""
    extents = data.draw(st.permutations([1, 2, 4]) | st.sampled_from([(2, 2, 2), (3, 1, 2), (2, 2, 3)]))
    compare(gemm(*extents), data.draw(hierarchies(("m", "n", "k"))))


@settings(max_examples=10, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(data=st.data())
def test_nothing_beats_the_mapper_on_convolutions(data):
    """The same for convolutions, whose windows overlap or leave holes."""
    stride, y = data.draw(st.sampled_from([(1, 4), (2, 3)]))
    problem = conv2d(1, data.draw(st.sampled_from([1, 2])), 2, y, 1, 2, 1, stride=stride)
    compare(problem, data.draw(hierarchies(("oc", "y", data.draw(st.sampled_from(["ic", "r"]))))))


def test_no_room_is_infeasible(ws16):
    """An L1 too small for one word of input and one of output: the answer names it and the levers."""
    parts = tuple(
        Level("L1", 1, 1, 1, 1, 1, p.may, p.must) if getattr(p, "name", "") == "L1" else p for p in ws16.parts
    )
    answer = find_best(gemm(4, 4, 4), Hierarchy("tiny", 1e9, parts, 0.2))
    assert isinstance(answer, Infeasible)
    assert answer.resource == "L1"
    assert (answer.demand, answer.bound) == (2, 1)
    assert "more capacity of L1" in answer.levers


class Interrupts:
    """A progress call that presses Ctrl-C the first time."""

    def __init__(self):
        self.calls = 0

    def __call__(self, share):
        self.calls += 1
        if self.calls == 1:
            raise KeyboardInterrupt


@pytest.mark.parametrize("space", ["perfect", "imperfect"])
@pytest.mark.parametrize("pause", [10, 100, 1000])
def test_an_interrupt_gives_the_best_so_far_with_a_true_bound(ws16, monkeypatch, pause, space):
    """Ctrl-C at the first look at the clock: bound <= optimum <= a legal best so far, and what is left unsearched."""
    problem, press = gemm(1000, 1000, 1000), Interrupts()
    truth = find_best(problem, ws16, "edp", space=space)
    monkeypatch.setattr("hwsim.mapping.search._PAUSE", pause)
    answer = find_best(problem, ws16, "edp", space=space, progress=press)
    assert press.calls == 1
    assert nest_faults(problem, ws16, answer.nest) == ()
    proof = answer.certificate
    assert not proof.optimal
    assert proof.gap == pytest.approx(answer.cost.edp / proof.lower_bound - 1)
    assert 0 < proof.lower_bound <= truth.cost.edp <= answer.cost.edp
    assert proof.lower_bound < answer.cost.edp
    assert proof.pruned["unsearched"] > 0
    assert proof.evaluated + sum(proof.pruned.values()) == proof.represented


def test_spent_budget_is_no_answer_before_the_first_nest(ws16):
    """A budget of nothing: infeasible, with the lever."""
    nothing = find_best(gemm(64, 64, 64), ws16, budget_s=0.0)
    assert nothing.resource == "search time"
    assert nothing.levers == ("a larger --budget-s",)


@settings(max_examples=10, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(data=st.data())
def test_nothing_beats_the_mapper_in_the_imperfect_space(data):
    """Every nest with tiles of any extent, on tiny GEMMs: none is better; the count is exact."""
    extents = data.draw(st.sampled_from([(3, 1, 1), (1, 5, 1), (2, 3, 1), (1, 2, 3), (5, 1, 2), (3, 2, 2)]))
    compare(gemm(*extents), data.draw(hierarchies(("m", "n", "k"))), "imperfect")


def test_imperfect_space_beats_the_published_tile(ws16):
    """Any tile allowed: the proven optimum of GEMM 1024^3 is below the 857.09 uJ of tiling m by 240."""
    best = find_best(gemm(1024, 1024, 1024), ws16, "edp", space="imperfect")
    assert best.certificate.optimal
    assert best.cost.cycles == 4_194_304
    assert best.cost.energy_pj / 1e6 == pytest.approx(836.05, abs=0.005)
    assert nest_faults(gemm(1024, 1024, 1024), ws16, best.nest) == ()


def ws16_for_conv(ws16):
    axes = (
        SpatialAxis("rows", 16, ("k", "ic"), frozenset({"output"}), True),
        SpatialAxis("columns", 16, ("n", "oc"), frozenset({"input"}), True),
    )
    parts = tuple(Fanout(axes) if isinstance(part, Fanout) else part for part in ws16.parts)
    return Hierarchy("ws16", 1e9, parts, 0.2)


def test_registers_are_refilled_each_round(ws16):
    """A small L1 under m: AccelForge 1.0.467 finds the same mapping and 4.6516597e-12 J s (docs/mapping.md)."""
    parts = tuple(
        Level("L1", 1024, 128, 128, 1, 1, p.may, p.must) if getattr(p, "name", "") == "L1" else p for p in ws16.parts
    )
    problem = gemm(1024, 16, 16)
    best = find_best(problem, Hierarchy("small", 1e9, parts, 0.2))
    assert best.cost.edp * 1e-21 == pytest.approx(4.6516597e-12, rel=1e-6)
    assert best.nest.text(problem) == (
        "L1 holds W | m 64 | L1 holds I | L1 holds O | spatial rows k 16 | spatial columns n 16 | wreg holds W | m 16"
    )
