"""The builder of hybrids: mixers in a pattern, gated delta rules, linear attention, gates."""

from tiny_models import PASSES, TINY

from hwsim.workload.builders import build
from hwsim.workload.model import Formats, HybridModel, Pass


def test_gated_delta_rules():
    """Parameters of a mixer by hand; keys are shared by the value heads; each head is normed on its own."""
    graph = build(TINY["qwen3-next"], Formats(), Pass("prefill", 2, 6))
    mixer = [op for op in graph if op.layer == 0 and op.block == "gdn"]
    keys, values, heads = 2 * 8, 4 * 16, 4
    products = 64 * (2 * keys + 2 * values) + 64 * 2 * heads + values * 64
    assert sum(op.parameters for op in mixer) == 64 + products + 4 * (2 * keys + values) + 2 * heads + 16
    scan = graph.op("layers.0.scan")
    assert (scan.dims["groups"], scan.dims["group"], scan.attributes["mixer"]) == (2, 2, "gdn")
    assert scan.state_elements == 2 * heads * 16 * 8
    assert graph.op("layers.0.head_norm").dims["tokens"] == 2 * 6 * heads


def test_linear_attention():
    """Three products of all heads, features of queries and keys, a state of head_dim x head_dim a head, no cache."""
    graph = build(TINY["linear"], Formats(), Pass("prefill", 2, 6))
    mixer = {op.name: op for op in graph if op.layer == 0 and op.block == "linear"}
    features = ["q_features", "k_features"]
    names = ["norm", "q_proj", "k_proj", "v_proj", *features, "scan", "head_norm", "o_proj", "residual"]
    assert list(mixer) == names
    scan = mixer["scan"]
    assert scan.attributes["mixer"] == "linear"
    assert scan.state_elements == 2 * 4 * 16 * 16
    assert build(TINY["linear"], Formats(), Pass("decode", 2, 1, 7)).op(scan.id).macs == 2 * 2 * 4 * 16 * 16
    fed = {edge.operand: edge.producer.removeprefix("layers.0.") for edge in graph.edges_into(scan.id)}
    assert fed == {"q": "q_features", "k": "k_features", "v": "v_proj"}
    assert mixer["head_norm"].attributes["heads"] == 4


def test_gated_attention():
    """The query projection is twice as wide: its second half gates what attention gives."""
    graph = build(TINY["qwen3-next"], Formats(), PASSES[0])
    assert graph.op("layers.1.q_proj").dims["n"] == 2 * 4 * 32
    (gate,) = (edge for edge in graph.edges if edge.consumer == "layers.1.attn_gate" and edge.operand == "gate")
    assert (gate.producer, gate.columns) == ("layers.1.q_proj", (128, 256))


def test_hybrid_layers():
    """The pattern shows in the layers: mixer, then what follows it."""
    graph = build(TINY["hybrid"], Formats(), PASSES[0])
    blocks = [{op.block for op in graph if op.layer == layer} for layer in range(4)]
    assert blocks == [{"mamba1", "mlp"}, {"attention", "moe"}, {"mamba2"}, {"mamba2", "mlp"}]
    assert graph.op("layers.0.dt_norm").dims["width"] == 4
    assert "layers.1.rope" not in graph


def test_hybrid_without_gated_norm():
    """A Mamba-2 layer without the gated norm multiplies by silu(z) alone."""
    model = HybridModel(64, 2, 4, 2, 96, 96, pattern=("mamba2",), ssm_head_dim=16, gated_norm=False)
    graph = build(model, Formats(), PASSES[0])
    assert "layers.0.gated_norm" not in graph
    assert graph.op("layers.0.gate").attributes["op"] == "silu_mul"
