"""Rows about full memories and training: the batch is the largest that fits, ratios are those of the answers."""

from __future__ import annotations

import pytest

from hwsim.devices.catalog import find_device
from hwsim.errors import HwsimError
from hwsim.pipeline import Question, simulate
from hwsim.published.gpu import kernel_time
from hwsim.published.serving import full_memory_rate, full_memory_ratio, sparse_memory_ratio
from hwsim.published.training import training_gib, training_memory_ratio, training_rate, training_speedup
from hwsim.result import Result
from hwsim.workload import find_workload

SERVED = {"device": "l4", "workload": "llama-3-8b", "context": 2048.0, "new_tokens": 1.0}
TRAINED = {"device": "h100-sxm", "workload": "gpt2", "batch": 4.0, "context": 512.0}


def test_a_full_memory_runs_the_largest_batch_that_fits() -> None:
    """One sequence more does not fit; the rate is that batch's; ``most`` bounds it."""
    batch = int(full_memory_rate(SERVED).words.split()[-1])
    found = [
        simulate(find_workload("llama-3-8b"), find_device("l4"), Question("decode", n, 2048))
        for n in (batch, batch + 1)
    ]
    assert isinstance(found[0], Result)
    assert not isinstance(found[1], Result)
    assert full_memory_rate(SERVED).value == pytest.approx(found[0].tokens_per_s)
    assert full_memory_rate(SERVED | {"most": 3.0}).words == "at a batch of 3"
    with pytest.raises(HwsimError, match="l4 holds 24 GB"):
        full_memory_rate(SERVED | {"workload": "llama-3-70b"})


def test_narrow_weights_leave_room_for_more_sequences() -> None:
    """The ratio is that of the two rates, and above what the products alone would give."""
    narrow = {"set": "formats.weights=int4 formats.weight_group=128", "baseline_set": "formats.weights=bf16"}
    ratio = full_memory_ratio(SERVED | narrow)
    rates = [full_memory_rate(SERVED | {"set": narrow[name]}).value for name in ("set", "baseline_set")]
    assert ratio.value == pytest.approx(rates[0] / rates[1])
    assert ratio.value > 2.0


def test_sparse_feed_forward_layers_leave_the_rest() -> None:
    """At sparsity 0 nothing is saved; at 1 attention, norms and tables are left."""
    assert sparse_memory_ratio({"workload": "llama-3-8b", "sparsity": 0.0}).value == 1.0
    rest = 8.03e9 - 32 * 3 * 4096 * 14336
    assert sparse_memory_ratio({"workload": "llama-3-8b", "sparsity": 1.0}).value == pytest.approx(
        8.03e9 / rest, rel=0.01
    )


def test_training_rows_are_the_answers_of_a_step() -> None:
    """Memory by term, tokens a second of a card, and both against a baseline."""
    answer = simulate(find_workload("gpt2"), find_device("h100-sxm"), Question("train", 4, 512))
    assert isinstance(answer, Result)
    assert training_gib(TRAINED).value == pytest.approx(sum(answer.memory_bytes.values()) / 2**30)
    assert training_gib(TRAINED | {"terms": "state"}).value == pytest.approx(answer.memory_bytes["state"] / 2**30)
    assert training_rate(TRAINED).value == pytest.approx(answer.tokens_per_s)
    again = TRAINED | {"set": "training.recompute=full", "baseline_set": ""}
    assert training_memory_ratio(again | {"terms": "saved activations"}).value > 1.5
    assert training_speedup(again).value < 1.0
    assert training_speedup(again | {"role": "forward"}).value == pytest.approx(1.0)
    with pytest.raises(HwsimError, match="are needed"):
        training_rate(TRAINED | {"workload": "llama-2-70b"})


def test_a_kernel_counts_as_often_as_the_row_says() -> None:
    """``3 x gemm`` is three of it."""
    one = kernel_time({"device": "h100-sxm", "kernel": "gemm m=1 n=512 k=512"}).value
    three = kernel_time({"device": "h100-sxm", "kernel": "3 x gemm m=1 n=512 k=512"}).value
    assert one is not None
    assert three == pytest.approx(3 * one)
