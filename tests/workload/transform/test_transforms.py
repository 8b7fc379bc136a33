"""Transforms: text to parameters, formats, graphs, and what the pipeline makes of them."""

from __future__ import annotations

from dataclasses import replace

import pytest

from hwsim.cli import main
from hwsim.devices.catalog import find_device
from hwsim.errors import HwsimError
from hwsim.pipeline import Question, simulate
from hwsim.result import Result
from hwsim.spec import append, parse
from hwsim.workload.catalog import find_workload
from hwsim.workload.model import Pass, Workload
from hwsim.workload.op import Op
from hwsim.workload.transform import TRANSFORMS, flow_of, graph_of, prepared, with_ops
from hwsim.workload.transform.quantize import Quantize
from hwsim.workload.transform.sparsity import Sparsity

PASS = Pass("decode", 1, 1, 64)


def llama(*transforms: Sparsity | Quantize) -> Workload:
    """Llama with transforms of its own."""
    return replace(find_workload("llama-3-8b"), transforms=transforms)


def test_every_transform_is_listed_under_its_tag_and_says_what_it_does() -> None:
    """The table's names are the tags of the classes, and each has a line for the list."""
    for name, transform in TRANSFORMS.items():
        assert transform.__dataclass_fields__["name"].default == name
        assert transform.MEANING


@pytest.mark.parametrize(
    ("text", "flow"),
    [
        ("quantize", "{name: quantize}"),
        ("sparsity:weights=0.5", "{name: sparsity, weights: 0.5}"),
        ("sparsity:weights=0.5,structure=2:4", '{name: sparsity, weights: 0.5, structure: "2:4"}'),
        ("quantize:weights=[a,b],group=128", "{name: quantize, weights: [a,b], group: 128}"),
    ],
)
def test_what_is_typed_becomes_the_words_of_a_file(text: str, flow: str) -> None:
    """Commas separate parameters, but not inside brackets; a colon in a value stays a word."""
    assert flow_of(text) == flow


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("sparsty:weights=0.5", "did you mean 'sparsity'"),
        ("sparsity:weights", "'weights'"),
        ("sparsity:weights=", "'weights='"),
        ("sparsity:weights=0.5,weights=0.6", "weights twice"),
        ("sparsity:name=quantize", "name twice"),
    ],
)
def test_a_text_that_is_no_transform_is_refused(text: str, said: str) -> None:
    """Each fault names the part that is wrong."""
    with pytest.raises(HwsimError, match=said):
        flow_of(text)


@pytest.mark.parametrize(
    ("option", "said"),
    [
        ("sparsity:weight=0.5", "did you mean 'weights'"),
        ("sparsity:weights=1.5", "a number of at least 0 and below 1"),
        ("quantize:weights=int44", "int4"),
        ("quantize", "quantize without a format; expected one or more of weights, "),
    ],
)
def test_the_door_checks_parameters(option: str, said: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Unknown keys and values outside their range are the user's input: exit code 2, nothing on stdout."""
    assert main(["simulate", "llama-3-8b", "--device", "h100-sxm", "--transform", option]) == 2
    shown = capsys.readouterr()
    assert said in shown.err
    assert not shown.out


def test_sparsity_prunes_layers_only() -> None:
    """Half the layers' weight bytes are gone; embedding and head keep theirs."""
    dense = graph_of(prepared(llama()), PASS).totals_by_block()
    sparse = graph_of(prepared(llama(Sparsity(0.5))), PASS).totals_by_block()
    for block, totals in dense.items():
        share = sparse[block].weight_bytes / totals.weight_bytes
        assert share == pytest.approx(1.0 if block in ("embedding", "head") else 0.5, rel=1e-3), block


def test_quantize_leaves_keys_and_values_unless_told() -> None:
    """Keys and values followed the activations; the new activations do not drag them along."""
    formats = prepared(llama(Quantize(weights="int4", activations="int8", group=128))).formats
    assert (formats.weights, formats.activations, formats.weight_group) == ("int4", "int8", 128)
    assert formats.kv_format == "bf16"
    assert prepared(llama(Quantize(kv="fp8_e4m3"))).formats.kv_format == "fp8_e4m3"


def test_transforms_are_applied_in_order() -> None:
    """The last of two that set the same thing wins, and both stand."""
    formats = prepared(llama(Sparsity(0.5), Quantize(weights="int8"), Sparsity(0.25))).formats
    assert (formats.weight_sparsity, formats.weights) == (0.25, "int8")


def test_with_ops_keeps_names_edges_and_checks_shapes() -> None:
    """The unchanged graph comes back equal; an op that no longer fits its neighbours is refused."""
    graph = graph_of(llama(), PASS)
    same = with_ops(graph, lambda op: op)
    assert (same.ops, same.edges) == (graph.ops, graph.edges)

    def wider(op: Op) -> Op:
        return replace(op, dims=op.dims.replace(n=op.dims["n"] + 1)) if op.kind == "gemm" else op

    with pytest.raises(HwsimError, match=r"column|shape"):
        with_ops(graph, wider)


def test_python_and_the_command_line_say_the_same(capsys: pytest.CaptureFixture[str]) -> None:
    """`--transform` and a workload built in Python give what the formats written by hand give."""
    device = find_device("h100-sxm")
    built = simulate(llama(Sparsity(0.5, "2:4")), device, Question(context=64))
    formats = replace(find_workload("llama-3-8b").formats, weight_sparsity=0.5, weight_structure="2:4")
    by_hand = simulate(replace(find_workload("llama-3-8b"), formats=formats), device, Question(context=64))
    assert isinstance(built, Result)
    assert isinstance(by_hand, Result)
    assert built.step_cycles == by_hand.step_cycles
    words = ["simulate", "llama-3-8b", "--device", "h100-sxm", "--context", "64", "--quiet", "--json", "-"]
    assert main([*words, "--transform", "sparsity:weights=0.5,structure=2:4"]) == 0
    assert f'"step_cycles": {built.step_cycles}' in capsys.readouterr().out


def test_append_makes_and_grows_a_list_and_refuses_anything_else() -> None:
    """A missing list is made; a single value in its place is a fault where it stands."""
    made = append(parse("a: 1", "f.yaml"), "items", "{b: 2}", "--item")
    grown = append(made, "items", "{c: 3}", "--item")
    assert len(grown.root.entries["items"].node.items) == 2  # type: ignore[union-attr]
    with pytest.raises(HwsimError, match=r"f\.yaml:1:.*a list"):
        append(parse("items: 1", "f.yaml"), "items", "{b: 2}", "--item")
