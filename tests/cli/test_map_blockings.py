"""`hwsim map` on a CPU: the blocking of a product, of each of a model, all ranked, and what cannot be asked."""

import json
from pathlib import Path

import pytest

import hwsim.analysis.sensitivity
import hwsim.pipeline
from hwsim.cli import main
from hwsim.devices.catalog import find_device
from hwsim.devices.cpu import CpuDevice
from hwsim.devices.cpu.choice import search_blockings
from hwsim.devices.cpu.ranking import ranked_blockings
from hwsim.pipeline import Question, kernel
from hwsim.pipeline.graphs import graph_of
from hwsim.report.blockings import blocking_text
from hwsim.workload import find_workload
from hwsim.workload.kernel import build_kernel
from hwsim.workload.model import Workload

SHAPES = [
    dict(m=1, n=4096, k=4096),
    dict(m=512, n=1000, k=4096),
    dict(m=64, n=4096, k=4096, sparsity=0.5),
    dict(m=1, n=4096, k=4096, kernel="amx-strided", cores=16),
]


@pytest.mark.parametrize("device", ["xeon-8475b", "epyc-zen4"])
@pytest.mark.parametrize("shape", SHAPES[:3])
def test_the_answer_is_the_kernels(capsys: pytest.CaptureFixture[str], device: str, shape: dict) -> None:
    """Time, energy and blocking are those of `hwsim kernel`; every blocking was run, or left out by its bound."""
    words = [f"{name}={value}" for name, value in shape.items()]
    assert main(["map", "gemm", *words, "--device", device, "--json", "-"]) == 0
    form = json.loads(capsys.readouterr().out)
    answer = kernel(build_kernel("gemm", shape), find_device(device))
    assert (form["cycles"], form["energy_j"], form["time_s"]) == (answer.cycles, answer.energy_j, answer.time_s)
    best = form["menu"][0]
    for name in ("kernel", "loop", "row_groups", "column_tiles", "cores"):
        assert best[name] == answer.mapping[name]
    assert best["cycles"] == answer.cycles == form["lower_bound"]
    assert (form["optimal"], form["gap"], form["space"]) == (True, 0, "blockings")
    nests = form["nests"]
    assert nests["represented"] == nests["evaluated"] + sum(nests["pruned"].values()) >= len(form["menu"])


@pytest.mark.parametrize("shape", SHAPES)
def test_the_first_is_the_one_that_runs(shape: dict) -> None:
    """The ranked list begins with the choice of the machine, and nothing in it is faster."""
    p, op = find_device("xeon-8475b").parameters, build_kernel("gemm", shape)
    ranked = ranked_blockings(p, op)
    assert ranked[0].blocking == search_blockings(p, op).best.blocking
    assert [row.cycles for row in ranked] == sorted(row.cycles for row in ranked)
    assert all(row.cycles >= max(row.busy.values()) for row in ranked)


def test_the_table_says_why(capsys: pytest.CaptureFixture[str]) -> None:
    """The busiest stage, what the next one loses, and what is padded."""
    assert main(["map", "gemm", "m=64", "n=4100", "k=4096", "--device", "xeon-8475b"]) == 0
    text = " ".join(capsys.readouterr().out.split())
    assert "Why: its memory stage is busiest" in text
    assert "optimal among the blockings of onednn" in text
    assert "padded to whole tiles: 12 columns" in text


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("attention phase=decode batch=1 heads=8 q_len=1 kv_len=64 head_dim=64", "only products have blockings"),
        ("gemm m=8 n=8 k=8 --space perfect", "the whole menu is tried"),
        ("gemm m=8 n=8 k=8 --objective edp", "a library chooses by time alone"),
    ],
)
def test_what_cannot_be_asked(capsys: pytest.CaptureFixture[str], words: str, said: str) -> None:
    """Other kinds and the options of the nests' search are refused."""
    assert main(["map", *words.split(), "--device", "xeon-8475b"]) == 2
    assert said in capsys.readouterr().err


def test_no_tile_unit_is_infeasible(capsys: pytest.CaptureFixture[str]) -> None:
    """A tile kernel on Zen 4: exit 3, with the levers."""
    assert main(["map", "gemm", "m=1", "n=64", "k=64", "kernel=amx", "--device", "epyc-zen4"]) == 3
    assert "kernel=avx512" in capsys.readouterr().out


def test_a_model_is_mapped_product_by_product(capsys: pytest.CaptureFixture[str]) -> None:
    """Each distinct product with the blocking that `simulate` runs, sums over all of them, and what is none by name."""
    words = ["map", "mamba-130m", "--device", "xeon-8475b", "--phase", "prefill", "--context", "512"]
    assert main([*words, "--json", "-"]) == 0
    form = json.loads(capsys.readouterr().out)
    rows = {row["name"]: row for row in form["results"]}
    assert set(form["not_mapped"]) & {"norm", "scan"} == {"norm", "scan"}
    device = find_device("xeon-8475b")
    graph = graph_of(find_workload("mamba-130m"), device, Question(phase="prefill", context=512))
    for op, count in graph.distinct():
        if op.kind == "gemm":
            row = rows[op.name]
            answer = kernel(op, device)
            assert (row["count"], row["mapping"]) == (count, blocking_text(answer.mapping))
            assert row["time_s"] == answer.time_s
    assert form["cycles"] == sum(row["cycles"] * row["count"] for row in rows.values())
    assert sum(form["energy_j_by_level"].values()) == pytest.approx(form["energy_j"])
    assert (form["optimal"], form["lower_bound"]) == (True, form["cycles"])
    nests = form["nests"]
    assert nests["represented"] == nests["evaluated"] + sum(nests["pruned"].values())
    assert main(words) == 0
    assert "No matrix products, and in no sum: embedding" in " ".join(capsys.readouterr().out.split())


def test_a_model_s_map_is_written_and_run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """`--out` writes the answer as JSON, or the blockings as a mapping file, under which it takes the same time."""
    words = ["map", "mamba-130m", "--device", "epyc-zen4", "--quiet"]
    assert main([*words, "--out", str(tmp_path / "map.json")]) == 0
    assert json.loads((tmp_path / "map.json").read_text())["workload"] == "mamba-130m"
    target = str(tmp_path / "map.yaml")
    assert main([*words, "--out", target]) == 0
    assert main(["check", target]) == 0
    capsys.readouterr()
    run = ["simulate", "mamba-130m", "--device", "epyc-zen4", "--json", "-"]
    answers = []
    for more in ([], ["--mapping", target]):
        assert main([*run, *more]) == 0
        answers.append(json.loads(capsys.readouterr().out))
    assert answers[0]["cycles"] == answers[1]["cycles"]
    assert answers[1]["mapping"] == target
    assert target in answers[1]["inputs"]


def test_a_kernel_runs_by_a_mapping_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """What `map --out` wrote, edited, is what `kernel --mapping` runs; a fault names what was meant."""
    target = tmp_path / "my.yaml"
    shape = ["gemm", "m=64", "n=4096", "k=4096", "--device", "xeon-8475b"]
    assert main(["map", *shape, "--out", str(target), "--quiet"]) == 0
    target.write_text(target.read_text().replace("loop: columns-outer", "loop: rows-outer"))
    assert main(["kernel", *shape, "--mapping", str(target), "--json", "-"]) == 0
    assert json.loads(capsys.readouterr().out)["mapping"]["loop"] == "rows-outer"
    target.write_text(target.read_text().replace("loop: rows-outer", "loop: rows-auter"))
    assert main(["kernel", *shape, "--mapping", str(target)]) == 2
    assert "did you mean 'rows-outer'?" in capsys.readouterr().err


def test_varied_machines_keep_the_mapping(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """`--sensitivity` beside `--mapping`: each machine with one constant moved runs by the file too."""
    seen: list[int] = []
    real, every = hwsim.pipeline.seconds, hwsim.analysis.sensitivity.parameters_of

    def spy(workload: Workload, device: CpuDevice, question: Question) -> object:
        seen.append(len(device.given))
        return real(workload, device, question)

    monkeypatch.setattr(hwsim.pipeline, "seconds", spy)
    monkeypatch.setattr(hwsim.analysis.sensitivity, "parameters_of", lambda value: every(value)[:2])
    words = ["simulate", "llama-3-8b", "--batch", "16", "--device", "xeon-8475b", "--sensitivity", "--json", "-"]
    assert main([*words, "--mapping", "llama-3-8b-xeon-8475b"]) == 0
    assert json.loads(capsys.readouterr().out)["sensitivity"]
    assert len(seen) > 1
    assert set(seen) == {5}
