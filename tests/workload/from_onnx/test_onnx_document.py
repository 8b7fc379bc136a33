"""ONNX files as workloads: whole models against published and closed-form counts, and what their lists say."""

from pathlib import Path

import onnx
import pytest
from onnx import TensorProto
from onnx_models import Net, bert, llama_step, macs_by_shapes, resnet50, vit

from hwsim.errors import HwsimError
from hwsim.spec import dump_yaml, load, parse
from hwsim.workload.catalog import find_workload
from hwsim.workload.from_onnx import document_of_onnx
from hwsim.workload.model import Workload
from hwsim.workload.summary import summary


def imported(data, skip=False, **dims):
    """What a file says."""
    return document_of_onnx(data, "model.onnx", "mine", dims, skip)


def counted(data, **dims):
    """Its sums, through the text of a workload file."""
    text = dump_yaml(imported(data, **dims).document)
    return summary(load(parse(text.encode(), "mine.yaml"), Workload))


def kinds(document):
    """Kinds in order, of a repetition once."""
    entries = document["model"]["ops"]
    return [each["kind"] for entry in entries for each in (entry["ops"] if entry["kind"] == "repeat" else (entry,))]


def test_resnet_50_has_its_published_counts():
    """4.09 GMACs (torchvision); its 25,557,032 parameters less the gains that fold into the convolutions."""
    data = resnet50()
    found = counted(data, batch=1)
    gains = sum(
        dim for each in onnx.ModelProto.FromString(data).graph.initializer for dim in each.dims if len(each.dims) == 1
    )
    gains = (gains - 1000) // 4
    assert found.macs == 4_089_184_256 == macs_by_shapes(data, {"batch": 1})
    assert found.parameters == 25_557_032 - gains


@pytest.mark.parametrize(
    ("name", "parameters", "macs"),
    [
        ("bvlc_alexnet", 60_965_224, None),
        ("inception_v1", 6_998_552, None),
        ("vgg19", 143_667_240, 19_632_062_464),
        ("squeezenet", 1_235_496, 349_151_936),
        ("resnet50", None, 4_089_184_256),
    ],
)
def test_exported_models_have_their_published_counts(name, parameters, macs):
    """Real exports that the onnx package carries, weights left out: Caffe's and torchvision's totals."""
    data = (Path(onnx.__file__).parent / f"backend/test/data/light/light_{name}.onnx").read_bytes()
    found = counted(data)
    assert parameters in (None, found.parameters)
    assert macs in (None, found.macs)


def test_vit_b_16_is_the_shipped_one():
    """Parameters and multiply-accumulates to the unit, and its layers found as such."""
    shipped = summary(find_workload("vit-b-16"))
    found = counted(vit(), batch=1)
    assert (found.parameters, found.macs) == (shipped.parameters, shipped.macs)
    repeats = [each for each in imported(vit(), batch=1).document["model"]["ops"] if each["kind"] == "repeat"]
    assert [each["times"] for each in repeats] == [12]
    assert [op["name"] for op in repeats[0]["ops"] if op["kind"] == "gemm"] == ["qkv", "proj", "mlp.up", "mlp.down"]


@pytest.mark.parametrize(("batch", "seq"), [(1, 16), (3, 40)])
def test_encoder_in_steps(batch, seq):
    """Norms, GELU and attention written out in steps are found; counts are those of the formula."""
    d, layers, inner = 64, 3, 256
    found = counted(bert(d, layers, 4, inner), batch=batch, seq=seq)
    rows = batch * seq
    assert found.macs == layers * rows * (4 * d * d + 2 * d * inner) + layers * 2 * batch * seq * seq * d
    assert found.parameters == 100 * d + 2 * d + layers * (4 * (d * d + d) + 2 * d * inner + inner + d + 4 * d)
    document = imported(bert(), batch=batch, seq=seq).document
    assert set(kinds(document)) == {"embedding", "norm", "gemm", "attention", "elementwise"}
    assert document["model"]["tokens"] == rows


@pytest.mark.parametrize("past", [1, 31])
def test_decoder_with_a_cache(past):
    """Grouped heads are seen through the copies that exporters write; RMS norms and SiLU are found."""
    d, layers, heads, kv_heads, inner, vocab = 64, 2, 8, 2, 160, 96
    document = imported(llama_step(), batch=1, past=past).document
    attention = [
        each for entry in document["model"]["ops"] for each in entry.get("ops", ()) if each["kind"] == "attention"
    ]
    assert [(each["phase"], each["heads"], each["kv_heads"], each["kv_len"]) for each in attention] == [
        ("decode", heads, kv_heads, past + 1)
    ]
    found = counted(llama_step(), batch=1, past=past)
    width = d // heads * kv_heads
    assert found.macs == layers * (2 * d * d + 2 * d * width + 3 * d * inner + 2 * d * (past + 1)) + d * vocab
    assert [each for each in kinds(document) if each == "norm"] == ["norm"] * 3


def test_mask_and_scores_read_elsewhere_stay_apart():
    """Attention whose probabilities the model gives is run step by step: products of activations and a softmax."""
    net = Net()
    q, k, v = (net.input(name, [1, 4, 8, 16]) for name in "qkv")
    scores = net.op("MatMul", q, net.op("Transpose", k, perm=[0, 1, 3, 2]))
    given = net.op("Softmax", scores, axis=-1)
    document = imported(net.bytes(net.op("MatMul", given, v), given)).document
    assert kinds(document) == ["elementwise", "gemm", "softmax", "gemm"]
    first, second = (each for each in document["model"]["ops"] if each["kind"] == "gemm")
    assert (first["m"], first["n"], first["k"], first["batch"], first["of"]) == (8, 8, 16, 4, "activations")
    assert (second["m"], second["n"], second["k"], second["batch"]) == (8, 16, 8, 4)


def test_everything_that_is_not_understood_is_told_at_once():
    """One fault for each node, with its name and type; left out where asked, and said."""
    net = Net(opset=17, **{"my.own": 1})
    x = net.input("x", [4, 8])
    odd = net.op("Fancy", net.op("Relu", x, name="first"), name="odd", domain="my.own")
    other = net.op("Det", net.input("square", [3, 3]), name="other")
    data = net.bytes(net.op("Relu", odd, name="last"), other)
    with pytest.raises(HwsimError) as caught:
        imported(data)
    told = [str(fault) for fault in caught.value.faults]
    assert [each.split(":")[1] for each in told] == [" node 'odd' (Fancy of my.own)", " node 'other' (Det)"]
    found = imported(data, skip=True)
    assert [each["name"] for each in found.document["model"]["ops"]] == ["first", "last"]
    assert [each.split(" ")[0] for each in found.skipped] == ["odd", "other"]


def test_formats_are_those_of_most_products():
    """A model of half precision with one product in single: that one says so itself."""
    net = Net()
    x = net.input("x", [4, 8], TensorProto.FLOAT16)
    for _ in range(2):
        x = net.op("MatMul", x, net.weight(8, 8, kind=TensorProto.FLOAT16))
    wide = net.op("Cast", x, to=TensorProto.FLOAT)
    document = imported(net.bytes(net.op("MatMul", wide, net.weight(8, 8), name="head"))).document
    assert (document["formats"]["weights"], document["formats"]["activations"]) == ("fp16", "fp16")
    head = document["model"]["ops"][-1]
    assert (head["weights"], head["activations"]) == ("fp32", "fp32")
    assert all("weights" not in each for each in document["model"]["ops"][:2])


def test_names_are_unique_and_bytes_the_same():
    """A file with names twice becomes a workload; the same file gives the same text."""
    net = Net()
    x = net.input("x", [4, 8])
    made = (
        onnx.helper.make_node("Relu", [x], ["a"], name="same"),
        onnx.helper.make_node("Tanh", ["a"], ["b"], name="same"),
    )
    net.nodes += made
    texts = [dump_yaml(imported(net.bytes("b")).document) for _ in range(2)]
    assert texts[0] == texts[1]
    assert load(parse(texts[0].encode(), "m.yaml"), Workload).model.named[1][1][0][0] == "same.2"
