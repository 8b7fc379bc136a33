"""`kernel`: one operation, and CSV files of them."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest

from hwsim.cli import main

Capture = pytest.CaptureFixture[str]
GEMM = ("m=1", "n=64", "k=128", "dtype=int4")


def test_arguments_stand_anywhere_among_the_options(capsys: Capture) -> None:
    """The order of words does not matter."""
    orders = (
        ["kernel", "gemm", *GEMM, "--device", "vck190", "--json", "-"],
        ["kernel", "m=1", "--device", "vck190", "gemm", "n=64", "--json", "-", "dtype=int4", "k=128"],
        ["kernel", "--json", "-", "k=128", "dtype=int4", "n=64", "m=1", "gemm", "--device", "vck190"],
    )
    found = []
    for words in orders:
        assert main(words) == 0
        form = json.loads(capsys.readouterr().out)
        form["arguments"] = dict(sorted(form["arguments"].items()))
        found.append(form)
    assert found[0] == found[1] == found[2]
    assert found[0]["macs"] == 64 * 128
    assert {"time_s", "energy_j", "bound", "cycles", "bytes"} <= set(found[0])


def test_text(capsys: Capture) -> None:
    """A table a newcomer can read."""
    assert main(["kernel", "gemm", *GEMM, "--device", "vck190"]) == 0
    text = capsys.readouterr().out
    assert text.startswith("gemm on vck190\nm=1 n=64 k=128 dtype=int4\n")
    assert "multiply-accumulates" in text


def test_infeasible_kernel(capsys: Capture) -> None:
    """Exit 3 with the reason."""
    words = "kernel attention phase=decode batch=1 heads=8 kv_heads=8 q_len=1 kv_len=8 head_dim=64 --device vck190"
    assert main([*words.split(), "--json", "-"]) == 3
    assert json.loads(capsys.readouterr().out)["infeasible"]["resource"] == "attention unit"


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("kernel --device vck190", "hwsim kernel: no kind of kernel; expected one of attention, "),
        ("kernel gem m=1 --device vck190", "unknown kind of kernel 'gem'; expected one of "),
        ("kernel gemm m 1 --device vck190", "'m' after the kind 'gemm'; expected arguments as name=value"),
        ("kernel gemm m=1 m=2 --device vck190", "m given twice; expected each argument once"),
        ("kernel gemm m=1 n=2 k=3 kk=3 --device vck190", "unknown argument 'kk'; expected arguments of gemm"),
        ("kernel gemm m=1 n=2 --device vck190", "gemm without k"),
        ("kernel gemm m=0 n=2 k=2 --device vck190", "hwsim kernel: "),
        ("kernel gemm m=x n=2 k=2 --device vck190", "m=x; expected a whole number"),
        ("kernel gemm m=1 n=2 k=2 --device vck190 --out a", "--out: a; expected --csv IN.csv beside it"),
        ("kernel gemm --csv a.csv --device vck190", "--csv: a.csv; expected --out OUT.csv beside it"),
        ("kernel gemm m=1 n=2 k=2", "required: --device"),
        ("kernel gemm --set workload.run.batch=2 --device vck190", "--set: workload.run.batch=2; expected device.PATH"),
    ],
)
def test_faults(words: str, message: str, capsys: Capture) -> None:
    """Each message, and exit 2."""
    assert main(words.split()) == 2
    assert message in capsys.readouterr().err


# --- CSV -------------------------------------------------------------------------------------------------------------


def run_csv(folder: Path, text: str, *words: str) -> tuple[int, Path]:
    """Run the kernels of a CSV text."""
    (folder / "in.csv").write_text(text, encoding="utf-8")
    out = folder / "out.csv"
    code = main(["kernel", "gemm", *words, "--csv", str(folder / "in.csv"), "--device", "vck190", "--out", str(out)])
    return code, out


def test_rows_get_their_answers(tmp_path: Path, capsys: Capture) -> None:
    """Columns as they were, four appended; a row that cannot run is blank with its reason; exit 0."""
    text = "m,n,k,dtype\n1,64,128,int4\n1,64,128,bf16\n\n2,64,128,int4\n"
    code, out = run_csv(tmp_path, text)
    assert code == 0
    rows = list(csv.DictReader(out.open(newline="")))
    assert list(rows[0]) == ["m", "n", "k", "dtype", "time_s", "energy_j", "bound", "infeasible"]
    assert rows[1]["time_s"] == rows[1]["energy_j"] == rows[1]["bound"] == ""
    assert "bf16" in rows[1]["infeasible"]
    assert rows[0]["infeasible"] == ""
    assert "3 rows, 1 of them infeasible" in capsys.readouterr().err
    assert main(["kernel", "gemm", *GEMM, "--device", "vck190", "--json", "-"]) == 0
    one = json.loads(capsys.readouterr().out)
    assert float(rows[0]["time_s"]) == one["time_s"]
    assert float(rows[0]["energy_j"]) == one["energy_j"]


def test_shared_arguments_and_byte_order_mark(tmp_path: Path) -> None:
    """Arguments of the command line hold for all rows; a spreadsheet's mark and line ends do no harm."""
    code, out = run_csv(tmp_path, "\ufeffm,n\r\n1,64\r\n2,64\r\n", "k=128", "dtype=int4")
    assert code == 0
    assert [row["m"] for row in csv.DictReader(out.open(newline=""))] == ["1", "2"]


def test_json_of_a_file(tmp_path: Path, capsys: Capture) -> None:
    """`--json -` gives the rows as results."""
    code, _ = run_csv(tmp_path, "m,n,k,dtype\n1,64,128,int4\n1,64,128,bf16\n", "--json", "-")
    assert code == 0
    first, second = json.loads(capsys.readouterr().out)["results"]
    assert first["macs"] == 8192
    assert "infeasible" in second


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("m,n,k\n1,64,x\n", "in.csv:2: column k: k=x; expected a whole number"),
        ("m,n,k\n1,64\n", "in.csv:2: 2 cells; expected 3, one for each column of the header"),
        ("m,n,k,dtype\n1,64,8,int5\n", "in.csv:2: column dtype: dtype=int5; expected one of "),
        ("m,n\n1,64\n", "in.csv:2: gemm without k"),
        ("m,n,kk\n1,64,8\n", "in.csv:1: unknown column 'kk'; expected arguments of gemm"),
        ("m,n,n\n1,64,8\n", "in.csv:1: column 'n' twice; expected each column once"),
        ("", "in.csv: an empty file; expected a header"),
        ('m,n,k\n1,"64,8\n', "no CSV: unexpected end of data"),
    ],
)
def test_faulty_files(text: str, message: str, tmp_path: Path, capsys: Capture) -> None:
    """A fault names file, line and column, and nothing is written."""
    code, out = run_csv(tmp_path, text)
    assert code == 2
    assert message in capsys.readouterr().err
    assert not out.exists()


def test_every_faulty_row_is_told_at_once(tmp_path: Path, capsys: Capture) -> None:
    """Three bad rows, three faults; a column that the command line gives too is refused."""
    code, _ = run_csv(tmp_path, "m,n,k\nx,64,8\n1,y,8\n1,64,z\n")
    assert code == 2
    assert [line.split(": ")[1] for line in capsys.readouterr().err.splitlines()] == [
        "column m",
        "column n",
        "column k",
    ]
    code, _ = run_csv(tmp_path, "m,n,k\n1,64,8\n", "m=3")
    assert code == 2
    assert "column 'm', which the command line gives too; expected one of the two" in capsys.readouterr().err


def test_thousands_of_faults_are_cut(tmp_path: Path, capsys: Capture) -> None:
    """A file of the wrong kind does not flood the terminal."""
    run_csv(tmp_path, "m,n,k\n" + "x,64,8\n" * 5000)
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 101
    assert "4900 more faults" in lines[-1]


def test_missing_file(tmp_path: Path, capsys: Capture) -> None:
    """The file is named."""
    words = ["kernel", "gemm", "--csv", str(tmp_path / "none.csv"), "--device", "vck190", "--out", str(tmp_path / "o")]
    assert main(words) == 2
    assert "none.csv: cannot read: No such file or directory" in capsys.readouterr().err
