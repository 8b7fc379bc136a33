"""Published GPU kernels: the verdicts hold, and the predictors' errors name what is wrong."""

import pytest

from hwsim.errors import HwsimError
from hwsim.published.gpu import attention_tops, kernel_ratio
from hwsim.published.model import find_paper
from hwsim.published.runner import holds, predictors, run_paper

SHAPE = "phase=bidirectional batch=4 heads=32 kv_heads=32 q_len=4096 kv_len=4096 head_dim=128 dtype=fp16"


def test_sageattention2_rows_hold():
    """Every row that is marked reproduced is within its tolerance; the missing mechanism stays visible."""
    results = run_paper(find_paper("sageattention2"), predictors())
    assert holds(results)
    assert {result.verdict for result in results} == {"reproduced", "not reproduced"}


def test_rate_counts_four_operations_per_score_element():
    """The rate is the published count over the kernel's time, below the card's peak."""
    said = attention_tops({"device": "rtx-4090", "kernel": f"attention {SHAPE} kernel=fa2"})
    assert said.unit == "TOPS"
    assert 100 < said.value < 165.2


def test_int4_scores_beat_int8_on_ada():
    """Halving the first product's time shows."""
    ours, base = (f"attention {SHAPE} kernel={name}" for name in ("sage2-4b", "sage2-8b"))
    assert kernel_ratio({"device": "rtx-4090", "kernel": ours, "baseline": base}).value > 1.05


def test_a_kernel_that_the_card_lacks_is_an_error_of_the_row():
    """INT4 scores on Hopper: the row cannot be predicted, and the message names the path."""
    with pytest.raises(HwsimError, match="no int4 tensor-core path"):
        attention_tops({"device": "h100-sxm", "kernel": f"attention {SHAPE} kernel=sage2-4b"})
    with pytest.raises(HwsimError, match="device"):
        attention_tops({"kernel": f"attention {SHAPE}"})
