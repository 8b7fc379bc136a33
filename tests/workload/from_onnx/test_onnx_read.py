"""Reading ONNX files: dimensions that are open, graphs that are not whole, and what is missing."""

import builtins
from contextlib import suppress

import onnx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from onnx import TensorProto
from onnx_models import Net, bert, llama_step, resnet50

from hwsim.errors import HwsimError
from hwsim.spec import dump_yaml, load, parse
from hwsim.workload.from_onnx import document_of_onnx
from hwsim.workload.from_onnx.products import PRODUCTS
from hwsim.workload.from_onnx.rows import ROWS
from hwsim.workload.from_onnx.shapes import CONTRIB
from hwsim.workload.model import Workload
from hwsim.workload.summary import summary


def fault(data, **dims):
    """Why a file is refused."""
    with pytest.raises(HwsimError) as caught:
        document_of_onnx(data, "model.onnx", "mine", dims)
    return str(caught.value)


def small(*shape):
    """A graph of one operator."""
    net = Net()
    return net.bytes(net.op("Relu", net.input("x", shape)))


def test_open_dimensions_are_asked_for_by_name():
    """Every one that is missing, with the option that gives it; those without a name by input and axis."""
    text = fault(bert())
    assert "input_ids: dimension 0 is 'batch', which the file leaves open; expected --dim batch=N" in text
    assert "expected --dim seq=N" in text
    assert "dimension 1 is 'x.1'" in fault(small(4, None))
    assert document_of_onnx(small(4, None), "m.onnx", "mine", {"x.1": 3}).operators == 1


def test_sums_of_dimensions_follow():
    """``past + 1`` is known where past is."""
    data = small("past + 1", 8)
    assert "'past + 1'" in fault(data)
    (op,) = document_of_onnx(data, "m.onnx", "mine", {"past": 6}).document["model"]["ops"]
    assert op["tokens"] * op["width"] == 56


def test_dimensions_that_are_not_in_the_file():
    """A slip of the finger is told with the nearest name."""
    assert "'bach', which is no open dimension" in fault(bert(), bach=1, seq=2)
    assert "did you mean 'batch'?" in fault(bert(), bach=1, seq=2)
    assert "every dimension is fixed" in fault(small(4), batch=1)


@pytest.mark.parametrize("cut", [1, 10, 1000, -1])
def test_files_that_are_cut(cut):
    """No part of a file is a model."""
    assert "model.onnx: " in fault(resnet50()[:cut], batch=1)


@pytest.mark.parametrize("data", [b"", b"\x89PNG\r\n\x1a\n", b"name: mine\n", b"\x00" * 100])
def test_files_of_another_kind(data):
    """Other files are no models."""
    assert "no ONNX model" in fault(data)


def test_graphs_that_are_not_whole():
    """Cycles, tensors that nothing makes, and two makers of one."""
    net = Net()
    net.nodes = [onnx.helper.make_node("Relu", ["b"], ["a"], name="first"), onnx.helper.make_node("Relu", ["a"], ["b"])]
    assert "node 'first' (Relu) reads 'b', which nothing before it makes" in fault(net.bytes("a"))
    net = Net()
    x = net.input("x", [2])
    net.nodes = [onnx.helper.make_node("Relu", [x], ["a"]), onnx.helper.make_node("Tanh", [x], ["a"])]
    assert "a second 'a'" in fault(net.bytes("a"))
    net = Net()
    net.op("Relu", net.input("x", [2]))
    assert "output 'z', which no node makes" in fault(net.bytes("z"))


def test_shapes_that_contradict_each_other():
    """The node is named, with what onnx says of it."""
    net = Net()
    text = fault(net.bytes(net.op("MatMul", net.input("x", [4, 8]), net.weight(9, 2), name="bad")))
    assert "node 'bad' (MatMul)" in text


def test_extents_beyond_all_reason():
    """Huge dimensions are refused, not counted or allocated."""
    assert "at most 1,000,000,000" in fault(small(2**40))
    net = Net()
    big = net.op("ConstantOfShape", net.const([10**9, 10**9], "int64"))
    assert "elements" in fault(net.bytes(net.op("Add", big, net.input("x", [1]))))


def test_without_the_package(monkeypatch):
    """It is an extra: the message has the command that brings it."""
    real = builtins.__import__

    def without(name, *rest, **more):
        if name.partition(".")[0] == "onnx":
            raise ImportError("No module named 'onnx'")
        return real(name, *rest, **more)

    monkeypatch.setattr(builtins, "__import__", without)
    assert "pip install 'hwsim[onnx]'" in fault(b"anything")


def test_functions_of_the_file_are_put_in_place():
    """A call of a function that the file itself defines is what it computes."""
    opset = [onnx.helper.make_opsetid("", 17), onnx.helper.make_opsetid("own", 1)]
    body = [onnx.helper.make_node("Relu", ["a"], ["t"]), onnx.helper.make_node("Tanh", ["t"], ["b"])]
    function = onnx.helper.make_function("own", "Both", ["a"], ["b"], body, opset[:1])
    ends = [onnx.helper.make_tensor_value_info(name, TensorProto.FLOAT, [4, 8]) for name in "xy"]
    graph = onnx.helper.make_graph([onnx.helper.make_node("Both", ["x"], ["y"], domain="own")], "g", ends[:1], ends[1:])
    data = onnx.helper.make_model(graph, functions=[function], opset_imports=opset).SerializeToString()
    ops = document_of_onnx(data, "m.onnx", "mine", {}).document["model"]["ops"]
    assert [each["op"] for each in ops] == ["relu", "map"]


MODELS = (
    (resnet50(10, 32), {"batch": 1}),
    (bert(layers=1), {"batch": 1, "seq": 2}),
    (llama_step(layers=1), {"batch": 1, "past": 3}),
    (small(4, 8), {}),
)


def change_node(node, other, draw):
    """Another type, other inputs or attributes, or the result of another node."""
    change = draw(st.sampled_from(("type", "domain", "input", "cut", "attribute", "bare", "swap")))
    if change == "type":
        node.op_type = draw(st.sampled_from(sorted({*PRODUCTS, *ROWS})))
    elif change == "domain":
        node.domain, node.op_type = "com.microsoft", draw(st.sampled_from(sorted(CONTRIB)))
    elif change == "attribute" and node.attribute:
        node.attribute[0].i = draw(st.sampled_from((0, -1, 9, 2**62)))
        node.attribute[0].ints[:] = draw(st.lists(st.sampled_from((0, -1, 1, 2**62)), max_size=4))
    elif change == "bare":
        del node.attribute[:]
    elif change == "swap":
        node.output[0] = other.output[0]
    else:
        place = draw(st.integers(0, max(0, len(node.input) - 1)))  # an earlier change may have cut them all
        node.input[place:] = [other.output[0], *node.input[place + 1 :]] if change == "input" else []


def nodes_changed(data, draw):
    """A model with a node or a weight's shape changed."""
    model = onnx.ModelProto.FromString(data)
    nodes, weights = model.graph.node, model.graph.initializer
    for _ in range(draw(st.integers(1, 2))):
        node, other = (nodes[draw(st.integers(0, len(nodes) - 1))] for _ in range(2))
        if draw(st.booleans()) or not weights:
            change_node(node, other, draw)
            continue
        weight = weights[draw(st.integers(0, len(weights) - 1))]
        weight.data_type = draw(st.sampled_from((weight.data_type, 0, 3, 8, 14, 30)))
        weight.dims[:] = [draw(st.sampled_from((dim, 0, -1, 1, 10**9, 2**62))) for dim in weight.dims]
    return model.SerializeToString()


def bytes_changed(data, draw):
    """A model with bytes changed, cut out or put in."""
    text = bytearray(data)
    for _ in range(draw(st.integers(1, 4))):
        place = draw(st.integers(0, len(text)))
        text[place : place + draw(st.integers(0, 3))] = draw(st.binary(max_size=3))
    return bytes(text)


@given(st.data())
def test_any_bytes_are_an_answer_or_a_fault(data):
    """Models whose bytes or nodes are changed: a list that loads, or a refusal in the user's terms."""
    model, dims = data.draw(st.sampled_from(MODELS))
    change = data.draw(st.sampled_from((bytes_changed, nodes_changed)))
    with suppress(HwsimError):
        found = document_of_onnx(change(model, data.draw), "model.onnx", "mine", dims, data.draw(st.booleans()))
        summary(load(parse(dump_yaml(found.document).encode(), "mine.yaml"), Workload))
