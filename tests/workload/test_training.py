"""A step of training: its counts against the usual rules of thumb, its memory, and what is not trained."""

from __future__ import annotations

from dataclasses import replace

import pytest

from hwsim.devices.catalog import find_device
from hwsim.errors import HwsimError, Infeasible
from hwsim.pipeline import Question, simulate
from hwsim.result import Result
from hwsim.workload import find_workload
from hwsim.workload.builders import build
from hwsim.workload.model import Pass, Recipe
from hwsim.workload.training import TrainingGraphs, training_graphs

BATCH, TOKENS = 4, 512


def graphs(name: str = "gpt2") -> TrainingGraphs:
    """The step of a shipped workload."""
    workload = find_workload(name)
    return training_graphs(build(workload.model, workload.formats, Pass("prefill", BATCH, TOKENS, 0, True)))


def macs(graph, kind: str) -> int:
    """Multiply-accumulates of the ops of a kind."""
    return sum(op.macs for op in graph.ops if op.kind == kind)


@pytest.mark.parametrize("name", ["gpt2", "llama-2-7b", "llama-3-8b"])
def test_products_follow_the_rule_of_six(name: str) -> None:
    """Six operations a parameter and token (Kaplan et al. 2020, section 2.1): a MAC forward and two backward."""
    found = graphs(name)
    forward, backward = macs(found.forward, "gemm"), macs(found.backward, "gemm")
    assert backward == 2 * forward
    model = find_workload(name).model
    table = model.vocab * model.d_model  # type: ignore[union-attr]
    matrices = sum(op.operand("b").elements(op.dims) for op in found.forward.ops if op.kind == "gemm")
    assert forward == matrices * BATCH * TOKENS
    assert matrices > table


def test_attention_has_five_products_for_two() -> None:
    """The backward of attention is two and a half times its forward (Dao 2023, section 3.2)."""
    found = graphs()
    assert macs(found.backward, "attention") == pytest.approx(2.5 * macs(found.forward, "attention"))


def test_every_op_of_the_forward_has_its_gradient() -> None:
    """Names of the backward are those of the forward, two for a product, last first; logits are of all tokens."""
    found = graphs()
    backward = [op.id.split(".grad")[0] for op in found.backward.ops]
    assert set(backward) == {op.id for op in found.forward.ops}
    assert backward[0] == "lm_head"
    assert found.forward.op("lm_head").dims["m"] == BATCH * TOKENS


def test_bytes_of_a_parameter_are_sixteen() -> None:
    """Two of the weight, two of the gradient, twelve of Adam (Rajbhandari et al. 2020, section 3.1)."""
    answer = simulate(find_workload("gpt2"), find_device("h100-sxm"), Question("train", BATCH, TOKENS))
    assert not isinstance(answer, Infeasible)
    held = answer.memory_bytes
    parameters = sum(op.parameters for op in graphs().forward.ops)
    assert held["weights"] + held["gradients"] + held["state"] == pytest.approx(16 * parameters, rel=1e-6)
    optimizer = graphs().optimizer(Recipe(), parameters).op("adam")
    moved = sum(optimizer.bytes_by_role.values())
    assert moved == pytest.approx(28 * parameters, rel=0.001)


def test_a_step_is_its_three_passes_and_says_what_fits() -> None:
    """Times add up, the backward takes longest, one batch more than the largest does not fit."""
    workload, device, question = find_workload("gpt2"), find_device("l4"), Question("train", BATCH, TOKENS)
    answer = simulate(workload, device, question)
    assert not isinstance(answer, Infeasible)
    assert [each.role for each in answer.passes] == ["forward", "backward", "optimizer"]
    times = [each.time_s for each in answer.passes]
    assert answer.step_s == pytest.approx(sum(times))
    assert times[1] == max(times)
    assert answer.step_s >= answer.macs / answer.roofs.macs_per_s["bf16"]
    assert answer.time_to_first_token_s is None
    assert answer.largest is not None
    most = answer.largest["batch"]
    assert most is not None
    assert isinstance(simulate(workload, device, replace(question, batch=most + 1)), Infeasible)
    assert not isinstance(simulate(workload, device, replace(question, batch=most)), Infeasible)


def test_machines_that_do_not_train_say_so() -> None:
    """An FPGA: infeasible, with the lever."""
    answer = simulate(find_workload("gpt2"), find_device("vck190"), Question("train", 1, 128))
    assert isinstance(answer, Infeasible)
    assert "does not train" in answer.reason
    assert answer.levers == ("a GPU or a cluster of them",)


def test_models_that_are_not_trained_here_are_refused() -> None:
    """Images, weights narrower than activations, a prompt of nothing: what was found and what is expected."""
    device = find_device("h200-sxm")
    with pytest.raises(HwsimError, match=r"phase train for vit[^,]*, a model of images"):
        simulate(find_workload("vit"), device, Question("train", 1, 128))
    narrow = find_workload("gpt2", ("formats.weights=int4",))
    with pytest.raises(HwsimError, match=r"formats of one width.*formats\.weights=bf16"):
        simulate(narrow, device, Question("train", 1, 128))
    with pytest.raises(HwsimError, match=r"--set workload\.formats\.experts=bf16"):
        simulate(find_workload("gpt-oss-20b"), find_device("8x-h100-sxm"), Question("train", 8, 128))
    with pytest.raises(HwsimError, match="--context: a prompt of 0 tokens"):
        simulate(find_workload("gpt2"), device, Question("train", 1, 0))


@pytest.mark.parametrize("name", ["mixtral-8x7b", "mamba2-130m", "mamba-130m", "jamba"])
def test_experts_and_scans_have_twice_the_products(name: str) -> None:
    """Two products of the backward for each of the forward, experts' rows rounded up; scans run thrice."""
    found = graphs(name)
    slack = 1 + 8 / (BATCH * TOKENS)  # rows are spread over experts, rounded up
    assert macs(found.backward, "gemm") == pytest.approx(2 * macs(found.forward, "gemm"), rel=slack - 1)
    assert macs(found.backward, "scan") == 3 * macs(found.forward, "scan")
    assert macs(found.backward, "conv1d") == 2 * macs(found.forward, "conv1d")
    assert found.parameters == sum(op.parameters for op in found.forward.ops)


def trained(cards: str = "", training: str = "", batch: int = 16, name: str = "gpt2") -> Result:
    """A step on eight H100, data parallel unless ``cards`` say otherwise."""
    device = find_device("8x-h100-sxm", (cards or "cluster.tensor=1").split())
    answer = simulate(find_workload(name, training.split()), device, Question("train", batch, TOKENS))
    assert isinstance(answer, Result)
    return answer


def test_cards_divide_what_the_recipe_says() -> None:
    """ZeRO's three stages (Rajbhandari et al. 2020, figure 1): 12 bytes of states, 2 of gradients, 2 of weights."""
    p = graphs().parameters
    held = {
        shard: trained(training=f"training.shard={shard}").memory_bytes for shard in ("none", "optimizer", "gradients")
    }
    for shard, terms in held.items():
        assert terms["weights"] == pytest.approx(2 * p, rel=1e-6)
        assert terms["state"] == pytest.approx(12 * p / (1 if shard == "none" else 8), rel=1e-6)
        assert terms["gradients"] == pytest.approx(2 * p / (8 if shard == "gradients" else 1), rel=1e-6)
    whole = trained(training="training.shard=weights").memory_bytes
    assert whole["state"] == pytest.approx(8 * p / 8, rel=1e-6)
    assert 4 * p / 8 < whole["weights"] < 2 * p


def test_each_way_to_divide_a_step_costs_what_it_sends() -> None:
    """A card alone is no slower than among eight; dividing the weights sends more than dividing nothing."""
    alone = simulate(find_workload("gpt2"), find_device("h100-sxm"), Question("train", 2, TOKENS))
    assert isinstance(alone, Result)
    among, sharded = trained(), trained(training="training.shard=weights")
    assert alone.step_s <= among.step_s <= sharded.step_s + among.passes[-1].time_s
    assert alone.utilization.get("link", 0.0) == 0.0 < among.utilization["link"] < sharded.utilization["link"]
    assert sharded.passes[-1].time_s == pytest.approx(among.passes[-1].time_s * (22 / 28) / 8, rel=0.3)


@pytest.mark.parametrize(
    "cards", ["cluster.tensor=8", "cluster.tensor=2 cluster.pipeline=2", "cluster.tensor=1 cluster.sequence=8"]
)
def test_cards_that_divide_a_model_do_its_arithmetic(cards: str) -> None:
    """Tensor, pipeline and sequence parallel: never faster than the roofline of all cards."""
    found = trained(cards, "training.micro_batches=2", batch=16)
    assert found.step_s >= found.macs / found.roofs.macs_per_s["bf16"]
    model = 8 if "tensor=8" in cards else 4 if "pipeline" in cards else 1
    assert found.memory_bytes["state"] == pytest.approx(12 * graphs().parameters / model, rel=0.35)


def test_recomputing_trades_time_for_memory() -> None:
    """The forward runs twice; what is saved are the layers' inputs, one layer and what lies outside."""
    plain, again = trained(), trained(training="training.recompute=full")
    assert [each.role for each in again.passes] == ["forward", "recompute", "backward", "optimizer"]
    assert again.step_s == pytest.approx(plain.step_s + plain.passes[0].time_s)
    assert again.memory_bytes["saved activations"] < 0.6 * plain.memory_bytes["saved activations"]


def test_micro_batches_hold_a_part_of_the_activations() -> None:
    """Four of them keep a quarter, the products are the same, and smaller ones are no faster."""
    plain, parts = trained(batch=64), trained(training="training.micro_batches=4", batch=64)
    assert parts.memory_bytes["saved activations"] == pytest.approx(plain.memory_bytes["saved activations"] / 4)
    assert parts.macs == plain.macs
    assert parts.step_s >= plain.step_s


def test_narrow_states_and_saved_activations_take_their_bytes() -> None:
    """COAT's forms: one byte and a 16-bit scale for 128, in both moments and in what the forward keeps."""
    recipe = "training.moments=fp8_e4m3 training.moments_group=128 training.master=false"
    narrow, plain = trained(training=recipe), trained()
    assert narrow.memory_bytes["state"] == pytest.approx(2 * (1 + 2 / 128) * graphs().parameters, rel=1e-6)
    saved = trained(training="training.saved=fp8_e4m3 training.saved_group=128").memory_bytes["saved activations"]
    assert 0.5 < saved / plain.memory_bytes["saved activations"] < 0.8
    with pytest.raises(HwsimError, match="wide formats need no scales"):
        find_workload("gpt2", ("training.moments_group=128",))
    with pytest.raises(HwsimError, match="a format to save in"):
        find_workload("gpt2", ("training.saved_group=128",))


def test_a_step_that_does_not_fit_names_what_helps() -> None:
    """70 billion parameters on one card: terms add up, and of activations nothing is said, which would not help."""
    refused = simulate(find_workload("llama-2-70b"), find_device("h100-sxm"), Question("train", 1, 128))
    assert isinstance(refused, Infeasible)
    assert sum(refused.terms.values()) == pytest.approx(refused.demand)
    assert not any("recompute" in lever or "micro_batches" in lever for lever in refused.levers)
    assert any("shard=weights" in lever for lever in refused.levers)


def test_activations_that_do_not_fit_are_to_be_made_again_or_split() -> None:
    """A small model over many sequences: what is saved is too much, and what makes it less is named."""
    refused = simulate(find_workload("gpt2"), find_device("h100-sxm"), Question("train", 512, 1024))
    assert isinstance(refused, Infeasible)
    assert any("recompute=full" in lever for lever in refused.levers)
    assert any("micro_batches" in lever for lever in refused.levers)
