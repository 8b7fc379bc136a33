"""Measured rows of GPUs against hwsim, against the datasheet roofline, and against a three-number fit.

`python bench/accuracy.py [--data DIR] [FILE ...]` prints, for each file and format, the error on the held-out half of
the rows (seed 0; shipped constants were fitted on the other half): MAPE, median, 90th percentile, bias.
`roof` is max(flop / peak, bytes / bandwidth). `fit` is t0 + max(compute / ec, bytes / eb), fitted per table on the
other half. Rows are not part of the project: DIR defaults to HWSIM_SHARED_DATA, else to ../shared/data.
"""

from __future__ import annotations

import argparse
import csv
import os
import sys
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from hwsim.devices.catalog import find_device
from hwsim.devices.gpu import GpuDevice, GpuParameters
from hwsim.devices.gpu.attention import attention_path, form_named
from hwsim.devices.gpu.estimate import ALONE, Setting, host_s
from hwsim.devices.gpu.gemm import GemmFormats, gemm_rows
from hwsim.devices.gpu.recurrent import conv_time_s, scan_estimate
from hwsim.devices.gpu.vector import vector_times
from hwsim.pipeline import kernel as run_kernel
from hwsim.workload.kernel import build_kernel
from hwsim.workload.op import Op

Row = dict[str, str]
Floats = np.ndarray
SAME_WEIGHTS = Setting(1.0, True)
IN_LAYER = Setting(1e6, True)


@dataclass(frozen=True)
class Table:
    """Rows of one file and format: measured and predicted seconds, operations over peak and bytes over bandwidth."""

    name: str
    measured: Floats
    predicted: Floats
    compute_s: Floats
    memory_s: Floats


def card(name: str, *overrides: str) -> GpuParameters:
    """The parameters of a shipped card."""
    return find_device(name, overrides).parameters


def read(path: Path) -> list[Row]:
    """The rows of a file, comments left out."""
    lines = [line for line in path.read_text(encoding="utf-8").splitlines() if not line.startswith("#")]
    return list(csv.DictReader(lines))


def column(rows: list[Row], name: str, default: float = 0.0) -> Floats:
    """One column as floats."""
    return np.array([float(row.get(name) or default) for row in rows])


def times(rows: list[Row]) -> Floats:
    """Measured seconds."""
    return column(rows, "time_us") * 1e-6


FORMATS = {
    "bfloat16": GemmFormats(),
    "fp16": GemmFormats("fp16", "fp16", "fp16"),
    "fp8": GemmFormats("fp8_e4m3", "fp8_e4m3", quantize="dynamic"),
    "fp8_block": GemmFormats("fp8_block", "fp8_block", quantize="dynamic"),
    "nvfp4": GemmFormats("nvfp4", "nvfp4", quantize="dynamic"),
    "int8_wo": GemmFormats("fp16", "int8", "fp16"),  # scales by columns, as the rows' collector builds its layers
    "int4_wo": GemmFormats("fp16", "int4", "fp16"),
    "sq": GemmFormats("int8", "int8"),
}
BYTES = {"bfloat16": (2, 2), "fp16": (2, 2), "fp8": (1, 1), "fp8_block": (1, 1), "nvfp4": (0.5625, 0.5625)}
BYTES |= {"int8_wo": (2, 1), "int4_wo": (2, 0.5), "sq": (1, 1)}


def gemm_tables(name: str, rows: list[Row], p: GpuParameters, setting: Setting) -> list[Table]:
    """A table for each format of a GEMM file."""
    tables = []
    for dtype in sorted({row.get("dtype", "fp16") for row in rows}):
        own = [row for row in rows if row.get("dtype", "fp16") == dtype]
        m, n, k = (column(own, each) for each in "mnk")
        answer = gemm_rows(p, m, n, k, FORMATS[dtype], 1, setting)
        peak = p.chip.sms.value * answer.path.flop_per_clock * p.chip.tensor_clock.value
        a, b = BYTES[dtype]
        moved = m * k * a + n * k * b + 2 * m * n
        compute, memory = 2 * m * n * k / peak, moved / p.memory.bandwidth.value
        tables.append(Table(f"{name} {dtype}", times(own), answer.times_s, compute, memory))
    return tables


def attention_table(name: str, rows: list[Row], p: GpuParameters, decode: bool, causal: bool = True) -> Table:
    """One phase of an attention file in one pair of formats."""
    from hwsim.kernels.gpu_attention import decode_times, prefill_times

    formats = {"bfloat16": "bf16", "fp8": "fp8_e4m3", "float16": "fp16"}
    dtype = formats[rows[0].get("attn_dtype") or rows[0].get("dtype") or "float16"]
    kv_dtype = formats.get(rows[0].get("kv_dtype", ""), dtype)
    q = column(rows, "q_len") if "q_len" in rows[0] else column(rows, "seq")
    kv = column(rows, "kv_len") if "kv_len" in rows[0] else column(rows, "past_len") + q
    batch, heads, dim = (column(rows, each) for each in ("batch", "heads", "head_dim"))
    kv_heads = column(rows, "kv_heads") if "kv_heads" in rows[0] else heads
    window = column(rows, "window")
    predicted = np.empty(len(rows))
    for width in np.unique(dim):
        form, writes = form_named(p, "auto"), causal and not decode
        path = attention_path(p, dtype, kv_dtype, form, int(width), ALONE, not decode, writes)
        own = dim == width
        shape = [each[own] for each in (batch, heads, kv_heads, q, kv, dim, window)]
        predicted[own] = decode_times(*shape, path)[0] if decode else prefill_times(*shape, causal, path)[0]
    seen = np.where(window > 0, np.minimum(kv, window + q - 1), kv)
    pairs = q * seen - (q * (q - 1) / 2 if causal else 0)
    rate = p.tensor["fp8" if dtype.startswith("fp8") else "fp16"].value * p.chip.tensor_clock.value
    narrow = 1 if kv_dtype.startswith("fp8") else 2
    moved = batch * dim * (2 * heads * q * 2 + 2 * kv_heads * seen * narrow)
    compute = 4 * batch * heads * dim * pairs / (p.chip.sms.value * rate)
    phase = "decode" if decode else "prefill" if causal else "bidirectional"
    return Table(
        f"{name} {phase} {dtype}/{kv_dtype}", times(rows), predicted, compute, moved / p.memory.bandwidth.value
    )


def attention_tables(name: str, rows: list[Row], p: GpuParameters, _: Setting) -> list[Table]:
    """Tables by phase and formats."""
    keys = sorted(
        {(row.get("phase", "bidirectional"), row.get("attn_dtype", ""), row.get("kv_dtype", "")) for row in rows}
    )
    tables = []
    for key in keys:
        own = [
            r for r in rows if (r.get("phase", "bidirectional"), r.get("attn_dtype", ""), r.get("kv_dtype", "")) == key
        ]
        tables.append(attention_table(name, own, p, key[0] in ("generation", "decode"), key[0] != "bidirectional"))
    return tables


def vector_tables(name: str, rows: list[Row], p: GpuParameters, _: Setting) -> list[Table]:
    """A table for each op."""
    tables = []
    for op in sorted({row["op"] for row in rows}):
        own = [row for row in rows if row["op"] == op]
        moved = column(own, "tokens") * (column(own, "read_elems") + column(own, "write_elems")) * 2.0
        width = column(own, "write_elems")  # of silu_mul the file's own is its input's
        predicted, _cold = vector_times(p, op, moved, column(own, "tokens"), width)
        tables.append(Table(f"{name} {op}", times(own), predicted, moved * 0, moved / p.memory.bandwidth.value))
    return tables


def conv_tables(name: str, rows: list[Row], p: GpuParameters, _: Setting) -> list[Table]:
    """Causal convolutions of prefill and decode."""
    tables = []
    for kernel, phase in (("causal_conv1d_fn", "prefill"), ("causal_conv1d_update", "decode")):
        own = [row for row in rows if row["kernel"] == kernel]
        batch, length = column(own, "batch"), np.maximum(1.0, column(own, "seq_len"))
        if "nheads" in own[0]:
            channels = column(own, "nheads") * column(own, "head_dim") + 2 * column(own, "n_groups") * column(
                own, "d_state"
            )
        else:
            channels = 2 * column(own, "num_k_heads") * column(own, "head_k_dim")
            channels = channels + column(own, "num_v_heads") * column(own, "head_v_dim")
        length = length if phase == "prefill" else np.ones_like(length)
        moved = 2.0 * batch * channels * (2 * length + 2 * (column(own, "d_conv") - 1))
        predicted = np.array([conv_time_s(p, phase, *each) for each in zip(batch, channels, moved, strict=True)])
        tables.append(Table(f"{name} {kernel}", times(own), predicted, moved * 0, moved / p.memory.bandwidth.value))
    return tables


def scan_tables(name: str, rows: list[Row], p: GpuParameters, _: Setting) -> list[Table]:
    """Gated delta rule: chunked prefill and one step of decoding; then the convolutions."""
    tables = conv_tables(name, rows, p, ALONE)
    for kernel, phase in (("chunk_gated_delta_rule", "prefill"), ("fused_recurrent_gated_delta", "decode")):
        own = [row for row in rows if row["kernel"].startswith(kernel)]
        ops = [gated_delta(row, phase) for row in own]
        predicted = np.array([scan_estimate(p, op, ALONE).time_s for op in ops])
        moved = np.array([float(sum(op.bytes_by_role.values())) for op in ops])
        flop = 2.0 * np.array([float(op.macs) for op in ops])
        peak = p.chip.sms.value * p.tensor["bf16"].value * p.chip.tensor_clock.value
        tables.append(Table(f"{name} {kernel}", times(own), predicted, flop / peak, moved / p.memory.bandwidth.value))
    return tables


def gated_delta(row: Row, phase: str) -> Op:
    """The scan of a row."""
    shape = {
        "batch": row["batch"],
        "seq_len": row["seq_len"] if phase == "prefill" else 1,
        "heads": row["num_v_heads"],
        "groups": row["num_k_heads"],
        "head_dim": row["head_v_dim"],
        "d_state": row["head_k_dim"],
    }
    return build_kernel("scan", {"mixer": "gdn", "phase": phase, **shape})


def quantise_tables(name: str, rows: list[Row], p: GpuParameters, _: Setting) -> list[Table]:
    """Casts to 8 bits, and the largest magnitude."""
    op = "absmax_scale" if "computescale" in name else "quantize"
    elements = column(rows, "m") * column(rows, "k")
    moved = elements * (2.0 if op == "absmax_scale" else 3.0)
    predicted, _cold = vector_times(p, op, moved)
    return [Table(f"{name} {op}", times(rows), predicted, moved * 0, moved / p.memory.bandwidth.value)]


PCIE: dict[str, tuple[str, ...]] = {
    "NVIDIA A100-PCIE-40GB": ("a100-sxm-40",),
    "Tesla V100-PCIE-32GB": ("v100", "chip.boost_clock=1.38 GHz", "chip.tensor_clock=1.38 GHz", "power.limit=250 W"),
}
"""Cards of NeuSight's rows as the catalogue's nearest with what differs: the same chip and memory on another board."""

DGX_1 = ("chip.boost_clock=1.455 GHz", "chip.tensor_clock=1.455 GHz")
"""DeepBench's V100 at the clock of its first listings (120 TFLOP/s): fp32 rows reach 0.99 of it, a PCIe card's 0.98."""


def single_call_tables(name: str, rows: list[Row], _: GpuParameters, __: Setting) -> list[Table]:
    """fp32 kernels timed from the host with PyTorch 2.1: products and row kernels, by card and op."""
    tables = []
    for gpu, op in sorted({(row["gpu"], row["op"]) for row in rows}):
        own = [row for row in rows if (row["gpu"], row["op"]) == (gpu, op)]
        p = card(*PCIE[gpu], "stack=torch-2", "launch=eager")
        if "m" in own[0]:
            b, m, n, k = (column(own, each) for each in "bmnk")
            tall, count = (m * b, np.ones_like(b)) if op == "linear" else (m, b)
            predicted = gemm_rows(p, tall, n, k, GemmFormats("fp32", "fp32", "fp32"), count, SAME_WEIGHTS).times_s
            compute = 2 * b * m * n * k / (2 * p.chip.sms.value * p.chip.fp32_lanes.value * p.chip.tensor_clock.value)
            moved = 4 * b * (m * k + n * k + m * n)
        else:
            known = {"ln": "layernorm", "tanh": "gelu"}.get(op, op)
            width, compute = column(own, "cols"), np.zeros(len(own))
            moved = column(own, "rows") * width * 4 * (3 if op == "add" else 2)
            predicted, _cold = vector_times(p, known, moved, column(own, "rows"), width)
        predicted, memory = predicted + host_s(p, op == "linear"), moved / p.memory.bandwidth.value
        tables.append(Table(f"{name} {p.name} {op}", times(own), predicted, compute, memory))
    return tables


def deepbench_tables(name: str, rows: list[Row], p: GpuParameters, _: Setting) -> list[Table]:
    """Vendor products on a V100, fp32 and fp16 with fp32 sums."""
    tables = []
    for label, dtype in (("Results FP32", "fp32"), ("Results - FP16", "fp16")):
        own = [row for row in rows if row["precision"].startswith(label)]
        m, n, k = (column(own, each) for each in "nmk")  # by columns: C's are tokens
        answer = gemm_rows(p, m, n, k, GemmFormats(dtype, dtype, dtype), 1, SAME_WEIGHTS)
        peak = p.chip.sms.value * answer.path.flop_per_clock * p.chip.tensor_clock.value
        moved = (4 if dtype == "fp32" else 2) * (m * k + n * k + m * n)
        compute, memory = 2 * m * n * k / peak, moved / p.memory.bandwidth.value
        tables.append(Table(f"{name} {dtype}", times(own), answer.times_s, compute, memory))
    return tables


HOST_S = {"matmul": 21e-6, "softmax": 12e-6, "layernorm": 45e-6, "gelu": 45e-6}
"""The host's part of a call on the A100 node, by op: what LLMCompass's repository states (an input, as ``launch``)."""


def llmcompass_tables(name: str, rows: list[Row], p: GpuParameters, _: Setting) -> list[Table]:
    """bf16 kernels with the host's call, by op; softmax and layer norm are PyTorch's."""
    tables = []
    for op in sorted({row["op"] for row in rows}):
        own = [row for row in rows if row["op"] == op]
        m, n, k = (column(own, each, 1.0) for each in "mnk")
        if op == "matmul":
            predicted = gemm_rows(p, m, n, k, GemmFormats(), 1, SAME_WEIGHTS).times_s
            peak = p.chip.sms.value * p.tensor["bf16"].value * p.chip.tensor_clock.value
            compute, moved = 2 * m * n * k / peak, 2 * (m * k + n * k + m * n)
        else:
            moved, compute = 4 * m * n, np.zeros(len(own))
            predicted, _cold = vector_times(p, op, moved, m, n)
        memory = moved / p.memory.bandwidth.value
        tables.append(Table(f"{name} {op}", times(own), predicted + HOST_S[op], compute, memory))
    return tables


def power_tables(name: str, rows: list[Row], p: GpuParameters, _: Setting) -> list[Table]:
    """Board power in watts, where other tables have seconds; the roofline stands for the limit's share of the time."""
    watts = column(rows, "power_w")
    device = GpuDevice(p)
    found = [run_kernel(build_kernel("gemm", {each: row[each] for each in "mnk"}), device) for row in rows]
    predicted = np.array([each.energy_j / each.time_s for each in found])
    return [Table(f"{name} bf16 (watts)", watts, predicted, watts * 0, np.full(watts.size, p.power.limit.value))]


Reader = Callable[[str, list[Row], GpuParameters, Setting], list[Table]]
FILES: dict[str, tuple[str, tuple[str, ...], Reader, Setting]] = {
    "gemm_a100_sxm": ("a100-sxm-80", (), gemm_tables, ALONE),
    "gemm_h100_sxm": ("h100-sxm", (), gemm_tables, ALONE),
    "gemm_rtx_pro_6000_server": ("rtx-pro-6000-server", (), gemm_tables, ALONE),
    "gemm_vidur_a100": ("a100-sxm-80", ("stack=torch-2",), gemm_tables, IN_LAYER),
    "gemm_vidur_h100": ("h100-sxm", ("stack=torch-2",), gemm_tables, IN_LAYER),
    "attention_a100_sxm": ("a100-sxm-80", (), attention_tables, ALONE),
    "attention_h100_sxm": ("h100-sxm", (), attention_tables, ALONE),
    "attention_vidur_a100": ("a100-sxm-80", ("stack=torch-2",), attention_tables, ALONE),
    "vit_attention_h100_sxm": ("h100-sxm", (), attention_tables, ALONE),
    "vector_vidur_a100": ("a100-sxm-80", (), vector_tables, ALONE),
    "vector_vidur_h100": ("h100-sxm", (), vector_tables, ALONE),
    "mamba2_h100_sxm": ("h100-sxm", (), conv_tables, ALONE),
    "gdn_h100_sxm": ("h100-sxm", ("stack=sglang-0",), scan_tables, ALONE),
    "quant_computescale_h100_sxm": ("h100-sxm", (), quantise_tables, ALONE),
    "quant_scale_matrix_h100_sxm": ("h100-sxm", (), quantise_tables, ALONE),
    "gemm_fp32_neusight": ("a100-sxm-40", ("stack=torch-2",), single_call_tables, SAME_WEIGHTS),
    "vector_fp32_neusight": ("a100-sxm-40", ("stack=torch-2",), single_call_tables, SAME_WEIGHTS),
    "gemm_deepbench_v100": ("v100", ("stack=torch-2", *DGX_1), deepbench_tables, SAME_WEIGHTS),
    "llmcompass_a100": ("a100-sxm-80", ("stack=torch-2",), llmcompass_tables, SAME_WEIGHTS),
    "power_gemm_h200_sxm": ("h200-sxm", (), power_tables, ALONE),
}
"""File -> card, overrides, reader, setting."""

CARRIED = (
    ("gemm_h100_sxm", "h100-sxm", "a100-sxm-80", "gemm_a100_sxm"),
    ("gemm_a100_sxm", "a100-sxm-80", "h100-sxm", "gemm_h100_sxm"),
    ("gemm_rtx_pro_6000_server", "rtx-pro-6000-server", "h100-sxm", "gemm_h100_sxm"),
    ("gemm_rtx_pro_6000_server", "rtx-pro-6000-server", "a100-sxm-80", "gemm_a100_sxm"),
)
"""bf16 file, its card, the card whose fitted constants are used instead, and that card's file (for `fit`)."""


def held_out(rows: int) -> np.ndarray:
    """The half of the rows on which nothing was fitted."""
    return np.random.default_rng(0).random(rows) >= 0.5


def three_numbers(table: Table, train: np.ndarray) -> tuple[float, float, float]:
    """(t0, ec, eb) of least MAPE: a grid over ec and eb, t0 as the weighted median."""
    y, best, found = table.measured[train], np.inf, (0.0, 1.0, 1.0)
    compute = np.geomspace(0.1, 1.2, 24) if table.compute_s.any() else np.ones(1)
    order_weight = 1 / y
    for ec in compute:
        for eb in np.geomspace(0.1, 2.0, 30):
            base = np.maximum(table.compute_s[train] / ec, table.memory_s[train] / eb)
            rest = y - base
            order = np.argsort(rest)
            weight = np.cumsum(order_weight[order])
            t0 = max(0.0, float(rest[order][np.searchsorted(weight, weight[-1] / 2)]))
            error = float(np.mean(np.abs((t0 + base) / y - 1)))
            if error < best:
                best, found = error, (t0, float(ec), float(eb))
    return found


def with_fit(table: Table, numbers: tuple[float, float, float]) -> Floats:
    """Times of the three-number fit."""
    t0, ec, eb = numbers
    return t0 + np.maximum(table.compute_s / ec, table.memory_s / eb)


def errors(predicted: Floats, measured: Floats) -> str:
    """MAPE, median, 90th percentile and bias in percent."""
    e = 100 * (predicted / measured - 1)
    a = np.abs(e)
    return f"{a.mean():6.1f} {np.median(a):6.1f} {np.quantile(a, 0.9):6.1f} {e.mean():+6.1f}"


def show(table: Table) -> None:
    """One line: hwsim, fit and roof on the held-out half."""
    test = held_out(table.measured.size)
    y = table.measured[test]
    fit = with_fit(table, three_numbers(table, ~test))[test]
    roof = np.maximum(table.compute_s, table.memory_s)[test]
    print(
        f"{table.name:52} {y.size:5} | {errors(table.predicted[test], y)} | {errors(fit, y)} | {errors(roof, y)}",
        flush=True,
    )


def carried(folder: Path) -> None:
    """bf16 products on a card known by its datasheet, with another card's constants."""
    print("\nCarried by datasheet only (bf16): constants of another card; fit: three numbers of that card's rows")
    for name, to, of, other in CARRIED:
        p, base = card(to), card(of)
        foreign = replace(p, stacks=base.stacks, stack=base.stack)
        menu = replace(foreign.software.gemm, menu=p.software.gemm.menu)
        foreign = replace(foreign, stacks={base.stack: replace(foreign.software, gemm=menu)})
        pick = [row for row in read(folder / f"{name}.csv") if row["dtype"] == "bfloat16"]
        there = [row for row in read(folder / f"{other}.csv") if row["dtype"] == "bfloat16"]
        table = gemm_tables(name, pick, foreign, ALONE)[0]
        source = gemm_tables(other, there, base, ALONE)[0]
        fit = with_fit(table, three_numbers(source, np.ones(source.measured.size, bool)))
        y = table.measured
        print(f"{of + ' -> ' + to:52} {y.size:5} | {errors(table.predicted, y)} | {errors(fit, y)}", flush=True)


def data_folder(given: str | None) -> Path:
    """Where the rows are."""
    here = Path(__file__).resolve().parents[1]
    return Path(given or os.environ.get("HWSIM_SHARED_DATA") or here.parent / "shared" / "data")


def main(arguments: list[str] | None = None) -> int:
    """Print the tables, or why there are none to print."""
    parser = argparse.ArgumentParser(description="measured rows of GPUs against hwsim, a fit, and the roofline")
    parser.add_argument("--data", help="folder with the rows")
    parser.add_argument("files", nargs="*", help="files without .csv; default: all")
    options = parser.parse_args(arguments)
    folder = data_folder(options.data)
    if not folder.is_dir():
        print(f"skipped: no measured rows at {folder}; they are not part of the project, set HWSIM_SHARED_DATA")
        return 0
    print(
        f"{'held-out half, errors in percent':52} {'rows':>5} | {'hwsim: mape median p90 bias':27} | {'fit':27} | roof"
    )
    for name in options.files or FILES:
        device, overrides, reader, setting = FILES[name]
        for table in reader(name, read(folder / f"{name}.csv"), card(device, *overrides), setting):
            show(table)
    if not options.files:
        carried(folder)
    return 0


if __name__ == "__main__":
    sys.exit(main())
