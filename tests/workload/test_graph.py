"""Graphs: order, shapes, sums, layers."""

from dataclasses import replace

import networkx as nx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hwsim.errors import HwsimError
from hwsim.workload.builders import build
from hwsim.workload.graph import Graph
from hwsim.workload.model import Formats, HybridModel, Mamba2Model, Pass, TransformerModel
from hwsim.workload.ops import attention, elementwise, embedding, gemm, norm

TINY = Mamba2Model(d_model=64, layers=5, vocab=128, d_state=16, head_dim=16)
LLAMA = TransformerModel(d_model=64, layers=3, heads=4, kv_heads=2, d_ff=96, vocab=128)


def named(op, name, layer=None):
    return replace(op, name=name, layer=layer)


def chain(*names):
    """A graph of equal elementwise ops, not yet connected."""
    graph = Graph("chain")
    for name in names:
        graph.add(named(elementwise("silu", 2, 4), name))
    return graph


def test_order_is_insertion_order_where_edges_allow():
    """Ties go to the op that was added first; edges come before ties."""
    graph = chain("a", "b", "c", "d")
    assert [op.name for op in graph.ops] == ["a", "b", "c", "d"]
    graph.connect("c", "a", "x")
    assert [op.name for op in graph.ops] == ["b", "c", "a", "d"]


@settings(max_examples=50, deadline=None)
@given(st.permutations(range(6)), st.sets(st.tuples(st.integers(0, 5), st.integers(0, 5)), max_size=8))
def test_order_is_topological_and_unique(order, pairs):
    """Any acyclic wiring: producers come first, and networkx's lexicographic order by insertion is the one."""
    graph = chain(*(f"op{i}" for i in range(6)))
    wired = {}
    for left, right in sorted(pairs):
        if order[left] < order[right] and right not in wired:
            wired[right] = left
            graph.connect(f"op{left}", f"op{right}", "x")
    names = [op.name for op in graph.ops]
    assert all(names.index(f"op{left}") < names.index(f"op{right}") for right, left in wired.items())
    reference = nx.lexicographical_topological_sort(graph.networkx(), key=lambda name: int(name[2:]))
    assert names == list(reference)


def test_a_cycle_is_named():
    """A cycle is an error that shows the ops on it."""
    graph = chain("a", "b", "c")
    graph.connect("a", "b", "x")
    graph.connect("b", "a", "x")
    with pytest.raises(HwsimError, match=r"chain: a cycle (a -> b|b -> a); expected a graph without cycles"):
        _ = graph.ops


def test_a_bad_edge_names_both_ends():
    """The message holds producer, its columns and shape, consumer, operand and the shape expected."""
    graph = Graph("block")
    graph.add(named(gemm(2, 10, 8), "in_proj"))
    graph.add(named(norm("rmsnorm", 2, 4), "norm"))
    with pytest.raises(HwsimError) as caught:
        graph.connect("in_proj", "norm", "x", (3, 8))
    assert str(caught.value) == (
        "block: columns 3:8 of in_proj's output (2 rows x 10 columns) into norm.x; expected 2 rows x 4 columns"
    )
    graph.connect("in_proj", "norm", "x", (3, 7))
    assert graph.edges_into("norm")[0].columns == (3, 7)


@pytest.mark.parametrize("columns", [(8, 12), (-1, 3), (5, 5), (6, 4)])
def test_columns_outside_the_output(columns):
    """Columns that the producer does not have are refused."""
    graph = Graph()
    graph.add(named(gemm(2, 10, 8), "a"))
    graph.add(named(norm("rmsnorm", 2, 4), "b"))
    with pytest.raises(HwsimError, match=r"into b\.x"):
        graph.connect("a", "b", "x", columns)


def test_rows_must_agree():
    """Two tokens do not flow into an op over three."""
    graph = Graph()
    graph.add(named(gemm(2, 4, 8), "a"))
    graph.add(named(norm("rmsnorm", 3, 4), "b"))
    with pytest.raises(HwsimError, match=r"2 rows x 4 columns\) into b.x; expected 3 rows x 4 columns"):
        graph.connect("a", "b", "x")


def test_edges_into_weights_or_nothing():
    """An edge ends in an operand that the op reads from other ops."""
    graph = chain("a", "b")
    with pytest.raises(HwsimError, match=r"a -> b.z, an operand that b does not read; expected one of x"):
        graph.connect("a", "b", "z")
    graph.add(named(gemm(2, 4, 4), "g"))
    with pytest.raises(HwsimError, match=r"a -> g.b, an operand that g does not read"):
        graph.connect("a", "g", "b")


def test_one_producer_for_each_operand():
    """A second edge into the same operand is refused, and the first producer named."""
    graph = chain("a", "b", "c")
    graph.connect("a", "c", "x")
    with pytest.raises(HwsimError, match=r"b -> c.x, which a feeds already"):
        graph.connect("b", "c", "x")


def test_unknown_and_double_ids():
    """Unknown ids suggest the nearest; ids are unique."""
    graph = chain("alpha", "beta")
    with pytest.raises(HwsimError, match=r"unknown op 'alpa'.*did you mean 'alpha'"):
        graph.connect("alpa", "beta", "x")
    with pytest.raises(HwsimError, match="a second op 'alpha'"):
        graph.add(named(elementwise("silu", 2, 4), "alpha"))


def test_a_cache_takes_the_new_positions():
    """What flows into a cache are the keys of the new tokens, not of the whole context."""
    graph = Graph()
    core = attention("decode", 3, 8, 2, 4, 100, 16)
    graph.add(named(gemm(12, 32, 64), "k_proj"))
    graph.add(named(core, "attention"))
    graph.connect("k_proj", "attention", "k")
    assert graph.predecessors("attention") == ("k_proj",)


def test_a_gather_takes_all_rows():
    """A choice of tokens is fed by all of them."""
    graph = Graph()
    graph.add(named(norm("rmsnorm", 10, 4), "norm"))
    graph.add(named(embedding(2, 4, 10, learned=False), "last"))
    graph.connect("norm", "last", "table")
    assert graph.op("last").bytes_by_role["activation"] == 2 * 4 * 2


def test_reading_a_graph():
    """Length, membership, iteration, neighbours, and the copy for networkx with its edges."""
    graph = chain("a", "b")
    graph.add(named(elementwise("add", 2, 4), "c"))
    graph.connect("a", "c", "x")
    graph.connect("a", "c", "y", (0, 4))
    assert len(graph) == 3
    assert "a" in graph
    assert "z" not in graph
    assert [op.name for op in graph] == ["a", "b", "c"]
    assert graph.successors("a") == ("c",)
    assert [edge.operand for edge in graph.edges_into("c")] == ["x", "y"]
    copy = graph.networkx()
    assert copy.nodes["a"]["op"].name == "a"
    assert [link.operand for link in copy.edges["a", "c"]["links"]] == ["x", "y"]
    copy.remove_node("a")
    assert graph.successors("a") == ("c",)


def test_totals_are_sums_over_the_ops():
    """Totals, computed over distinct ops with counts, equal plain sums; so do the sums by block."""
    graph = build(LLAMA, Formats(), Pass("decode", 2, 3, 50))
    totals = graph.totals
    assert totals.ops == len(graph)
    assert totals.macs == sum(op.macs for op in graph)
    assert totals.other_ops == sum(op.other_ops for op in graph)
    assert totals.parameters == sum(op.parameters for op in graph)
    assert totals.weight_bytes == sum(op.weight_bytes for op in graph)
    assert totals.bytes == sum(sum(op.bytes_by_role.values()) for op in graph)
    blocks = graph.totals_by_block()
    assert list(blocks) == ["embedding", "attention", "mlp", "head"]
    assert sum(part.macs for part in blocks.values()) == totals.macs
    assert blocks["mlp"].macs == sum(op.macs for op in graph if op.block == "mlp")


def test_totals_follow_the_graph():
    """Adding an op after asking for totals is not forgotten."""
    graph = chain("a")
    before = graph.totals.other_ops
    graph.add(named(elementwise("silu", 2, 4), "b"))
    assert graph.totals.other_ops == 2 * before
    assert [op.name for op in graph.ops] == ["a", "b"]


def test_distinct_ops_with_counts():
    """Equal layers collapse to one entry per op."""
    graph = build(TINY, Formats(), Pass("decode"))
    counts = {op.name: count for op, count in graph.distinct()}
    assert counts["in_proj"] == 5
    assert counts["lm_head"] == 1
    assert sum(counts.values()) == len(graph)


def test_layer_runs_of_equal_layers():
    """Five equal layers are one run between embedding and head."""
    graph = build(TINY, Formats(), Pass("decode"))
    runs = graph.layer_runs()
    assert [(len(ops), repeats) for ops, repeats in runs] == [(1, 1), (8, 5), (2, 1)]
    assert [op.layer for op in runs[1].ops] == [0] * 8
    assert len(graph.layers()) == 7


def test_layer_runs_of_a_pattern():
    """Layers that differ end a run; what comes back later is a run of its own."""
    model = HybridModel(64, 8, 4, 2, 96, 128, pattern=("mamba1", "mamba1", "attention", "mamba1"), dt_rank=4)
    runs = build(model, Formats(), Pass("decode")).layer_runs()
    assert [repeats for _, repeats in runs] == [1, 2, 1, 3, 1, 1, 1]


def test_gathered_layers_stand_together():
    """The same ops, with one layer run for each kind of layer, in the order in which kinds first come."""
    model = HybridModel(64, 8, 4, 2, 96, 128, pattern=("mamba1", "mamba1", "attention", "mamba1"), dt_rank=4)
    graph = build(model, Formats(), Pass("decode"))
    runs, kinds = graph.layer_runs(), graph.gathered().layer_runs()
    assert sorted(op.id for op in graph.gathered().ops) == sorted(op.id for op in graph.ops)
    assert [run.repeats for run in kinds] == [1, 6, 2, 1]
    assert [run.ops[0].layer for run in kinds] == [run.ops[0].layer for run in (*runs[:3], runs[-1])]


def test_without_the_head():
    """A pass whose head runs on the host is the layers alone, and its first norm reads the graph's input."""
    graph = build(TINY, Formats(), Pass("decode", lm_head=False))
    assert {op.layer for op in graph} == set(range(5))
    assert graph.edges_into("layers.0.norm") == ()
    assert graph.edges_into("layers.1.norm")[0].producer == "layers.0.residual"
