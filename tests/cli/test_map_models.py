"""`hwsim map WORKLOAD` on GPUs and optical machines: the choice for each product as `simulate` runs it."""

import json
from math import ceil
from pathlib import Path

import pytest

from hwsim.cli import main
from hwsim.devices.catalog import find_device
from hwsim.pipeline import kernel
from hwsim.pipeline.graphs import graph_of
from hwsim.workload import find_workload


def answer(capsys: pytest.CaptureFixture[str], words: str) -> dict:
    """The JSON of a command that succeeds."""
    assert main(f"{words} --json -".split()) == 0
    return json.loads(capsys.readouterr().out)


QUESTIONS = [
    "llama-3-8b --device h100-sxm --batch 16",
    "mamba2-2.7b --device rtx-4090 --phase prefill --context 300",
    "llama-3-8b --device rtx-pro-6000-server --batch 64 --transform quantize:weights=fp8_e4m3,activations=fp8_e4m3",
]


@pytest.mark.parametrize("words", QUESTIONS)
def test_products_take_what_simulate_says(capsys: pytest.CaptureFixture[str], words: str) -> None:
    """Time and bytes of a product are those of its ops in the simulation; none is missing or counted twice."""
    form = answer(capsys, f"map {words}")
    simulated = {row["name"]: row for row in answer(capsys, f"simulate {words}")["ops"]}
    seen: dict[str, int] = {}
    for row in form["results"]:
        ops = [simulated[name] for name in row["name"].split(" + ")]
        assert all(op["count"] == row["count"] for op in ops)
        assert row["time_s"] * row["count"] == pytest.approx(sum(op["time_s"] for op in ops), rel=1e-3)
        assert row["bytes_by_level"]["dram"] * row["count"] == pytest.approx(sum(op["bytes"] for op in ops))
        assert row["dims"]["n"] > 0
        seen |= dict.fromkeys(row["name"].split(" + "), row["count"])
    counted = {name: row["count"] for name, row in simulated.items()}
    assert seen | form["not_mapped"] == counted
    assert form["time_s"] == pytest.approx(sum(row["time_s"] * row["count"] for row in form["results"]))
    assert sum(form["energy_j_by_level"].values()) == pytest.approx(form["energy_j"])
    nests = form["nests"]
    assert nests["represented"] == nests["evaluated"] + sum(nests["pruned"].values())
    assert (form["optimal"], form["gap"]) == (True, 0)


def test_engines_join_what_reads_the_same_rows(capsys: pytest.CaptureFixture[str]) -> None:
    """Fused, q, k and v are one product over all their columns; eager, three."""
    fused = answer(capsys, "map llama-3-8b --device h100-sxm")
    rows = {row["name"]: row for row in fused["results"]}
    assert rows["q_proj + k_proj + v_proj"]["dims"]["n"] == 4096 + 2 * 1024
    eager = answer(capsys, "map llama-3-8b --device h100-sxm --set device.fusion=eager")
    assert {"q_proj", "k_proj", "v_proj"} <= {row["name"] for row in eager["results"]}


def test_experts_are_products_side_by_side(capsys: pytest.CaptureFixture[str]) -> None:
    """Thread blocks of a mixture's products are those of its active experts, each with its part of the rows."""
    form = answer(capsys, "map mixtral-8x7b --device b200 --batch 64")
    row = next(row for row in form["results"] if row["dims"].get("expert", 1) > 1)
    tm, tn = (int(each) for each in row["mapping"].split("x")[:2])
    split = int(row["mapping"].split("split ")[1].split(",")[0])
    experts, dims = row["dims"]["expert"], row["dims"]
    blocks = experts * ceil(ceil(dims["m"] / experts) / tm) * ceil(dims["n"] / tn) * split
    assert f", {blocks:,} thread blocks" in row["mapping"]
    nests = row["nests"]
    assert 0 < nests["evaluated"] <= nests["represented"]


def test_a_card_of_a_cluster_has_its_part(capsys: pytest.CaptureFixture[str]) -> None:
    """Eight cards that divide each layer: each has an eighth of the columns, and the answer says so."""
    form = answer(capsys, "map llama-3-8b --device 8x-h100-sxm")
    head = next(row for row in form["results"] if row["name"] == "lm_head")
    assert head["dims"]["n"] == 128256 // 8
    assert "one card's part" in form["covers"]


def test_light_has_a_layout_for_each_op(capsys: pytest.CaptureFixture[str]) -> None:
    """Each op in light with the costs of `hwsim kernel`; the host's are named."""
    form = answer(capsys, "map vit-b-16 --device optical-dmd-20khz")
    device, rows = find_device("optical-dmd-20khz"), {row["name"]: row for row in form["results"]}
    for op, count in graph_of(find_workload("vit-b-16"), device).distinct():
        if op.kind in device.parameters.offload:
            row, alone = rows.pop(op.name), kernel(op, device)
            assert (row["count"], row["cycles"], row["energy_j"]) == (count, alone.cycles, alone.energy_j)
    assert not rows
    assert form["space"] == "layouts"
    assert "softmax" in str(form["not_mapped"]) or "attention" in str(form["not_mapped"])


@pytest.mark.parametrize("device", ["h100-sxm", "optical-dmd-20khz"])
def test_what_was_written_runs_alike(tmp_path: Path, capsys: pytest.CaptureFixture[str], device: str) -> None:
    """`--out FILE.yaml` holds the choices of the model: under it, the same cycles; as JSON, the answer."""
    words = f"vit-b-16 --device {device} --batch 2"
    target = tmp_path / "mine.yaml"
    assert main(f"map {words} --quiet --out {target}".split()) == 0
    assert main(["check", str(target)]) == 0
    capsys.readouterr()
    plain, mapped = (answer(capsys, f"simulate {words}{more}") for more in ("", f" --mapping {target}"))
    assert mapped["cycles"] == plain["cycles"]
    form = answer(capsys, f"map {words} --out {tmp_path / 'mine.json'}")
    assert json.loads((tmp_path / "mine.json").read_text()) == form


def test_a_table_names_the_choice(capsys: pytest.CaptureFixture[str]) -> None:
    """The tile of each product, the sums, and what has none."""
    assert main(["map", "mamba2-2.7b", "--device", "h100-sxm"]) == 0
    shown = " ".join(capsys.readouterr().out.split())
    for words in ("tile", "all products", "Without a tile of the menu, and in no sum:", "The certificate covers each"):
        assert words in shown


def test_options_of_nests_are_refused(capsys: pytest.CaptureFixture[str]) -> None:
    """A menu has no space to choose: the option is named."""
    assert main(["map", "llama-3-8b", "--device", "h100-sxm", "--space", "perfect"]) == 2
    assert "the whole menu is tried" in capsys.readouterr().err
