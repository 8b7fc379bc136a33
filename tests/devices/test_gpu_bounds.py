"""What holds on every card and every kernel: never above the roofs, never slower for a faster part, sane energy."""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hwsim.devices.catalog import device_names, find_device
from hwsim.devices.gpu import GpuDevice
from hwsim.devices.gpu.collective import collective_time
from hwsim.devices.gpu.estimate import ALONE
from hwsim.devices.gpu.gemm import formats_of, gemm_estimate
from hwsim.devices.gpu.menus import tile_form
from hwsim.devices.gpu.narrow_weights import narrow_kernel
from hwsim.errors import Infeasible
from hwsim.pipeline import KernelResult, Question, kernel, leaning, seconds
from hwsim.workload import find_workload
from hwsim.workload.kernel import build_kernel

CARDS = [name for name in device_names() if isinstance(find_device(name), GpuDevice)]
SIZES = st.integers(1, 9000)
LATENTS = {"head_dim": 576, "v_head_dim": 512, "latent": 1}


@cache
def card(name: str) -> GpuDevice:
    """A shipped card."""
    device = find_device(name)
    assert isinstance(device, GpuDevice)
    return device


@st.composite
def ops(draw):
    """Any kernel that cards run."""
    kind = draw(st.sampled_from(("gemm", "attention", "norm", "elementwise", "softmax", "conv1d", "scan")))
    if kind == "gemm":
        dtype = draw(st.sampled_from(("bf16", "fp16", "fp32", "fp8_e4m3", "fp8_block", "int8", "int4", "nvfp4")))
        shape = {name: draw(SIZES) for name in ("m", "n", "k")}
        return build_kernel(kind, {**shape, "dtype": dtype, "batch": draw(st.integers(1, 4))})
    if kind == "attention":
        phase = draw(st.sampled_from(("prefill", "decode", "bidirectional")))
        kv_heads = draw(st.sampled_from((1, 4, 8)))
        length = draw(st.integers(1, 8000))
        shape = {
            "heads": kv_heads * draw(st.sampled_from((1, 4))),
            "kv_heads": kv_heads,
            "batch": draw(st.integers(1, 32)),
        }
        q_len = 1 if phase == "decode" else length
        dims = {"q_len": q_len, "kv_len": length, "head_dim": draw(st.sampled_from((64, 128)))}
        dims |= draw(st.sampled_from(({}, {"head_dim": 192, "v_head_dim": 128}, LATENTS)))
        return build_kernel(kind, {"phase": phase, **shape, **dims, "dtype": "fp16"})
    if kind in ("norm", "elementwise", "softmax"):
        op = {
            "norm": "rmsnorm",
            "elementwise": draw(st.sampled_from(("add", "silu_mul", "rope"))),
            "softmax": "softmax",
        }
        return build_kernel(kind, {"op": op[kind], "tokens": draw(SIZES), "width": draw(SIZES), "dtype": "fp16"})
    phase, batch, length = draw(st.sampled_from(("prefill", "decode"))), draw(st.integers(1, 16)), draw(SIZES)
    length = 1 if phase == "decode" else length
    if kind == "conv1d":
        return build_kernel(kind, dict(phase=phase, batch=batch, seq_len=length, channels=draw(SIZES), d_conv=4))
    mixer = draw(st.sampled_from(("mamba1", "mamba2", "gla", "gdn", "linear")))
    heads, dim = (draw(st.integers(1, 4096)), 1) if mixer == "mamba1" else (draw(st.integers(1, 64)), 64)
    shape = {"batch": batch, "seq_len": length, "heads": heads, "head_dim": dim, "d_state": 128, "phase": phase}
    return build_kernel(kind, {"mixer": mixer, **shape})


def run(op, device: GpuDevice) -> KernelResult | None:
    """The answer, or None where the card lacks the path."""
    answer = kernel(op, device)
    return None if isinstance(answer, Infeasible) else answer


@pytest.mark.parametrize("name", CARDS)
@settings(max_examples=12)
@given(op=ops())
def test_no_kernel_is_above_a_roof(name: str, op) -> None:
    """Arithmetic at the highest clock; bytes from memory at its nominal bandwidth, all bytes at L2's."""
    device = card(name)
    answer = run(op, device)
    if answer is None:
        return
    roofs = device.roofs
    cards = device.cards  # a kernel alone runs on one card of a cluster
    if op.kind in ("gemm", "attention"):
        assert answer.time_s >= cards * op.macs / roofs.macs_per_s[op.operands[0].format] * (1 - 1e-9)
    if op.kind == "gemm":  # other kinds report their compulsory bytes, of which L2 may hold some
        assert answer.time_s >= cards * answer.bytes["dram"] / roofs.bytes_per_s["dram"] * (1 - 1e-9)


@settings(max_examples=60)
@given(
    op=ops(),
    name=st.sampled_from(("a100-sxm-80", "h100-sxm", "rtx-4090", "b200", "t4")),
    part=st.sampled_from(("bandwidth", "clock", "l2")),
    factor=st.floats(1.0, 3.0),
)
def test_a_faster_part_never_slows_a_kernel(op, name: str, part: str, factor: float) -> None:
    """More bandwidth, a higher clock, a faster L2 (and no power limit): no kernel takes longer.

    One whose tile was profiled for another number of rows keeps that tile: what is best there may change.
    """
    p = card(name).parameters
    p = replace(p, power=replace(p.power, limit=scaled(p.power.limit, 100.0)))
    faster = {
        "bandwidth": lambda: replace(p, memory=replace(p.memory, bandwidth=scaled(p.memory.bandwidth, factor))),
        "l2": lambda: replace(p, l2=replace(p.l2, bandwidth=scaled(p.l2.bandwidth, factor))),
        "clock": lambda: replace(
            p,
            chip=replace(
                p.chip,
                tensor_clock=scaled(p.chip.tensor_clock, factor),
                boost_clock=scaled(p.chip.boost_clock, factor),
            ),
        ),
    }[part]()
    if op.kind == "gemm" and narrow_kernel(p, formats_of(op)):
        slow = gemm_estimate(p, op, ALONE)
        fast = gemm_estimate(faster, op, ALONE, tile_form(op, slow.mapping))
        assert fast.time_s <= slow.time_s * (1 + 1e-9)
        return
    before, after = run(op, GpuDevice(p)), run(op, GpuDevice(faster))
    if before is not None and after is not None:
        cycle = 1.0 / p.chip.boost_clock.value
        assert after.time_s <= before.time_s * (1 + 1e-9) + cycle


def scaled(quantity, factor: float):
    """A quantity times a factor."""
    return replace(quantity, value=quantity.value * factor)


@pytest.mark.parametrize("name", [name for name in CARDS if card(name).parameters.cluster is None])
def test_power_of_a_large_product_is_between_idle_and_twice_the_limit(name: str) -> None:
    """Energy over time is a board's power: above idle, and not far beyond what the board may draw."""
    power = card(name).parameters.power
    answer = run(build_kernel("gemm", {"m": 8192, "n": 8192, "k": 8192, "dtype": "fp16"}), card(name))
    assert answer is not None
    watts = answer.energy_j / answer.time_s
    assert power.idle.value < watts < 2 * power.limit.value


@pytest.mark.parametrize("name", CARDS)
def test_links_of_every_card_carry_collectives(name: str) -> None:
    """Every card has a link whose all-reduce among eight takes a time above its bytes'."""
    link = card(name).parameters.link
    assert collective_time(link, "all_reduce", 1e8, 8).time_s > 1.75 * 1e8 / link.bandwidth.value


@pytest.mark.parametrize("name", [name for name in CARDS if card(name).cards == 1])
def test_narrower_weights_never_slow_a_decode_of_one_sequence(name):
    """What reads fewer bytes of weights takes less time where each is used once, in small models as well."""
    for workload in ("mamba2-130m", "mamba2-2.7b"):
        bf16, int8, int4 = (
            seconds(find_workload(workload, (f"formats.weights={each}",)), card(name), Question("decode", 1, 512))
            for each in ("bf16", "int8", "int4")
        )
        assert int4 < int8 < bf16


def test_timer_of_measured_rows_is_in_no_model():
    """What a pair of events adds is in the time of a kernel alone, as its rows were timed, and in no model."""
    device = find_device("a100-sxm-80")
    op = build_kernel("gemm", {"m": 1, "n": 4096, "k": 4096, "a_dtype": "bf16", "b_dtype": "int8"})
    longer = replace(device, parameters=leaning.scaled(device.parameters, ("launches", "events"), 2.0))
    more = kernel(op, longer).time_s - kernel(op, device).time_s
    assert more == pytest.approx(device.parameters.launches.events.value, abs=2e-9)
    narrow = find_workload("mamba2-130m", ("formats.weights=int8",))
    assert seconds(narrow, longer, Question("decode", 1, 512)) == seconds(narrow, device, Question("decode", 1, 512))
