"""Whole requests as passes."""

from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hwsim.errors import HwsimError
from hwsim.workload.builders import build
from hwsim.workload.model import Formats, Mamba2Model, Pass, TransformerModel
from hwsim.workload.request import Request, decode_contexts, request_passes, uses_context

LLAMA = TransformerModel(d_model=32, layers=2, heads=2, kv_heads=1, d_ff=48, vocab=64)
MAMBA = Mamba2Model(d_model=32, layers=2, vocab=64, d_state=8, head_dim=16)


@settings(max_examples=80, deadline=None)
@given(st.integers(0, 5000), st.integers(0, 300), st.integers(1, 7), st.integers(-50, 50), st.integers(-50, 50))
def test_affine_costs_are_summed_exactly(first, steps, samples, offset, slope):
    """Any cost offset + slope * context: the weighted samples give the sum over all steps, exactly."""
    chosen = decode_contexts(first, steps, samples)
    weighted = sum(Fraction(each.steps) * (offset + slope * each.context) for each in chosen)
    assert weighted == sum(offset + slope * context for context in range(first, first + steps))
    assert len(chosen) <= 2 * samples
    assert all(first <= each.context < first + steps for each in chosen)


def test_more_samples_follow_a_curve_closer():
    """A cost that bends is met better with more samples."""
    exact = sum(context**2 for context in range(1000, 1400))
    errors = [abs(sum(s * c**2 for c, s in decode_contexts(1000, 400, n)) - exact) for n in (1, 4, 16)]
    assert errors[0] > 10 * errors[1] > 100 * errors[2]


def test_request_of_a_transformer_has_the_macs_of_all_its_steps():
    """MACs of the weighted passes equal those of running every pass."""
    request = Request(prompt=20, new_tokens=12, batch=2)
    prefill, *decodes = request_passes(LLAMA, request)
    every = [Pass("decode", 2, 1, context) for context in range(20, 31)]
    assert prefill.work == Pass("prefill", 2, 20)
    weighted = sum(weight * build(LLAMA, Formats(), work).totals.macs for work, weight in decodes)
    assert weighted == sum(build(LLAMA, Formats(), work).totals.macs for work in every)
    assert sum(weight for _, weight in decodes) == request.decode_steps == 11


def test_request_of_a_mamba_needs_one_decode_pass():
    """Without attention all decode steps cost the same."""
    assert not uses_context(MAMBA)
    passes = request_passes(MAMBA, Request(20, 13), lm_head=False)
    assert [weight for _, weight in passes] == [1.0, 12.0]
    assert not any(work.lm_head for work, _ in passes)


def test_one_new_token_is_the_prefill():
    """The first token comes out of the prefill."""
    assert len(request_passes(LLAMA, Request(20, 1))) == 1


@pytest.mark.parametrize("field", ["prompt", "new_tokens", "batch"])
def test_nothing_is_no_request(field):
    """Each number is at least one."""
    with pytest.raises(HwsimError, match=f"request: {field}=0; expected at least 1"):
        Request(**{"prompt": 1, "new_tokens": 1, "batch": 1, field: 0})
