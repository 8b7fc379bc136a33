"""Compile the kernels into the folder that the tests share: `make setup`, which CI runs beside `make check`.

Each of `QUESTIONS` compiles what none before it did; a kernel that none of them compiles is exit code 1.
"""

from __future__ import annotations

import io
import os
import re
import sys
from collections.abc import Iterable
from contextlib import redirect_stdout
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parent.parent
HEADS: Final = "batch=1 heads=4 kv_heads=2 kv_len=64 head_dim=32 dtype=bf16"
LATENTS: Final = "batch=1 heads=16 kv_heads=1 kv_len=64 head_dim=96 v_head_dim=64 latent=1 dtype=bf16"
QUESTIONS: Final = (
    "simulate mamba --device vck190-spec --json -",
    "kernel gemm m=64 n=64 k=64 dtype=bf16 --device l4 --json -",
    f"kernel attention phase=prefill q_len=64 {HEADS} --device l4 --json -",
    f"kernel attention phase=decode q_len=1 {HEADS} --device l4 --json -",
    f"kernel attention phase=decode q_len=1 {LATENTS} --device l4 --json -",
    "map gemm m=64 n=64 k=64 dtype=bf16 --device l4 --json -",
    "map gemm m=64 n=64 k=64 --device ws16 --json -",
    "map gemm m=64 n=64 k=64 --device ws16 --mode pipelined --json -",
    "map gemm m=512 n=512 k=512 --device ws16 --budget-s 0.001 --json -",
    "kernel gemm m=64 n=64 k=64 dtype=int8 --device systolic-os-16 --json -",
)
UNASKED: Final = {"round_durations"}
"""Kernels that no command needs."""


def declared() -> set[str]:
    """Names of the kernels, as their modules declare them."""
    texts = (path.read_text(encoding="utf-8") for path in (ROOT / "hwsim/kernels").glob("*.py"))
    return {name for text in texts for name in re.findall(r"^@jit\ndef (\w+)\(", text, re.MULTILINE)}


def kept(folder: Path) -> set[str]:
    """Names of the kernels that a folder holds compiled."""
    return {path.name.split(".")[1].rpartition("-")[0] for path in folder.glob("*.nbi")}


def main(questions: Iterable[str] = QUESTIONS) -> int:
    """Ask every question; 1 if one fails or a kernel is left out."""
    os.environ.setdefault("NUMBA_CACHE_DIR", str(ROOT / ".pytest_cache/numba"))
    from hwsim.cli import main as hwsim  # noqa: PLC0415 - numba reads the variable when it is imported
    from hwsim.kernels.jit import cache_folder  # noqa: PLC0415

    for question in questions:
        with redirect_stdout(io.StringIO()):
            code = hwsim(question.split())
        if code:
            sys.stderr.write(f"hwsim {question}: exit code {code}\n")
            return 1
    folder = cache_folder()
    left_out = sorted(declared() - UNASKED - kept(folder)) if folder else []
    if left_out:
        sys.stderr.write(f"no question compiles {', '.join(left_out)}: add one to tools/compile_kernels.py\n")
    return int(bool(left_out))


if __name__ == "__main__":
    sys.exit(main())
