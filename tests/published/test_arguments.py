"""What a row of a user's paper passes to its predictor, and how a wrong one is told."""

from __future__ import annotations

from dataclasses import replace

import pytest

from hwsim.errors import HwsimError
from hwsim.published.arguments import count, number, of_baseline, pairs, text, words
from hwsim.published.model import Predict, find_paper
from hwsim.published.runner import predictors, run_row


@pytest.mark.parametrize(
    ("by", "arguments", "message"),
    [
        ("token_rate", {"device": "xeon-8475b", "workload": "llama-3-8b"}, r"\.context: nothing; expected a number"),
        ("token_rate", {"context": 1.5}, r"\.context: 1\.5; expected a whole number"),
        ("token_rate", {"context": True}, r"\.context: True; expected a number"),
        ("token_rate", {"context": 1, "device": ""}, r"\.device: nothing; expected a text"),
        ("cpu_kernel_ratio", {"device": "h100-sxm"}, r"\.device: h100-sxm; expected a machine of the cpu family"),
        ("kernel_time", {"device": "h100-sxm", "kernel": "gemm 5"}, r"\.kernel: '5'; expected KIND name=value"),
        ("kernel_time", {"device": "h100-sxm", "kernel": "two x gemm m=1 n=1 k=1"}, r"'two'; expected a whole number"),
        ("kernel_time", {"device": "h100-sxm", "kernel": "gem m=1"}, r"unknown kernel 'gem'.*did you mean 'gemm'"),
        ("gemm_rate", {"device": "h100-sxm", "kernel": "norm op=rmsnorm"}, r"\.kernel: 'norm'; expected gemm"),
        ("field", {"device": "vck190", "workload": "mamba-ar", "field": "ops"}, r"'ops'; expected a number of an ans"),
        ("fabric", {"device": "vck190", "workload": "mamba-ar", "resource": "GOLD"}, r"'GOLD'; expected one of LUT, "),
        ("field", {"device": "vck", "workload": "mamba", "field": "time_s"}, r"unknown device 'vck'"),
    ],
)
def test_wrong_argument_is_told_at_its_row(by: str, arguments: dict[str, object], message: str) -> None:
    """A missing or wrong argument of a user's row is a fault that names paper, row and argument, never a crash."""
    row = find_paper("coat").rows[0]
    wrong = replace(row, predict=Predict(by, arguments))
    with pytest.raises(HwsimError, match=rf"^mine: {row.id}: .*{message}"):
        run_row("mine", wrong, predictors())


def test_arguments_are_read_by_name() -> None:
    """Texts, numbers and counts as written, defaults where they may be left out, the baseline's own before ours."""
    row = {"device": "spr-56c memory=hbm", "share": 0.5, "batch": 4.0, "baseline_batch": 2}
    assert words(row, "device") == ("spr-56c", ("memory=hbm",))
    assert (number(row, "share"), count(row, "batch"), count(row, "context", 512)) == (0.5, 4, 512)
    assert text(row, "words", "") == ""
    assert count(of_baseline(row, "baseline_"), "batch") == 2
    assert of_baseline(row, "") == row
    assert pairs("gemm m=1 n=2", "gemm") == {"m": "1", "n": "2"}
