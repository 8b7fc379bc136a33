"""Nodes one by one: dimensions and formats of what each becomes, against the shapes that it has."""

import math

import numpy as np
import pytest
from onnx import TensorProto
from onnx_models import Net

from hwsim.errors import HwsimError
from hwsim.spec import dump_yaml, load, parse
from hwsim.workload.builders import build
from hwsim.workload.from_onnx import document_of_onnx
from hwsim.workload.model import Pass, Workload

MICROSOFT = {"com.microsoft": 1}
HALF, INT8, UINT8 = TensorProto.FLOAT16, TensorProto.INT8, TensorProto.UINT8


def entries(net, *outputs, skip=False):
    """The list that a graph becomes."""
    return document_of_onnx(net.bytes(*outputs), "model.onnx", "mine", {}, skip).document["model"]["ops"]


def ops(net, *outputs):
    """The ops that a graph becomes, through the text of a workload file."""
    text = dump_yaml(document_of_onnx(net.bytes(*outputs), "model.onnx", "mine", {}).document)
    found = load(parse(text.encode(), "mine.yaml"), Workload)
    return build(found.model, found.formats, Pass("inference")).ops


def only(net, *outputs):
    """The one op of a graph."""
    (op,) = ops(net, *outputs)
    return op


def refusal(net, *outputs):
    """Why a graph is refused."""
    with pytest.raises(HwsimError) as caught:
        document_of_onnx(net.bytes(*outputs), "model.onnx", "mine", {})
    return str(caught.value)


# --- products ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("left", "right", "batch", "m", "n", "k"),
    [
        ((4, 8), (8, 16), 1, 4, 16, 8),
        ((2, 3, 4, 8), (8, 16), 1, 24, 16, 8),
        ((8,), (8, 16), 1, 1, 16, 8),
        ((4, 8), (8,), 1, 4, 1, 8),
        ((5, 4, 8), (5, 8, 16), 5, 4, 16, 8),
        ((4, 8), (5, 8, 16), 5, 4, 16, 8),
    ],
)
def test_matmul_with_weights(left, right, batch, m, n, k):
    """Rows of all batches share weights; weights with batches are products of their own."""
    net = Net()
    op = only(net, net.op("MatMul", net.input("x", left), net.weight(*right)))
    assert (op.kind, *(op.dims[name] for name in ("batch", "m", "n", "k"))) == ("gemm", batch, m, n, k)
    assert op.operand("b").role == "weight"
    assert op.parameters == math.prod(right)


def test_weights_on_the_left():
    """A weight times an activation is the product transposed."""
    net = Net()
    op = only(net, net.op("MatMul", net.weight(4, 8), net.input("x", [3, 8, 16])))
    assert (op.dims["m"], op.dims["n"], op.dims["k"]) == (3 * 16, 4, 8)
    assert op.parameters == 32


def test_matmul_of_activations_has_no_weights():
    """Both operands flow; where the second has no batches the first one's are rows."""
    for right, batch, m in (((3, 8, 16), 3, 4), ((8, 16), 1, 12)):
        net = Net()
        op = only(net, net.op("MatMul", net.input("x", [3, 4, 8]), net.input("y", right)))
        assert (op.dims["batch"], op.dims["m"], op.dims["n"], op.dims["k"]) == (batch, m, 16, 8)
        assert (op.parameters, op.operand("b").role) == (0, "activation")


@pytest.mark.parametrize(("trans_a", "trans_b"), [(0, 0), (1, 0), (0, 1), (1, 1)])
def test_gemm(trans_a, trans_b):
    """Transposed operands, and c as a bias."""
    net = Net()
    x = net.input("x", (8, 4) if trans_a else (4, 8))
    w = net.weight(*((16, 8) if trans_b else (8, 16)))
    op = only(net, net.op("Gemm", x, w, net.weight(16), transA=trans_a, transB=trans_b))
    assert (op.dims["m"], op.dims["n"], op.dims["k"], op.parameters) == (4, 16, 8, 16 * 8 + 16)


def test_gemm_that_adds_an_activation():
    """What is added is no bias: it is read, and so is the product."""
    net = Net()
    product, added = ops(net, net.op("Gemm", net.input("x", [4, 8]), net.weight(8, 16), net.input("c", [4, 16])))
    assert (product.parameters, added.attributes["op"]) == (8 * 16, "add")
    assert added.bytes_by_role["activation"] == 2 * 4 * 4 * 16


@pytest.mark.parametrize(
    ("image", "kernel", "options"),
    [
        ((1, 3, 224, 224), (64, 3, 7, 7), {"strides": [2, 2], "pads": [3, 3, 3, 3]}),
        ((2, 32, 15, 17), (32, 1, 3, 3), {"group": 32, "pads": [1, 1, 1, 1]}),
        ((1, 8, 9, 9), (6, 4, 3, 3), {"group": 2, "strides": [2, 2], "pads": [0, 0, 1, 1]}),
        ((1, 4, 20, 20), (4, 4, 3, 3), {"dilations": [3, 3], "pads": [3, 3, 3, 3]}),
        ((1, 4, 21, 20), (4, 4, 2, 5), {"auto_pad": "SAME_UPPER", "strides": [2, 2]}),
        ((1, 16, 1, 50), (8, 16, 1, 5), {"strides": [1, 2]}),
        ((1, 16, 50), (8, 16, 5), {"strides": [2], "pads": [2, 2]}),
    ],
)
def test_conv(image, kernel, options):
    """Every output takes a group's kernel; the image is read once, whatever is padded."""
    net = Net()
    found = net.op("Conv", net.input("x", image), net.weight(*kernel), net.weight(kernel[0]), **options)
    import onnx

    inferred = onnx.shape_inference.infer_shapes(net.model(found), strict_mode=True).graph.output[0]
    out = [dim.dim_value for dim in inferred.type.tensor_type.shape.dim]
    op = only(net, found)
    assert op.macs == math.prod(out) * math.prod(kernel[1:])
    assert op.operand("x").elements(op.dims) == math.prod(image)
    assert op.output.elements(op.dims) == math.prod(out)
    assert op.parameters == math.prod(kernel) + kernel[0]


def test_convolutions_that_are_refused():
    """Steps that differ, three axes, and kernels that are computed."""
    net = Net()
    net.op("Conv", net.input("x", [1, 4, 8, 8]), net.weight(4, 4, 3, 3), strides=[1, 2], name="uneven")
    net.op("Conv", net.input("y", [1, 4, 8, 8, 8]), net.weight(4, 4, 3, 3, 3), name="deep")
    net.op("Conv", net.input("z", [1, 4, 8, 8]), net.input("w", [4, 4, 3, 3]), name="computed")
    text = refusal(net, "uneven:0", "deep:0", "computed:0")
    assert "'uneven' (Conv): strides [1, 2]: rows and columns of a convolution step alike" in text
    assert "'deep' (Conv): a convolution along 3 axes" in text
    assert "'computed'" in text


def test_what_follows_a_product_is_folded_in():
    """A bias of its own node, and a batch norm behind a convolution, whose result nothing else reads."""
    net = Net()
    x = net.op("Conv", net.input("x", [1, 4, 8, 8]), net.weight(6, 4, 1, 1))
    x = net.op("BatchNormalization", x, *(net.weight(6) for _ in range(4)))
    op = only(net, x)
    assert op.parameters == 6 * 4 + 6
    net = Net()
    x = net.op("MatMul", net.input("x", [2, 4]), net.weight(4, 8))
    read_twice = [each.name for each in ops(net, net.op("Add", x, net.weight(8)), x)]
    assert read_twice == ["MatMul.0", "Add.1"]


# --- quantised ------------------------------------------------------------------------------------------


def test_pairs_of_quantise_and_dequantise_fold_into_formats():
    """A QDQ product reads 8 bits on both sides and writes 8; nothing runs but it and the input's quantisation."""
    net = Net()
    scale, zero = net.const(0.1), net.const(0, np.int8)
    x = net.op("DequantizeLinear", net.op("QuantizeLinear", net.input("x", [4, 8]), scale, zero), scale, zero)
    w = net.op("DequantizeLinear", net.weight(8, 16, kind=INT8), scale, zero)
    made = net.op("QuantizeLinear", net.op("MatMul", x, w, name="product"), scale, zero)
    quantized, product = ops(net, net.op("DequantizeLinear", made, scale, zero))
    assert (quantized.attributes["op"], product.name) == ("quantize", "product")
    assert [each.format for each in product.operands] == ["int8", "int8", "int8"]


def test_weights_alone_in_8_bits():
    """Weights that are dequantised before a product of floats, transposed on the way."""
    net = Net()
    w = net.op("DequantizeLinear", net.weight(16, 8, kind=INT8), net.const(0.1), net.const(0, np.int8))
    op = only(net, net.op("MatMul", net.input("x", [4, 8]), net.op("Transpose", w, perm=[1, 0])))
    assert [each.format for each in op.operands] == ["fp32", "int8", "fp32"]


def test_integer_products_are_scaled_back_within():
    """DynamicQuantizeLinear, MatMulInteger, cast and scales: a quantisation and one product."""
    net = Net()
    q, scale, zero = net.op("DynamicQuantizeLinear", net.input("x", [4, 8]), outputs=3)
    made = net.op("MatMulInteger", q, net.weight(8, 16, kind=INT8), zero, name="product")
    made = net.op("Mul", net.op("Cast", made, to=TensorProto.FLOAT), net.op("Mul", scale, net.const(0.1)))
    found = ops(net, net.op("Add", made, net.weight(16)))
    product = next(op for op in found if op.name == "product")
    assert [each.format for each in product.operands] == ["int8", "int8", "fp32", "fp32"]
    assert product.operand("bias").elements(product.dims) == 16
    assert sum(op.bytes_by_role["output"] for op in found if op.kind == "elementwise") <= 4 * 8 + 4


@pytest.mark.parametrize(("bits", "format_"), [(4, "int4"), (8, "int8")])
def test_weights_of_few_bits_in_blocks(bits, format_):
    """MatMulNBits: the group is the block."""
    net = Net(**MICROSOFT)
    packed = net.weight(64, 4, 32 * bits // 8, kind=UINT8)
    x = net.op("MatMulNBits", net.input("x", [2, 3, 128], HALF), packed, net.weight(64 * 4, kind=HALF),
               domain="com.microsoft", K=128, N=64, bits=bits, block_size=32)  # fmt: skip
    op = only(net, x)
    assert (op.dims["m"], op.dims["n"], op.dims["k"], op.attributes["group"]) == (6, 64, 128, 32)
    assert [each.format for each in op.operands] == ["fp16", format_, "fp16"]


def test_quantised_operators():
    """QLinearMatMul and QLinearConv keep 8 bits throughout."""
    net = Net()
    scale, zero = net.const(0.1), net.const(0, np.int8)
    x = net.op("QLinearMatMul", net.input("x", [4, 8], INT8), scale, zero, net.weight(8, 16, kind=INT8), scale, zero,
               scale, zero)  # fmt: skip
    y = net.op("QLinearConv", net.input("y", [1, 3, 8, 8], INT8), scale, zero, net.weight(4, 3, 3, 3, kind=INT8), scale,
               zero, scale, zero)  # fmt: skip
    product, conv = ops(net, x, y)
    assert {each.format for op in (product, conv) for each in op.operands} == {"int8"}
    assert conv.macs == 4 * 6 * 6 * 27


# --- attention ------------------------------------------------------------------------------------------


def attention_of(op):
    """Phase and dimensions of an attention."""
    heads = op.dims["kv_heads"] * op.dims["group"]
    return (
        op.attributes["phase"],
        op.dims["batch"],
        heads,
        *(op.dims[n] for n in ("kv_heads", "q_len", "kv_len", "head_dim")),
    )


@pytest.mark.parametrize(("causal", "phase"), [(0, "bidirectional"), (1, "prefill")])
@pytest.mark.parametrize("ranks", [3, 4])
def test_standard_attention(causal, phase, ranks):
    """ONNX's own operator, with heads as an axis or side by side."""
    net = Net(opset=23)
    shapes = [(2, 8, 5, 16), (2, 4, 5, 16)] if ranks == 4 else [(2, 5, 128), (2, 5, 64)]
    q, k, v = net.input("q", shapes[0]), net.input("k", shapes[1]), net.input("v", shapes[1])
    heads = {} if ranks == 4 else {"q_num_heads": 8, "kv_num_heads": 4}
    op = only(net, net.op("Attention", q, k, v, is_causal=causal, **heads))
    assert attention_of(op) == (phase, 2, 8, 4, 5, 5, 16)


def test_attention_of_onnx_runtime():
    """Projections within, queries alone, and grouped queries with a cache and rotary embedding."""
    net = Net(**MICROSOFT)
    own = {"domain": "com.microsoft"}
    x = net.input("x", [2, 8, 64])
    a = net.op("Attention", x, net.weight(64, 192), net.weight(192), num_heads=4, unidirectional=1, **own)
    b = net.op("MultiHeadAttention", a, net.input("k", [2, 9, 64]), net.input("v", [2, 9, 64]), num_heads=4, **own)
    past = net.input("past", [2, 2, 31, 16])
    keys, values = net.input("k1", [2, 1, 32]), net.input("v1", [2, 1, 32])
    lengths = net.input("lens", [2], TensorProto.INT32), net.input("total", [1], TensorProto.INT32)
    c = net.op("GroupQueryAttention", net.input("q", [2, 1, 64]), keys, values, past, past, *lengths, num_heads=4,
               kv_num_heads=2, do_rotary=1, outputs=3, **own)  # fmt: skip
    gemm, first, second, rope, third = ops(net, b, c[0])
    assert (gemm.dims["m"], gemm.dims["n"], gemm.dims["k"]) == (16, 192, 64)
    assert attention_of(first) == ("prefill", 2, 4, 4, 8, 8, 16)
    assert attention_of(second) == ("bidirectional", 2, 4, 4, 8, 9, 16)
    assert attention_of(third) == ("decode", 2, 4, 2, 1, 32, 16)
    assert (rope.attributes["op"], rope.output.elements(rope.dims)) == ("rope", 2 * 6 * 16)


# --- rows ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "shapes", "read", "written", "learned"),
    [
        ("Add", [(4, 8), (4, 8)], 64, 32, 0),
        ("Add", [(4, 8), (8,)], 40, 32, 0),
        ("Mul", [(2, 3, 4, 5), (2, 1, 1, 5)], 130, 120, 0),
        ("Sub", [(7, 1), (1, 5)], 12, 35, 0),
        ("Relu", [(4, 8)], 32, 32, 0),
        ("Erf", [(4, 8)], 32, 32, 0),
        ("Sum", [(4, 8), (4, 8), (4, 8)], 96, 32, 0),
        ("Transpose", [(4, 8)], 32, 32, 0),
        ("GlobalAveragePool", [(1, 6, 5, 5)], 150, 6, 0),
        ("Max", [(3,), (3,)], 6, 3, 0),
    ],
)
def test_elements_read_and_written_are_exact(kind, shapes, read, written, learned):
    """Each operand once, as it is before it is broadcast; the result once."""
    net = Net()
    op = only(net, net.op(kind, *(net.input(f"x{i}", shape) for i, shape in enumerate(shapes))))
    moved = op.bytes_by_role
    assert (moved["activation"], moved["output"], moved["weight"]) == (4 * read, 4 * written, 4 * learned)


def test_trained_operands_do_not_flow():
    """A position table is a weight, a single number is none."""
    net = Net()
    table, number = net.op("Add", net.input("x", [2, 4, 8]), net.weight(1, 4, 8)), net.const(3.0)
    first, second = ops(net, net.op("Mul", table, number))
    assert (first.parameters, first.bytes_by_role["activation"]) == (32, 4 * 64)
    assert (second.parameters, second.bytes_by_role["activation"]) == (0, 4 * 64)


def test_numbers_of_64_bits_count_twice():
    """What has no format of its width counts as two of half of it; a truth value as a byte."""
    net = Net()
    equal = net.op("Equal", net.input("x", [4, 8], TensorProto.INT64), net.input("y", [4, 8], TensorProto.INT64))
    op = only(net, equal)
    assert (op.bytes_by_role["activation"], op.bytes_by_role["output"]) == (2 * 32 * 8, 32)


def test_views_are_free_and_shapes_are_computed_away():
    """Reshapes cost nothing, and what computes shapes is not there."""
    net = Net()
    x = net.input("x", [2, 3, 4])
    size = net.op("ReduceProd", net.op("Shape", x), keepdims=1)
    flat = net.op("Reshape", x, net.op("Div", size, net.op("ConstantOfShape", net.const([1], np.int64),
                  value=_tensor(1))))  # fmt: skip
    found = document_of_onnx(net.bytes(net.op("Relu", flat)), "model.onnx", "mine", {})
    assert [each["op"] for each in found.document["model"]["ops"]] == ["relu"]
    assert found.free == {"Reshape": 1}


def _tensor(value):
    import onnx

    return onnx.numpy_helper.from_array(np.asarray([value], dtype=np.int64))


def test_norms():
    """Each kind of norm with rows and width, in one node or with the residual before it."""
    net = Net(opset=23, **MICROSOFT)
    x, own = net.input("x", [2, 4, 8]), {"domain": "com.microsoft"}
    a = net.op("LayerNormalization", x, net.weight(8), net.weight(8))
    b = net.op("RMSNormalization", a, net.weight(4, 8), axis=-2)
    c = net.op("SkipSimplifiedLayerNormalization", b, x, net.weight(8), **own)
    d = net.op("GroupNormalization", c, net.weight(4), net.weight(4), num_groups=2)
    found = ops(net, d)
    assert [(op.kind, op.attributes["op"]) for op in found] == [
        ("norm", "layernorm"), ("norm", "rmsnorm"), ("elementwise", "add"), ("norm", "rmsnorm"), ("elementwise", "map")
    ]  # fmt: skip
    assert [op.dims["width"] for op in found[:2]] == [8, 32]
    assert found[-1].parameters == 8


@pytest.mark.parametrize(("opset", "axis", "width"), [(13, -1, 5), (13, 1, 3), (11, 1, 60)])
def test_softmax_over_an_axis_or_all_after_it(opset, axis, width):
    """Before opset 13 the rest of the axes is one row."""
    net = Net(opset=opset)
    op = only(net, net.op("Softmax", net.input("x", [2, 3, 4, 5]), axis=axis))
    assert (op.dims["width"], op.dims["tokens"] * op.dims["width"]) == (width, 120)


def test_gathers():
    """Rows of a trained table, or a move of what flows."""
    net = Net()
    ids = net.input("ids", [2, 7], TensorProto.INT64)
    words = net.op("Gather", net.weight(100, 8), ids)
    moved = net.op("Gather", words, net.const([0, 2], np.int64), axis=1)
    first, second = ops(net, moved)
    assert (first.kind, first.dims["tokens"], first.parameters) == ("embedding", 14, 800)
    assert (second.attributes["op"], second.bytes_by_role["output"]) == ("copy", 4 * 2 * 2 * 8)


def test_loops_and_unknown_operators_are_refused():
    """What has graphs of its own, or no rule, is told by name."""
    import onnx

    branch = onnx.helper.make_graph([onnx.helper.make_node("Identity", ["x"], ["y"])], "b", [], [
        onnx.helper.make_tensor_value_info("y", TensorProto.FLOAT, [2])])  # fmt: skip
    net = Net()
    net.input("x", [2])
    net.op("If", net.input("c", [], TensorProto.BOOL), then_branch=branch, else_branch=branch, name="fork")
    net.op("LSTM", net.input("s", [5, 1, 3]), net.weight(1, 16, 3), net.weight(1, 16, 4), hidden_size=4, name="rnn")
    text = refusal(net, "fork:0", "rnn:0")
    assert "'fork' (If): graphs within a node" in text
    assert "'rnn' (LSTM): hwsim states no such operator" in text
