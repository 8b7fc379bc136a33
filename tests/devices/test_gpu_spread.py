"""Experts spread over cards: whole matrices on each, tokens by chance, the same bytes in memory and on the links."""

from __future__ import annotations

from collections import Counter
from itertools import product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hwsim.devices.catalog import find_device
from hwsim.devices.gpu.shard import Split, collectives_after, shard
from hwsim.devices.gpu.spread import busiest
from hwsim.pipeline import Question, simulate
from hwsim.result import Result
from hwsim.workload import find_workload
from hwsim.workload.model import Pass
from hwsim.workload.training import training_graphs
from hwsim.workload.transform import graph_of

DIVIDED, SPREAD = (Split(8, 1, 64, 64, True, experts=each) for each in ("divided", "spread"))
PARTS = ("gate_proj", "up_proj", "down_proj")


@pytest.mark.parametrize(("count", "cards"), [(1, 4), (4, 2), (5, 3), (6, 2), (8, 2)])
def test_small_counts_are_near_the_exact_expectation(count: int, cards: int) -> None:
    """All ways in which choices may fall, counted: the Poisson form is at most one and a half above."""
    ways = [max(Counter(way).values()) for way in product(range(cards), repeat=count)]
    exact = sum(ways) / len(ways)
    assert exact <= busiest(count, cards) <= exact + 1.5


@pytest.mark.parametrize(("count", "cards"), [(512, 8), (6000, 16), (40_000, 8), (40_000, 64)])
def test_large_counts_are_near_a_drawn_mean(count: int, cards: int) -> None:
    """Two thousand draws of a fair multinomial, within two percent."""
    drawn = np.random.default_rng(7).multinomial(count, [1 / cards] * cards, size=2000).max(axis=1).mean()
    assert busiest(count, cards) == pytest.approx(drawn, rel=0.02)


@given(st.integers(0, 50_000), st.integers(1, 128))
def test_the_busiest_card_has_a_fair_share_at_least(count: int, cards: int) -> None:
    """Between the mean and all, and no less for one choice more."""
    most = busiest(count, cards)
    assert count / cards <= most <= count
    assert busiest(count + 1, cards) >= most - 1  # the two forms meet within one


def test_cards_have_whole_experts_and_as_many_bytes() -> None:
    """A product keeps its n and k, weights in memory are those of divided experts, and so is the sum between cards."""
    workload = find_workload("mixtral-8x7b")
    graph = graph_of(workload, Pass("decode", 64, 1, 128))
    ops = {op.name: op for op in graph.ops if op.layer == 3}
    for name in PARTS:
        whole, slice_, own = ops[name], shard(ops[name], DIVIDED), shard(ops[name], SPREAD)
        assert (own.dims["n"], own.dims["k"], own.dims["expert"]) == (whole.dims["n"], whole.dims["k"], 1)
        assert own.weight_bytes == slice_.weight_bytes == whole.weight_bytes // 8
        assert whole.dims["m"] / 8 < own.dims["m"] < whole.dims["m"] / 4
    for name in ("combine", "o_proj", "router"):
        mine, theirs = (shard(ops[name], split) for split in (SPREAD, DIVIDED))
        assert collectives_after(mine, SPREAD) == collectives_after(theirs, DIVIDED)
    assert shard(ops["q_proj"], SPREAD) == shard(ops["q_proj"], DIVIDED)


def test_gradients_of_experts_are_spread_with_them() -> None:
    """The weights' gradient has the rows of one expert's matrix; that of the input as many rows as the forward."""
    graphs = training_graphs(graph_of(find_workload("mixtral-8x7b"), Pass("prefill", 1, 512)))
    ops = {op.name: op for op in graphs.backward.ops if op.layer == 3}
    forward = {op.name: op for op in graphs.forward.ops if op.layer == 3}
    split = Split(8, 1, 1, 1, False, train=True, experts="spread")
    of_weights, of_input = (shard(ops[f"gate_proj.grad{end}"], split) for end in ("_w", "_x"))
    assert of_weights.dims["m"] == ops["gate_proj.grad_w"].dims["m"] // 8
    assert of_weights.dims["k"] == ops["gate_proj.grad_w"].dims["k"]
    assert of_input.dims["m"] == shard(forward["gate_proj"], split).dims["m"]


def test_spread_experts_win_where_slices_are_thin() -> None:
    """Many narrow experts and a large batch run sooner whole; one token waits for the card that it visits most."""

    def step(batch: int, experts: str) -> float:
        device = find_device("8x-h100-sxm", [f"cluster.experts={experts}"])
        small = ("model.layers=2", "model.d_ff=768", "model.experts=64", "model.experts_per_token=8")
        found = simulate(find_workload("mixtral-8x7b", small), device, Question("decode", batch, 128))
        assert isinstance(found, Result)
        return found.step_s

    assert step(512, "spread") < step(512, "divided")
    assert step(1, "spread") > step(1, "divided")
