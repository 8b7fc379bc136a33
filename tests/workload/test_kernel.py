"""Kernels by name and arguments, as the command line and CSV columns give them."""

import inspect

import pytest

from hwsim.errors import HwsimError
from hwsim.formats import FORMATS
from hwsim.workload.kernel import KERNELS, build_kernel
from hwsim.workload.ops import gemm, scan

EXAMPLES = {
    "gemm": {"m": 16, "n": 32, "k": 64},
    "attention": {
        "phase": "decode", "batch": 2, "heads": 8, "kv_heads": 2, "q_len": 1, "kv_len": 100, "head_dim": 64,
    },
    "conv1d": {"phase": "prefill", "batch": 1, "seq_len": 64, "channels": 128, "d_conv": 4},
    "scan": {"mixer": "gdn", "phase": "decode", "batch": 1, "seq_len": 1, "heads": 8, "head_dim": 64, "d_state": 64},
    "norm": {"op": "rmsnorm", "tokens": 8, "width": 64},
    "softmax": {"tokens": 8, "width": 64},
    "elementwise": {"op": "silu_mul", "tokens": 8, "width": 64},
    "conv2d": {"batch": 1, "oc": 8, "ic": 3, "y": 14, "x": 14, "r": 3, "s": 3},
    "collective": {"op": "all_reduce", "bytes": 4096, "gpus": 8},
}  # fmt: skip


@pytest.mark.parametrize("kind", KERNELS)
def test_text_and_numbers_build_the_same_op(kind):
    """A row of a CSV file (all text, blanks for what is left out) and typed values give the same op."""
    example = EXAMPLES[kind]
    typed = build_kernel(kind, example)
    blanks = {argument.name: "" for argument in KERNELS[kind].arguments if argument.name not in example}
    assert build_kernel(kind, {name: str(value) for name, value in example.items()} | blanks) == typed
    assert typed == KERNELS[kind].build(**example)


@pytest.mark.parametrize("kind", KERNELS)
def test_the_table_states_the_constructors_defaults(kind):
    """Names, defaults and what is required agree with the constructor's signature."""
    spec = KERNELS[kind]
    signature = inspect.signature(spec.build).parameters
    for argument in spec.arguments:
        parameter = signature[argument.name]
        assert argument.required == (parameter.default is inspect.Parameter.empty), argument.name
        assert argument.required or argument.default == parameter.default
        assert argument.meaning or argument.name == "op"


def test_whole_numbers_may_be_written_as_floats():
    """``4e3`` is 4000; formats and fractions arrive as they should."""
    op = build_kernel("gemm", {"m": "4e3", "n": 2, "k": 3.0, "dtype": "fp8_e4m3", "sparsity": "0.5"})
    assert op == gemm(4000, 2, 3, "fp8_e4m3", sparsity=0.5)


@pytest.mark.parametrize("dtype", FORMATS)
def test_every_format_makes_a_kernel(dtype):
    """Each number format is a valid dtype."""
    assert build_kernel("gemm", EXAMPLES["gemm"] | {"dtype": dtype}).operand("a").format == dtype


@pytest.mark.parametrize(
    ("kind", "arguments", "message"),
    [
        ("gem", {}, "--x: unknown kernel 'gem'; expected one of"),
        (
            "gemm",
            {"m": 1, "n": 1, "k": 1, "grup": 2},
            "--x: unknown argument 'grup'; expected arguments of gemm: m, n,",
        ),
        ("gemm", {"m": 1, "n": 1, "k": 1, "grup": 2}, "did you mean 'group'?"),
        ("gemm", {"m": 1}, "--x: gemm without n (columns of the result), k (length of each dot product)"),
        ("gemm", {"m": "", "n": 1, "k": 1}, "--x: gemm without m (rows of a (tokens))"),
        ("gemm", {"m": "many", "n": 1, "k": 1}, "--x: m=many; expected a whole number"),
        ("gemm", {"m": 1.5, "n": 1, "k": 1}, "--x: m=1.5; expected a whole number"),
        ("gemm", {"m": "inf", "n": 1, "k": 1}, "--x: m=inf; expected a whole number"),
        ("gemm", {"m": True, "n": 1, "k": 1}, "--x: m=True; expected a whole number"),
        ("gemm", {"m": 1, "n": 1, "k": 1, "sparsity": "half"}, "--x: sparsity=half; expected a number"),
        ("gemm", {"m": 1, "n": 1, "k": 1, "dtype": "bf61"}, "--x: dtype=bf61; expected one of"),
        ("gemm", {"m": 1, "n": 1, "k": 1, "dtype": "bf61"}, "did you mean 'bf16'?"),
        ("gemm", {"m": 0, "n": 1, "k": 1}, "--x: m=0; expected a whole number from 1 to 1,000,000,000"),
        ("gemm", {"m": 10**10, "n": 1, "k": 1}, "--x: m=10000000000; expected a whole number from 1 to 1,000,000,000"),
        ("norm", {"op": "layer_norm", "tokens": 1, "width": 8}, "did you mean 'layernorm'?"),
    ],
)
def test_messages(kind, arguments, message):
    """Each bad request says where, what was found and what was expected."""
    with pytest.raises(HwsimError) as caught:
        build_kernel(kind, arguments, "--x")
    assert message in str(caught.value)


def test_all_faults_at_once():
    """An unknown argument, a bad value and a missing one are reported together."""
    with pytest.raises(HwsimError) as caught:
        build_kernel("gemm", {"m": "x", "mm": 3, "n": 1})
    assert len(caught.value.faults) == 3


def test_gdn_reads_its_dimensions_as_named():
    """gdn: heads are value heads, groups key heads, head_dim the value and d_state the key dimension."""
    op = build_kernel("scan", EXAMPLES["scan"] | {"groups": 2})
    assert op == scan("gdn", "decode", 1, 1, 8, 64, 64, 2)
    assert op.operand("q").matrix(op.dims) == (1, 2 * 64)
    assert op.operand("v").matrix(op.dims) == (1, 8 * 64)
