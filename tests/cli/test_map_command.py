"""`hwsim map`: the golden answer through the command line, and what bad input says."""

import json

import pytest

from hwsim.cli import main


def test_golden_point_as_json(capsys):
    """GEMM 1024^3 on ws16: energy, cycles, split and certificate in the documented fields."""
    words = "map gemm m=1024 n=1024 k=1024 --device ws16 --objective edp --json -"
    assert main(words.split()) == 0
    form = json.loads(capsys.readouterr().out)
    assert form["energy_j"] == pytest.approx(863.44e-6, rel=1e-5)
    assert (form["cycles"], form["optimal"], form["gap"], form["space"]) == (4_194_304, True, 0, "perfect")
    assert form["bytes_by_level"]["DRAM"] == 6 * 2**20
    nests = form["nests"]
    assert nests["evaluated"] + sum(nests["pruned"].values()) == nests["represented"]


def test_no_room_exits_with_3(capsys):
    """An L1 without room: infeasible with its levers, exit 3."""
    words = "map gemm m=4 n=4 k=4 --device ws16 --set device.levels.2.capacity=1 --json -"
    code = main(words.split())
    form = json.loads(capsys.readouterr().out)
    assert code == 3
    assert form["infeasible"]["resource"] == "L1"
    assert form["infeasible"]["levers"]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("map gemm m=0 n=4 k=4 --device ws16", "m=0"),
        ("map gemm m=1000000000000 n=4 k=4 --device ws16", "m=1000000000000"),
        ("map gemm m=4 n=4 k=4 --device ws61", "did you mean 'ws16'"),
        (
            "map norm op=rmsnorm tokens=4 width=4 dtype=int8 --device optical-4k-2mhz",
            "runs on the host of optical-4k-2mhz",
        ),
        ("map gemm m=4 n=4 k=4 --device ws16 --phase decode", "an op has no workload"),
        ("map gemm m=4 n=4 k=4 --device ws16 --mode ideel", "did you mean 'ideal'"),
        ("map no-such-model --device ws16", "no-such-model"),
        ("map gemm m=4 n=4 k=4 --device ws16 --set workload.run.batch=2", "an op has no workload"),
        ("map gemm m=4 m=4 n=4 k=4 --device ws16", "m given twice"),
        ("map --device ws16", "0 kinds (none)"),
        ("map gemm m=4 n=4 k=4 --device ws16 --objective eddp", "did you mean 'edp'"),
        ("map gemm m=4 n=4 k=4 --device ws16 --budget-s 0", "a number of seconds above 0"),
    ],
)
def test_bad_input_exits_with_2(capsys, words, message):
    """Each mistake is named, with what was expected."""
    assert main(words.split()) == 2
    assert message in capsys.readouterr().err


def test_other_kinds_are_infeasible(capsys):
    """A norm has no multiply-accumulate nest: infeasible, not a crash."""
    assert main(["map", "norm", "op=rmsnorm", "tokens=4", "width=8", "--device", "ws16", "--json", "-"]) == 3
    assert "are matrix products, not norm" in json.loads(capsys.readouterr().out)["infeasible"]["reason"]


def test_another_format_is_infeasible(capsys):
    """The multipliers take int8: a product in fp16 is refused with the lever."""
    assert main(["map", "gemm", "m=4", "n=4", "k=4", "dtype=fp16", "--device", "ws16", "--json", "-"]) == 3
    assert json.loads(capsys.readouterr().out)["infeasible"]["levers"] == ["run it with activation in int8"]


def test_a_front_stands_in_the_answer(capsys):
    """`--objective pareto`: every point by rising cycles and falling energy, as JSON and as a table."""
    slow = [f"--set=device.levels.1.{side}_bandwidth=1e9" for side in ("read", "write")]  # L2 saves energy, costs time
    small = "--set=device.levels.2.capacity=2048"
    words = ["map", "gemm", "m=64", "n=64", "k=64", "--device", "ws16", "--objective", "pareto", *slow, small]
    assert main([*words, "--json", "-"]) == 0
    front = json.loads(capsys.readouterr().out)["front"]
    assert len(front) > 1
    assert [row["cycles"] for row in front] == sorted({row["cycles"] for row in front})
    assert [row["energy_j"] for row in front] == sorted((row["energy_j"] for row in front), reverse=True)
    assert main(words) == 0
    assert "Pareto front" in capsys.readouterr().out
