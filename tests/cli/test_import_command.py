"""`hwsim import`: a workload file from a config.json, written, printed or refused."""

import json
from itertools import pairwise

import pytest
from onnx import TensorProto, helper

from hwsim.cli import main

CONFIG = {
    "model_type": "llama",
    "hidden_size": 256,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "intermediate_size": 512,
    "vocab_size": 1000,
}

TOTAL = 2 * 1000 * 256 + 2 * (256 * (256 + 256 + 2 * 128) + 3 * 256 * 512 + 2 * 256) + 256


@pytest.fixture
def config(tmp_path):
    """A configuration in a folder named after its model."""
    (tmp_path / "tiny").mkdir()
    target = tmp_path / "tiny" / "config.json"
    target.write_text(json.dumps(CONFIG))
    return target


def test_file_that_is_written_runs(config, tmp_path, capsys):
    """The written file is a workload like any other, named after it."""
    out = tmp_path / "small.yaml"
    assert main(["import", str(config), "--out", str(out)]) == 0
    assert "small: 1,692,928 parameters" in capsys.readouterr().out
    assert main(["simulate", str(out), "--device", "h100-sxm", "--json", "-"]) == 0
    assert json.loads(capsys.readouterr().out)["workload"] == "small"


def test_without_a_target_the_text_is_printed(config, capsys):
    """A pipe gets the file's text alone, named after the folder."""
    assert main(["import", str(config)]) == 0
    assert "name: tiny\n" in capsys.readouterr().out


def test_json_holds_the_workload_and_its_parameters(config, capsys):
    """One object on stdout and nothing else."""
    assert main(["import", str(config), "--name", "other", "--json", "-"]) == 0
    answer = json.loads(capsys.readouterr().out)
    assert (answer["workload"]["name"], answer["parameters"]) == ("other", TOTAL)


def test_refusals_leave_what_was_there(config, tmp_path, capsys):
    """A bad configuration is a fault with its line, and the target keeps its text."""
    out = tmp_path / "kept.yaml"
    out.write_text("kept")
    config.write_text(json.dumps(CONFIG | {"hidden_act": "odd"}, indent=1))
    assert main(["import", str(config), "--out", str(out)]) == 2
    assert "config.json:9: hidden_act" in capsys.readouterr().err
    assert out.read_text() == "kept"


@pytest.mark.parametrize("name", ["model.onnx", "none.json"])
def test_files_that_are_not_there(tmp_path, name, capsys):
    """A missing file is told as every other."""
    assert main(["import", str(tmp_path / name)]) == 2
    assert "no such file" in capsys.readouterr().err


@pytest.fixture
def perceptron(tmp_path):
    """An ONNX file with an open dimension, and a node that hwsim does not know."""
    shapes = {"x": ["rows", 64], "w": [64, 32]}
    ends = [
        helper.make_tensor_value_info("x", TensorProto.FLOAT, shapes["x"]),
        helper.make_empty_tensor_value_info("z"),
    ]
    weight = TensorProto(name="w", data_type=TensorProto.FLOAT, dims=shapes["w"], data_location=TensorProto.EXTERNAL)
    nodes = [helper.make_node("MatMul", ["x", "w"], ["y"]), helper.make_node("Odd", ["y"], ["z"], "odd", domain="my")]
    graph = helper.make_graph(nodes, "net", ends[:1], ends[1:], [weight])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17), helper.make_opsetid("my", 1)])
    target = tmp_path / "perceptron.onnx"
    target.write_bytes(model.SerializeToString())
    return target


def test_onnx_file_becomes_a_workload_that_runs(perceptron, tmp_path, capsys):
    """Open dimensions are given, what is not understood is left out and said; the file simulates."""
    out = tmp_path / "mlp.yaml"
    words = ["import", str(perceptron), "--out", str(out), "--dim", "rows=8"]
    assert main(words) == 2
    assert "node 'odd' (Odd of my): no such operator is known" in capsys.readouterr().err
    assert not out.exists()
    assert main([*words, "--skip-unknown"]) == 0
    told = " ".join(capsys.readouterr().out.split())
    assert "mlp: 1 operator, 2,048 parameters, 16,384 multiply-accumulates" in told
    assert "Left out, as not understood: 1 node." in told
    assert "odd (Odd)" in told
    assert main(["simulate", str(out), "--device", "l4", "--json", "-"]) == 0
    assert json.loads(capsys.readouterr().out)["macs"] == 8 * 64 * 32


def test_json_of_an_onnx_file(perceptron, capsys):
    """Work, what costs nothing and what was left out stand beside the workload."""
    words = ["import", str(perceptron), "--dim", "rows=8", "--skip-unknown", "--json", "-"]
    assert main(words) == 0
    answer = json.loads(capsys.readouterr().out)
    assert (answer["macs"], answer["free"], len(answer["skipped"])) == (16_384, {}, 1)
    assert answer["workload"]["model"]["family"] == "ops"


def chain(target, widths):
    """An ONNX file of one product after the other; the weights lie elsewhere."""
    shapes = {f"w{i}": pair for i, pair in enumerate(pairwise(widths))}
    weights = [
        TensorProto(name=name, data_type=TensorProto.FLOAT, dims=shape, data_location=TensorProto.EXTERNAL)
        for name, shape in shapes.items()
    ]
    nodes = [helper.make_node("MatMul", [f"x{i}", name], [f"x{i + 1}"]) for i, name in enumerate(shapes)]
    ends = [
        helper.make_tensor_value_info("x0", TensorProto.FLOAT, [1, widths[0]]),
        helper.make_empty_tensor_value_info(f"x{len(shapes)}"),
    ]
    graph = helper.make_graph(nodes, "net", ends[:1], ends[1:], weights)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)])
    target.write_bytes(model.SerializeToString())


def test_more_operators_than_a_file_holds_are_counted(tmp_path, capsys, monkeypatch):
    """A list that no repetition shortens has an end, which is told in operators, not as a place in a file."""
    chain(tmp_path / "long.onnx", range(8, 50))
    assert main(["import", str(tmp_path / "long.onnx"), "--out", str(tmp_path / "long.yaml")]) == 0
    capsys.readouterr()
    monkeypatch.setattr("hwsim.spec.build.MAX_NODES", 200)
    assert main(["import", str(tmp_path / "long.onnx"), "--out", str(tmp_path / "other.yaml")]) == 2
    told = capsys.readouterr().err
    assert "long.onnx: 41 operators beside those that repeat, " in told
    assert "expected at most 1,048,576 bytes and 200 values" in told
    assert not (tmp_path / "other.yaml").exists()


def test_a_text_that_does_not_parse_is_not_called_too_long(tmp_path, capsys, monkeypatch):
    """Only a list beyond what a file holds is told as one; any other fault of the text keeps its own words."""
    chain(tmp_path / "net.onnx", range(8, 12))
    monkeypatch.setattr("hwsim.spec.dump_yaml", lambda _: "name: [\n")
    assert main(["import", str(tmp_path / "net.onnx")]) == 2
    told = capsys.readouterr().err
    assert "not YAML" in told or "expected" in told
    assert "operators beside" not in told


@pytest.mark.parametrize("dim", ["rows", "rows=", "=3", "rows=0", "rows=-1", "rows=1e3", "rows=99999999999"])
def test_dimensions_that_are_no_numbers(perceptron, dim, capsys):
    """A dimension is a name with a whole number."""
    assert main(["import", str(perceptron), "--dim", dim]) == 2
    assert "expected NAME=N, a whole number from 1 to 10^9" in capsys.readouterr().err


def test_options_that_do_not_go_together(perceptron, config, capsys):
    """Two values of one dimension, and dimensions of a config.json."""
    assert main(["import", str(perceptron), "--dim", "rows=1", "--dim", "rows=2"]) == 2
    assert "rows as 1 and as 2" in capsys.readouterr().err
    assert main(["import", str(config), "--skip-unknown"]) == 2
    assert "a config.json leaves nothing open" in capsys.readouterr().err
