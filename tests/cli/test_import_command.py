"""`hwsim import`: a workload file from a config.json, written, printed or refused."""

import json

import pytest

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


@pytest.mark.parametrize(("name", "words"), [("model.onnx", "does not read"), ("none.json", "no such file")])
def test_files_that_cannot_be_read(tmp_path, name, words, capsys):
    """ONNX is refused by name; a missing file is told as every other."""
    assert main(["import", str(tmp_path / name)]) == 2
    assert words in capsys.readouterr().err
