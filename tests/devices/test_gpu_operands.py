"""Where a product's second operand comes from: memory for weights, L2 for what was just written."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from hypothesis import given, settings
from hypothesis import strategies as st

from hwsim.devices.catalog import find_device
from hwsim.devices.gpu.estimate import IN_MODEL, Estimate
from hwsim.devices.gpu.kernels import estimate
from hwsim.workload.kernel import build_kernel
from hwsim.workload.training import GRAD_WEIGHT

if TYPE_CHECKING:
    from hwsim.workload.op import Op

CARD = find_device("a100-sxm-80").parameters
L2 = CARD.l2.capacity.value / CARD.l2.partitions.value


def product(role: str, **dims: int | str) -> Op:
    """A product whose second operand has a role."""
    op = build_kernel("gemm", {"dtype": "bf16", **dims})
    a, b, out = op.operands
    return replace(op, operands=(a, replace(b, role=role), out))


def in_model(op: Op) -> Estimate:
    """What it takes among other kernels."""
    found = estimate(CARD, op, IN_MODEL)
    assert isinstance(found, Estimate)
    return found


@given(st.integers(1, 3000), st.integers(64, 3000), st.integers(64, 3000), st.integers(1, 20))
@settings(max_examples=40, deadline=None)
def test_a_second_operand_that_flows_comes_from_l2_when_all_fits(m: int, n: int, k: int, batch: int) -> None:
    """Nothing misses L2 where it holds all three operands; weights come from memory whatever their size."""
    dims = {"m": m, "n": n, "k": k, "batch": batch}
    scores, weights = (in_model(product(role, **dims)) for role in ("activation", "weight"))
    op = product("activation", **dims)
    if sum(op.bytes_by_role.values()) <= L2:
        assert scores.bytes["dram"] == 0.0
    assert weights.bytes["dram"] >= op.operand("b").bytes(op.dims)
    assert scores.bytes["dram"] <= weights.bytes["dram"]
    assert scores.time_s <= weights.time_s


def test_operands_that_outgrow_l2_come_from_memory() -> None:
    """Activations of many times L2 are read from memory, both of them, as weights are."""
    dims = {"m": 16384, "n": 16384, "k": 4096}
    op = product("activation", **dims)
    assert in_model(op).bytes["dram"] == in_model(product("weight", **dims)).bytes["dram"]
    assert in_model(op).bytes["dram"] == sum(op.bytes_by_role.values())


def test_what_was_kept_since_the_forward_comes_from_memory() -> None:
    """The gradient of weights multiplies what the forward kept, which nothing has just written."""
    op = product("activation", m=1024, n=1024, k=512)
    kept = replace(op, name=f"up_proj{GRAD_WEIGHT}")
    assert in_model(op).bytes["dram"] == 0.0
    assert in_model(kept).bytes["dram"] == op.operand("b").bytes(op.dims)
