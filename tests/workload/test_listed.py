"""Lists of operators: the graph of each kind, batches, formats of their own, and what is refused."""

from dataclasses import replace

import pytest

from hwsim.devices.catalog import find_device
from hwsim.errors import HwsimError, Infeasible
from hwsim.pipeline import Question, simulate
from hwsim.spec import Refused, load, parse
from hwsim.workload.builders import build
from hwsim.workload.catalog import find_workload
from hwsim.workload.model import Pass, Workload
from hwsim.workload.ops import attention, conv2d, elementwise, gemm, norm, scan, softmax

EVERY_KIND = """
- {kind: embedding, tokens: 4, width: 64, rows: 100}
- {kind: gemm, m: 4, n: 32, k: 64, bias: true}
- {kind: gemm, name: scores, of: activations, batch: 2, m: 4, n: 4, k: 16}
- {kind: conv2d, oc: 8, ic: 3, y: 4, x: 4, r: 3, s: 3, stride: 2, rows: 8, columns: 7}
- {kind: attention, phase: prefill, heads: 4, kv_heads: 2, q_len: 4, kv_len: 4, head_dim: 16}
- {kind: norm, op: rmsnorm, tokens: 4, width: 64}
- {kind: softmax, tokens: 4, width: 64}
- {kind: elementwise, op: map, tokens: 4, width: 64, ops: 7, read_elems: 3, learned: 5}
- {kind: conv1d, phase: prefill, seq_len: 4, channels: 8, d_conv: 4}
- {kind: scan, mixer: mamba2, phase: prefill, seq_len: 4, heads: 4, head_dim: 8, d_state: 16, groups: 2}
"""


def workload(ops, more=""):
    """A workload of a list of operators."""
    lines = "\n".join(f"    {line}" for line in ops.strip().splitlines())
    text = f"name: mine\nmodel:\n  family: ops\n  ops:\n{lines}\nrun: {{phase: inference}}\n{more}"
    return load(parse(text.encode(), "mine.yaml"), Workload)


def ops_of(ops, batch=1, more=""):
    """The ops of one pass by name."""
    found = workload(ops, more)
    return {op.id: op for op in build(found.model, found.formats, Pass("inference", batch))}


def faults(ops):
    """What is wrong with a list."""
    with pytest.raises(HwsimError) as caught:
        workload(ops)
    return str(caught.value)


def test_each_kind_is_the_kernel_of_its_dimensions():
    """An operator of the list counts as the same kernel built by hand; trained vectors and images' edges as told."""
    ops = ops_of(EVERY_KIND)
    assert ops["gemm1"].macs == gemm(4, 32, 64).macs
    assert ops["gemm1"].parameters == 32 * 64 + 32
    assert ops["scores"].macs == gemm(4, 4, 16, batch=2).macs
    assert (ops["scores"].parameters, ops["scores"].operand("b").role) == (0, "activation")
    assert ops["conv2d1"].macs == conv2d(1, 8, 3, 4, 4, 3, 3, 2).macs
    assert ops["conv2d1"].operand("x").elements(ops["conv2d1"].dims) == 3 * 8 * 7
    assert ops["attention1"].signature[:4] == attention("prefill", 1, 4, 2, 4, 4, 16).signature[:4]
    assert ops["norm1"].bytes_by_role == norm("rmsnorm", 4, 64).bytes_by_role
    assert ops["softmax1"].other_ops == softmax(4, 64).other_ops
    mapped = ops["elementwise1"]
    assert (mapped.other_ops, mapped.bytes_by_role["weight"]) == (7 * 4 * 64, 2 * 5)
    assert mapped.bytes_by_role["activation"] == elementwise("copy", 4, 64, read_elems=3).bytes_by_role["activation"]
    assert ops["scan1"].macs == scan("mamba2", "prefill", 1, 4, 4, 8, 16, 2).macs
    assert ops["conv1d1"].operand("state").shape(ops["conv1d1"].dims) == (1, 3, 8)
    assert ops["embedding1"].parameters == 6400


@pytest.mark.parametrize("batch", [1, 3])
def test_a_batch_multiplies_work_and_activations_but_no_weights(batch):
    """Each operator does as many times the work, on the same weights."""
    for one, many in zip(ops_of(EVERY_KIND).values(), ops_of(EVERY_KIND, batch).values(), strict=True):
        assert (many.macs, many.other_ops) == (batch * one.macs, batch * one.other_ops), one.name
        assert many.parameters == one.parameters
        for role in ("activation", "output", "cache", "state"):
            assert many.bytes_by_role[role] == batch * one.bytes_by_role[role], (one.name, role)


def test_repetitions_are_layers():
    """A group that repeats is written once and runs in layers, two groups after each other."""
    group = "- {{kind: repeat, times: {0}, ops: [{{kind: softmax, name: s, tokens: 2, width: {1}}}]}}"
    ops = ops_of(group.format(2, 8) + "\n" + group.format(1, 4))
    assert list(ops) == ["layers.0.s", "layers.1.s", "layers.2.s"]
    assert [op.dims["width"] for op in ops.values()] == [8, 8, 4]


def test_own_formats_and_the_workloads():
    """An operator's own formats go before the workload's; what it does not say follows the workload."""
    listed = (
        "- {kind: gemm, m: 4, n: 8, k: 8, weights: int4, group: 4}\n- {kind: softmax, tokens: 2, width: 2, out: int8}"
    )
    ops = ops_of(listed, more="formats: {activations: fp16, vectors: fp32}")
    assert [each.format for each in ops["gemm1"].operands] == ["fp16", "int4", "fp16"]
    assert ops["gemm1"].attributes["group"] == 4
    assert [each.format for each in ops["softmax1"].operands] == ["fp16", "int8"]


def test_a_machine_runs_own_formats_in_its_nearest():
    """What a card has no path for is replaced, and the answer says of which operators."""
    listed = "\n".join(
        f"- {{kind: gemm, name: g{i}, m: 4, n: 8, k: 8, activations: int6, weights: int6}}" for i in "ab"
    )
    answer = simulate(workload(listed), find_device("h100-sxm"))
    asked, used = answer.formats["asked"], answer.formats["used"]
    key = "activations of ga and 1 more"
    assert asked[key] == "int6"
    assert used[key] != "int6"


@pytest.mark.parametrize(
    ("ops", "words"),
    [
        ("- {kind: gem, m: 1, n: 1, k: 1}", "mine.yaml:5:14: found 'gem'"),
        ("- {kind: gemm, m: 1, n: 1}", "k"),
        ("- {kind: softmax, name: s, tokens: 1, width: 1}\n- {kind: softmax, name: s, tokens: 1, width: 1}",
         "a second operator 's'"),
        ("- {kind: conv2d, oc: 3, ic: 3, y: 1, x: 1, r: 1, s: 1, groups: 2}", "a divisor of oc=3 and ic=3"),
        ("- {kind: attention, phase: decode, heads: 3, kv_heads: 2, q_len: 1, kv_len: 2, head_dim: 4}",
         "a divisor of heads=3"),
        ("- {kind: attention, phase: decode, heads: 3, q_len: 3, kv_len: 2, head_dim: 4}", "at most kv_len=2"),
        ("- {kind: attention, phase: bidirectional, heads: 3, q_len: 3, kv_len: 2, head_dim: 4, window: 2}", "0 where"),
        ("- {kind: scan, mixer: mamba1, phase: decode, seq_len: 1, heads: 4, head_dim: 1, d_state: 2, chunk: 8}",
         "no matrix"),
        ("- {kind: scan, mixer: mamba2, phase: decode, seq_len: 1, heads: 4, head_dim: 1, d_state: 2, groups: 3}",
         "a divisor"),
        ("- {kind: repeat, times: 2, ops: []}", "one or more"),
        ("- {kind: repeat, times: 9, ops: [{kind: softmax, tokens: 1, width: 1}, {kind: repeat, times: 1, ops: []}]}",
         "mine.yaml:5"),
    ],
)  # fmt: skip
def test_what_a_list_must_not_say(ops, words):
    """Faults point at their place."""
    assert words in faults(ops)


def test_an_empty_list_and_too_long_a_one():
    """A model has an operator, and not more than memory holds."""
    with pytest.raises(HwsimError, match="no operators"):
        load(parse(b"name: m\nmodel: {family: ops, ops: []}\nrun: {phase: inference}", "m.yaml"), Workload)
    ops = ", ".join(f"{{kind: softmax, name: s{i}, tokens: 1, width: 1}}" for i in range(11))
    assert "at most 100,000" in faults(f"- {{kind: repeat, times: 10000, ops: [{ops}]}}")


def test_only_inference():
    """A list says what one run does: it has no phases."""
    found = workload("- {kind: softmax, tokens: 1, width: 1}")
    with pytest.raises(HwsimError, match="a list of operators"):
        simulate(found, find_device("l4"), Question(phase="decode"))
    with pytest.raises(Refused, match="inference for a list of operators"):
        replace(found, run=replace(found.run, phase="decode"))


@pytest.mark.parametrize("device", ["l4", "spr-56c", "systolic-os-16", "optical-4k-2mhz"])
def test_rates_are_of_images_or_tokens(device):
    """With tokens, rates are in tokens and no image is counted; without, the other way round."""
    found = workload("- {kind: gemm, m: 8, n: 16, k: 16}\n- {kind: softmax, tokens: 8, width: 16}")
    if device == "systolic-os-16":
        found = workload("- {kind: gemm, m: 8, n: 16, k: 16}")
    images = simulate(found, find_device(device), Question(batch=2))
    tokens = simulate(replace(found, model=replace(found.model, tokens=8)), find_device(device), Question(batch=2))
    assert (images.images_per_s, images.tokens_per_s) == (pytest.approx(2 / images.step_s), None)
    assert (tokens.images_per_s, tokens.tokens_per_s) == (None, pytest.approx(16 / tokens.step_s))
    assert tokens.time_to_first_token_s is None


def test_several_cards_and_machines_without_units():
    """Cards do not divide a list; an FPGA for Mamba says that it has no unit."""
    found = workload("- {kind: repeat, times: 2, ops: [{kind: gemm, m: 1, n: 16, k: 16}]}")
    answer = simulate(found, find_device("8x-h100-sxm"))
    assert isinstance(answer, Infeasible)
    assert answer.resource == "division among cards"
    fpga = simulate(found, find_device("vck190"))
    assert isinstance(fpga, Infeasible)
    assert fpga.resource == "layer structure"


def test_a_vit_written_as_a_list_costs_what_the_family_does():
    """The list is no other model: ViT-B/16's graph, written down op by op, takes the same time."""
    family = find_workload("vit-b-16")
    graph = build(family.model, family.formats, Pass("inference"))
    products = [op for op in graph.ops if op.kind == "gemm" and op.layer == 0]
    listed = "\n".join(
        f"- {{kind: gemm, name: {op.name}, m: {op.dims['m']}, n: {op.dims['n']}, k: {op.dims['k']}, bias: true}}"
        for op in products
    )
    ours = ops_of(
        listed,
        more="formats: {" + f"weights: {family.formats.weights}, activations: {family.formats.activations}" + "}",
    )
    assert [op.signature[:4] for op in ours.values()] == [op.signature[:4] for op in products]
