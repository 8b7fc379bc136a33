"""The account: the golden points by hand, and equality with a walk of every iteration."""

from dataclasses import replace

import pytest
from array_machines import make_ws16
from hypothesis import given, settings
from hypothesis import strategies as st
from nest_draws import machine, nests
from walk import Walk

from hwsim.mapping.account import Traffic, _counted, account
from hwsim.mapping.check import nest_faults
from hwsim.mapping.hierarchy import Level
from hwsim.mapping.nest import For, Hold, Nest, Spread
from hwsim.mapping.problem import conv2d, gemm

MIB = 1 << 20


def golden_nest(m_tile=128):
    """The golden mapping: n 4 | L2 W | m | L1 O | k 64 | L1 I | n 16 | spatial | wreg W | m."""
    return Nest(
        (
            For("n", 256),
            Hold("L2", "W"),
            For("m", m_tile),
            Hold("L1", "O"),
            For("k", 16),
            Hold("L1", "I"),
            For("n", 16),
            Spread("rows", "k", 1),
            Spread("columns", "n", 1),
            Hold("wreg", "W"),
            For("m", 1),
        )
    )


def test_golden_gemm_energy_split_and_cycles(ws16):
    """The cross-checked GEMM 1024^3: total, split and cycles as published to five digits."""
    result = account(gemm(1024, 1024, 1024), ws16, golden_nest())
    assert result.cycles == 4_194_304
    assert result.energy_pj / 1e6 == pytest.approx(863.44, abs=0.005)
    split = {"DRAM": 402.65, "L1": 205.52, "mac": 214.75, "wreg": 21.64, "L2": 18.87}
    assert {name: round(pj / 1e6, 2) for name, pj in result.energy_pj_by.items()} == split


def test_golden_gemm_words_by_hand(ws16):
    """Every word of the golden mapping, counted by hand in MiB."""
    traffic = account(gemm(1024, 1024, 1024), ws16, golden_nest()).traffic
    totals = {key: (t.reads / MIB, t.writes / MIB) for key, t in traffic.items()}
    assert totals == {
        ("DRAM", "I"): (4, 0),
        ("L1", "I"): (64, 4),
        ("DRAM", "W"): (1, 0),
        ("L2", "W"): (8, 1),
        ("wreg", "W"): (1024, 8),
        ("DRAM", "O"): (0, 1),
        ("L1", "O"): (63 + 1, 64),
    }


def test_imperfect_tile_reaches_the_published_bound(ws16):
    """m in tiles of 240 (five trips, the last of 64) costs 857.09 uJ."""
    problem = gemm(1024, 1024, 1024)
    assert nest_faults(problem, ws16, golden_nest(240)) == ()
    assert account(problem, ws16, golden_nest(240)).energy_pj / 1e6 == pytest.approx(857.09, abs=0.005)


def test_golden_gemv(ws16):
    """The second golden point, m=1: weights stream from main memory and bound it."""
    steps = (Hold("L1", "O"), Hold("L1", "I"), For("n", 16), For("k", 16), Spread("rows", "k", 1))
    nest = Nest((*steps, Spread("columns", "n", 1), Hold("wreg", "W")))
    result = account(gemm(1, 4096, 4096), ws16, nest)
    assert (round(result.energy_pj / 1e6, 2), result.cycles) == (1081.44, 1_049_088)


def walked(problem, hierarchy, nest):
    walk = Walk(problem, hierarchy, nest)
    rows = {}
    for index, level in enumerate(hierarchy.levels):
        for operand in problem.operands:
            moved = Traffic(
                walk.total(index, operand.name, "r"),
                walk.total(index, operand.name, "w"),
                walk.peak(index, operand.name, "r"),
                walk.peak(index, operand.name, "w"),
            )
            if moved != Traffic():
                rows[level.name, operand.name] = moved
    return rows, walk.steps


PROBLEMS = {
    "gemm": gemm(4, 6, 4),
    "batched": gemm(2, 4, 3, batch=2),
    "conv": conv2d(1, 4, 2, 4, 2, 2, 1),
    "strided": conv2d(1, 2, 2, 3, 1, 3, 1, stride=2),
    "dilated": conv2d(1, 2, 2, 3, 1, 2, 1, dilation=2),
    "grouped": conv2d(1, 4, 4, 2, 2, 2, 1, groups=2),
    "depthwise": conv2d(2, 3, 3, 2, 1, 2, 2, groups=3),
}


@pytest.mark.parametrize("problem", PROBLEMS.values(), ids=PROBLEMS)
@settings(max_examples=40, deadline=None)
@given(data=st.data())
def test_account_equals_the_walk(problem, data):
    """Perfect nests: every level's words, at all instances and at the busiest, equal the walk's."""
    nest = data.draw(nests(problem, perfect=True))
    hierarchy = machine()
    result = account(problem, hierarchy, nest)
    rows, steps = walked(problem, hierarchy, nest)
    assert {key: moved for key, moved in result.traffic.items() if moved != Traffic()} == rows
    assert result.cycles_by["compute"] == steps


def test_lanes_that_are_not_seeded_start_afresh_at_every_level_below():
    """k over two lanes, twice: in the second round one lane is seeded from the top, the other reads nothing back.

    Two rounds of two lanes make 96 = 4 x 24 first or only accumulations. The seeded lane's 24 words are read at mid and
    filled into reg, so that reg is written 96 + 24 times, and read 24 times to accumulate and 96 to drain.
    """
    problem, hierarchy = gemm(4, 6, 4), machine()
    outer = (For("k", 2), Hold("big", "I"), Spread("cols", "k", 1), Hold("mid", "O"), Spread("rows", "k", 1))
    nest = Nest((*outer, Hold("reg", "I"), Hold("reg", "W"), Hold("reg", "O")))
    result = account(problem, hierarchy, nest)
    assert result.traffic["reg", "O"] == Traffic(24 + 96, 96 + 24, 24 + 48, 48 + 24)
    assert result.traffic["mid", "O"] == Traffic(96 + 24, 24 + 96, 48 + 24, 24 + 48)
    assert result.traffic["top", "O"] == Traffic(24, 48, 24, 48)
    assert result.traffic == walked(problem, hierarchy, nest)[0]


@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_imperfect_account_equals_the_walk(data):
    """Imperfect nests without lanes: the same words at every level, the same compute steps."""
    problem = gemm(5, 7, 3)
    drawn = data.draw(nests(problem, perfect=False))
    nest = Nest(tuple(step for step in drawn.steps if not isinstance(step, Spread)))
    result = account(problem, machine(), nest)
    rows, steps = walked(problem, machine(), nest)
    assert {key: moved for key, moved in result.traffic.items() if moved != Traffic()} == rows
    assert result.cycles_by["compute"] == steps


def test_shared_port_adds_reads_and_writes():
    """One port for both: its cycles are the sum of the two."""
    problem, nest = gemm(4, 4, 4), Nest(())
    apart, shared = (account(problem, machine(top_shared=flag), nest) for flag in (False, True))
    reads, writes = (64 + 64 + 64 - 16), 64
    assert apart.cycles_by["top"] == max(reads, writes) / 4
    assert shared.cycles_by["top"] == (reads + writes) / 4


def test_wider_words_cost_bytes(ws16):
    """16-bit words double every byte of the memories and leave the multipliers alone."""
    narrow, wide = gemm(64, 64, 64), gemm(64, 64, 64, bits=(16, 16, 16))
    nest = Nest((Hold("L1", "O"), Hold("L1", "I")))
    a, b = account(narrow, make_ws16(), nest), account(wide, make_ws16(), nest)
    assert b.energy_pj_by["L1"] == 2 * a.energy_pj_by["L1"]
    assert b.energy_pj_by["mac"] == a.energy_pj_by["mac"]


def test_words_are_kept_apart_from_rates(ws16):
    """A nest on faster, roomier or thriftier memories gets the account that it gets where nothing was counted."""
    problem, nest = gemm(1024, 1024, 1024), golden_nest()
    changes = {
        "read_bytes_per_cycle": 3.0,
        "write_bytes_per_cycle": 5.0,
        "read_pj_per_byte": 7.0,
        "capacity_bytes": 1e9,
    }
    for name, value in changes.items():
        parts = tuple(replace(part, **{name: value}) if isinstance(part, Level) else part for part in ws16.parts)
        changed = replace(ws16, parts=parts, mac_pj=2 * ws16.mac_pj)
        account(problem, ws16, nest)
        kept = account(problem, changed, nest)
        _counted.cache_clear()
        assert kept == account(problem, changed, nest), name
