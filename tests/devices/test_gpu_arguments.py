"""Every argument of every kind of kernel on cards of every generation: an answer above its roofline, or why not."""

import itertools

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hwsim.devices.catalog import device_names, find_device
from hwsim.devices.gpu import GpuDevice
from hwsim.devices.gpu.paths import tensor_path
from hwsim.errors import HwsimError, Infeasible
from hwsim.formats import FORMATS
from hwsim.pipeline import kernel
from hwsim.workload.counts import ELEMENTWISE, MIXERS, NORM_OPS
from hwsim.workload.kernel import build_kernel

CARDS = {
    name: find_device(name)
    for name in ("p100", "v100", "t4", "a100-sxm-80", "rtx-4090", "h100-sxm", "rtx-5090", "b200", "mi210")
}
PRODUCT = {"m": 64, "n": 512, "k": 1024}
SHAPE = {"batch": 2, "heads": 8, "kv_heads": 2, "kv_len": 256, "head_dim": 64}
STRUCTURES = (
    ("2:4", 0), ("1:4", 0), ("block:16x16", 0.7), ("block:64x1", 0.5), ("unstructured", 0.5), ("lowrank:64", 0),
    ("blockdiag:4", 0), ("blockdense:4x128", 0), ("monarch:4", 0), ("blockshuffle:2", 0), ("btt:2", 0),
    ("blast:4x64", 0),
)  # fmt: skip
ATTENTION_KERNELS = ("auto", "eager", "fa2", "fa3", "sage1", "sage2-8b", "sage2-4b", "sage2++-8b", "sage2++-4b")
PHASES = ("prefill", "decode", "bidirectional")


def products():
    """Every pair of formats, accumulator, quantisation and structure."""
    yield from ({"a_dtype": a, "b_dtype": b} for a, b in itertools.product(FORMATS, FORMATS))
    yield from ({"dtype": d, "acc": acc} for d in ("fp16", "int8", "fp8_e4m3") for acc in ("fp32", "fp16", "int32"))
    yield from (
        {"dtype": d, "quantize": "dynamic"} for d in ("int8", "fp8_e4m3", "fp8_block", "mxfp4", "nvfp4", "int4")
    )
    yield from ({"dtype": "fp16", "structure": s, "sparsity": share} for s, share in STRUCTURES)
    yield {"a_dtype": "fp16", "b_dtype": "int4", "group": 128, "batch": 3, "out_dtype": "fp32"}


def cases():
    """(kind, arguments) of everything that a user can ask for."""
    yield from (("gemm", PRODUCT | each) for each in products())
    for phase, name, dtype in itertools.product(PHASES, ATTENTION_KERNELS, ("fp16", "bf16", "fp32", "fp8_e4m3")):
        queries = 1 if phase == "decode" else 200
        yield "attention", SHAPE | {"phase": phase, "q_len": queries, "kernel": name, "dtype": dtype}
    for kv, window in itertools.product(("fp8_e4m3", "int8", "int4"), (0, 100)):
        yield "attention", SHAPE | {"phase": "decode", "q_len": 1, "dtype": "fp16", "kv_dtype": kv, "window": window}
    for phase, dtype in itertools.product(("prefill", "decode"), ("fp16", "bf16", "fp32")):
        run = {"phase": phase, "dtype": dtype, "batch": 2, "seq_len": 1 if phase == "decode" else 300}
        yield "conv1d", run | {"channels": 512, "d_conv": 4}
        for mixer in MIXERS:
            yield "scan", run | {"mixer": mixer, "heads": 8, "head_dim": 1 if mixer == "mamba1" else 64, "d_state": 16}
    for op, dtype in itertools.product(ELEMENTWISE, ("fp32", "bf16", "fp8_e4m3", "int8")):
        yield "elementwise", {"op": op, "tokens": 64, "width": 512, "dtype": dtype}
    yield from (("norm", {"op": op, "tokens": 64, "width": 512, "dtype": "fp32"}) for op in NORM_OPS)
    yield "softmax", {"tokens": 64, "width": 512, "dtype": "fp32"}
    yield from (
        ("conv2d", {"batch": 1, "oc": 64, "ic": 64, "y": 32, "x": 32, "r": 3, "s": 3, "dtype": d})
        for d in ("fp16", "fp32", "int8")
    )


@pytest.mark.parametrize("card", CARDS)
def test_everything_answers(card):
    """No argument crashes; an answer takes at least its bytes over L2's bandwidth, a refusal says what would run."""
    device = CARDS[card]
    for kind, arguments in cases():
        op = build_kernel(kind, arguments)
        answer = kernel(op, device)
        if isinstance(answer, Infeasible):
            assert "nearest is" in answer.reason, (kind, arguments)
            assert answer.levers
        else:
            stored = op.bytes_by_role["weight"] + op.bytes_by_role["output"]
            assert answer.time_s >= stored / device.roofs.bytes_per_s["l2"], (kind, arguments)
            assert answer.energy_j > 0


@pytest.mark.parametrize("name", [name for name in device_names() if isinstance(find_device(name), GpuDevice)])
def test_the_nearest_format_that_a_refusal_names_runs(name):
    """Every shipped card, every format: an answer, or the nearest format, which that card runs."""
    device = find_device(name)
    for dtype in FORMATS:
        answer = kernel(build_kernel("gemm", PRODUCT | {"dtype": dtype}), device)
        if isinstance(answer, Infeasible):
            nearest = answer.levers[0].removeprefix("a_dtype=")
            found = kernel(build_kernel("gemm", PRODUCT | {"dtype": nearest}), device)
            assert not isinstance(found, Infeasible), (dtype, nearest)


def test_every_format_runs_somewhere():
    """Each number format has a card whose tensor cores or ALUs take it."""
    for name in FORMATS:
        ran = [kernel(build_kernel("gemm", PRODUCT | {"dtype": name}), card) for card in CARDS.values()]
        assert any(not isinstance(each, Infeasible) for each in ran), name


@settings(max_examples=80, deadline=None)
@given(
    card=st.sampled_from(sorted(CARDS)),
    m=st.integers(1, 5000),
    n=st.integers(1, 80).map(lambda x: 64 * x),
    k=st.integers(1, 80).map(lambda x: 64 * x),
    dtype=st.sampled_from(sorted(FORMATS)),
    structure=st.sampled_from([("none", 0), *STRUCTURES]),
)
def test_products_stay_above_the_roofline(card, m, n, k, dtype, structure):
    """Stored products over the peak rate, and stored weights over L2: never less, whatever the structure."""
    device, (form, share) = CARDS[card], structure
    try:
        op = build_kernel("gemm", {"m": m, "n": n, "k": k, "dtype": dtype, "structure": form, "sparsity": share})
    except HwsimError:
        return
    answer = kernel(op, device)
    if isinstance(answer, Infeasible):
        return
    skipped = 1.0 if form in ("none", "1:4", "unstructured") else op.operand("b").density
    assert answer.time_s >= op.macs * skipped / device.roofs.macs_per_s[dtype] * (1 - 1e-9)
    assert answer.time_s >= op.operand("b").bytes(op.dims) / device.roofs.bytes_per_s["l2"]


def test_low_rank_beats_dense_where_it_should():
    """A quarter of the parameters is faster for many rows; for few rows two kernels cost more than one small one."""
    shapes = [(16384, 4096), (8, 512)]
    card = CARDS["a100-sxm-80"]
    gains = []
    for m, n in shapes:
        dense, low = (
            kernel(build_kernel("gemm", {"m": m, "n": n, "k": n, "structure": s}), card).time_s
            for s in ("none", f"lowrank:{n // 8}")
        )
        gains.append(dense / low)
    assert gains[0] > 2.5
    assert gains[1] < 1


def test_block_sparse_gain_stays_below_its_bound_and_falls_with_the_block():
    """95 percent of blocks left out: at most 20 times faster; small blocks feed the tensor cores worse."""
    card = CARDS["a100-sxm-80"]

    def time(**more):
        return kernel(build_kernel("gemm", {"m": 4096, "n": 8192, "k": 8192, **more}), card).time_s

    gains = [time() / time(structure=f"block:{b}x{b}", sparsity=0.95) for b in (128, 32, 16)]
    assert 20 > gains[0] > gains[1] > gains[2] > 1


def test_bit_planes_of_int6():
    """FlexQ's path: 36 binary products each, rows padded to eights; bound by bytes at m = 1."""
    card = find_device("a100-sxm-80", ("stack=torch-2",))  # where products of int8 have no kernel of their own either
    one = kernel(build_kernel("gemm", {"m": 1, "n": 28672, "k": 8192, "dtype": "int6"}), card)
    assert one.bound == "memory"
    int8 = kernel(build_kernel("gemm", {"m": 1, "n": 28672, "k": 8192, "dtype": "int8"}), card)
    assert 1.2 < int8.time_s / one.time_s < 1.45
    assert card.roofs.macs_per_s["int6"] == pytest.approx(card.roofs.macs_per_s["int1"] / 36)


def test_sparse_tensor_cores_begin_with_ampere():
    """2:4 on Volta is refused with the nearest; on Ampere it is faster than dense."""
    op = build_kernel("gemm", {"m": 4096, "n": 4096, "k": 4096, "dtype": "fp16", "structure": "2:4"})
    assert "nearest is structure=none" in kernel(op, CARDS["v100"]).reason
    dense = build_kernel("gemm", {"m": 4096, "n": 4096, "k": 4096, "dtype": "fp16"})
    assert kernel(op, CARDS["a100-sxm-80"]).time_s < kernel(dense, CARDS["a100-sxm-80"]).time_s


def test_norms_of_wide_rows_are_read_again():
    """PyTorch's layer norm reads a row twice once the rows at work outgrow L2; an engine's keeps it in registers."""

    def traffic(width, stack):
        arguments = {"op": "layernorm", "tokens": 65536, "width": width, "dtype": "fp32", "stack": stack}
        return kernel(build_kernel("norm", arguments), CARDS["a100-sxm-80"]).bytes["dram"] / (65536 * width * 8)

    assert traffic(8192, "torch-2") == pytest.approx(1.5, rel=0.02)
    assert traffic(1024, "torch-2") < 1.1
    assert traffic(8192, "trtllm-1") <= 1.0


@pytest.mark.parametrize("name", ["mxfp4", "nvfp4"])
def test_a_wider_head_multiplies_in_its_own_format(name):
    """A model of 4-bit floats whose head stays in bf16 runs: the head as bf16, what it reads converted."""
    card = find_device("rtx-5090").parameters
    assert tensor_path(card, name, "bf16") == tensor_path(card, "bf16", "bf16")
    assert tensor_path(card, name, name).name == "fp4"
