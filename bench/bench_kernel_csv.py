"""Rows a second of processor time of `hwsim kernel gemm --csv` on one core, the file read and written included."""

from __future__ import annotations

import tempfile
import time
from pathlib import Path

import numpy as np

from hwsim.commands.kernel_rows import run_rows
from hwsim.devices.catalog import find_device
from hwsim.workload.kernel import build_kernel

ROWS = 200_000


def main() -> None:
    """Print a line for each card: the closed form alone, and the whole file."""
    rng = np.random.default_rng(0)
    shapes = np.floor(2 ** rng.uniform(0, 14, (ROWS, 3))).astype(int)
    print(f"{'card':<26}{'rows':>9}{'closed form, rows/s':>22}{'whole file, rows/s':>21}")
    with tempfile.TemporaryDirectory() as folder:
        source, target = Path(folder) / "in.csv", Path(folder) / "out.csv"
        source.write_text("m,n,k\n" + "\n".join(",".join(map(str, row)) for row in shapes) + "\n")
        for name in ("a100-sxm-80", "h100-sxm", "rtx-pro-6000-server"):
            device = find_device(name)
            dims = dict(zip(("m", "n", "k"), shapes.T.astype(float), strict=True)) | {"batch": np.ones(ROWS)}
            op = build_kernel("gemm", {"m": 1, "n": 1, "k": 1})
            device.kernel_rows(op, {key: each[:10] for key, each in dims.items()})  # compiles
            start = time.process_time()
            device.kernel_rows(op, dims)
            middle = time.process_time()
            run_rows(source, target, "gemm", {}, device)
            end = time.process_time()
            print(f"{name:<26}{ROWS:>9,}{ROWS / (middle - start):>22,.0f}{ROWS / (end - middle):>21,.0f}")


if __name__ == "__main__":
    main()
