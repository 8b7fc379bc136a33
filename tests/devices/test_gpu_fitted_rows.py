"""The rows that constants were fitted on travel beside the constants: each is re-evaluated on its own rows."""

from pathlib import Path

import numpy as np
import pytest
from script_module import script_module

import hwsim
from hwsim.devices.catalog import find_device
from hwsim.pipeline.leaning import scaled
from hwsim.spec import quantities

ROOT = Path(__file__).resolve().parents[2]
ROWS = Path(hwsim.__file__).parent / "devices" / "catalog" / "gpu" / "rows"
ERRORS = [  # file, table, most MAPE in percent
    ("attention_a100_sxm", "prefill bf16/bf16", 18),
    ("attention_a100_sxm", "decode bf16/bf16", 15),
    ("attention_h100_sxm", "prefill bf16/bf16", 13),
    ("attention_h100_sxm", "prefill bf16/fp8_e4m3", 15),
    ("attention_h100_sxm", "decode bf16/bf16", 17),
    ("attention_h100_sxm", "decode bf16/fp8_e4m3", 20),
    ("attention_vidur_a100", "decode fp16/fp16", 14),
    ("attention_vidur_a100", "prefill fp16/fp16", 20),
    ("gdn_h100_sxm", "causal_conv1d_fn", 9),
    ("gdn_h100_sxm", "causal_conv1d_update", 3),
    ("gdn_h100_sxm", "chunk_gated_delta_rule", 12),
    ("gdn_h100_sxm", "fused_recurrent_gated_delta", 9),
    ("gemm_a100_sxm", "bfloat16", 7),
    ("gemm_a100_sxm", "int4_wo", 8),
    ("gemm_a100_sxm", "int8_wo", 8),
    ("gemm_a100_sxm", "sq", 10),
    ("gemm_h100_sxm", "bfloat16", 6),
    ("gemm_h100_sxm", "fp8", 8),
    ("gemm_h100_sxm", "fp8_block", 10),
    ("gemm_deepbench_v100", "fp32", 10),
    ("gemm_deepbench_v100", "fp16", 12),
    ("gemm_fp32_neusight", "a100-sxm-40 bmm", 5),
    ("gemm_fp32_neusight", "a100-sxm-40 linear", 8),
    ("gemm_fp32_neusight", "v100 bmm", 5),
    ("gemm_fp32_neusight", "v100 linear", 6),
    ("gemm_rtx_pro_6000_server", "bfloat16", 8),
    ("gemm_rtx_pro_6000_server", "fp8", 10),
    ("gemm_rtx_pro_6000_server", "nvfp4", 12),
    ("gemm_rtx_pro_6000_server", "fp8_block", 12),
    ("gemm_vidur_a100", "fp16", 10),
    ("gemm_vidur_h100", "fp16", 12),
    ("mamba2_h100_sxm", "causal_conv1d_fn", 12),
    ("vector_fp32_neusight", "a100-sxm-40 gelu", 3),
    ("llmcompass_a100", "softmax", 13),
    ("vector_fp32_neusight", "a100-sxm-40 ln", 10),
    ("vector_fp32_neusight", "a100-sxm-40 softmax", 9),
    ("vector_fp32_neusight", "v100 softmax", 9),
    ("vector_vidur_a100", "add", 7),
    ("vector_vidur_a100", "rmsnorm", 5),
    ("vector_vidur_a100", "rope", 9),
    ("vector_vidur_a100", "silu_mul", 9),
    ("vector_vidur_h100", "rmsnorm", 6),
    ("vector_vidur_h100", "add", 6),
]
DECISIVE = [  # file, table, constant of the stack: halving or doubling it makes these rows worse
    ("gemm_deepbench_v100", "fp32", "gemm.simt_part"),
    ("gemm_deepbench_v100", "fp32", "gemm.simt_feed"),
    ("gemm_deepbench_v100", "fp16", "gemm.tensor_share"),
    ("gemm_a100_sxm", "bfloat16", "gemm.floor"),
    ("gemm_a100_sxm", "sq", "gemm.narrow.stream"),
    ("gemm_a100_sxm", "int4_wo", "gemm.narrow.step"),
    ("gemm_a100_sxm", "int4_wo", "gemm.narrow.unpack"),
    ("gemm_a100_sxm", "int4_wo", "gemm.narrow.turn"),
    ("gemm_a100_sxm", "int8_wo", "gemm.narrow.load"),
    ("gemm_h100_sxm", "bfloat16", "gemm.tensor_share"),
    ("gemm_vidur_a100", "fp16", "dram_share"),
    ("gemm_deepbench_v100", "fp16", "dram_share"),
    ("gemm_rtx_pro_6000_server", "bfloat16", "gemm.l2_share"),
    ("gemm_h100_sxm", "fp8_block", "gemm.block.feed"),
    ("gemm_h100_sxm", "fp8_block", "gemm.block.quantize_step"),
    ("gemm_rtx_pro_6000_server", "fp8_block", "gemm.block.feed"),
    ("gemm_rtx_pro_6000_server", "fp8_block", "gemm.block.quantize_step"),
    ("attention_h100_sxm", "decode bf16/bf16", "attention.shared_step"),
    ("attention_a100_sxm", "decode bf16/bf16", "attention.decode_floor"),
    ("gdn_h100_sxm", "chunk_gated_delta_rule", "scan.step"),
    ("gdn_h100_sxm", "chunk_gated_delta_rule", "scan.floor"),
    ("gdn_h100_sxm", "causal_conv1d_update", "scan.stream"),
    ("gdn_h100_sxm", "fused_recurrent_gated_delta", "scan.state_floor"),
    ("mamba2_h100_sxm", "causal_conv1d_fn", "scan.conv_block"),
    ("llmcompass_a100", "softmax", "vector.softmax.element"),
    ("vector_vidur_a100", "rmsnorm", "vector.norm.cold"),
    ("vector_vidur_a100", "silu_mul", "vector.gated.hot"),
    ("vector_vidur_a100", "rope", "vector.rotary.step"),
    ("vector_vidur_h100", "rmsnorm", "vector.norm.step"),
    ("vector_vidur_h100", "add", "vector.floor"),
]


@pytest.fixture(scope="module")
def accuracy():
    """The script that reads tables of measured rows."""
    return script_module(ROOT / "bench/accuracy.py")


def error(accuracy, file, table, change=None):
    """MAPE in percent of one table, with one constant of the stack multiplied."""
    device, overrides, reader, setting = accuracy.FILES[file]
    p = accuracy.card(device, *overrides)
    if change:
        path, factor = change
        p = scaled(p, ("stacks", p.stack, *path.split(".")), factor)
    (found,) = [t for t in reader(file, accuracy.read(ROWS / f"{file}.csv"), p, setting) if t.name == f"{file} {table}"]
    return 100 * float(np.mean(np.abs(found.predicted / found.measured - 1)))


@pytest.mark.parametrize(("file", "table", "most"), ERRORS)
def test_constants_reproduce_the_rows_they_were_fitted_on(accuracy, file, table, most):
    """The shipped constants stay near the rows that ship with them."""
    assert error(accuracy, file, table) < most


@pytest.mark.parametrize(("file", "table", "path"), DECISIVE)
def test_rows_decide_their_constant(accuracy, file, table, path):
    """Half or twice a fitted constant is worse on its own rows: they tell it apart."""
    shipped = error(accuracy, file, table)
    assert shipped < error(accuracy, file, table, (path, 0.5))
    if not path.endswith(("share", "narrow.stream")):  # a share of one cannot grow
        assert shipped < error(accuracy, file, table, (path, 2.0))


def test_rows_say_where_they_come_from():
    """Each file keeps its source, licence and hardware."""
    files = sorted(ROWS.glob("*.csv"))
    assert {file for file, _, _ in ERRORS} <= {path.stem for path in files}
    for path in files:
        head = [line for line in path.read_text(encoding="utf-8").splitlines() if line.startswith("#")]
        assert {"# source:", "# licence:", "# hardware:"} <= {" ".join(line.split()[:2]) for line in head}, path.name


def test_every_fitted_constant_names_its_rows():
    """A fitted constant without rows could not be audited."""
    for card in ("v100", "a100-sxm-80", "h100-sxm", "rtx-pro-6000-server", "rtx-4090"):
        for path, quantity in quantities(find_device(card).parameters, "device"):
            assert quantity.kind != "fitted" or quantity.rows, path
