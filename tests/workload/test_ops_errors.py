"""What the constructors of ops refuse, and in which words."""

import pytest

from hwsim.errors import HwsimError
from hwsim.workload.ops import attention, conv1d, conv2d, elementwise, embedding, gemm, norm, scan

ATTENTION = {"batch": 1, "heads": 8, "kv_heads": 2, "q_len": 4, "kv_len": 16, "head_dim": 64}
SCAN = {"batch": 1, "seq_len": 4, "heads": 8, "head_dim": 64, "d_state": 16}
CONV2D = {"batch": 1, "oc": 4, "ic": 4, "y": 8, "x": 8, "r": 3, "s": 3}


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: gemm(0, 2, 3), "gemm: m=0; expected a whole number from 1 to 1,000,000,000"),
        (lambda: gemm(1, 2, 10**9 + 1), "gemm: k=1000000001; expected a whole number from 1 to 1,000,000,000"),
        (lambda: gemm(True, 2, 3), "gemm: m=True; expected a whole number from 1 to 1,000,000,000"),
        (lambda: gemm(1, 2, 3, "bf61"), "gemm: unknown number format 'bf61'"),
        (lambda: gemm(1, 2, 3, acc="fp23"), "did you mean 'fp32'?"),
        (lambda: gemm(1, 2, 3, group=4), "gemm: group=4; expected 0 (no groups) to k=3"),
        (lambda: gemm(1, 2, 3, quantize="static"), "gemm: unknown quantize 'static'; expected one of dynamic, none"),
        (lambda: gemm(1, 2, 3, sparsity=1.0), "gemm: sparsity=1.0; expected a fraction from 0 up to, not including, 1"),
        (lambda: gemm(1, 2, 3, structure="4:2"), "gemm: structure=4:2; expected N:M with N below M"),
        (lambda: gemm(1, 2, 3, sparsity=0.3, structure="2:4"), "sparsity=0.3 with structure=2:4; expected 0 or 0.5"),
        (
            lambda: gemm(1, 2, 3, structure="rows"),
            "structure=rows; expected none, unstructured, N:M (2:4), block:RxC",
        ),
        (lambda: attention("encode", **ATTENTION), "attention: unknown phase 'encode'"),
        (lambda: attention("decode", **{**ATTENTION, "kv_heads": 3}), "kv_heads=3; expected a divisor of heads=8"),
        (lambda: attention("decode", **{**ATTENTION, "kv_len": 3}), "q_len=4; expected at most kv_len=3"),
        (lambda: attention("decode", **ATTENTION, window=-1), "window=-1; expected 0 (no window) or more"),
        (lambda: attention("decode", **ATTENTION, latent=2), "latent=2; expected 0 or 1"),
        (
            lambda: attention("decode", **ATTENTION, latent=1, v_head_dim=999),
            "v_head_dim=999 with latent=1; expec",
        ),
        (lambda: attention("bidirectional", **ATTENTION, window=4), "window=4 with phase=bidirectional"),
        (lambda: conv1d("train", 1, 1, 8, 4), "conv1d: unknown phase 'train'; expected one of decode, prefill"),
        (lambda: conv1d("decode", 1, 1, 8, 4, activation="silo"), "did you mean 'silu'?"),
        (lambda: scan("mamba3", "decode", **SCAN), "scan: unknown mixer 'mamba3'"),
        (lambda: scan("mamba2", "decode", **SCAN, groups=3), "scan: groups=3; expected a divisor of heads=8"),
        (lambda: scan("mamba2", "decode", **SCAN, chunk=-1), "scan: chunk=-1; expected 0 (token by token) or more"),
        (lambda: scan("mamba1", "prefill", **SCAN, chunk=64), "chunk=64 with mixer=mamba1; expected 0"),
        (lambda: conv2d(**CONV2D, groups=3), "conv2d: groups=3; expected a divisor of oc=4 and of ic=4"),
        (lambda: conv2d(**CONV2D, dilation=0), "conv2d: dilation=0; expected a whole number from 1"),
        (lambda: conv2d(**CONV2D, padding=5), "conv2d: padding=5; expected 0 or more, and input left between it"),
        (lambda: norm("rmsnrom", 1, 8), "did you mean 'rmsnorm'?"),
        (lambda: elementwise("ad", 1, 8), "did you mean 'add'?"),
        (lambda: elementwise("add", 1, 8, read_elems=0), "elementwise: read=0"),
        (lambda: embedding(1, 8, 0), "embedding: rows=0"),
    ],
)
def test_refusals(build, message):
    """Each refusal names the kernel, what was found and what was expected."""
    with pytest.raises(HwsimError) as caught:
        build()
    assert message in str(caught.value)


def test_all_bad_dimensions_at_once():
    """Two bad dimensions are two faults."""
    with pytest.raises(HwsimError) as caught:
        gemm(0, 0, 3)
    assert [fault.found for fault in caught.value.faults] == ["m=0", "n=0"]


def test_all_bad_formats_at_once():
    """Two unknown formats are two faults."""
    with pytest.raises(HwsimError) as caught:
        gemm(1, 2, 3, a_dtype="fp17", b_dtype="int5")
    assert len(caught.value.faults) == 2
