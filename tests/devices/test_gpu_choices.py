"""What a card's memory holds at most, chains of drafted tokens, and the ranked menu of tiles."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hwsim.devices.catalog import find_device
from hwsim.devices.gpu.ranking import ranked_tiles
from hwsim.errors import HwsimError, Infeasible
from hwsim.pipeline import Question, kernel, simulate
from hwsim.pipeline.largest import largest
from hwsim.workload import find_workload
from hwsim.workload.decoding import Autoregressive, Speculative
from hwsim.workload.kernel import build_kernel


@given(
    fixed=st.floats(0, 100),
    per_batch=st.floats(0.01, 5),
    per_token=st.floats(0.0, 0.01),
    kink=st.floats(0, 50),
    room=st.floats(1, 500),
)
def test_the_largest_is_the_last_that_fits(
    fixed: float, per_batch: float, per_token: float, kink: float, room: float
) -> None:
    """Against the definition: what is found fits, one more does not, for any demand that grows."""

    def demand(question: Question) -> float:
        batch, context = question.batch or 1, question.context or 0
        return fixed + batch * (per_batch + per_token * context) + max(0.0, batch - kink) * 0.3

    question = Question(batch=1, context=10)
    found = largest(demand, room, question)
    for name in ("batch", "context"):
        count = found[name]
        if count is None:
            assert demand(replace(question, **{name: 10**7})) <= room
        elif count == 0:
            assert demand(replace(question, **{name: 1})) > room
        else:
            assert demand(replace(question, **{name: count})) <= room < demand(replace(question, **{name: count + 1}))


@pytest.mark.parametrize(
    ("workload", "card", "question"),
    [
        ("llama-3-8b", "h100-sxm", Question()),
        ("mamba2-2.7b", "l4", Question()),
        ("vit-b-16", "t4", Question()),
        ("llama-3-8b", "a100-sxm-80", Question(phase="inference", context=500, new_tokens=50)),
    ],
)
def test_simulate_says_what_fits_at_most(workload: str, card: str, question: Question) -> None:
    """The batch that it names can be simulated, one more cannot."""
    model, device = find_workload(workload), find_device(card)
    answer = simulate(model, device, question)
    assert not isinstance(answer, Infeasible)
    assert answer.largest is not None
    most = answer.largest["batch"]
    assert most is not None
    assert not isinstance(simulate(model, device, replace(question, batch=most)), Infeasible)
    assert isinstance(simulate(model, device, replace(question, batch=most + 1)), Infeasible)


def test_a_recurrent_model_takes_any_context() -> None:
    """Mamba's state does not grow; a machine whose memory is no bound says nothing."""
    workload = find_workload("mamba2-2.7b")
    answer = simulate(workload, find_device("a100-sxm-80"))
    assert not isinstance(answer, Infeasible)
    assert answer.largest is not None
    assert answer.largest["context"] is None
    plain = simulate(find_workload("mamba-ar"), find_device("vck190"))
    assert not isinstance(plain, Infeasible)
    assert plain.largest is None


def test_what_does_not_fit_names_the_batch_that_would() -> None:
    """The first lever is a batch that fits."""
    answer = simulate(find_workload("llama-3-8b"), find_device("h100-sxm"), Question(batch=4000, context=2048))
    assert isinstance(answer, Infeasible)
    word = answer.levers[0].split()
    assert word[0] == "--batch"
    question = Question(batch=int(word[1]), context=2048)
    assert not isinstance(simulate(find_workload("llama-3-8b"), find_device("h100-sxm"), question), Infeasible)


# --- chains ----------------------------------------------------------------------------------------------------------


def test_a_chain_is_drafted_and_verified() -> None:
    """A step is as many draft passes as tokens and one verification; the state after each token is kept."""
    workload = find_workload("mamba")
    answer = simulate(workload, find_device("h100-sxm"))
    assert not isinstance(answer, Infeasible)
    assert isinstance(workload.decoding, Speculative)
    drafted = workload.decoding.tree.tree.drafted
    assert [each.role for each in answer.passes] == ["draft"] * drafted + ["verify"]
    assert answer.passes[-1].tokens == drafted + 1
    assert answer.passes[-1].policy == "cache"
    assert answer.step_s == pytest.approx(sum(each.time_s for each in answer.passes))
    alone = simulate(replace(workload, decoding=Autoregressive()), find_device("h100-sxm"))
    assert not isinstance(alone, Infeasible)
    verify = answer.passes[-1].time_s
    assert alone.step_s < verify < (drafted + 1) * alone.step_s
    assert answer.memory_bytes["state"] > (drafted + 1) * alone.memory_bytes["state"]


def test_a_tree_falls_back_and_says_so() -> None:
    """Branches need what common engines lack."""
    answer = simulate(find_workload("mamba-tree"), find_device("h100-sxm"))
    assert not isinstance(answer, Infeasible)
    assert answer.speculative is None
    assert any("only a chain" in note for note in answer.notes)


# --- tiles -----------------------------------------------------------------------------------------------------------


@settings(max_examples=20)
@given(m=st.integers(1, 5000), n=st.integers(16, 8192), k=st.integers(16, 8192))
def test_the_first_tile_is_the_one_that_is_timed(m: int, n: int, k: int) -> None:
    """The ranking's head has the kernel's time, and no tile is faster."""
    device = find_device("h100-sxm")
    op = build_kernel("gemm", {"m": m, "n": n, "k": k})
    ranked = ranked_tiles(device.parameters, op)
    assert not isinstance(ranked, Infeasible)
    mapping = device.map(op)
    best = ranked[0]
    times = [each.time_s for each in ranked]
    assert times == sorted(times)
    answer = kernel(op, device)
    assert not isinstance(answer, Infeasible)
    assert answer.time_s == pytest.approx(best.time_s, abs=1.0 / device.clock_hz)
    if sum(time == times[0] for time in times) == 1:  # equals may stand in another order than the menu's
        assert (best.tm, best.tn, best.split) == (mapping["tm"], mapping["tn"], mapping["split"])
    assert all(0 <= each.padding < 1 and 0 < each.last_wave <= 1 for each in ranked)
    assert "least time" in best.reason


def test_tiles_are_of_products_on_paths_that_exist() -> None:
    """A norm has none; int4 on Hopper is infeasible."""
    p = find_device("h100-sxm").parameters
    with pytest.raises(HwsimError, match="only products have a menu of tiles"):
        ranked_tiles(p, build_kernel("norm", {"op": "rmsnorm", "tokens": 8, "width": 8}))
    assert isinstance(ranked_tiles(p, build_kernel("gemm", {"m": 8, "n": 8, "k": 8, "dtype": "int4"})), Infeasible)


def test_fp32_products_split_k_on_volta_alone() -> None:
    """One tile of a long k: cuBLAS splits it on V100; from Ampere on rows look unsplit."""
    op = build_kernel("gemm", {"m": 128, "n": 128, "k": 16384, "dtype": "fp32"})
    split = {name: find_device(name, ("stack=torch-2",)).map(op)["split"] for name in ("v100", "a100-sxm-40")}
    assert split["v100"] > 1
    assert split["a100-sxm-40"] == 1


def test_volta_has_no_tensor_tile_under_64_by_64() -> None:
    """One row of a decode runs in cuBLAS's least tile, in two parts at most: 2,048 elements of k each."""
    device = find_device("v100", ("stack=torch-2",))
    mapping = device.map(build_kernel("gemm", {"m": 1, "n": 4096, "k": 4096, "dtype": "fp16"}))
    assert min(mapping["tm"], mapping["tn"]) >= 64
    assert mapping["tk"] == 32
    assert mapping["split"] <= 2
