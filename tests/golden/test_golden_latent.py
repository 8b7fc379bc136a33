"""Latent attention: absorbing changes no number, and its operands are those that the builder's ops have."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hwsim.golden.latent import Latents, absorbed, expanded
from hwsim.workload.builders import build
from hwsim.workload.model import Formats, Pass, TransformerModel

HEADS, NOPE, ROPE, VALUE, RANK = 4, 12, 4, 10, 24


def drawn(queries, positions, seed=0):
    """Operands at random."""
    rng = np.random.default_rng(seed)
    shapes = ((queries, HEADS, NOPE), (queries, HEADS, ROPE), (positions, RANK), (positions, ROPE))
    return Latents(*(rng.normal(size=each) for each in (*shapes, (HEADS, NOPE, RANK), (HEADS, VALUE, RANK))))


@given(st.integers(1, 6), st.integers(0, 9), st.integers(0, 2**32 - 1))
def test_both_forms_give_the_same(queries, before, seed):
    """Products are associative: the up-projection may stand on either side of attention's two."""
    operands = drawn(queries, before + queries, seed)
    np.testing.assert_allclose(absorbed(operands), expanded(operands), rtol=1e-9, atol=1e-9)


def test_a_query_sees_what_is_before_it():
    """Later positions change nothing; without any weight on scores the result is the mean of the values seen."""
    operands = drawn(3, 8)
    changed = Latents(*(getattr(operands, name).copy() for name in Latents.__slots__))
    changed.c[-1] += 1.0
    np.testing.assert_array_equal(absorbed(operands)[:2], absorbed(changed)[:2])
    flat = Latents(operands.q_nope * 0, operands.q_rope * 0, *(getattr(operands, n) for n in Latents.__slots__[2:]))
    seen = operands.c[:6].mean(axis=0)
    np.testing.assert_allclose(expanded(flat)[0], np.einsum("r,hvr->hv", seen, operands.w_uv), rtol=1e-12)


@pytest.mark.parametrize("pass_", [Pass("decode", 1, 1, 7), Pass("prefill", 1, 6)], ids=str)
def test_ops_have_the_operands_of_the_arithmetic(pass_):
    """Elements of queries, latents, rotated keys, weights and results, form by form."""
    model = TransformerModel(
        64, 1, HEADS, HEADS, 96, 96, kv_lora_rank=RANK, qk_nope_head_dim=NOPE, qk_rope_head_dim=ROPE, v_head_dim=VALUE
    )
    ops = {op.name: op for op in build(model, Formats(), pass_)}
    core, positions = ops["attention"], pass_.context + pass_.tokens
    operands = drawn(pass_.tokens, positions)
    elements = {each.name: each.elements(core.dims) for each in core.operands}
    assert elements["q_rope"] == operands.q_rope.size
    if pass_.phase == "decode":
        assert (elements["k"], elements["k_rope"]) == (operands.c.size, operands.k_rope.size)
        assert (ops["k_b_proj"].parameters, ops["v_b_proj"].parameters) == (operands.w_uk.size, operands.w_uv.size)
        assert ops["v_b_proj"].output.elements(ops["v_b_proj"].dims) == absorbed(operands).size
    else:
        assert ops["kv_b_proj"].parameters == operands.w_uk.size + operands.w_uv.size
        assert (elements["q"], elements["out"]) == (operands.q_nope.size, expanded(operands).size)
