"""Papers of GPUs as shipped: verdicts hold, accounts are those of the row, and predictors refuse what is wrong."""

from functools import cache

import pytest

from hwsim.devices.catalog import find_device
from hwsim.errors import HwsimError
from hwsim.pipeline import kernel
from hwsim.pipeline.leaning import leaning_constants
from hwsim.published.gpu import (
    added_time,
    cache_gb,
    gemm_rate,
    kernel_ratio,
    kernel_time,
    optimizer_gib,
    step_ratio,
    step_time,
)
from hwsim.published.model import find_paper
from hwsim.published.runner import holds, predictors, run_paper
from hwsim.workload.kernel import build_kernel

PAPERS = (
    "apriel-h1", "blast-sparse", "coat", "fireq", "flashnorm", "flexq", "gla", "lpvit", "mmmamba", "palu", "quartet",
    "r-sparse", "smoothquantplus", "structured-ffn",
)  # fmt: skip


@cache
def results_of(name):
    """A paper's rows, run once."""
    return run_paper(find_paper(name), predictors())


@pytest.mark.parametrize("name", PAPERS)
def test_rows_hold(name):
    """Rows marked reproduced are within their tolerance, trends on the published side of one; each has its reason."""
    results = results_of(name)
    assert holds(results)
    assert all(each.prediction.value is not None and len(each.row.why) > 20 for each in results)
    trends = [each for each in results if each.row.expected == "trend" and each.row.unit == "x"]
    assert [each.row.id for each in trends if (each.row.published > 1) != (each.prediction.value > 1)] == []


def test_accounts_are_those_of_the_kernel():
    """A product leans on constants of products, a norm on those of row kernels; neither on attention's."""
    device = find_device("a100-sxm-80")
    product = {c.path for c in leaning_constants(device, build_kernel("gemm", {"m": 64, "n": 4096, "k": 4096}))}
    row = build_kernel("norm", {"op": "rmsnorm", "tokens": 9, "width": 64})
    norm = {c.path for c in leaning_constants(device, row)}
    assert "device.stacks.trtllm-1.gemm.floor" in product
    assert not any("attention" in path or ".vector." in path for path in product)
    assert "device.stacks.trtllm-1.vector.floor" in norm
    assert not any(".gemm." in path for path in norm)


def test_kernels_apart_by_semicolons_add_up():
    """Two kernels take the sum of both, settings included."""
    words = "gemm m=64 n=512 k=512 dtype=fp16 stack=torch-2 launch=eager"
    one, two = (kernel_time({"device": "t4", "kernel": text}).value for text in (words, f"{words} ; {words}"))
    assert two == pytest.approx(2 * one)
    alone = build_kernel("gemm", dict(pair.split("=") for pair in words.split()[1:]))
    assert one == pytest.approx(1e3 * kernel(alone, find_device("t4")).time_s)


def test_arithmetic_predictors():
    """Optimizer states and caches are closed forms of the workload."""
    states = optimizer_gib({"workload": "llama-2-7b", "gpus": 2.0, "bytes": 1.0, "group": 128.0}).value
    assert states == pytest.approx(2 * 6_738_415_616 * (1 + 2 / 128) / 2 / 2**30)
    assert cache_gb({"workload": "llama-2-7b", "context": 131072}).value == pytest.approx(64.0)


def test_steps():
    """A step of decoding in milliseconds, and its ratio to itself."""
    step = {"device": "h100-sxm", "workload": "mamba2-2.7b", "context": 1024}
    assert 1.6 < step_time(step).value < 5
    assert step_ratio(step | {"baseline_workload": "mamba2-2.7b"}).value == 1


def test_prefills_and_formats_of_a_step():
    """A prompt's time grows with it, and what is set of one side is not set of the other."""
    asked = {"device": "h100-sxm", "workload": "llama-3-8b", "context": 1024}
    decode, prompt = step_time(asked).value, step_time(asked | {"phase": "prefill"}).value
    assert prompt > 2 * decode
    narrow = asked | {"set": "formats.weights=int8"}
    assert step_ratio(narrow).value > 1.2
    assert step_ratio(narrow | {"baseline_set": "formats.weights=int8"}).value == 1


def test_time_that_a_pass_adds():
    """What quantising adds is microseconds, and nothing is added to a kernel by itself."""
    product = "gemm m=512 n=4096 k=4096 dtype=mxfp4"
    both = {"device": "rtx-5090", "kernel": f"{product} quantize=dynamic", "baseline": product}
    assert 0.5 < added_time(both).value < 20
    assert added_time(both | {"kernel": product}).value == 0


def test_scales_that_are_reordered_are_kernels_of_their_own():
    """QuTLASS: two copies of a byte for 32 elements behind the transform's product; formats of one scale have none."""
    cards = [find_device(name).parameters for name in ("rtx-5090", "rtx-5090-qutlass")]
    plain, ours = (card.software.gemm for card in cards)
    vector, l2 = cards[1].software.vector, cards[1].l2.bandwidth.value
    added = {}
    for dtype in ("mxfp4", "fp8_e4m3"):
        product = f"gemm m=512 n=4096 k=4096 dtype={dtype}"
        both = {"kernel": f"{product} quantize=dynamic", "baseline": product}
        added[dtype] = [added_time(both | {"device": card.name}).value for card in cards]
    copy = vector.floor.value + 2 * 512 * 4096 / 32 / (l2 * vector.l2_share.value)
    more = ours.quantize_block.value - plain.quantize_block.value + 2 * copy
    assert added["mxfp4"][1] - added["mxfp4"][0] == pytest.approx(1e6 * more, abs=2e-3)  # whole cycles
    assert added["fp8_e4m3"][1] == added["fp8_e4m3"][0]


@pytest.mark.parametrize(
    ("predictor", "arguments", "message"),
    [
        (kernel_time, {"device": "vck190", "kernel": "gemm m=1 n=1 k=1"}, "a machine of the gpu family"),
        (gemm_rate, {"device": "v100", "kernel": "gemm m=1 n=64 k=64 dtype=int4"}, "no int4 tensor-core path"),
        (kernel_ratio, {"device": "v100", "kernel": "gemm m=1 n=64 k=64 dtype=fp16"}, "predict.arguments.baseline"),
        (step_time, {"device": "a100-sxm-40", "workload": "llama-2-70b", "context": 64}, "a machine that runs"),
        (optimizer_gib, {"workload": "llama-2-7b", "gpus": True, "bytes": 4.0}, "a number"),
    ],
)
def test_what_is_wrong_is_named(predictor, arguments, message):
    """Errors of a row's arguments say where and what."""
    with pytest.raises(HwsimError, match=message):
        predictor(arguments)
