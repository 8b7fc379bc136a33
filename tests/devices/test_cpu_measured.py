"""Products timed on one Xeon core (tract's micro-kernels) against the machine: one constant, fitted on four rows."""

import csv
import os
from pathlib import Path

import numpy as np
import pytest

import hwsim
from hwsim.devices.catalog import find_device
from hwsim.pipeline import kernel
from hwsim.workload.kernel import build_kernel

ROOT = Path(__file__).resolve().parents[2]
DATA = Path(os.environ.get("HWSIM_SHARED_DATA") or ROOT.parent / "shared" / "data") / "cpu_amx_tract.csv"
FITTED = Path(hwsim.__file__).parent / "devices" / "catalog" / "cpu" / "rows" / "tract.csv"
KERNELS = {  # kernel of the rows: our format and kernel
    "amx_16x16_i8": ("int8", "amx"),
    "amx_bf16_16x16": ("bf16", "amx"),
    "avx512_16x12_f32": ("fp32", "avx512"),
    "avx512vnni_16x16_i8": ("int8", "avx512"),
}
BLOCKS = "stacks.tract.block_call"


def rows_of(path):
    """The rows of the kernels that the machine has."""
    lines = [line for line in path.read_text(encoding="utf-8").splitlines() if not line.startswith("#")]
    return [row for row in csv.DictReader(lines) if row["kernel"] in KERNELS]


def predicted_s(row, overrides=(), stack="tract"):
    """Time of a row's product on one core."""
    dtype, name = KERNELS[row["kernel"]]
    shape = {each: int(row[each]) for each in "mnk"}
    op = build_kernel("gemm", {**shape, "dtype": dtype, "kernel": name, "cores": 1, "stack": stack})
    return kernel(op, find_device("xeon-8475b", overrides)).time_s


def errors(rows, overrides=()):
    """Relative errors of predictions."""
    return np.array([predicted_s(row, overrides) / (float(row["time_us"]) * 1e-6) - 1 for row in rows])


def test_the_fitted_constant_is_the_best_on_its_rows():
    """A tenth on its four rows; a quarter less or more is worse."""
    rows = rows_of(FITTED)
    own = np.mean(np.abs(errors(rows)))
    assert own < 0.1
    for value in (380, 640):
        assert np.mean(np.abs(errors(rows, (f"{BLOCKS}={value} cycles",)))) > own


measured = pytest.mark.skipif(not DATA.is_file(), reason=f"no measured rows at {DATA}: set HWSIM_SHARED_DATA")


@measured
@pytest.mark.parametrize(
    ("name", "most"), [("amx_bf16_16x16", 0.08), ("avx512vnni_16x16_i8", 0.08), ("avx512_16x12_f32", 0.14)]
)
def test_shapes_that_no_constant_saw(name, most):
    """Mean error over the three larger shapes; the roof of peak arithmetic is at least twice as far off."""
    rows = [row for row in rows_of(DATA) if row["kernel"] == name and row["m"] != "64"]
    assert len(rows) == 3
    peak = find_device("xeon-8475b").roofs.macs_per_s[KERNELS[name][0]] / 48
    roof = [abs(int(r["m"]) * int(r["n"]) * int(r["k"]) / peak / (float(r["time_us"]) * 1e-6) - 1) for r in rows]
    found = np.mean(np.abs(errors(rows)))
    assert found < most
    assert np.mean(roof) > 2 * found


@measured
def test_a_blocked_library_is_never_slower_than_single_blocks():
    """The default stack, though its weights come from memory, is faster than these micro-kernels at larger shapes."""
    for row in rows_of(DATA):
        if row["m"] != "64":
            assert predicted_s(row, stack="onednn") < float(row["time_us"]) * 1e-6
