"""Decode attention: caches of 8 bits where they are converted, and heads wider than a pass."""

import pytest

from hwsim.devices.catalog import find_device
from hwsim.errors import Infeasible
from hwsim.pipeline import kernel
from hwsim.workload.kernel import build_kernel


def decode_us(**shape):
    """Microseconds of a decode step on an H100."""
    arguments = {"phase": "decode", "q_len": 1, "head_dim": 128, "dtype": "bf16", **shape}
    answer = kernel(build_kernel("attention", arguments), find_device("h100-sxm"))
    assert not isinstance(answer, Infeasible)
    return answer.time_s * 1e6


def test_a_narrow_cache_saves_little_where_each_element_is_converted():
    """A few streams of one query head are bound by conversion: 8 bits take as long as 16."""
    shape = {"batch": 8, "heads": 1, "kv_heads": 1, "kv_len": 512}
    wide, narrow = decode_us(**shape), decode_us(**shape, kv_dtype="fp8_e4m3")
    assert narrow == pytest.approx(wide, rel=0.05)


def test_a_narrow_cache_halves_what_memory_bounds():
    """Thousands of streams saturate memory, whatever a thread block converts."""
    shape = {"batch": 512, "heads": 32, "kv_heads": 32, "kv_len": 2048}
    wide, narrow = decode_us(**shape), decode_us(**shape, kv_dtype="fp8_e4m3")
    assert 1.6 < wide / narrow <= 2.0


@pytest.mark.parametrize(("group", "least", "most"), [(1, 0.95, 1.1), (8, 1.1, 1.5)])
def test_wide_heads_cost_in_kernels_of_a_group(group, least, most):
    """With short caches the latency of a wave rules; a group's kernel takes longer with wider heads."""
    shape = {"batch": 1024, "heads": 2 * group, "kv_heads": 2, "kv_len": 8}
    one, two = decode_us(**shape), decode_us(**shape, head_dim=256)
    assert least <= two / one <= most


@pytest.mark.parametrize(
    ("heads", "head_dim", "together"), [(2, 128, 3), (8, 128, 3), (16, 128, 2), (16, 256, 1), (4, 64, 4)]
)
def test_an_sm_holds_several_blocks_of_a_narrow_cache(heads, head_dim, together):
    """Streams fill 132 SMs so many times before another wave begins; a 16-bit cache begins one each time."""
    shape = {"heads": heads, "kv_heads": 1, "kv_len": 4, "head_dim": head_dim, "kv_dtype": "fp8_e4m3"}
    one, full, more = (decode_us(**shape, batch=batch) for batch in (132, 132 * together, 132 * together + 1))
    assert full - one < 1.5
    assert more - one > 2.5
    shape["kv_dtype"] = "bf16"
    assert decode_us(**shape, batch=264) - decode_us(**shape, batch=132) > 2.5
