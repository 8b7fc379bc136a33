"""Seconds of each command as a user runs it: cold (no compiled kernels, no answers on disk), warm (best of three)."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

COMMANDS = (
    "--help",
    "--version",
    "list devices",
    "show device vck190",
    "check {root}/workloads/mamba.yaml",
    "simulate mamba --device vck190-spec",
    "simulate mamba --device vck190-spec --out {folder}/out",
    "simulate llama-3-8b --device h100-sxm",
    "simulate vit --device optical-4k-2mhz",
    "simulate mamba2-130m --device tpu-256",
    "compare mamba --device vck190-spec --device h100-sxm --device spr-56c",
    "roofline mamba --device vck190 --out {folder}/roofline.svg",
    "kernel gemm m=1 n=4096 k=4096 --device h100-sxm",
    "map gemm m=1024 n=1024 k=1024 --device ws16",
    "paper lightmamba",
    "paper",
)
ROOT = Path(__file__).resolve().parent.parent


def seconds(words: list[str], caches: Path) -> float:
    """One run in a process of its own; its caches lie in ``caches``."""
    environment = os.environ | {
        "NUMBA_CACHE_DIR": str(caches / "numba"),
        "XDG_CACHE_HOME": str(caches),
        "NO_COLOR": "1",
    }
    start = time.perf_counter()
    subprocess.run([sys.executable, "-m", "hwsim", *words], env=environment, capture_output=True, check=False)
    return time.perf_counter() - start


def main() -> None:
    """Print a line for each command."""
    print(f"{'hwsim ...':<74}{'cold s':>8}{'warm s':>8}")
    for command in COMMANDS:
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            words = command.format(root=ROOT, folder=folder).split()
            cold = seconds(words, folder / "caches")
            warm = min(seconds(words, folder / "caches") for _ in range(3))
        print(f"{command.format(root='.', folder='DIR'):<74}{cold:>8.2f}{warm:>8.2f}", flush=True)


if __name__ == "__main__":
    main()
