"""The CPU family behind the device protocol: bounds, choices, and what a user gets wrong."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hwsim.devices.base import Device
from hwsim.devices.catalog import find_device
from hwsim.devices.cpu.blocking import Blocking, product_of
from hwsim.devices.cpu.gemm import imbalance, tile_bytes
from hwsim.errors import HwsimError, Infeasible
from hwsim.pipeline import Question, kernel, simulate
from hwsim.workload import find_workload
from hwsim.workload.kernel import build_kernel
from hwsim.workload.op import Op

MACHINES: Final = ("epyc-zen4", "granite-rapids-6962p", "spr-56c", "xeon-6430", "xeon-8475b", "xeon-max-9468")
SHAPES: Final = {
    "gemm": {"m": 1, "n": 4096, "k": 4096},
    "attention": dict(phase="decode", batch=1, heads=32, kv_heads=8, q_len=1, kv_len=4096, head_dim=128),
    "scan": dict(mixer="mamba2", phase="decode", batch=1, seq_len=1, heads=80, head_dim=64, d_state=128),
    "conv1d": dict(phase="decode", batch=1, seq_len=1, channels=5120, d_conv=4),
    "norm": dict(op="rmsnorm", tokens=64, width=4096),
    "softmax": dict(tokens=64, width=4096),
    "elementwise": dict(op="silu_mul", tokens=64, width=14336),
    "conv2d": dict(batch=1, oc=64, ic=64, y=28, x=28, r=3, s=3, padding=1),
}


def run(kind, device, overrides=(), **arguments):
    """A kernel's answer, which must be one."""
    answer = kernel(build_kernel(kind, {**SHAPES[kind], **arguments}), find_device(device, overrides))
    assert not isinstance(answer, Infeasible), answer
    return answer


@pytest.mark.parametrize("name", MACHINES)
@pytest.mark.parametrize("kind", SHAPES)
def test_every_machine_runs_every_kernel_above_its_roofs(name: str, kind: str) -> None:
    """Time, energy and a bound for each; never faster than peak arithmetic or nominal bandwidth."""
    device = find_device(name)
    assert isinstance(device, Device)
    answer = run(kind, name)
    assert answer.time_s >= answer.bytes.get("dram", 0.0) / device.roofs.bytes_per_s["dram"]
    assert answer.time_s >= answer.macs / max(device.roofs.macs_per_s.values())
    assert answer.energy_j > 0
    assert all(share <= 1 for share in answer.utilization.values())
    assert answer.bound == max(answer.utilization, key=lambda each: answer.utilization[each])


@settings(max_examples=40)
@given(
    st.integers(1, 200),
    st.integers(1, 9000),
    st.integers(1, 9000),
    st.floats(0, 0.99),
    st.integers(1, 32),
    st.sampled_from(["bf16", "int8", "fp32"]),
)
def test_products_keep_both_roofs(m: int, n: int, k: int, sparsity: float, cores: int, dtype: str) -> None:
    """Any shape, sparsity, thread count: above bytes over bandwidth and above the dense or stored work's peak."""
    device = find_device("xeon-6430")
    answer = run("gemm", "xeon-6430", m=m, n=n, k=k, sparsity=sparsity, cores=cores, dtype=dtype)
    assert answer.time_s >= answer.bytes["dram"] / device.roofs.bytes_per_s["dram"]
    assert answer.time_s >= answer.macs / (device.roofs.macs_per_s[dtype] * cores / 32)


KERNEL: Final = {0.0: ("amx", "amx-strided", "avx512"), 0.5: ("amx-sparse", "avx-sparse")}


@settings(max_examples=30)
@given(
    st.sampled_from(["memory", "core", "clock", "cores"]),
    st.floats(1.0, 8.0),
    st.sampled_from([0.0, 0.5]),
    st.integers(0, 2),
    st.sampled_from([1, 16, 40]),
    st.integers(1, 8),
)
def test_more_is_never_slower(what: str, times: float, sparsity: float, pick: int, m: int, cores: int) -> None:
    """More memory bandwidth, core bandwidth, clock or cores, kernel held: not slower, but for cycles of a tile."""
    names = KERNEL[sparsity]
    cores = 1 << cores.bit_length() if names[pick % len(names)] == "amx-strided" else cores
    shape = dict(m=m, n=2048, k=2048, sparsity=sparsity, kernel=names[pick % len(names)])

    def time_s(factor: float, threads: int) -> float:
        clock = factor if what == "clock" else 1.0
        overrides = [f"clock.{each}={value * clock}GHz" for each, value in _clocks()]
        overrides.append(f"memories.ddr.bandwidth={281.6 * (factor if what == 'memory' else 1.0)}GB/s")
        overrides.append(f"core_path.bandwidth={16 * (factor if what == 'core' else 1.0)}GB/s")
        return run("gemm", "xeon-6430", tuple(overrides), cores=threads, **shape).time_s

    more = min(32, int(cores * times)) if what == "cores" else cores
    more = 1 << more.bit_length() - 1 if names[pick % len(names)] == "amx-strided" else more
    tiles = 64 * 128
    rounding_s = tiles / 2.1e9 * 0.02 + 2e-7
    assert time_s(times, more) <= time_s(1.0, cores) * 1.002 + rounding_s


def _clocks():
    return (("turbo", 2.6), ("amx_light", 2.6), ("amx_heavy", 2.1))


@pytest.mark.parametrize(("dtype", "sparsity", "expected"), [("bf16", 0, 1024), ("bf16", 0.5, 576), ("int8", 0.5, 640)])
def test_bytes_of_a_tile(dtype: str, sparsity: float, expected: float) -> None:
    """1024 bytes dense; a bit for each weight and the non-zeros when sparse (the release's format)."""
    assert (
        tile_bytes(product_of(build_kernel("gemm", {**SHAPES["gemm"], "dtype": dtype, "sparsity": sparsity})))
        == expected
    )


def test_imbalance_is_a_spread_of_binomial_counts() -> None:
    """None when dense or on one thread; against 2000 random draws of 32 threads otherwise."""
    import numpy as np

    op = build_kernel("gemm", {**SHAPES["gemm"], "n": 512, "k": 64, "sparsity": 0.5})
    device = find_device("xeon-6430")
    blocking, product = device.map(op), product_of(op)
    weights = blocking.column_tiles * blocking.k_tiles * 512
    draws = np.random.default_rng(1).binomial(weights, 0.5, size=(2000, blocking.cores))
    assert imbalance(product, blocking) == pytest.approx(float(np.mean(draws.max(axis=1))) / (weights / 2), rel=0.02)


def test_batch_chooses_between_vectors_and_tiles() -> None:
    """One row runs on vectors, which need no tile set-up; hundreds on the tile unit."""
    few, many = (find_device("xeon-8475b").map(build_kernel("gemm", {**SHAPES["gemm"], "m": m})) for m in (1, 512))
    assert isinstance(few, Blocking)
    assert (few.kernel, many.kernel) == ("avx512", "amx")


def test_sparse_reading_saves_its_bytes_in_decode_and_costs_in_prefill() -> None:
    """At 50 % a memory-bound product gains nearly 1.78x; with 512 rows, re-reading weights makes sparse slower."""
    gain = run("gemm", "xeon-8475b").time_s / run("gemm", "xeon-8475b", sparsity=0.5).time_s
    assert 1.6 < gain < 1.78
    assert run("gemm", "xeon-8475b", m=512, sparsity=0.5).time_s > run("gemm", "xeon-8475b", m=512).time_s


def test_padding_and_idle_threads_are_said() -> None:
    """N and K that are no multiple of a tile are padded; threads without a tile are counted."""
    answer = run("gemm", "xeon-6430", n=100, k=100, sparsity=0.5)
    assert answer.mapping["padded_columns"] == 12
    assert any("12 columns" in note for note in answer.notes)
    assert any("25 threads" in note for note in answer.notes)


def test_cpu_without_amx_says_what_else() -> None:
    """A tile kernel on Zen 4 is infeasible, with the kernels that it has."""
    op = build_kernel("gemm", {**SHAPES["gemm"], "sparsity": 0.5, "kernel": "amx-sparse"})
    answer = kernel(op, find_device("epyc-zen4"))
    assert isinstance(answer, Infeasible)
    assert "avx-sparse" in answer.levers[0]


@pytest.mark.parametrize(
    ("arguments", "words", "lever"),
    [
        (dict(n=4100, kernel="amx-strided"), "no tails", "n=4112 k=4096"),
        (dict(k=4090, kernel="amx-strided"), "no tails", "n=4096 k=4096"),
        (dict(cores=30, kernel="amx-strided"), "evenly among its threads", "cores=16"),
        (dict(cores=30, sparsity=0.5, kernel="amx-sparse", stack="release"), "evenly among its threads", "n=4320"),
    ],
)
def test_the_release_s_kernels_take_no_tails(arguments: dict[str, object], words: str, lever: str) -> None:
    """n and k in whole tiles, column tiles shared evenly: infeasible with the nearest that is legal; others pad."""
    op = build_kernel("gemm", {**SHAPES["gemm"], **arguments})
    answer = kernel(op, find_device("xeon-6430"))
    assert isinstance(answer, Infeasible)
    assert words in answer.reason
    assert lever in answer.levers
    assert answer.demand == sum(answer.terms.values()) > answer.bound
    padded = build_kernel("gemm", {**SHAPES["gemm"], **arguments, "kernel": "auto", "stack": "onednn"})
    assert not isinstance(kernel(padded, find_device("xeon-6430")), Infeasible)


def test_a_layer_that_the_release_cannot_take_runs_in_the_stock_library() -> None:
    """The head of Llama 3 has 8,016 column tiles, no multiple of 32 threads: oneDNN's tiles, not the release's."""
    device = find_device("xeon-6430", ("stack=release",))
    kernels = [device.map(build_kernel("gemm", {**SHAPES["gemm"], "n": n})).kernel for n in (4096, 128256)]
    assert kernels == ["amx-strided", "amx"]


MORE: Final = {
    "scan": (dict(seq_len=1), dict(phase="prefill", seq_len=64)),
    "attention": (dict(), dict(kernel="repeat_kv", sparsity=0.5)),
}


@pytest.mark.parametrize("kind", MORE)
@settings(max_examples=15, deadline=None)
@given(
    st.sampled_from(["memories.ddr.bandwidth=563.2GB/s", "core_path.bandwidth=32GB/s", "caches.llc=240MB"]),
    st.integers(1, 31),
    st.integers(1, 31),
    st.integers(0, 1),
)
def test_more_is_never_slower_for_attention_and_scans(kind: str, better: str, few: int, more: int, pick: int) -> None:
    """More bandwidth, cache or cores of a socket: not slower, but for whole cycles of a tile."""
    shape = MORE[kind][pick]
    plain = run(kind, "xeon-6430", cores=few, **shape).time_s
    assert run(kind, "xeon-6430", (better,), cores=few, **shape).time_s <= plain * 1.01 + 2e-7
    assert run(kind, "xeon-6430", cores=few + more if few + more <= 32 else 32, **shape).time_s <= plain * 1.01 + 2e-7


@settings(max_examples=15, deadline=None)
@given(st.floats(0.07, 0.95), st.floats(0.0, 0.95), st.sampled_from(["gemm", "attention"]), st.integers(1, 32))
def test_more_zeros_are_never_slower_in_decode(first: float, second: float, kind: str, cores: int) -> None:
    """One row of activations, or one query: a sparser bitmap is fewer bytes and no more work."""
    low, high = sorted((first, max(second, 0.07)))
    extra = {"kernel": "amx-sparse"} if kind == "gemm" else {"kernel": "repeat_kv"}
    times = [run(kind, "xeon-6430", sparsity=s, cores=cores, **extra).time_s for s in (low, high)]
    assert times[1] <= times[0] * 1.01 + 2e-7


def test_a_sparser_model_decodes_no_slower() -> None:
    """Tokens of Llama 3 8B at rising sparsity, and on rising numbers of cores."""

    def step_s(sparsity: float, cores: int) -> float:
        workload = find_workload("llama-3-8b", (f"formats.weight_sparsity={sparsity}",))
        answer = simulate(workload, find_device("xeon-6430", (f"cores={cores}",)), Question(context=512, new_tokens=1))
        assert not isinstance(answer, Infeasible)
        return answer.step_s

    by_sparsity = [step_s(s, 32) for s in (0.1, 0.3, 0.5, 0.7, 0.9)]
    assert by_sparsity == sorted(by_sparsity, reverse=True)
    by_cores = [step_s(0.5, cores) for cores in (4, 8, 16, 32)]
    assert by_cores == sorted(by_cores, reverse=True)


def test_fp32_tiles_do_not_exist() -> None:
    """The tile unit has no fp32; the vector kernel is named."""
    answer = kernel(
        build_kernel("gemm", {**SHAPES["gemm"], "dtype": "fp32", "kernel": "amx"}), find_device("xeon-6430")
    )
    assert isinstance(answer, Infeasible)
    assert "kernel=avx512" in answer.levers


def test_more_threads_than_cores_is_infeasible() -> None:
    """A thread count beyond the machine's is answered with the machine's."""
    answer = kernel(build_kernel("gemm", {**SHAPES["gemm"], "cores": 64}), find_device("xeon-6430"))
    assert isinstance(answer, Infeasible)
    assert answer.bound == 32


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"sparsity": 1.5}, "a fraction from 0"),
        ({"sparsity": -0.1}, "a fraction from 0"),
        ({"cores": "many"}, "a whole number"),
    ],
)
def test_bad_arguments_are_refused(arguments: dict[str, object], words: str) -> None:
    """Sparsity outside 0 to 1 and thread counts that are none, before any machine is asked."""
    with pytest.raises(HwsimError, match=words):
        build_kernel("gemm", {**SHAPES["gemm"], **arguments})


@pytest.mark.parametrize(
    ("setting", "words"),
    [
        ({"cores": 0}, "1 to 32"),
        ({"launch": "graph"}, "launches nothing"),
        ({"stack": "ipex"}, "eager, onednn, release"),
    ],
)
def test_settings_that_a_cpu_does_not_know(setting: dict[str, object], words: str) -> None:
    """No thread, a GPU's launch, an unknown stack: refused with what there is."""
    with pytest.raises(HwsimError, match=words):
        kernel(build_kernel("gemm", {**SHAPES["gemm"], **setting}), find_device("xeon-6430"))


def test_stack_is_a_setting_of_a_kernel() -> None:
    """An eager call is longer than a compiled one."""
    assert run("gemm", "xeon-6430", stack="eager").time_s > run("gemm", "xeon-6430").time_s


@pytest.mark.parametrize("kind", ["gemm", "attention"])
def test_unknown_kernel_is_named(kind: str) -> None:
    """A kernel that no CPU has is refused with those that exist."""
    with pytest.raises(HwsimError, match=r"amx|grouped"):
        kernel(build_kernel(kind, {**SHAPES[kind], "kernel": "turbo"}), find_device("xeon-6430"))


def test_repeat_kv_reads_the_cache_for_each_query_head() -> None:
    """Copied keys and values are four times the bytes of four-fold groups; pruning them wins some of it back."""
    plain, repeated, pruned = (
        run("attention", "xeon-8475b", kernel=name, sparsity=sparsity, kv_len=16384)
        for name, sparsity in (("grouped", 0), ("repeat_kv", 0), ("repeat_kv", 0.5))
    )
    assert repeated.bytes["dram"] == pytest.approx(4 * plain.bytes["dram"])
    assert 1.3 < repeated.time_s / pruned.time_s < 1.78


@pytest.mark.parametrize(
    ("name", "question"),
    [
        ("llama-3-8b", Question()),
        ("llama-3-8b", Question(phase="prefill", context=512)),
        ("llama-3-8b", Question(phase="inference", context=256, new_tokens=8)),
        ("mamba", Question()),
        ("mamba-2.8b", Question()),
        ("vit-b-16", Question(batch=4)),
        ("jamba", Question()),
    ],
)
def test_models_run(name: str, question: Question) -> None:
    """Transformers, both Mambas, hybrids and vision models answer with time, energy, bound and memory."""
    answer = simulate(find_workload(name), find_device("xeon-8475b"), question)
    assert not isinstance(answer, Infeasible)
    assert answer.time_s >= answer.bytes["dram"] / 307.2e9
    assert answer.energy_j > 0
    assert answer.memory_bytes["weights"] > 0


def test_sparse_weights_hold_their_bitmaps_in_memory() -> None:
    """Half of the weights at 16 bits and one bit for each: 9/16 of the dense layers."""
    dense, sparse = (
        simulate(find_workload("llama-3-8b", (f"formats.weight_sparsity={s}",)), find_device("xeon-8475b"))
        for s in (0, 0.5)
    )
    layers = 6.979e9 * 2
    assert dense.memory_bytes["weights"] - sparse.memory_bytes["weights"] == pytest.approx(layers * 7 / 16, rel=1e-3)


def test_a_model_that_does_not_fit_says_so() -> None:
    """70 billion bf16 weights on 64 GB of HBM; the levers name the other memory."""
    answer = simulate(find_workload("llama-3-70b"), find_device("xeon-max-9468"))
    assert isinstance(answer, Infeasible)
    assert any("device.memory" in lever for lever in answer.levers)
    assert not isinstance(
        simulate(find_workload("llama-3-70b"), find_device("xeon-max-9468", ("memory=ddr",))), Infeasible
    )


def test_memory_and_stack_are_inputs() -> None:
    """DDR is slower than HBM; an eager stack slower than a compiled one; unknown names are refused."""
    workload = find_workload("llama-3-8b")
    hbm, ddr, eager = (
        simulate(workload, find_device("xeon-max-9468", overrides)).time_s
        for overrides in ((), ("memory=ddr",), ("memory=ddr", "stack=eager"))
    )
    assert hbm < ddr < eager
    with pytest.raises(HwsimError, match="ddr, hbm"):
        find_device("xeon-max-9468", ("memory=lpddr",))
    with pytest.raises(HwsimError, match="eager, onednn"):
        find_device("xeon-max-9468", ("stack=ipex",))


# -- second operands that flow -----------------------------------------------------------


def of_activations(m: int, n: int, k: int, dtype: str = "bf16") -> Op:
    """A product of two activations, as the scores of a list of operators."""
    op = build_kernel("gemm", {"m": m, "n": n, "k": k, "dtype": dtype})
    a, b, out = op.operands
    return replace(op, operands=(a, replace(b, role="activation"), out))


@given(st.integers(1, 3000), st.integers(1, 3000), st.integers(1, 3000), st.sampled_from(["bf16", "int8", "fp32"]))
@settings(max_examples=25)
def test_a_second_operand_that_flows_comes_from_memory_as_the_first_does(m: int, n: int, k: int, dtype: str) -> None:
    """Only what all that flows exceeds LLC by, in one pass; weights come from memory whatever their size."""
    device, op = find_device("xeon-8475b"), of_activations(m, n, k, dtype)
    found, weights = kernel(op, device), kernel(build_kernel("gemm", {"m": m, "n": n, "k": k, "dtype": dtype}), device)
    beyond = max(0.0, sum(op.bytes_by_role.values()) - device.parameters.caches.llc.value)
    passes = int(found.mapping["passes"])
    assert beyond * 0.999 <= found.bytes.get("dram", 0.0) <= beyond * passes * 1.001
    assert weights.bytes["dram"] >= op.operand("b").bytes(op.dims)
    assert found.time_s >= found.bytes.get("dram", 0.0) / device.roofs.bytes_per_s["dram"]


def test_keys_of_an_image_lie_in_caches_and_those_of_a_text_in_memory() -> None:
    """Attention over what was just computed reads no memory; a decode reads its cache there."""
    shape = {"batch": 8, "heads": 12, "kv_heads": 12, "head_dim": 64, "dtype": "bf16"}
    device = find_device("xeon-8475b")
    image = kernel(build_kernel("attention", {**shape, "phase": "bidirectional", "q_len": 197, "kv_len": 197}), device)
    text = kernel(build_kernel("attention", {**shape, "phase": "decode", "q_len": 1, "kv_len": 197}), device)
    assert image.bytes.get("dram", 0.0) == 0.0
    assert text.bytes["dram"] >= 2 * 8 * 12 * 197 * 64 * 2


def test_what_the_memory_holds_is_told_to_the_last_sequence() -> None:
    """The largest batch that fits stands in the answer, and first among the levers of one that does not fit."""
    model, device = find_workload("llama-3-8b"), find_device("xeon-8475b")
    answer, refused = (simulate(model, device, Question("decode", batch, 1024)) for batch in (1, 50_000))
    assert isinstance(refused, Infeasible)
    assert not isinstance(answer, Infeasible)
    assert answer.largest is not None
    batch = answer.largest["batch"]
    assert batch is not None
    assert refused.levers[0] == f"--batch {batch} at most, the rest as asked"
    assert not isinstance(simulate(model, device, Question("decode", batch, 1024)), Infeasible)
    assert isinstance(simulate(model, device, Question("decode", batch + 1, 1024)), Infeasible)
