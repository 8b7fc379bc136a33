"""Rows a second of processor time of `hwsim kernel KIND --csv` on one core, the file read and written included."""

from __future__ import annotations

import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from hwsim.commands.kernel_rows import run_rows
from hwsim.devices.catalog import find_device

if TYPE_CHECKING:
    from numpy.typing import NDArray

ROWS = 200_000
CARDS = ("a100-sxm-80", "h100-sxm", "rtx-pro-6000-server")


def _powers(rng: np.random.Generator, low: float, high: float) -> NDArray[np.int64]:
    """Whole numbers spread evenly over the powers of two from ``low`` to ``high``."""
    return np.floor(2 ** rng.uniform(low, high, ROWS)).astype(np.int64)


def _files() -> dict[str, tuple[str, dict[str, str], dict[str, NDArray[np.int64]]]]:
    """Name -> kind, arguments that all rows share, and columns."""
    rng = np.random.default_rng(0)
    m, n, k = (_powers(rng, 0, 14) for _ in range(3))
    batch, kv, group, length = _powers(rng, 0, 6), _powers(rng, 0, 4), _powers(rng, 0, 3), _powers(rng, 4, 12)
    heads = {"batch": batch, "heads": kv * group, "kv_heads": kv}
    prompt = {**heads, "q_len": length, "kv_len": length}
    rows = {"tokens": _powers(rng, 0, 14), "width": _powers(rng, 4, 13)}
    mixer = {"head_dim": "64", "d_state": "128", "dtype": "bf16"}
    sequences = {"batch": batch, "seq_len": length}
    return {
        "gemm": ("gemm", {}, {"m": m, "n": n, "k": k}),
        "attention, prefill": ("attention", {"phase": "prefill", "head_dim": "128"}, prompt),
        "attention, decode": (
            "attention",
            {"phase": "decode", "head_dim": "128", "q_len": "1"},
            heads | {"kv_len": length},
        ),
        "norm": ("norm", {"op": "rmsnorm"}, rows),
        "elementwise": ("elementwise", {"op": "silu_mul"}, rows),
        "conv1d": ("conv1d", {"phase": "prefill", "d_conv": "4"}, sequences | {"channels": _powers(rng, 6, 13)}),
        "scan, mamba2": ("scan", {"mixer": "mamba2", "phase": "prefill", **mixer}, sequences | {"heads": 8 * kv}),
        "scan, gdn step": (
            "scan",
            {"mixer": "gdn", "phase": "decode", "seq_len": "1", **mixer},
            {"batch": batch, "heads": kv},
        ),
        "conv2d": ("conv2d", {"r": "3", "s": "3", "x": "14", "y": "14", "ic": "64"}, {"batch": batch, "oc": length}),
        "collective": ("collective", {"op": "all_reduce", "gpus": "8"}, {"bytes": m * n}),
    }


def main() -> None:
    """Print a line for each kind and card: rows a second, as whole files."""
    print(f"{'kind':<20}{'rows':>9}" + "".join(f"{name:>22}" for name in CARDS))
    with tempfile.TemporaryDirectory() as folder:
        source, target, few = (Path(folder) / name for name in ("in.csv", "out.csv", "few.csv"))
        for name, (kind, shared, columns) in _files().items():
            lines = [",".join(columns), *(",".join(map(str, row)) for row in zip(*columns.values(), strict=True))]
            source.write_text("\n".join(lines) + "\n")
            few.write_text("\n".join(lines[:9]) + "\n")
            rates = []
            for card in CARDS:
                device = find_device(card)
                run_rows(few, target, kind, shared, device)  # compiles
                start = time.process_time()
                if run_rows(source, target, kind, shared, device) is None:
                    raise SystemExit(f"{name} on {card}: rows are timed one by one")
                rates.append(ROWS / (time.process_time() - start))
            print(f"{name:<20}{ROWS:>9,}" + "".join(f"{rate:>22,.0f}" for rate in rates))


if __name__ == "__main__":
    main()
