"""Rows timed by the array are those timed one by one, to the byte; what is unusual takes the ordinary way."""

from __future__ import annotations

import itertools
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
        {"structure": "lowrank:64"},
        {"structure": "monarch:4"},
        {"structure": "btt:2", "batch": "3"},
        {"structure": "blast:4x32"},
        {"structure": "blockdense:4x128", "quantize": "dynamic", "dtype": "int8"},
    ],
)
def test_sparse_and_narrow_rows_are_the_same_too(tmp_path: Path, shared: dict[str, str]) -> None:
    """Structures, factors, weight-only formats and bit planes: the quick way gives the ordinary way's bytes."""
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
        ("elementwise", "hadamard", "fp16"),
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


WIDTHS = ("1", "17", "197", "1000", "4096")
OTHER_KINDS: dict[str, tuple[str, dict[str, str], dict[str, tuple[str, ...]]]] = {
    "prefill": (
        "attention",
        {"phase": "prefill", "head_dim": "128"},
        {
            "batch": ("1", "2"),
            "heads": ("8", "24"),
            "kv_heads": ("1", "8"),
            "q_len": ("1", "700"),
            "kv_len": ("700", "9000"),
        },
    ),
    "windowed prefill": (
        "attention",
        {
            "phase": "prefill",
            "batch": "2",
            "heads": "8",
            "kv_heads": "2",
            "head_dim": "64",
            "window": "256",
            "kv_dtype": "fp8_e4m3",
        },
        {"q_len": ("1", "100", "900"), "kv_len": ("900", "5000")},
    ),
    "decode": (
        "attention",
        {"phase": "decode", "q_len": "1", "head_dim": "128", "window": "64"},
        {"batch": ("1", "130"), "heads": ("8", "32"), "kv_heads": ("1", "8"), "kv_len": ("1", "65", "4097")},
    ),
    "eager": (
        "attention",
        {"phase": "bidirectional", "heads": "12", "kv_heads": "12", "head_dim": "64", "kernel": "eager"},
        {"batch": ("1", "64"), "q_len": WIDTHS, "kv_len": ("197", "4096")},
    ),
    "conv1d": (
        "conv1d",
        {"phase": "prefill"},
        {"batch": ("1", "9"), "seq_len": WIDTHS, "channels": ("8", "5120"), "d_conv": ("2", "4")},
    ),
    "conv1d step": (
        "conv1d",
        {"phase": "decode", "d_conv": "4", "seq_len": "1"},
        {"batch": WIDTHS, "channels": WIDTHS},
    ),
    **{
        f"scan {mixer}": (
            "scan",
            {"mixer": mixer, "phase": "prefill", "groups": "2", "chunk": "0" if mixer == "mamba1" else "64"},
            {
                "batch": ("1", "8"),
                "seq_len": WIDTHS,
                "heads": ("2", "80"),
                "head_dim": ("1", "64"),
                "d_state": ("16", "128"),
            },
        )
        for mixer in ("mamba1", "mamba2", "gla", "gdn", "linear")
    },
    "scan step": (
        "scan",
        {"mixer": "gdn", "phase": "decode", "seq_len": "1", "head_dim": "128", "d_state": "128"},
        {"batch": WIDTHS, "heads": ("1", "32")},
    ),
    "conv2d": (
        "conv2d",
        {"groups": "2", "r": "3", "s": "3", "stride": "2"},
        {"batch": ("1", "64"), "oc": ("2", "64"), "ic": ("4", "62"), "y": ("7", "56"), "x": ("7", "56")},
    ),
    "padded conv2d": (
        "conv2d",
        {"batch": "2", "r": "3", "s": "3", "padding": "1", "ic": "64"},
        {"oc": ("2", "64"), "y": ("7", "56"), "x": ("2", "56")},
    ),
    "all-reduce": ("collective", {"op": "all_reduce", "gpus": "8"}, {"bytes": ("1", "4096", "1e6", "34865152")}),
    "message": ("collective", {"op": "send_recv", "gpus": "2"}, {"bytes": ("1", "4096", "1e6", "34865152")}),
}


@pytest.mark.parametrize("card", ["h100-sxm", "v100", "8x-a100-sxm-80"])
@pytest.mark.parametrize("name", OTHER_KINDS)
def test_every_kind_is_the_same_by_the_array(tmp_path: Path, name: str, card: str) -> None:
    """Attention, recurrent mixers, convolutions and collectives: every combination of sizes, byte for byte."""
    kind, shared, columns = OTHER_KINDS[name]
    source = tmp_path / "in.csv"
    rows = [",".join(cells) for cells in itertools.product(*columns.values())]
    source.write_text("\n".join([",".join(columns), *rows]) + "\n")
    shared = shared | {"dtype": "fp16"} if kind != "collective" else shared
    device = find_device(card)
    counts = run_rows(source, tmp_path / "quick.csv", kind, shared, device)
    table = read_rows(source, kind, shared)
    write_rows(tmp_path / "slow.csv", table, kernels(table.ops, device))
    assert counts == (len(rows), 0)
    assert (tmp_path / "quick.csv").read_bytes() == (tmp_path / "slow.csv").read_bytes()


@pytest.mark.parametrize(
    ("kind", "shared", "text"),
    [
        (
            "attention",
            {"phase": "decode", "batch": "1", "q_len": "1", "head_dim": "64"},
            "heads,kv_heads,kv_len\n8,3,9\n",
        ),
        (
            "attention",
            {"phase": "prefill", "batch": "1", "heads": "8", "kv_heads": "8", "head_dim": "64"},
            "q_len,kv_len\n9,8\n",
        ),
        ("gemm", {"group": "128"}, "m,n,k\n1,64,256\n1,64,64\n"),
        ("conv2d", {"batch": "1", "y": "8", "x": "8", "r": "1", "s": "1", "groups": "2"}, "oc,ic\n4,4\n4,3\n"),
        ("gemm", {}, 'm,n,k\n"1",64,256\n'),
        ("gemm", {"structure": "monarch:4"}, "m,n,k\n1,64,256\n1,62,256\n"),
        ("conv2d", {"batch": "1", "oc": "4", "ic": "4", "r": "3", "s": "3", "padding": "2"}, "y,x\n8,8\n8,2\n"),
    ],
)
def test_rows_that_a_constructor_refuses_take_the_ordinary_way(
    tmp_path: Path, kind: str, shared: dict[str, str], text: str
) -> None:
    """Heads or blocks that do not divide, padding that leaves no image, quotes …: the ordinary way speaks."""
    source = tmp_path / "in.csv"
    source.write_text(text)
    assert run_rows(source, tmp_path / "out.csv", kind, shared, find_device("h100-sxm")) is None


def test_other_families_take_the_ordinary_way(tmp_path: Path) -> None:
    """Only machines that time arrays are quick."""
    assert run_rows(tmp_path / "in.csv", tmp_path / "out.csv", "gemm", {}, find_device("vck190")) is None
