"""Backtracking policies: their traffic, their recomputation, and what `auto` takes."""

from __future__ import annotations

import math

import pytest
from fpga_cases import LARGE_CHIP, answer, chain, layer_named, machine, refusal, shipped, trees
from hypothesis import given
from hypothesis import strategies as st

from hwsim.devices.base import PassWork, StatePlan
from hwsim.devices.fpga.backtracking import plan, plan_traffic_beats
from hwsim.devices.fpga.capacity import check_fabric, demand_of
from hwsim.workload.catalog import find_workload
from hwsim.workload.decoding import TokenTree

STATE_BYTES = 21_760 * 32 * 64
TOKEN_BYTES = 43_575_104 * 32
INPUTS = 80 + 5120 + 128 + 5376
"""dt, x, B and conv inputs of a token and layer."""
POLICIES = ("cache", "replay", "rerun")
STATIC_TREE = TokenTree.from_levels([[0, 0, 0], [0, 0, 1], [0, 0, 1], [0, 0, 0]])


def verify_bytes(nodes: int, policy: str) -> float:
    """Bytes of the target's verification of a chain."""
    found = answer(chain(nodes, policy), machine("vck190-spec", LARGE_CHIP))
    return sum(row.bytes for row in found.ops if not row.name.startswith("draft."))


def planned(tree: TokenTree, policy: str, accepted: int = 3) -> StatePlan:
    work = PassWork("verify", tree.nodes, tree=tree)
    return plan(shipped("vck190-spec").parameters, layer_named(), (work,), policy, accepted)[0].state


def drafts(tree: TokenTree) -> tuple[PassWork, ...]:
    levels = range(1, tree.depth + 1)
    return tuple(PassWork("draft", len(tree.levels[level - 1]), level=level, tree=tree) for level in levels)


def test_caching_writes_a_state_per_node() -> None:
    """44.6 MB for each further node, 3.2 % of an autoregressive token's traffic; 38.5 % for 12 more."""
    assert pytest.approx(44.6e6, rel=1e-3) == STATE_BYTES
    assert verify_bytes(5, "cache") - verify_bytes(4, "cache") == STATE_BYTES
    assert (verify_bytes(13, "cache") - TOKEN_BYTES) / TOKEN_BYTES == pytest.approx(0.385, abs=0.002)


def test_replay_writes_inputs_per_node() -> None:
    """dt, x, B and conv inputs in 8 bit with scales: 0.73 MB, 0.05 % of a token for each write and each read."""
    more = verify_bytes(5, "replay") - verify_bytes(4, "replay")
    beats = -(-INPUTS * 8.5 // 256)
    written, also_read = beats * 32 * 64, 2 * beats * 32 * 64
    assert more in (written, also_read)  # a longer chain may also keep a token more, which is then read
    assert also_read / TOKEN_BYTES == pytest.approx(0.001, abs=0.0002)


def test_rerun_moves_no_state_at_all() -> None:
    """The state is read and written once, as without speculation."""
    assert verify_bytes(13, "rerun") == verify_bytes(2, "rerun") == TOKEN_BYTES


@given(trees(), st.integers(1, 5))
def test_plans_of_a_verification(tree: TokenTree, accepted: int) -> None:
    """One state read by every policy; cache writes all, replay recomputes the accepted in the scan, rerun in all."""
    cache, replay, rerun = (planned(tree, policy, accepted) for policy in POLICIES)
    assert (cache.reads, cache.writes, cache.replayed_tokens, cache.rerun_tokens) == (1, tree.nodes, 0, 0)
    assert (replay.reads, replay.writes, replay.saved_inputs) == (1, 1, tree.nodes)
    assert replay.loaded_inputs == replay.replayed_tokens == accepted
    assert (rerun.reads, rerun.writes, rerun.rerun_tokens, rerun.saved_inputs) == (1, 1, accepted, 0)


@given(trees(), st.sampled_from(POLICIES), st.integers(1, 5))
def test_plans_of_a_draft(tree: TokenTree, policy: str, accepted: int) -> None:
    """Each level reads its distinct parents' states or runs every earlier node again; the first catches up."""
    works = plan(shipped("vck190-spec").parameters, layer_named(), drafts(tree), policy, accepted)
    for level, work in enumerate(works, 1):
        state = work.state
        parents = {tree.parents[node - 1] for node in tree.levels[level - 1] if node}
        earlier = sum(len(nodes) for nodes in tree.levels[: level - 1])
        assert state.policy == policy
        if policy == "replay":
            assert (state.reads, state.writes) == (1, 1 if level == 1 else 0)
            assert state.replayed_tokens == (accepted if level == 1 else earlier)
        else:
            assert (state.reads, state.writes) == (max(1, len(parents)), work.tokens)
        if level == 1:
            assert state.rerun_tokens == (accepted if policy == "rerun" else 1)
        else:
            assert state.rerun_tokens == 0


def hidden(device: str, values: dict[str, float], work: PassWork) -> bool:
    """Whether reruns fill idle slots and the scan ends within in_proj: Mamba-2 2.7B, counted by hand."""
    linear, scan = machine(device, values).parameters.linear, machine(device, values).parameters.scan
    tp, lanes = int(linear.tp.value), int(scan.lanes.value)
    slots, replayed = work.tokens + work.state.rerun_tokens, work.state.replayed_tokens
    if -(-slots // tp) > -(-work.tokens // tp):
        return False
    compute = 1322 * 320 * -(-slots // tp)
    weights = 2560 * 10576
    memory = math.ceil(((weights * 4 + weights // 128 * 6) // 256 + 2) * 32 * 400e6 / 10.05e9)
    return 640 * -(-8 * 128 // lanes) * 2 * (slots + replayed) <= max(compute, memory)


@given(trees(), st.integers(1, 5), st.integers(1, 16), st.integers(4, 96), st.integers(10, 463))
def test_auto_takes_the_least_traffic_where_all_is_hidden(
    tree: TokenTree, accepted: int, tp: int, lanes: int, uram: int
) -> None:
    """Of the policies that the chip holds; and never one that it does not hold while it holds another."""
    values = {"linear.tp": tp, "scan.lanes": lanes, "part.uram": uram}
    p, layer = machine("vck190-spec", values).parameters, layer_named()
    work = PassWork("verify", tree.nodes, tree=tree)
    each = [plan(p, layer, (work,), policy, accepted) for policy in POLICIES]
    held = [one for one in each if all(check_fabric(p, terms) is None for terms in demand_of(p, layer, one[0]))] or each
    chosen = plan(p, layer, (work,), "auto", accepted)
    assert chosen in held
    if all(hidden("vck190-spec", values, one[0]) for one in held):
        assert plan_traffic_beats(p, layer, chosen) == min(plan_traffic_beats(p, layer, one) for one in held)


@pytest.mark.parametrize("bandwidth", [10.05e9, 12.8e9])
@pytest.mark.parametrize("lanes", [8, 24, 40, 48])
def test_auto_is_as_fast_as_the_best_policy(lanes: int, bandwidth: float) -> None:
    """Within 2 % of the fastest pair that the whole schedule finds, and no cliff between machines."""
    device = machine("vck190-spec", {"scan.lanes": lanes, "memory.bandwidth": bandwidth})
    best = min(
        answer(
            find_workload("mamba-tree", [f"decoding.policy.target={t}", f"decoding.policy.draft={d}"]), device
        ).step_s
        for t in POLICIES
        for d in POLICIES
    )
    assert answer("mamba-tree", device).step_s <= 1.02 * best


def test_auto_is_resolved_for_draft_and_target_apart() -> None:
    """The static tree on half the lanes: caching for the small draft, replay for the target."""
    found = answer("mamba-tree", machine("vck190-spec", {"scan.lanes": 24}))
    assert found.speculative is not None
    assert found.speculative["policy"] == {"target": "replay", "draft": "cache"}
    settings = ["decoding.policy.target=cache", "decoding.policy.draft=rerun"]
    fixed = answer(find_workload("mamba-tree", settings), machine("vck190-spec"))
    assert fixed.speculative is not None
    assert fixed.speculative["policy"] == {"target": "cache", "draft": "rerun"}


def test_traffic_counts_states_and_inputs() -> None:
    """In beats of 256 bits, for each layer and sequence."""
    p, layer = shipped("vck190-spec").parameters, layer_named()
    work = PassWork(
        "verify", 13, tree=STATIC_TREE, state=StatePlan("x", reads=2, writes=3, saved_inputs=4, loaded_inputs=5)
    )
    assert plan_traffic_beats(p, layer, (work, work)) == 2 * (5 * 21_760 + 9 * -(-INPUTS * 17 // 512))


def test_too_little_uram_refuses_a_policy() -> None:
    """Thirteen cached states do not fit where one does: infeasible, and auto takes another policy."""
    device = machine("vck190-spec", {"part.uram": 100})
    cached = find_workload("mamba-tree", ["decoding.policy.target=cache"])
    bad = refusal(cached, device)
    assert bad.resource == "URAM"
    assert "policy replay instead of cache" in bad.levers
    found = answer("mamba-tree", device)
    assert found.speculative is not None
    assert found.speculative["policy"]["target"] != "cache"


def test_a_pass_without_a_tree_is_our_own_bug() -> None:
    """Draft levels below the first need the tree that they draft."""
    with pytest.raises(ValueError, match="carries its tree"):
        plan(shipped("vck190-spec").parameters, layer_named(), (PassWork("draft", 1, level=2),), "replay", 1)
