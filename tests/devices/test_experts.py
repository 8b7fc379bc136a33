"""Mixtures of experts: every family reads the weights of all experts that are visited, and no more."""

from dataclasses import replace

import pytest

from hwsim.devices.catalog import find_device
from hwsim.devices.optical.jobs import jobs_of
from hwsim.pipeline import Question, simulate
from hwsim.pipeline.formats import adapted
from hwsim.workload import find_workload
from hwsim.workload.kernel import build_kernel

SMALL = (
    "model.layers=2",
    "model.d_model=1024",
    "model.d_ff=2048",
    "model.heads=8",
    "model.kv_heads=2",
    "model.vocab=1024",
)


@pytest.mark.parametrize("device", ["h200-sxm", "4x-l4", "xeon-8475b", "eyeriss"])
@pytest.mark.parametrize(("batch", "touched"), [(1, 2), (64, 8)])
def test_weights_of_the_experts_visited_are_read(device, batch, touched):
    """One token visits two of eight experts, 64 tokens all of them: so many matrices of 16 bits pass the memory."""
    result = simulate(find_workload("mixtral-8x7b", SMALL), find_device(device), Question("decode", batch, 128))
    row = next(op for op in result.ops if op.name == "gate_proj")
    weights = 2 * touched * 1024 * 2048 * 2
    streams = 2 * batch * 2 * (1024 + 2048) * 2
    (moved,) = (count for level, count in row.bytes_by.items() if level.lower() == "dram")
    assert weights <= moved < weights * (touched + 1) / touched + streams
    assert row.held_s * max(result.roofs.bytes_per_s.values()) >= 0.999 * weights


@pytest.mark.parametrize(("experts", "m"), [(1, 8), (2, 8), (8, 8), (8, 3)])
def test_light_has_masks_of_its_own_for_each_expert(experts, m):
    """Rows of different experts share no frame, since a frame multiplies all its pictures by the same weights."""
    plain = build_kernel("gemm", {"m": m, "n": 64, "k": 256, "dtype": "int8"})
    op = replace(plain, dims=plain.dims.replace(expert=experts))
    (job,) = jobs_of(op)
    assert (job.groups, job.images) == (experts, -(-m // experts))


@pytest.mark.parametrize(
    ("device", "weights", "experts"),
    [("h100-sxm", "bf16", "mxfp4"), ("xeon-8475b", "bf16", "mxfp4"), ("tpu-256", "int8", "int8")],
)
def test_experts_keep_their_own_format(device, weights, experts):
    """Their weights alone are narrow; a machine that is built for one format runs that, and the answer says so."""
    found, choice = adapted(find_workload("gpt-oss-20b"), find_device(device))
    assert (found.formats.weights, found.formats.experts) == (weights, experts)
    assert (choice.asked["experts"], choice.used["experts"]) == ("mxfp4", experts)
    assert "experts" not in adapted(find_workload("mixtral-8x7b"), find_device(device))[1].asked
