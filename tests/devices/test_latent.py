"""Values of another width than keys, and latents, on machines other than GPUs."""

from __future__ import annotations

import pytest

from hwsim.devices.catalog import find_device
from hwsim.devices.optical.jobs import jobs_of
from hwsim.errors import Infeasible
from hwsim.mapping.ops import problems_of
from hwsim.pipeline import KernelResult, kernel
from hwsim.workload.kernel import build_kernel
from hwsim.workload.op import Op

SHAPE = {"phase": "decode", "batch": 4, "heads": 16, "kv_heads": 1, "q_len": 1, "kv_len": 4096, "head_dim": 576}
LATENT = {"v_head_dim": 512, "latent": 1}


def attention(**changes: int | str) -> Op:
    """A step over latents, in bf16 unless told."""
    return build_kernel("attention", {**SHAPE, **LATENT, **changes})


def run(op: Op, name: str) -> KernelResult:
    """A kernel's answer, which must be one."""
    answer = kernel(op, find_device(name))
    assert not isinstance(answer, Infeasible), answer
    return answer


@pytest.mark.parametrize("op", [attention(), attention(latent=0, kv_heads=16, head_dim=192, v_head_dim=128)])
def test_loop_nests_multiply_what_the_op_counts(op: Op) -> None:
    """Scores over keys, results over values, each in its own width."""
    first, second = problems_of(op, 8, 32)
    assert first.macs + second.macs == op.macs
    assert first.macs * op.dims["v_head_dim"] == second.macs * op.dims["head_dim"]


def test_light_multiplies_what_the_op_counts() -> None:
    """One patch for each query: dot products along keys, as many kernels as a value is wide behind them."""
    scores, results = jobs_of(attention())
    assert (scores.kernels, results.kernels) == (4096, 512)


@pytest.mark.parametrize("name", ["xeon-8475b", "epyc-zen4"])
def test_a_cpu_reads_latents_once(name: str) -> None:
    """From memory come the keys alone: values are their first elements, which caches then have."""
    stored = 4 * 4096 * 576 * 2
    assert run(attention(), name).bytes["dram"] == pytest.approx(stored, rel=0.02)
    apart = run(attention(latent=0), name)
    assert apart.bytes["dram"] == pytest.approx(stored * (576 + 512) / 576, rel=0.02)
    assert run(attention(), name).time_s <= apart.time_s


def test_an_array_runs_both_products() -> None:
    """A PE array with a host for the softmax takes both widths."""
    found = run(attention(dtype="int8", batch=1, kv_len=256), "systolic-ws-16")
    assert found.macs == 16 * 256 * (576 + 512)
