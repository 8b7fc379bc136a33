"""The headline numbers in a golden file: a change in predicted cycles is seen in review."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from fpga_cases import answer, machine

CASES = [
    ("mamba-ar", "vck190"),
    ("mamba-ar", "u280"),
    ("mamba", "vck190-spec"),
    ("mamba", "vhk158-spec"),
    ("mamba-tree", "vck190-spec"),
    ("mamba-tree", "vhk158-spec"),
]


def headline(workload: str, device: str) -> str:
    """Cycles, rates, bytes and policies, a line each."""
    found = answer(workload, machine(device))
    lines = [
        f"{workload} on {device}",
        f"  step            {found.step_cycles:,} cycles, {found.step_s * 1e3:.4f} ms",
        f"  tokens per step {found.tokens_per_step:.4f}",
        f"  tokens/s        {found.tokens_per_s:.4f}",
        f"  tokens/J        {found.tokens_per_j:.4f}",
        f"  bytes per step  {sum(row.bytes for row in found.ops):,.0f}",
        f"  bound           {found.bound}",
    ]
    policy = found.speculative["policy"] if found.speculative else {}
    lines += [f"  policy          {model}: {name}" for model, name in policy.items()]
    lines += [f"  {row.role:<15} {row.tokens} tokens, {row.cycles:,} cycles" for row in found.passes]
    lines += [f"  used            {name} {share:.4f}" for name, share in found.utilization.items()]
    return "\n".join(lines) + "\n"


def test_headline_numbers(golden: Callable[[str, str], None]) -> None:
    """Autoregressive on the released board, speculative on both boards, chain and tree."""
    golden("headline_fpga.txt", "\n".join(headline(*case) for case in CASES))


@pytest.mark.parametrize("workload", ["mamba", "mamba-tree"])
def test_both_boards_beat_the_released_design(workload: str) -> None:
    """The trend that the paper claims; how much is in the golden file and in `hwsim paper`."""
    released = answer(workload, machine("vck190")).tokens_per_s
    assert released is not None
    for device in ("vck190-spec", "vhk158-spec"):
        rate = answer(workload, machine(device)).tokens_per_s
        assert rate is not None
        assert rate > 2 * released
