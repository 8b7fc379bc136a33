"""Figures that belong to a paper's claim, by file name."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Final

from hwsim.analysis.speedup import speedups
from hwsim.analysis.tree_size import tree_sizes
from hwsim.devices.catalog import find_device
from hwsim.pipeline import Question, simulate
from hwsim.published.cpu import token_time_s
from hwsim.published.optical import speedup_seconds
from hwsim.report.sparsity import SparsityLine, sparsity_figure
from hwsim.report.speedup import speedup_figure
from hwsim.report.style import figure_bytes
from hwsim.report.tree_size import tree_size_figure
from hwsim.workload import find_workload

__all__ = ["FIGURES"]

_BOARDS: Final = ("vck190-spec", "vhk158-spec")
_DRAFTED: Final = range(1, 20)


def _tree_size() -> bytes:
    """Speed by nodes on both boards: memory-bound far out on one, compute-bound early on the other."""
    workload = find_workload("mamba")
    devices = [find_device(name) for name in _BOARDS]
    machines = [tree_sizes(workload, _DRAFTED, partial(simulate, device=device)) for device in devices]
    figure = tree_size_figure(machines, "Mamba-2 2.7B, W4A4, drafted by the 130M (acceptance assumed)")
    return figure_bytes(figure, "svg")


_BATCHES: Final = (1, 4, 16, 64, 256, 1024)
_SHARES: Final = {
    "valid 8x8": "{name: conv-share, padding: valid}",
    "same 7x7": "{name: conv-share, padding: same, kernel: 7}",
}
_MODES: Final = {"as papers count": "timing=paper", "device-limited": "timing=device_limited"}


def _speed_over_gpu() -> bytes:
    """What a speed-up over a GPU needs: batch, mapping and what is counted, each over a decade and more."""

    def seconds(device: str, settings: tuple[str, ...], transform: str) -> Callable[[int], float]:
        return lambda batch: speedup_seconds("vit-cifar-96", device, batch, settings, transform)

    variants = {
        f"{share}, {mode}": seconds("optical-4k-2mhz", (timing,), transform)
        for mode, timing in _MODES.items()
        for share, transform in _SHARES.items()
    }
    lines = speedups(variants, seconds("h100-sxm", (), ""), _BATCHES)
    title = "Shared convolutions, 4096 x 4096 at 2 MHz, 145 tokens of 64"
    return figure_bytes(speedup_figure(lines, title, "speed over an H100 running the plain ViT", 3.04), "svg")


_SPARSITIES: Final = (0.0, 0.2, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9)
_THREADS: Final = (8, 16, 32)


def _sparse_line(cores: int, stack: str) -> SparsityLine:
    """Tokens of Llama-3-8B on so many cores of a Xeon Gold 6430, over the dense ones."""
    settings, question = (f"cores={cores}", f"stack={stack}"), Question(context=512, new_tokens=1)
    found = [token_time_s("xeon-6430", settings, "llama-3-8b", each, question) for each in _SPARSITIES]
    points = zip(_SPARSITIES, found, strict=True)
    return SparsityLine(
        f"{cores} cores", tuple((sparsity, found[0].step_s / each.step_s, each.bound) for sparsity, each in points)
    )


def _sparse_speed() -> bytes:
    """Speed by sparsity and cores, compiled and eager."""
    panels = [
        (heading, [_sparse_line(cores, stack) for cores in _THREADS])
        for heading, stack in (("compiled model", "onednn"), ("eager PyTorch (call time fitted)", "eager"))
    ]
    figure = sparsity_figure(panels, "Llama-3-8B, bf16, one token on a Xeon Gold 6430")
    return figure_bytes(figure, "svg")


FIGURES: Final[dict[str, dict[str, Callable[[], bytes]]]] = {
    "convsharevit": {"speedup.svg": _speed_over_gpu},
    "sparamx": {"sparsity.svg": _sparse_speed},
    "specmamba": {"tree-size.svg": _tree_size},
}
"""Paper -> file name -> what draws it (SVG)."""
