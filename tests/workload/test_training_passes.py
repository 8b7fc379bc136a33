"""What training in narrow formats quantises beside its products, counted by hand against Quartet's algorithm 1."""

from __future__ import annotations

from math import prod

import pytest

from hwsim.devices.catalog import find_device
from hwsim.devices.gpu.shard import Split, shard
from hwsim.formats import FORMATS
from hwsim.pipeline import Question, simulate
from hwsim.result import Result
from hwsim.workload import find_workload
from hwsim.workload.builders import build
from hwsim.workload.model import Pass
from hwsim.workload.op import Op
from hwsim.workload.training import TrainingGraphs, training_graphs
from hwsim.workload.training_passes import GRAD, OF_WEIGHTS

BATCH, TOKENS, WIDTH, INNER = 2, 256, 512, 1408
ROWS = BATCH * TOKENS
SMALL = [
    "model.layers=2",
    "model.d_model=512",
    "model.heads=4",
    "model.kv_heads=4",
    "model.d_ff=1408",
    "model.vocab=256",
]


def formats(name: str, quantize: str = "dynamic") -> list[str]:
    """Weights and activations in a format."""
    return [f"formats.weights={name}", f"formats.activations={name}", f"formats.quantize={quantize}"]


def graphs(*changes: str) -> TrainingGraphs:
    """The step of a small Llama."""
    workload = find_workload("llama-2-7b", (*SMALL, *changes))
    pass_ = Pass("prefill", BATCH, TOKENS, 0, True)
    return training_graphs(build(workload.model, workload.formats, pass_), workload.training)


def moved(ops: list[Op], end: str) -> int:
    """Bytes that the passes of one kind move in a layer."""
    return sum(sum(op.bytes_by_role.values()) for op in ops if op.layer == 0 and op.name.endswith(end))


def narrow_bytes(format_: str, *shape: int) -> float:
    """Bytes of a tensor in a narrow format, scales included."""
    return prod(shape) * FORMATS[format_].bits_per_element / 8


@pytest.mark.parametrize("name", ["mxfp4", "nvfp4"])
def test_each_operand_is_quantised_along_what_each_product_sums_over(name: str) -> None:
    """Bytes of a layer by hand: gradients twice from 16 bits, weights and inputs anew, weights from fp32."""
    found = graphs(*formats(name))
    backward, forward = list(found.backward.ops), list(found.forward.ops)
    outputs, weights = 4 * WIDTH + 2 * INNER + WIDTH, 4 * WIDTH**2 + 3 * WIDTH * INNER
    gradient = ROWS * outputs
    for end in (f"{GRAD}_quantize", f"{GRAD}_turn"):
        assert moved(backward, end) == 2 * gradient + narrow_bytes(name, gradient)
    assert moved(backward, f"{GRAD}_turn_w") == 2 * narrow_bytes(name, weights)
    inputs = ROWS * (WIDTH + WIDTH + WIDTH + INNER)  # of qkv, of the output, of gate and up, of down
    assert moved(backward, f"{GRAD}_turn_x") == 2 * narrow_bytes(name, inputs)
    assert moved(forward, ".quantize_w") == 4 * weights + narrow_bytes(name, weights)
    assert not [op for op in backward if "_back" in op.name]


def test_one_scale_for_a_tensor_casts_and_transposes_at_once() -> None:
    """As Transformer Engine: a gradient is read once and written twice in 8 bits; a maximum first where dynamic."""
    outputs = ROWS * (5 * WIDTH + 2 * INNER)
    for quantize, reads in (("none", 1), ("dynamic", 2)):
        backward = list(graphs(*formats("fp8_e4m3", quantize)).backward.ops)
        assert moved(backward, f"{GRAD}_quantize") == (2 * reads + 2) * outputs
        assert not moved(backward, f"{GRAD}_turn")
        assert moved(backward, f"{GRAD}_turn_x") == 2 * ROWS * (3 * WIDTH + INNER)


def test_gradients_of_transforms_are_transformed_back() -> None:
    """With hadamard each input's and each weight's gradient is read with a bit of what was clipped, and written."""
    found = graphs(*formats("mxfp4"), "training.hadamard=true")
    weights = 4 * WIDTH**2 + 3 * WIDTH * INNER
    assert moved(list(found.backward.ops), f"{GRAD}_back_w") == (4 + 1 / 8) * weights
    assert moved(list(found.backward.ops), f"{GRAD}_back_x") == (4 + 1 / 8) * ROWS * (3 * WIDTH + INNER)
    assert "transformed back" in found.words


def test_wide_formats_have_no_such_passes_and_all_have_the_same_products() -> None:
    """bf16 trains without; products, parameters and the order of the backward are those of bf16 in any format."""
    wide, narrow = graphs(), graphs(*formats("mxfp4"), "training.hadamard=true")
    assert wide.words == ""
    for one, other in ((wide.forward, narrow.forward), (wide.backward, narrow.backward)):
        rest = [op.id for op in other.ops if not op.name.endswith((".quantize_w", "_quantize", *_TURNS))]
        assert rest == [op.id for op in one.ops]
        assert sum(op.macs for op in one.ops) == sum(op.macs for op in other.ops)
    assert wide.parameters == narrow.parameters
    assert sum(op.parameters for op in narrow.forward.ops) == wide.parameters


_TURNS = ("_turn", "_turn_w", "_turn_x", "_back_x", "_back_w")


def test_gradients_flow_in_sixteen_bits() -> None:
    """No product of the backward writes, and no other op reads or keeps, a gradient of 4 or 8 bits."""
    found = graphs(*formats("fp8_e4m3", "none"))
    for op in found.backward.ops:
        if op.kind == "gemm" or op.name == f"mlp_norm{GRAD}":
            assert FORMATS[op.output.format].bits >= 16
    assert found.gradient_width == 2.0


def test_without_fp32_weights_the_optimizer_writes_the_narrow_ones() -> None:
    """Then no pass of the forward makes them, and Adam's has their bytes."""
    kept, trained = graphs(*formats("mxfp4")), graphs(*formats("mxfp4"), "training.master=false")
    assert not [op for op in trained.forward.ops if op.name.endswith(".quantize_w")]
    assert (kept.weight_width, trained.weight_width) == (0.0, 4.25 / 8)


@pytest.mark.parametrize("product", ["q_proj", "down_proj"])
def test_cards_divide_passes_as_their_products(product: str) -> None:
    """Tensor parallel: what a column or row of the weights belongs to; sequences and tokens divide no weights."""
    ops = [*graphs(*formats("mxfp4"), "training.hadamard=true").backward.ops]
    own = {op.name.removeprefix(product): op for op in ops if op.layer == 0 and op.name.startswith(product + GRAD)}
    whole = {f"{GRAD}_turn_x", f"{GRAD}_back_x"} if product == "q_proj" else {f"{GRAD}_quantize", f"{GRAD}_turn"}
    for end, op in own.items():
        tensor = shard(op, Split(4, 1, BATCH, BATCH, False, True))
        ratio = op.output.elements(op.dims) / tensor.output.elements(tensor.dims)
        if op.kind == "elementwise":
            assert ratio == (1 if end in whole else 4)
        tokens = shard(op, Split(1, 4, BATCH, BATCH, False, True))
        ratio = op.output.elements(op.dims) / tokens.output.elements(tokens.dims)
        assert ratio == (1 if op.name.endswith((*OF_WEIGHTS, f"{GRAD}_w")) else 4)


def step(device: str, *changes: str, overrides: str = "") -> Result:
    """A step of the small Llama, longer."""
    workload = find_workload("llama-2-7b", (*SMALL, *changes))
    answer = simulate(workload, find_device(device, overrides.split()), Question("train", 16, 1024))
    assert isinstance(answer, Result)
    return answer


def test_the_answer_says_what_is_quantised_and_narrow_weights_are_held_once() -> None:
    """A note beside the figures; memory of weights, states and gradients is that of the formats, without the passes."""
    answer = step("rtx-5090", *formats("mxfp4"))
    assert any("turned and quantised anew along what the backward sums over" in note for note in answer.notes)
    plain = step("rtx-5090")
    assert answer.memory_bytes["weights"] < 0.5 * plain.memory_bytes["weights"]
    for name in ("state", "gradients"):
        assert answer.memory_bytes[name] == plain.memory_bytes[name]
    assert answer.memory_bytes["saved activations"] == plain.memory_bytes["saved activations"]


def test_tensor_cores_that_read_either_way_need_no_transpose() -> None:
    """B200 multiplies 8-bit floats along either dimension, H200 does not; scales of blocks lie along one everywhere."""

    def turned(device: str, name: str) -> float:
        return sum(row.time_s for row in step(device, *formats(name)).ops if "_turn" in row.name)

    assert turned("b200", "fp8_e4m3") < 0.01 * turned("h200-sxm", "fp8_e4m3")
    assert turned("b200", "mxfp4") > 0.1 * turned("h200-sxm", "fp8_e4m3")


def test_qutlass_turns_operands_out_of_shared_memory() -> None:
    """Each tile of 256 elements takes its cycles on an SM, many times what memory needs; other passes are the same."""
    plain, tiled = (
        {row.name: row for row in step(name, *formats("mxfp4")).ops} for name in ("rtx-5090", "rtx-5090-qutlass")
    )
    row = tiled[f"down_proj{GRAD}_turn_x"]
    assert row.resource == "alu"
    assert row.time_s / row.count >= 16 * 1024 * INNER / 256 * 1224 / 170 / 2.407e9
    assert row.time_s > 5 * plain[row.name].time_s
    assert tiled[f"down_proj{GRAD}_quantize"].time_s == plain[f"down_proj{GRAD}_quantize"].time_s


def test_experts_are_quantised_whole_and_their_inputs_once() -> None:
    """All weights of all experts along both dimensions; rows are those of tokens with experts, turned once."""
    small = [f"model.{each}" for each in ("layers=1", "d_model=512", "heads=4", "kv_heads=4", "d_ff=256", "vocab=256")]
    workload = find_workload("mixtral-8x7b", (*small, *formats("mxfp4")))
    found = training_graphs(build(workload.model, workload.formats, Pass("prefill", BATCH, TOKENS, 0, True)))
    passes = {op.name: op for op in found.backward.ops if op.layer == 0}
    product = found.forward.op("layers.0.gate_proj")
    weights, rows = 8 * 256 * 512, product.dims["m"] * product.dims["batch"]
    assert rows >= 2 * ROWS
    assert passes[f"gate_proj{GRAD}_turn_w"].output.elements(passes[f"gate_proj{GRAD}_turn_w"].dims) == weights
    assert passes[f"up_proj{GRAD}_turn_x"].output.elements(passes[f"up_proj{GRAD}_turn_x"].dims) == rows * 512
    assert f"gate_proj{GRAD}_turn_x" not in passes
