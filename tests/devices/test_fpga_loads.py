"""How a pass is cut into readings of the weights: trees, batches and prompts."""

from __future__ import annotations

import math

import pytest
from fpga_cases import LARGE_CHIP, answer, chain, cycles_of, graph_of, layer_program, machine
from hypothesis import given
from hypothesis import strategies as st

from hwsim.devices.base import PassWork, StatePlan
from hwsim.devices.fpga.load import Load, loads_of
from hwsim.pipeline.outcome import PassOutcome, run_pass

WEIGHT_BYTES = 635_199 * 32 * 64
STATE_BYTES = 2 * 21_760 * 32 * 64
CONV_BYTES = 3 * 714 * 32 * 64


def loads(tp: int, work: PassWork) -> tuple[Load, ...]:
    return loads_of(machine("vck190-spec", {"linear.tp": tp}).parameters, work)


works = st.builds(
    PassWork,
    st.sampled_from(["decode", "verify", "prefill", "draft"]),
    st.integers(1, 50),
    st.integers(1, 30),
    state=st.builds(StatePlan, rerun_tokens=st.integers(0, 5)),
)


@given(st.integers(1, 20), works)
def test_loads_cover_every_token_once(tp: int, work: PassWork) -> None:
    """New tokens of all loads add up to the pass's; a rerun rides along with each sequence."""
    found = loads(tp, work)
    assert sum(load.tokens * load.sequences * load.repeats for load in found) == work.tokens * work.batch
    assert all(load.repeats > 0 and load.state == work.state for load in found)


@given(st.integers(1, 20), st.integers(1, 200), st.integers(1, 5))
def test_a_prompt_is_read_in_chains_of_up_to_tp_tokens(tp: int, tokens: int, batch: int) -> None:
    """ceil(tokens / tp) readings of the weights for each sequence, as equal as can be."""
    found = loads(tp, PassWork("prefill", tokens, batch))
    assert sum(load.repeats for load in found) == math.ceil(tokens / tp) * batch
    assert max(load.tokens for load in found) - min(load.tokens for load in found) <= 1
    assert all(load.slots <= tp for load in found)


@given(st.integers(1, 20), st.integers(1, 25), st.integers(1, 30), st.integers(0, 6))
def test_sequences_fill_the_token_slots(tp: int, tokens: int, batch: int, rerun: int) -> None:
    """As many sequences together as fit with all their tokens, one when not even one fits."""
    found = loads(tp, PassWork("decode", tokens, batch, state=StatePlan(rerun_tokens=rerun)))
    together = max(1, tp // (tokens + rerun))
    assert sum(load.repeats for load in found) == math.ceil(batch / together)
    assert all(load.slots <= tp or load.sequences == 1 for load in found)
    assert max(load.sequences for load in found) - min(load.sequences for load in found) <= 1


def test_uneven_groups_would_cost_more() -> None:
    """Four sequences in three slots run two and two: three and one would make the three the bottleneck."""
    assert [(load.sequences, load.repeats) for load in loads(3, PassWork("decode", 1, 4))] == [(2, 2)]
    assert [(load.tokens, load.repeats) for load in loads(13, PassWork("prefill", 27))] == [(9, 3)]


def test_replayed_tokens_go_through_the_scan_alone() -> None:
    """Slots of the linear core hold new and rerun tokens; the scan also runs the replayed ones."""
    (load,) = loads(13, PassWork("verify", 4, state=StatePlan("replay", replayed_tokens=3, rerun_tokens=2)))
    assert (load.slots, load.scan_tokens) == (6, 9)


@pytest.mark.parametrize(("nodes", "passes"), [(1, 1), (4, 1), (5, 2), (8, 2), (9, 3), (13, 4)])
def test_a_tree_takes_passes_of_compute_and_one_of_weights(nodes: int, passes: int) -> None:
    """n nodes in 4 slots: ceil(n / 4) times the GEMM cycles, the same weight beats."""
    device = machine("vck190-spec", {"linear.tp": 4})
    program = layer_program(device, PassWork("verify" if nodes > 1 else "decode", nodes))
    assert program.stage("in_proj").cycles_per_rep == passes * 423_040
    assert program.stage("out_proj").cycles_per_rep == passes * 204_800
    one = layer_program(device, PassWork("decode", 1))
    for name in ("weights.in_proj", "weights.out_proj"):
        assert program.stage(name).durations == one.stage(name).durations


def outcome(tp: int, role: str, tokens: int, batch: int) -> PassOutcome:
    device = machine("vck190-spec", {**LARGE_CHIP, "linear.tp": tp})
    found = run_pass(device, graph_of("mamba-ar", tokens=tokens, batch=batch), PassWork(role, tokens, batch))
    assert isinstance(found, PassOutcome)
    return found


@pytest.mark.parametrize(("tp", "batch"), [(1, 3), (4, 4), (4, 6), (13, 3)])
def test_bytes_of_a_batch(tp: int, batch: int) -> None:
    """Weights once for each group, conv weights too; hidden state and conv windows for every sequence."""
    groups = math.ceil(batch / tp)
    moved = outcome(tp, "decode", 1, batch).bytes["dram"]
    assert moved == groups * (WEIGHT_BYTES + CONV_BYTES / 3) + batch * (STATE_BYTES + CONV_BYTES * 2 / 3)


@pytest.mark.parametrize(("tp", "tokens"), [(1, 5), (4, 4), (4, 10), (13, 27)])
def test_bytes_of_a_prompt(tp: int, tokens: int) -> None:
    """All of a token's traffic once for each chain of up to tp tokens."""
    groups = math.ceil(tokens / tp)
    assert outcome(tp, "prefill", tokens, 1).bytes["dram"] == groups * (WEIGHT_BYTES + STATE_BYTES + CONV_BYTES)


def test_time_of_a_prompt_is_that_of_its_chains() -> None:
    """On the released design a prompt runs token by token."""
    prompt = answer("mamba-ar", machine("vck190"), phase="prefill", context=17)
    token = answer("mamba-ar", machine("vck190"))
    assert prompt.step_cycles == 17 * token.step_cycles
    assert prompt.tokens_per_s == pytest.approx(token.tokens_per_s)


def test_a_wider_tree_costs_compute_where_slots_are_short() -> None:
    """vhk158-spec has two slots: 13 nodes take 7 passes, and the linear core leads."""
    found = answer(chain(13, "replay", "replay"), machine("vhk158-spec"))
    assert found.bound == "linear"
    cycles = 7 * (math.ceil(2560 / 64) * (4 + 2 + 160) + math.ceil(5120 / 64) * 40) * 64
    assert cycles <= cycles_of(found, "verify") <= 1.1 * cycles
