"""The GPU family behind the device protocol."""

import pytest

from hwsim.devices.base import Device
from hwsim.devices.catalog import device_names, find_device
from hwsim.errors import HwsimError, Infeasible
from hwsim.pipeline import Question, kernel, simulate
from hwsim.workload import find_workload
from hwsim.workload.kernel import build_kernel

CARDS = sorted(name for name in device_names() if find_device(name).family == "gpu")
RATED_TFLOP_S = {  # datasheets, dense, fp32 accumulation
    ("a100-sxm-80", "bf16"): 312,
    ("h100-sxm", "bf16"): 989,
    ("h100-sxm", "fp8"): 1979,
    ("h100-pcie", "bf16"): 756,
    ("rtx-4090", "fp16"): 165.2,
    ("rtx-4090", "int4"): 1321,
    ("rtx-3090", "int8"): 284,
    ("rtx-5090", "fp4"): 1676,
    ("l40s", "fp16"): 362,
    ("l4", "fp16"): 121,
    ("a40", "fp16"): 149.7,
    ("a6000", "fp16"): 154.8,
    ("t4", "int8"): 130,
    ("v100", "fp16"): 125,
    ("b200", "bf16"): 2250,
    ("mi210", "fp16"): 181,
    ("p100", "fp16"): 21.2,
}
GEMM = {"m": 4096, "n": 4096, "k": 4096}


def gemm_time(card, **arguments):
    """Seconds of a product on a card."""
    answer = kernel(build_kernel("gemm", {**GEMM, **arguments}), find_device(card))
    assert not isinstance(answer, Infeasible)
    return answer.time_s


@pytest.mark.parametrize("card", CARDS)
def test_every_card_loads_and_runs(card):
    """All cards are in the catalog, satisfy the protocol, and time an fp16 product above their roofline."""
    device = find_device(card)
    assert card in device_names()
    assert isinstance(device, Device)
    assert gemm_time(card, dtype="fp16") >= 4096**3 / device.roofs.macs_per_s["fp16"]


@pytest.mark.parametrize(("card", "path"), RATED_TFLOP_S)
def test_rated_tensor_rates(card, path):
    """SMs x operations per clock x the rating's clock is what the datasheet prints."""
    p = find_device(card).parameters
    rate = p.chip.sms.value * p.tensor[path].value * p.chip.tensor_clock.value
    assert rate / 1e12 == pytest.approx(RATED_TFLOP_S[card, path], rel=0.02)


def test_int4_on_hopper_is_infeasible_and_names_the_nearest():
    """Hopper has no INT4 tensor cores; the answer says which format it would run."""
    answer = kernel(build_kernel("gemm", {**GEMM, "dtype": "int4"}), find_device("h100-sxm"))
    assert isinstance(answer, Infeasible)
    assert "nearest is int8" in answer.reason


def test_simulate_runs_the_nearest_format_and_says_so():
    """A W4A4 model is run in a format that the card has, and the notes name both."""
    from dataclasses import replace

    workload = find_workload("llama-3-8b")
    narrow = replace(workload, formats=replace(workload.formats, weights="int4", activations="int4"))
    answer = simulate(narrow, find_device("h100-sxm"))
    assert not isinstance(answer, Infeasible)
    assert answer.formats["used"]["activations"] == "int8"
    assert any("asked int4" in note for note in answer.notes)


def test_llama_decode_is_bound_by_memory_near_its_bandwidth():
    """One token of Llama-3-8B in bf16 takes at least its 15 GB of weights over 3.35 TB/s, and at most twice that."""
    answer = simulate(find_workload("llama-3-8b"), find_device("h100-sxm"))
    assert answer.bound == "memory"
    assert 15.0e9 / 3.35e12 < answer.time_per_token_s < 2 * 15.0e9 / 3.35e12


@pytest.mark.parametrize(
    ("name", "question"),
    [
        ("vit-b-16", Question()),
        ("mamba2-2.7b", Question()),
        ("mamba-2.8b", Question(phase="prefill", context=1024)),
        ("llama-3-8b", Question(phase="prefill", context=2048)),
    ],
)
def test_models_run(name, question):
    """Vision transformers, both Mambas and prefill all answer with time, energy and footprint."""
    answer = simulate(find_workload(name), find_device("a100-sxm-80"), question)
    assert answer.time_s > 0
    assert answer.energy_j > 0
    assert answer.memory_bytes["weights"] > 0


def test_a_model_that_does_not_fit_says_why_and_what_would():
    """70 billion bf16 weights on 80 GB: terms add up, levers are named."""
    answer = simulate(find_workload("llama-3-70b"), find_device("a100-sxm-80"))
    assert isinstance(answer, Infeasible)
    assert answer.demand == pytest.approx(sum(answer.terms.values()))
    assert any("format" in lever for lever in answer.levers)


def test_eager_stack_and_launches_are_slower():
    """Separate kernels, and the host's calls, both lengthen a step."""
    workload = find_workload("llama-3-8b")
    fused, eager, launched = (
        simulate(workload, find_device("h100-sxm", overrides)).time_s
        for overrides in ((), ("fusion=eager",), ("fusion=eager", "launch=eager"))
    )
    assert fused < eager < launched


def test_stack_is_an_input():
    """The software of 2023 reaches less of the tensor rate; an unknown stack is refused with the known ones."""
    op = build_kernel("gemm", {"m": 8192, "n": 8192, "k": 8192})
    new, old = (kernel(op, find_device("a100-sxm-80", s)).time_s for s in ((), ("stack=torch-2",)))
    assert old > new
    with pytest.raises(HwsimError, match="torch-2, trtllm-1"):
        find_device("a100-sxm-80", ("stack=cublas",))


@pytest.mark.parametrize("kind", ["attention", "scan", "norm", "conv1d"])
def test_other_kernels_are_above_their_bytes(kind):
    """Each kernel takes at least its compulsory bytes over L2's bandwidth."""
    arguments = {
        "attention": dict(phase="prefill", batch=2, heads=16, kv_heads=8, q_len=2048, kv_len=2048, head_dim=128),
        "scan": dict(mixer="mamba2", phase="prefill", batch=2, seq_len=2048, heads=64, head_dim=64, d_state=128),
        "norm": dict(op="rmsnorm", tokens=8192, width=4096),
        "conv1d": dict(phase="prefill", batch=4, seq_len=2048, channels=4096, d_conv=4),
    }
    op, device = build_kernel(kind, arguments[kind]), find_device("h100-sxm")
    answer = kernel(op, device)
    assert answer.time_s >= sum(op.bytes_by_role.values()) / device.roofs.bytes_per_s["l2"]


def test_decode_attention_is_bound_by_the_cache():
    """A long cache streams at most at the card's bandwidth and at least at half of it."""
    shape = dict(phase="decode", batch=64, heads=32, kv_heads=8, q_len=1, kv_len=16384, head_dim=128)
    answer = kernel(build_kernel("attention", shape), find_device("a100-sxm-80"))
    cache = 2 * 64 * 8 * 16384 * 128 * 2
    assert cache / 2.039e12 <= answer.time_s <= 2 * cache / 2.039e12
    assert answer.bound == "memory"


def test_unknown_attention_kernel_is_named():
    """A kernel that no stack has is refused with those that exist."""
    shape = dict(phase="prefill", batch=1, heads=8, kv_heads=8, q_len=128, kv_len=128, head_dim=64, kernel="fa4")
    with pytest.raises(HwsimError, match="eager, fa2, fa2-paged, fa3"):
        kernel(build_kernel("attention", shape), find_device("h100-sxm"))


@pytest.mark.parametrize(
    ("workload", "card"), [("llama-3-70b", "h100-sxm"), ("mixtral-8x7b", "a100-sxm-40"), ("llama-3-8b", "t4")]
)
def test_levers_are_ones_that_help(workload: str, card: str) -> None:
    """Weights alone overflow the card: each format named fits, the cards named hold it, and batch is not blamed."""
    refused = simulate(find_workload(workload), find_device(card), Question("decode", 1, 64))
    assert isinstance(refused, Infeasible)
    assert not [lever for lever in refused.levers if "batch" in lever or "context" in lever]
    assert refused.reason.endswith("whatever the batch and the context")
    formats = [
        lever.partition("=")[2] for lever in refused.levers if lever.startswith("--set workload.formats.weights=")
    ]
    assert formats
    for name in formats:
        workload_in = find_workload(workload, (f"formats.weights={name}",))
        assert not isinstance(simulate(workload_in, find_device(card), Question("decode", 1, 64)), Infeasible)
    cards = next(int(lever.split()[0]) for lever in refused.levers if "cards or more" in lever)
    assert (cards - 1) * refused.bound < refused.demand <= cards * refused.bound


def test_levers_say_once_which_batch_and_context_fit() -> None:
    """The batch and the context that are named fit, one more of either does not, and nothing vague follows them."""
    card, model = find_device("l4"), find_workload("llama-3-8b")
    refused = simulate(model, card, Question("decode", 64, 8192))
    assert isinstance(refused, Infeasible)
    batch, context, *others = refused.levers
    assert not [lever for lever in others if "batch" in lever or "context" in lever]
    most = {lever.split()[0]: int(lever.split()[1]) for lever in (batch, context)}
    for more, fits in ((0, True), (1, False)):
        for question in (
            Question("decode", most["--batch"] + more, 8192),
            Question("decode", 64, most["--context"] + more),
        ):
            assert isinstance(simulate(model, card, question), Infeasible) != fits


@pytest.mark.parametrize("card", ["p100", "v100", "a100-sxm-80", "h100-sxm"])
def test_fp32_is_limited_by_the_alus(card):
    """No tensor core multiplies in fp32: products and attention that wait for it name the ALUs, alone or as rows."""
    shapes = (
        ("gemm", {"m": 4096, "n": 4096, "k": 4096, "dtype": "fp32"}),
        ("attention", {"phase": "prefill", "batch": 4, "heads": 16, "kv_heads": 16, "q_len": 4096, "kv_len": 4096,
                       "head_dim": 64, "dtype": "fp32"}),
    )  # fmt: skip
    for kind, arguments in shapes:
        op = build_kernel(kind, arguments)
        assert kernel(op, find_device(card)).bound == "alu", kind
    found = find_device(card).kernel_rows(build_kernel(*shapes[0]))
    assert list(found.bounds) == ["alu"]


def test_a_model_runs_with_eager_attention():
    """A stack that names the eager kernel runs every attention of a model so, and rope before it."""
    setting = "stacks.trtllm-1.attention.kernel=eager"
    plain, eager = (find_device("h100-sxm", overrides) for overrides in ((), (setting,)))
    question = Question(phase="decode", context=8192)
    fused, written = (simulate(find_workload("llama-3-8b"), each, question) for each in (plain, eager))
    others = [{op.name: op.time_s for op in each.ops if op.kind != "attention"} for each in (written, fused)]
    ropes = [each.pop("rope") for each in others]
    assert others[0] == pytest.approx(others[1])
    assert ropes[0] > 1e-6 > ropes[1]
    (own,) = (op for op in written.ops if op.kind == "attention")
    shape = {"phase": "decode", "batch": 1, "heads": 32, "kv_heads": 8, "q_len": 1, "kv_len": 8193, "head_dim": 128}
    alone = kernel(build_kernel("attention", {**shape, "dtype": "bf16", "kernel": "eager"}), plain)
    assert own.time_s / own.count == pytest.approx(alone.time_s, rel=0.01)
    assert own.time_s > 3 * next(op.time_s for op in fused.ops if op.kind == "attention")


@pytest.mark.parametrize("card", ["a100-sxm-80", "v100"])
@pytest.mark.parametrize(("dtype", "limit"), [("fp32", "alu"), ("fp16", "tensor")])
def test_a_convolution_is_limited_as_its_product_is(card, dtype, limit):
    """An fp32 convolution multiplies on the ALUs; a small one waits, whatever multiplies; so says its product."""

    def bound(kind, **shape):
        return kernel(build_kernel(kind, {"dtype": dtype, **shape}), find_device(card)).bound

    window = {"oc": 512, "ic": 256, "r": 3, "s": 3}
    assert bound("conv2d", batch=64, y=32, x=32, **window) == limit
    assert bound("gemm", m=64 * 32 * 32, n=512, k=256 * 9) == limit
    small = bound("conv2d", batch=1, y=1, x=1, oc=16, ic=16, r=1, s=1)
    assert small == bound("gemm", m=1, n=16, k=16) == "latency"


@pytest.mark.parametrize(("room", "enough"), [("13 GB", True), ("12.5 GB", False)])
def test_narrower_weights_are_offered_where_the_setting_reaches_them(room, enough):
    """gpt-oss's experts keep their own format, embedding and head theirs: what int4 saves is of the rest alone."""
    card, question = find_device("rtx-2070", (f"memory.capacity={room}",)), Question("decode", 1, 1024)
    refused = simulate(find_workload("gpt-oss-20b"), card, question)
    assert ("--set workload.formats.weights=int4" in refused.levers) == enough
    assert ("narrower weights (fp8, int4), not enough alone" in refused.levers) != enough
    narrow = simulate(find_workload("gpt-oss-20b", ("formats.weights=int4",)), card, question)
    assert isinstance(narrow, Infeasible) != enough


def test_weights_of_8_bits_are_offered_no_8_bits():
    """DeepSeek-V3 ships in fp8 with block scales: what is narrower is int4, and for one card not enough."""
    refused = simulate(find_workload("deepseek-v3"), find_device("h200-sxm"), Question("decode", 1, 1024))
    assert "narrower weights (int4), not enough alone" in refused.levers


@pytest.mark.parametrize("phase", ["prefill", "decode"])
@pytest.mark.parametrize(
    ("changes", "own_kernel"),
    [((), False), (("fusion=eager",), True), (("stacks.trtllm-1.attention.write_q=0",), True)],
)
def test_rope_is_part_of_attention_that_turns_its_own_queries(phase, changes, own_kernel):
    """Where the rows of attention hold rope and the cache's write, the op before it takes no time in a model."""
    found = simulate(find_workload("llama-3-8b"), find_device("h100-sxm", changes), Question(phase, 2, 512))
    rope = next(row for row in found.ops if row.name == "rope")
    assert (rope.time_s > 1e-6) is own_kernel
