"""`hwsim map` on a GPU: the tile of a product with the ranked menu, and what cannot be asked."""

import json
from pathlib import Path

import pytest

from hwsim.cli import main
from hwsim.devices.catalog import find_device
from hwsim.devices.gpu.ranking import choices_tried
from hwsim.kernels.gpu_gemm import SPLITS
from hwsim.pipeline import kernel
from hwsim.workload.kernel import build_kernel


def asked(capsys: pytest.CaptureFixture[str], words: str) -> dict:
    """The JSON of a `map` that succeeds."""
    assert main(f"map {words} --json -".split()) == 0
    return json.loads(capsys.readouterr().out)


@pytest.mark.parametrize("device", ["h100-sxm", "t4", "8x-a100-sxm-80"])
def test_the_answer_is_the_kernels(capsys: pytest.CaptureFixture[str], device: str) -> None:
    """Time, energy and tile are those of `hwsim kernel`; the fields of `map` hold together."""
    form = asked(capsys, f"gemm m=64 n=4096 k=4096 dtype=fp16 --device {device}")
    op = build_kernel("gemm", {"m": 64, "n": 4096, "k": 4096, "dtype": "fp16"})
    answer = kernel(op, find_device(device))
    assert (form["cycles"], form["energy_j"], form["time_s"]) == (answer.cycles, answer.energy_j, answer.time_s)
    assert form["edp"] == form["energy_j"] * form["time_s"]
    assert (form["optimal"], form["gap"], form["lower_bound"]) == (True, 0, form["cycles"])
    best = form["menu"][0]
    assert form["mapping"].startswith(f"{best['tm']}x{best['tn']}x{best['tk']}, split {best['split']}")
    assert [row["time_s"] for row in form["menu"]] == sorted(row["time_s"] for row in form["menu"])
    nests = form["nests"]
    assert nests["evaluated"] + sum(nests["pruned"].values()) == nests["represented"] == len(form["menu"]) * len(SPLITS)
    assert len(form["menu"]) <= nests["evaluated"]


def test_pairs_tried_by_hand() -> None:
    """A card full of blocks splits nothing; a deep, small product may split by all."""
    p = find_device("h100-sxm").parameters
    for dims, each in (({"m": 65536, "n": 65536, "k": 4096}, 1), ({"m": 1, "n": 8, "k": 10**6}, len(SPLITS))):
        represented, evaluated = choices_tried(p, build_kernel("gemm", dims))
        assert evaluated == represented // len(SPLITS) * each


def test_the_stack_and_the_table(capsys: pytest.CaptureFixture[str]) -> None:
    """Another stack has another menu; the table has the reason and the head of the menu."""
    assert asked(capsys, "gemm m=64 n=64 k=64 stack=torch-2 --device h100-sxm")["stack"] == "torch-2"
    assert main(["map", "gemm", "m=64", "n=64", "k=64", "--device", "h100-sxm"]) == 0
    shown = capsys.readouterr().out
    assert "Why: limited by" in shown
    assert "the least time of the menu" in shown
    assert "more tiles, all slower or equal" in shown


def test_out_writes_the_answer(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """`--out FILE.json` holds what `--json` prints."""
    form = asked(capsys, f"gemm m=8 n=8 k=8 dtype=fp16 --device t4 --out {tmp_path / 'tile.json'}")
    assert json.loads((tmp_path / "tile.json").read_text()) == form


def test_no_path_is_infeasible(capsys: pytest.CaptureFixture[str]) -> None:
    """Hopper has no int4 path: exit 3, with the reason."""
    assert main(["map", "gemm", "m=8", "n=8", "k=8", "dtype=int4", "--device", "h100-sxm", "--json", "-"]) == 3
    assert json.loads(capsys.readouterr().out)["infeasible"]["reason"]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("norm op=rmsnorm tokens=4 width=8", "on a GPU only products have a menu of tiles"),
        ("gemm m=8 n=8 k=8 structure=lowrank:4", "one product: dense, 2:4 or block"),
        ("gemm m=8 n=8 k=8 --objective energy", "a library chooses by time alone"),
        ("gemm m=8 n=8 k=8 --space perfect", "the whole menu is tried"),
        ("gemm m=8 n=8 k=8 --mode ideal", "the whole menu is tried"),
        ("gemm m=8 n=8 k=8 --budget-s 2", "the whole menu is tried"),
        ("gemm m=8 n=8 k=8 --phase decode", "an op has no workload"),
    ],
)
def test_what_a_gpu_cannot_be_asked(capsys: pytest.CaptureFixture[str], words: str, message: str) -> None:
    """Other kinds, several products and the options of the nests' search are refused by name."""
    assert main(f"map {words} --device h100-sxm".split()) == 2
    assert message in capsys.readouterr().err
