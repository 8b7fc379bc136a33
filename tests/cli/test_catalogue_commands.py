"""`list`, `show` and `check`: what exists, what it holds, and what is wrong with a file."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from hwsim.cli import main

Capture = pytest.CaptureFixture[str]


def answer(capsys: Capture, *words: str) -> dict[str, Any]:
    """The JSON object on stdout."""
    assert main([*words, "--json", "-"]) == 0
    value = json.loads(capsys.readouterr().out)
    assert isinstance(value, dict)
    return value


# --- list ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("what", "name"),
    [("workloads", "mamba"), ("devices", "vck190-spec"), ("papers", "lightmamba"), ("kernels", "gemm")],
)
def test_list(what: str, name: str, capsys: Capture) -> None:
    """Names with a line each, in text and as JSON."""
    rows = answer(capsys, "list", what)["results"]
    assert name in [row["name"] for row in rows]
    assert main(["list", what]) == 0
    text = capsys.readouterr().out
    assert all(f"  {row['name']} " in text for row in rows)
    assert max(map(len, text.splitlines())) <= 100


def test_mappings_name_their_machine(capsys):
    """Each shipped mapping with its machine, what it holds and how many entries."""
    rows = answer(capsys, "list", "mappings")["results"]
    assert [(row["name"], row["device"], row["holds"], row["entries"]) for row in rows] == [
        ("conv-optical-4k-2mhz", "optical-4k-2mhz", "layouts", 1),
        ("gemm-h100-sxm", "h100-sxm", "tiles", 1),
        ("golden-gemm", "ws16", "nests", 1),
        ("golden-gemm-imperfect", "ws16", "nests", 1),
        ("golden-gemv", "ws16", "nests", 1),
        ("llama-3-8b-xeon-8475b", "xeon-8475b", "blockings", 5),
    ]


def test_list_kernels_text(golden: Callable[[str, str], None], capsys: Capture) -> None:
    """The table of kernels with their arguments."""
    assert main(["list", "kernels"]) == 0
    golden("list_kernels.txt", capsys.readouterr().out)


# --- show ------------------------------------------------------------------------------------------------------------


def test_show_device_names_every_constant_with_its_source(capsys: Capture) -> None:
    """No constant without value, unit, kind and source."""
    found = answer(capsys, "show", "device", "vck190")
    assert {"device.clock", "device.memory.bandwidth"} <= {row["path"] for row in found["constants"]}
    assert all(row["source"] and row["kind"] and row["unit"] for row in found["constants"])
    assert all(row["rows"] for row in found["constants"] if row["kind"] == "fitted")
    assert main(["show", "device", "vck190"]) == 0
    text = capsys.readouterr().out
    assert "memory.bandwidth" in text
    assert "fitted on:" in " ".join(text.split())


def test_show_device_with_a_value_set(capsys: Capture) -> None:
    """`--set` shows in the accounts, with its new kind."""
    found = answer(capsys, "show", "device", "vck190", "--set", "device.clock=300 MHz")
    (clock,) = [row for row in found["constants"] if row["path"] == "device.clock"]
    assert (clock["value"], clock["kind"]) == (3e8, "set")
    assert found["clock_hz"] == 3e8


def test_ideal_constant_stands_as_the_text_that_sets_it(capsys: Capture) -> None:
    """JSON has no infinity."""
    found = answer(capsys, "show", "device", "vck190", "--set", "device.memory.bandwidth=.inf")
    (row,) = [row for row in found["constants"] if row["path"] == "device.memory.bandwidth"]
    assert row["value"] == ".inf"


def test_show_workload_gives_exact_sums(capsys: Capture) -> None:
    """Parameters and MACs of Mamba-2 2.7B are those of the checkpoint; the blocks add up."""
    found = answer(capsys, "show", "workload", "mamba2-2.7b")
    assert found["parameters"] == 2_702_599_680
    assert found["linear_macs_body"] == 2_571_632_640
    assert found["scan_state_elements"] == 41_943_040
    assert sum(block["parameters"] for block in found["blocks"].values()) == found["parameters"]
    assert main(["show", "workload", "mamba"]) == 0
    text = capsys.readouterr().out
    assert "2,702,599,680" in text
    assert "0.6825 (assumed:" in text
    assert "leaves out the embedding, the final norm and the LM head, which the host keeps" in " ".join(text.split())
    assert main(["show", "workload", "vit"]) == 0
    assert "which the host keeps" not in " ".join(capsys.readouterr().out.split())


def test_show_paper(capsys: Capture) -> None:
    """The catalogue's rows, without running them."""
    found = answer(capsys, "show", "paper", "specmamba")
    assert 2.85 in [row["published"] for row in found["rows"]]
    assert main(["show", "paper", "specmamba"]) == 0
    text = capsys.readouterr().out
    assert "2.85" in text
    assert re.search(r"2\.85x +inputs not\b", text)
    assert "inputs_not_published" not in text


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["show", "device", "vck19"], "did you mean 'vck190'"),
        (["show", "workload", "mamab"], "did you mean 'mamba'"),
        (["show", "paper", "lightmamb"], "did you mean 'lightmamba'"),
        (["show", "paper", "lightmamba", "--set", "device.clock=1"], "expected no --set: a paper's figures"),
    ],
)
def test_show_faults(words: list[str], message: str, capsys: Capture) -> None:
    """Unknown names suggest the nearest."""
    assert main(words) == 2
    assert message in capsys.readouterr().err


# --- check -----------------------------------------------------------------------------------------------------------


def write(folder: Path, name: str, text: str) -> str:
    """A file with this text."""
    (folder / name).write_text(text)
    return str(folder / name)


def test_check_tells_what_a_file_is(tmp_path: Path, capsys: Capture) -> None:
    """Workload, device or paper by its content, also when it only extends a shipped one."""
    files = [
        write(tmp_path, "w.yaml", "extends: mamba\nname: w\n"),
        write(tmp_path, "d.yaml", "extends: vck190\nname: d\nclock: 300 MHz\n"),
        write(tmp_path, "p.yaml", "paper: p\ntitle: t\nreference: r\nrows: []\n"),
    ]
    rows = answer(capsys, "check", *files)["results"]
    assert [(row["kind"], row["ok"]) for row in rows] == [("workload", True), ("device", True), ("paper", True)]
    assert main(["check", files[0]]) == 0
    assert "w.yaml: workload, no faults" in " ".join(capsys.readouterr().out.split())


def test_check_tells_every_fault_of_every_file(tmp_path: Path, capsys: Capture) -> None:
    """One bad file does not hide another; each fault has its line and column; exit 2."""
    files = [
        write(tmp_path, "a.yaml", "extends: vck190\nclok: 3\nmemory: {prots: 2}\n"),
        write(tmp_path, "b.yaml", "extends: mamba\nrun: {batch: off}\n"),
        write(tmp_path, "c.yaml", "extends: mamba\nname: good\n"),
    ]
    assert main(["check", *files]) == 2
    said = capsys.readouterr()
    assert f"{files[0]}:2:1:" in said.err
    assert "did you mean 'clock'" in said.err
    assert f"{files[0]}:3:" in said.err
    assert f"{files[1]}:2:" in said.err
    assert "good" not in said.err
    assert "c.yaml: workload, no faults" in " ".join(said.out.split())
    assert main(["check", *files, "--json", "-"]) == 2
    rows = json.loads(capsys.readouterr().out)["results"]
    assert [row["ok"] for row in rows] == [False, False, True]
    assert rows[0]["faults"][0]["suggestion"] == "clock"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "modle: {}\n",
            ":1:1: none of model, family, paper, mapping, sweep among its keys; expected a workload (model: ...), ",
        ),
        ("modle: {}\n", "did you mean 'model'"),
        ("[1, 2]\n", ":1:1: no keys; expected a workload"),
        ("extends: vck109\n", "unknown workload or device 'vck109'"),
        ("family: fpg\nname: x\n", "unknown family 'fpg'"),
        ("a: [1\n", ".yaml:"),
        ("extends: mamba\ndecoding: {draft: mamba2-13m}\n", ":2:19: unknown workload 'mamba2-13m'"),
    ],
)
def test_check_faults(text: str, message: str, tmp_path: Path, capsys: Capture) -> None:
    """What a file is not, what it extends in vain, and a draft that does not exist."""
    assert main(["check", write(tmp_path, "x.yaml", text)]) == 2
    assert message in capsys.readouterr().err


def test_check_missing_file(capsys: Capture) -> None:
    """A file that is not there is a fault like any other."""
    assert main(["check", "none.yaml"]) == 2
    assert "none.yaml" in capsys.readouterr().err
