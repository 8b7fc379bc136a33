"""Rows timed by the array are those timed one by one, to the byte; what is unusual takes the ordinary way."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from hwsim.commands.kernel_csv import read_rows, write_rows
from hwsim.commands.kernel_rows import run_rows
from hwsim.devices.catalog import find_device
from hwsim.pipeline import kernels

FORMATS = ("bf16", "fp8_e4m3", "int8", "int4", "fp32")


def rows_text(rows: int = 60) -> str:
    """A CSV file of products of all sizes, in several formats, some batched."""
    rng = np.random.default_rng(3)
    lines = ["m,n,k,dtype,batch,quantize"]
    for number in range(rows):
        m, n, k = np.floor(2 ** rng.uniform(0, 13, 3)).astype(int)
        quantize = "dynamic" if number % 7 == 3 else "none"
        lines.append(f"{m},{n},{k},{FORMATS[number % len(FORMATS)]},{1 + number % 3},{quantize}")
    return "\n".join(lines) + "\n"


@pytest.mark.parametrize("overrides", [(), ("launch=eager",), ("launch=graph",), ("stack=torch-2",)])
def test_rows_by_the_array_are_rows_one_by_one(tmp_path: Path, overrides: tuple[str, ...]) -> None:
    """Both ways write the same bytes, whatever the launch and the stack; infeasible rows (int4 on Hopper) included."""
    source = tmp_path / "in.csv"
    source.write_text(rows_text())
    device = find_device("h100-sxm", overrides)
    assert run_rows(source, tmp_path / "quick.csv", "gemm", {"acc": "auto"}, device) == (60, 12)
    table = read_rows(source, "gemm", {"acc": "auto"})
    write_rows(tmp_path / "slow.csv", table, kernels(table.ops, device))
    assert (tmp_path / "quick.csv").read_bytes() == (tmp_path / "slow.csv").read_bytes()


@pytest.mark.parametrize(
    "shared",
    [
        {"structure": "2:4", "sparsity": "0.5"},
        {"structure": "block:128x128", "sparsity": "0.9"},
        {"b_dtype": "int4", "group": "128"},
        {"dtype": "int6"},
    ],
)
def test_sparse_and_narrow_rows_are_the_same_too(tmp_path: Path, shared: dict[str, str]) -> None:
    """Structures, weight-only formats and bit planes: the quick way gives the ordinary way's bytes."""
    source = tmp_path / "in.csv"
    source.write_text("m,n,k\n1,4096,4096\n33,2560,5120\n4096,4096,4096\n197,768,768\n")
    device = find_device("a100-sxm-80")
    assert run_rows(source, tmp_path / "quick.csv", "gemm", shared, device) is not None
    table = read_rows(source, "gemm", shared)
    write_rows(tmp_path / "slow.csv", table, kernels(table.ops, device))
    assert (tmp_path / "quick.csv").read_bytes() == (tmp_path / "slow.csv").read_bytes()


@pytest.mark.parametrize("launch", ["none", "eager"])
@pytest.mark.parametrize(
    ("kind", "op", "dtype"),
    [
        ("norm", "rmsnorm", "bf16"),
        ("norm", "layernorm", "fp32"),
        ("norm", "gated_rmsnorm", "fp16"),
        ("softmax", "softmax", "bf16"),
        ("elementwise", "add", "bf16"),
        ("elementwise", "silu_mul", "fp16"),
        ("elementwise", "rope", "bf16"),
        ("elementwise", "quantize", "fp8_block"),
        ("elementwise", "absmax_scale", "bf16"),
    ],
)
def test_row_wise_kernels_are_the_same_too(tmp_path: Path, kind: str, op: str, dtype: str, launch: str) -> None:
    """Norms, softmax and elementwise kernels of all sizes, hot and cold, give the ordinary way's bytes."""
    source, shared = tmp_path / "in.csv", {"op": op, "dtype": dtype, "launch": launch}
    sizes = [(1, 1), (3, 4097), (197, 768), (5000, 5120), (65536, 8192), (12345, 67)]
    source.write_text("tokens,width\n" + "\n".join(f"{tokens},{width}" for tokens, width in sizes) + "\n")
    device = find_device("h100-sxm")
    assert run_rows(source, tmp_path / "quick.csv", kind, shared, device) == (6, 0)
    table = read_rows(source, kind, shared)
    write_rows(tmp_path / "slow.csv", table, kernels(table.ops, device))
    assert (tmp_path / "quick.csv").read_bytes() == (tmp_path / "slow.csv").read_bytes()


@pytest.mark.parametrize(
    "text",
    [
        "m,n,k\n1,2\n",
        "m,n,k\n1,2,x\n",
        "m,n,k\n1,2,0\n",
        "m,n,k\n1,2,1.5\n",
        "m,n,k,batch\n1,2,3,\n",
        "m,n,k,dtype\n1,2,3,bf17\n",
        "m,n\n1,2\n",
        "m,n,k\n1e9,1e9,1e9\n",
        "",
    ],
)
def test_the_unusual_takes_the_ordinary_way(tmp_path: Path, text: str) -> None:
    """Faulty or blank cells, missing columns, counts that floats cannot hold: nothing is written."""
    source, target = tmp_path / "in.csv", tmp_path / "out.csv"
    source.write_text(text)
    assert run_rows(source, target, "gemm", {}, find_device("h100-sxm")) is None
    assert not target.exists()


def test_other_kinds_and_families_take_the_ordinary_way(tmp_path: Path) -> None:
    """Only products and row-wise kernels on machines that time arrays are quick."""
    assert run_rows(tmp_path / "in.csv", tmp_path / "out.csv", "scan", {}, find_device("h100-sxm")) is None
    assert run_rows(tmp_path / "in.csv", tmp_path / "out.csv", "gemm", {}, find_device("vck190")) is None
