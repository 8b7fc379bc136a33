"""`simulate`, `compare`, `roofline`, `diff` and `paper`, in process, on the shipped machines."""

from __future__ import annotations

import hashlib
import json
import re
from pathlib import Path
from typing import Any

import pytest
import result_builder as build

from hwsim.cli import main

Capture = pytest.CaptureFixture[str]


def answer(capsys: Capture, *words: str) -> dict[str, Any]:
    """The JSON object on stdout; there is nothing else there."""
    capsys.readouterr()
    assert main([*words, "--json", "-"]) == 0
    value = json.loads(capsys.readouterr().out)
    assert isinstance(value, dict)
    return value


# --- simulate --------------------------------------------------------------------------------------------------------

FIELDS = (
    "schema_version", "hwsim_version", "workload", "device", "mapping", "phase", "batch", "context", "clock_hz",
    "cycles", "time_s", "step_s", "time_per_token_s", "tokens_per_s", "energy_j", "energy_j_by", "tokens_per_j",
    "bound", "utilization", "bytes", "macs", "memory_bytes", "speculative", "formats", "ops", "constants", "inputs",
)  # fmt: skip
OP_FIELDS = {"name", "kind", "count", "time_s", "cycles", "bytes", "macs", "bound", "resource", "share"}


def test_json_has_the_promised_fields(capsys: Capture) -> None:
    """The contract of names: at the top, in each operator, in the speculation, in the constants."""
    found = answer(capsys, "simulate", "mamba", "--device", "vck190-spec")
    assert [name for name in FIELDS if name not in found] == []
    assert all(set(row) >= OP_FIELDS for row in found["ops"])
    assert set(found["speculative"]) >= {"nodes", "tokens_per_step", "policy"}
    assert set(found["formats"]) == {"asked", "used"}
    assert all({"path", "value", "unit", "source"} <= set(c) for c in found["constants"]["fitted"])


def test_time_per_token_is_the_step_over_its_tokens(capsys: Capture) -> None:
    """The figures on one page agree with one another."""
    found = answer(capsys, "simulate", "mamba", "--device", "vck190-spec")
    assert found["time_per_token_s"] == pytest.approx(found["step_s"] / found["speculative"]["tokens_per_step"])
    assert found["tokens_per_s"] == pytest.approx(1 / found["time_per_token_s"])
    assert sum(row["share"] for row in found["ops"]) == pytest.approx(1.0)
    assert sum(found["energy_j_by"].values()) == pytest.approx(found["energy_j"])


def test_autoregressive_rival_stands_beside(capsys: Capture) -> None:
    """The JSON's baseline is what the rival machine answers by itself, and the text has a row for it."""
    found = answer(capsys, "simulate", "mamba", "--device", "vck190-spec")
    alone = answer(capsys, "simulate", "mamba-ar", "--device", "vck190")
    baseline = found["baseline"]
    assert baseline["device"] == "vck190"
    assert baseline["tokens_per_s"] == pytest.approx(alone["tokens_per_s"])
    assert baseline["speed_up"] == pytest.approx(found["tokens_per_s"] / alone["tokens_per_s"])
    assert main(["simulate", "mamba", "--device", "vck190-spec"]) == 0
    assert re.search(r"\n  vck190 +autoregressive +decode", capsys.readouterr().out)


def test_default_device_is_said(capsys: Capture) -> None:
    """Without --device a machine is taken, and named on stderr, unless quiet."""
    assert main(["simulate", "mamba", "--json", "-"]) == 0
    said = capsys.readouterr()
    assert json.loads(said.out)["device"] == "vck190-spec"
    assert "no --device given, taking vck190-spec" in said.err
    assert main(["simulate", "mamba", "--quiet"]) == 0
    said = capsys.readouterr()
    assert (said.out, said.err) == ("", "")
    assert main(["simulate", "llama-3-8b", "--json", "-"]) == 0
    assert "no --device given, taking h100-sxm" in capsys.readouterr().err


def test_inputs_are_hashed_and_shipped_files_named_without_their_place(capsys: Capture, tmp_path: Path) -> None:
    """The same files give the same record wherever hwsim is installed."""
    mine = tmp_path / "mine.yaml"
    mine.write_text("extends: mamba\nname: mine\n")
    found = answer(capsys, "simulate", str(mine), "--device", "vck190-spec")["inputs"]
    assert found[str(mine)] == hashlib.sha256(mine.read_bytes()).hexdigest()
    assert set(found) >= {"workloads/mamba.yaml", "workloads/mamba2-130m.yaml"}
    assert all(re.fullmatch(r"[0-9a-f]{64}", digest) for digest in found.values())


def test_same_question_same_bytes(tmp_path: Path) -> None:
    """Every file of a run repeats byte for byte, with nothing left beside them."""
    for name in ("one", "two"):
        assert main(["simulate", "mamba", "--quiet", "--device", "vck190-spec", "--out", str(tmp_path / name)]) == 0
    names = ["breakdown.svg", "report.html", "result.json", "roofline.svg", "timeline.svg", "trace.json"]
    assert sorted(path.name for path in (tmp_path / "one").iterdir()) == names
    for name in names:
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes()


def test_trace_covers_the_step(tmp_path: Path) -> None:
    """The passes on the top row fill the step to the cycle."""
    assert main(["simulate", "mamba", "--device", "vck190-spec", "--quiet", "--trace", str(tmp_path / "t.json")]) == 0
    trace = json.loads((tmp_path / "t.json").read_text())
    passes = [e["args"] for e in trace["traceEvents"] if e.get("cat") == "pass"]
    assert sum(each["cycles"] for each in passes) == trace["otherData"]["step_cycles"]


def test_overrides_change_machine_and_workload(capsys: Capture) -> None:
    """Twice the batch of a memory-bound machine with twice the bandwidth; what was set is said."""
    before = answer(capsys, "simulate", "mamba-ar", "--device", "vck190")
    after = answer(
        capsys, "simulate", "mamba-ar", "--device", "vck190", "--set", "device.memory.bandwidth=5 GB/s",
        "--set", "workload.run.context=7",
    )  # fmt: skip
    assert after["time_per_token_s"] > 1.9 * before["time_per_token_s"]
    assert after["context"] == 7
    assert [c["path"] for c in after["constants"]["set"]] == ["device.memory.bandwidth"]


def test_words_that_were_set_stand_in_the_notes(capsys: Capture) -> None:
    """What is no constant with a unit is noted as typed; a format of the machine with what does not follow it."""
    found = answer(
        capsys, "simulate", "mamba-ar", "--device", "vck190", "--set", "device.formats.weights=fp16",
        "--set", "device.memory.bandwidth=5 GB/s", "--set", "workload.run.context=7",
    )  # fmt: skip
    settings = [note for note in found["notes"] if note.startswith("set for this run")]
    assert settings[0].startswith("set for this run: device.formats.weights=fp16; the shape of the array")
    assert settings[1:] == ["set for this run: workload.run.context=7"]


def test_answer_names_the_file_that_lists_its_constants(capsys: Capture, tmp_path: Path) -> None:
    """`show device` is told the words that find the machine, which a file's own name would not."""
    mine = tmp_path / "mine.yaml"
    mine.write_text("extends: vck190\nname: other\n")
    assert main(["simulate", "mamba-ar", "--device", str(mine)]) == 0
    said = " ".join(capsys.readouterr().out.split())
    assert f"hwsim show device {mine} lists them." in said


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ("device.memory.bandwith=1e9", "did you mean 'memory.bandwidth'"),
        ("device.memory.bandwidth=-1", "--set device.memory.bandwidth=-1"),
        ("device.memory.bandwidth=5 m", "--set device.memory.bandwidth=5 m"),
        ("workload.run.batch=off", "--set workload.run.batch=off"),
    ],
)
def test_bad_overrides_are_faults(setting: str, message: str, capsys: Capture) -> None:
    """A wrong path, range, unit or type is told with the words that the user typed."""
    assert main(["simulate", "mamba", "--device", "vck190-spec", "--set", setting]) == 2
    assert message in capsys.readouterr().err


def test_infeasible_is_an_answer(capsys: Capture) -> None:
    """Exit 3, the reason in words, and the same as JSON."""
    words = ["simulate", "transformer", "--device", "vck190"]
    assert main(words) == 3
    assert "transformer cannot run on vck190" in capsys.readouterr().out
    assert main([*words, "--json", "-"]) == 3
    found = json.loads(capsys.readouterr().out)["infeasible"]
    assert {"resource", "demand", "bound", "unit", "terms", "levers"} <= set(found)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["simulate", "mambo", "--device", "vck190"], "did you mean 'mamba'"),
        (["simulate", "mamba", "--device", "vck109"], "did you mean 'vck190'"),
        (["simulate", "./none.yaml", "--device", "vck190"], "no such file"),
        (
            ["simulate", "mamba", "--mapping", "a.yaml"],
            "--mapping: 'a.yaml'; expected auto: machines of",
        ),
        (["simulate", "vit", "--device", "vck190", "--phase", "decode"], "--phase: phase decode for"),
        (["simulate", "mamba", "--json", "/nowhere/a.json", "--quiet"], "/nowhere/a.json: cannot write: No such file"),
        (["simulate", "mamba", "--trace", "/nowhere/a.json", "--quiet"], "/nowhere/a.json: cannot write"),
        (["simulate", "mamba", "--out", "/dev/null/x", "--quiet"], "/dev/null/x: cannot write: Not a directory"),
    ],
)
def test_faults(words: list[str], message: str, capsys: Capture) -> None:
    """Unknown names, missing files and places that cannot be written exit with 2."""
    assert main(words) == 2
    assert message in capsys.readouterr().err


# --- compare ---------------------------------------------------------------------------------------------------------


def test_compare_keeps_machines_that_cannot(capsys: Capture) -> None:
    """One that can is enough for exit 0; none is exit 3."""
    words = ["compare", "mamba", "--device", "vck190", "--device", "vck190-spec"]
    assert main([*words, "--set", "device.part.dsp=300", "--json", "-"]) == 0
    rows = json.loads(capsys.readouterr().out)["results"]
    assert [row["device"] for row in rows] == ["vck190", "vck190-spec"]
    assert "infeasible" in rows[1]
    assert rows[0]["tokens_per_s"] > 0
    assert main(["compare", "vit", "--device", "vck190"]) == 3
    assert "cannot: attention unit" in capsys.readouterr().out


# --- roofline --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("name", "head"), [("a.svg", b"<?xml"), ("a.PNG", b"\x89PNG")])
def test_roofline_writes_the_figure(name: str, head: bytes, tmp_path: Path, capsys: Capture) -> None:
    """SVG or PNG by the file's name, with the numbers as a table and as JSON."""
    words = ["roofline", "mamba", "--device", "vck190-spec", "--out", str(tmp_path / name)]
    assert main(words) == 0
    said = capsys.readouterr().out
    assert "ridge of dram and int4" in said
    assert "the lesser of what the memory gives and what its port takes; efficiency" in " ".join(said.split())
    assert (tmp_path / name).read_bytes().startswith(head)
    (found,) = answer(capsys, *words)["results"]
    for point in found["points"]:
        assert point["ops_per_s"] <= point["attainable_ops_per_s"] * (1 + 1e-6)


def test_roofline_of_what_cannot_run(capsys: Capture, tmp_path: Path) -> None:
    """Nothing is drawn, the reason is said."""
    out = tmp_path / "a.svg"
    assert main(["roofline", "vit", "--device", "vck190", "--out", str(out)]) == 3
    assert "attention unit" in capsys.readouterr().err
    assert not out.exists()


# --- diff ------------------------------------------------------------------------------------------------------------


def test_diff_of_two_runs(tmp_path: Path, capsys: Capture) -> None:
    """A bandwidth that was set is the cause; the time is the outcome, with its ratio."""
    names = [str(tmp_path / name) for name in ("a.json", "b.json")]
    common = ["simulate", "mamba-ar", "--device", "vck190", "--quiet", "--json"]
    assert main([*common, names[0]]) == 0
    assert main([*common, names[1], "--set", "device.memory.bandwidth=5.025 GB/s"]) == 0
    found = answer(capsys, "diff", *names)
    assert "constants.set.device.memory.bandwidth" in [change["path"] for change in found["causes"]]
    (step,) = [change for change in found["outcomes"] if change["path"] == "step_s"]
    assert step["ratio"] == pytest.approx(2.0, rel=0.01)
    assert main(["diff", names[0], names[0]]) == 0
    assert "Nothing differs." in capsys.readouterr().out


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "a.json: cannot read: No such file or directory; expected a result that"),
        ("{", "a.json:1:2: no JSON: Expecting property name"),
        ("[1]", "a.json: a list; expected a result"),
        ('{"x": 1}', "a.json: no key 'schema_version'; expected a result"),
        ("[" * 100_000, "a.json: no JSON"),
        (b"\xff\xfe", "a.json: no JSON"),
    ],
)
def test_diff_refuses_what_is_no_result(
    content: str | bytes | None, message: str, tmp_path: Path, capsys: Capture
) -> None:
    """The file, the place and what is wrong."""
    target = tmp_path / "a.json"
    if content is not None:
        target.write_bytes(content if isinstance(content, bytes) else content.encode())
    assert main(["diff", str(target), str(target)]) == 2
    assert message in capsys.readouterr().err


# --- paper -----------------------------------------------------------------------------------------------------------

PAPER = """\
paper: mine
title: Mine
reference: none
rows:
  - {id: a, claim: c, published: %s, unit: tokens/s, source: s, read: paper, expected: reproduced, tolerance: 0.1,
     why: w, predict: {by: fixed}}
"""


@pytest.mark.parametrize(("published", "code"), [("10.5", 0), ("20.0", 3)])
def test_paper_exit_code(published: str, code: int, tmp_path: Path, capsys: Capture, monkeypatch: Any) -> None:
    """3 when a row marked reproduced is outside its tolerance, and the row is named."""
    from hwsim.published import runner

    fixed = runner.Prediction(10.0, "tokens/s", "", (build.FITTED,))
    monkeypatch.setattr(runner, "predictors", lambda: {"fixed": lambda _: fixed})
    (tmp_path / "mine.yaml").write_text(PAPER % published)
    assert main(["paper", str(tmp_path / "mine.yaml"), "--json", "-"]) == code
    said = capsys.readouterr()
    (row,) = json.loads(said.out)["results"]
    assert row["verdict"] == ("outside tolerance" if code else "reproduced")
    assert row["constants"]["fitted"] == ["device.memory.bandwidth"]
    assert ("mine: a is marked reproduced and is outside its tolerance" in said.err) == bool(code)


def test_shipped_papers_hold(capsys: Capture) -> None:
    """Every row marked reproduced is; papers are run once each, in the order named."""
    found = answer(capsys, "paper", "lightmamba", "specmamba", "lightmamba")["results"]
    assert list(dict.fromkeys(row["paper"] for row in found)) == ["lightmamba", "specmamba"]
    assert len({(row["paper"], row["id"]) for row in found}) == len(found)
    assert "reproduced" in {row["verdict"] for row in found}
    assert "outside tolerance" not in {row["verdict"] for row in found}


def test_unknown_paper(capsys: Capture) -> None:
    """The nearest is suggested."""
    assert main(["paper", "lightmambo"]) == 2
    assert "did you mean 'lightmamba'" in capsys.readouterr().err


def test_roofline_of_several_machines_together(capsys: Capture, tmp_path: Path) -> None:
    """One frame for all; more than it can tell apart is refused before anything runs."""
    target = tmp_path / "all.svg"
    words = ["roofline", "mamba", "--together", "--device", "vck190-spec", "--device", "h100-sxm"]
    assert main([*words, "--quiet", "--out", str(target)]) == 0
    assert target.read_bytes().startswith(b"<?xml")
    assert main([*words, *["--device", "vck190"] * 7]) == 2
    assert "9 machines with --together" in capsys.readouterr().err


def test_roofline_of_another_level(capsys: Capture) -> None:
    """`--level` picks the bytes that count; an unknown one is the user's fault."""
    found = answer(capsys, "roofline", "mamba", "--device", "h100-sxm", "--level", "l2")
    assert found["results"][0]["memory_level"] == "l2"
    assert main(["roofline", "mamba", "--device", "h100-sxm", "--level", "l3"]) == 2
    assert "--level: unknown memory level 'l3'" in capsys.readouterr().err


def test_sparse_work_of_a_card_is_under_its_roofs(capsys: Capture) -> None:
    """2:4 weights skip half of the multiplications: performed is under the roof, the dense equivalent is twice that."""
    words = ["roofline", "llama-3-8b", "--device", "a100-sxm-80", "--phase", "prefill"]
    words += ["--set", "workload.formats.weight_sparsity=0.5", "--set", "workload.formats.weight_structure='2:4'"]
    one = answer(capsys, *words)["results"][0]
    two = answer(capsys, *words, "--sparse", "dense-equivalent")["results"][0]
    assert (one["counting"], two["counting"]) == ("performed", "dense-equivalent")
    assert all(point["ops_per_s"] <= 1.000001 * point["attainable_ops_per_s"] for point in one["points"])
    product = {point["name"]: point for point in two["points"]}["down_proj"]
    assert product["ops"] == 2 * {point["name"]: point for point in one["points"]}["down_proj"]["ops"]


def test_sensitivity_of_a_memory_bound_step(capsys: Capture, tmp_path: Path) -> None:
    """Bandwidth comes first and takes the time away nearly one for one; the folder gets the chart, the page too."""
    words = ["simulate", "mamba-ar", "--device", "vck190", "--sensitivity", "--out", str(tmp_path)]
    found = answer(capsys, *words)["sensitivity"]
    first = {each["path"]: each for each in found["effects"]}["device.memory.bandwidth"]
    assert first["elasticity"] == pytest.approx(-1.0, abs=0.05)
    assert first["slope_s_per_unit"] < 0
    assert not {each["path"] for each in found["effects"]} & set(found["without_effect"])
    assert (tmp_path / "tornado.svg").exists()
    page = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert "hwsim simulate mamba-ar --device vck190 --sensitivity</pre>" in page
    assert str(tmp_path) not in page
    assert json.loads((tmp_path / "result.json").read_text())["sensitivity"] == found


def test_sensitivity_is_printed_after_the_answer(capsys: Capture) -> None:
    """With its own heading; overrides hold in every run."""
    words = ["simulate", "mamba-ar", "--device", "vck190", "--sensitivity", "--set", "device.memory.bandwidth=1 GB/s"]
    assert main(words) == 0
    text = capsys.readouterr().out
    assert "\n\nWhat would make it faster\n" in text
    assert re.search(r"device\.memory\.bandwidth +1 GB/s +-1\.000", text)


def test_sensitivity_keeps_to_a_mapping_file(capsys: Capture, tmp_path: Path) -> None:
    """Each run takes the file's nests: its times are those of the same question with `--set`."""
    target = tmp_path / "product.yaml"
    formats = "{weights: int8, activations: int8, vectors: int8}"
    product = "{family: ops, ops: [{kind: gemm, m: 1024, n: 1024, k: 1024}]}"
    target.write_text(f"name: product\nmodel: {product}\nformats: {formats}\nrun: {{phase: inference}}\n")
    words = ["simulate", str(target), "--device", "ws16", "--mapping", "golden-gemm"]
    effects = answer(capsys, *words, "--sensitivity")["sensitivity"]["effects"]
    assert [each["path"] for each in effects] == ["device.levels[3].read_bandwidth", "device.clock"]
    for each in effects:
        text = f"{each['path']}={each['lower']} {each['unit']}"
        assert answer(capsys, *words, "--set", text)["time_s"] == each["lower_time_s"]


def test_compare_draws_one_figure(capsys: Capture, tmp_path: Path) -> None:
    """With machines that cannot run the workload; a name of another kind is refused before anything runs."""
    target = tmp_path / "all.png"
    words = ["compare", "llama-3-8b", "--device", "vck190", "--device", "h100-sxm"]
    assert main([*words, "--quiet", "--out", str(target)]) == 0
    assert target.read_bytes().startswith(b"\x89PNG")
    assert main([*words, "--out", str(tmp_path / "all.pdf")]) == 2
    assert "a name that ends in .svg or .png" in capsys.readouterr().err
