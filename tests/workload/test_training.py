"""A step of training: its counts against the usual rules of thumb, its memory, and what is not trained."""

from __future__ import annotations

from dataclasses import replace

import pytest

from hwsim.devices.catalog import find_device
from hwsim.errors import HwsimError, Infeasible
from hwsim.pipeline import Question, simulate
from hwsim.workload import find_workload
from hwsim.workload.builders import build
from hwsim.workload.model import Pass
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
    optimizer = graphs().optimizer.op("adam")
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


@pytest.mark.parametrize("device", ["vck190", "8x-h100-sxm"])
def test_machines_that_do_not_train_say_so(device: str) -> None:
    """An FPGA and a cluster: infeasible, with the lever."""
    answer = simulate(find_workload("gpt2"), find_device(device), Question("train", 1, 128))
    assert isinstance(answer, Infeasible)
    assert "does not train" in answer.reason
    assert answer.levers == ("a single GPU",)


def test_models_that_are_not_trained_here_are_refused() -> None:
    """Recurrent models, experts and 4-bit weights: what was found and what is expected."""
    device = find_device("h200-sxm")
    with pytest.raises(HwsimError, match="Mamba2Model; expected a dense transformer"):
        simulate(find_workload("mamba2-130m"), device, Question("train", 1, 128))
    with pytest.raises(HwsimError, match=r"with experts|of kind softmax"):
        simulate(find_workload("mixtral-8x7b"), device, Question("train", 1, 128))
    narrow = find_workload("gpt2")
    narrow = replace(narrow, formats=replace(narrow.formats, weights="int4"))
    with pytest.raises(HwsimError, match="weights of 8 bits or more"):
        simulate(narrow, device, Question("train", 1, 128))
    with pytest.raises(HwsimError, match="--context: a prompt of 0 tokens"):
        simulate(find_workload("gpt2"), device, Question("train", 1, 0))
