"""Model families: the shapes that a workload file gives under ``model``, each with its tag ``family``."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Final, Literal, TypeAlias

from hwsim.spec import Refused, Tagged
from hwsim.workload.convnet import ConvNetModel
from hwsim.workload.encoder import EncoderModel
from hwsim.workload.family_checks import (
    check_activation,
    check_attention,
    check_experts,
    check_latent,
    check_pattern,
    divides,
)
from hwsim.workload.listed import OpsModel
from hwsim.workload.ranges import Count, Layers, Whole
from hwsim.workload.vit import VitModel

__all__ = [
    "ONE_PASS_MODELS",
    "Activation",
    "ConvNetModel",
    "Count",
    "EncoderModel",
    "HybridModel",
    "Mamba1Model",
    "Mamba2Model",
    "Model",
    "OpsModel",
    "TransformerModel",
    "VitModel",
    "Whole",
    "kind_of",
    "of_images",
    "phases_of",
    "takes_context",
]

Activation: TypeAlias = Literal["silu", "gelu", "relu", "relu2"]
"""Activation of an MLP; the last two in plain ones only."""


@dataclass(frozen=True, slots=True)
class Mamba1Model:
    """Mamba-1 (arXiv 2312.00752; state-spaces/mamba ``mamba_simple.py``).

    Attributes:
        d_model: width of the residual stream.
        layers: layers.
        vocab: rows of the embedding, padding included.
        d_state: states per channel (N).
        d_conv: taps of the causal convolution.
        expand: d_inner / d_model.
        dt_rank: inner width of the dt projection; 0 for ceil(d_model / 16).
        ssm_norms: whether dt, B and C are normed, with gains of one that are not trained (Falcon-Mamba).
        conv_bias: whether the convolution has a bias.
        tied_head: whether the head uses the embedding's table.
        family: tag of this family.
    """

    d_model: Count
    layers: Layers
    vocab: Count
    d_state: Count = 16
    d_conv: Count = 4
    expand: Count = 2
    dt_rank: Whole = 0
    ssm_norms: bool = False
    conv_bias: bool = True
    tied_head: bool = True
    family: Literal["mamba1"] = "mamba1"

    @property
    def d_inner(self) -> int:
        """Channels of the state update."""
        return self.expand * self.d_model

    @property
    def rank(self) -> int:
        """Inner width of the dt projection."""
        return self.dt_rank or -(-self.d_model // 16)


@dataclass(frozen=True, slots=True)
class Mamba2Model:
    """Mamba-2 (arXiv 2405.21060; state-spaces/mamba ``mamba2.py``).

    Attributes:
        d_model: width of the residual stream.
        layers: layers.
        vocab: rows of the embedding, padding included.
        d_state: states per channel (N).
        d_conv: taps of the causal convolution.
        expand: d_inner / d_model.
        head_dim: channels per head (P).
        groups: groups of heads that share B and C.
        chunk: tokens per chunk of the matrix form in prefill; 0 for the recurrence token by token.
        conv_bias: whether the convolution has a bias.
        tied_head: whether the head uses the embedding's table.
        family: tag of this family.
    """

    d_model: Count
    layers: Layers
    vocab: Count
    d_state: Count = 128
    d_conv: Count = 4
    expand: Count = 2
    head_dim: Count = 64
    groups: Count = 1
    chunk: Whole = 256
    conv_bias: bool = True
    tied_head: bool = True
    family: Literal["mamba2"] = "mamba2"

    def __post_init__(self) -> None:
        divides(self.head_dim, self.d_inner, "head_dim", "expand * d_model")
        divides(self.groups, self.heads, "groups", "the number of heads")

    @property
    def d_inner(self) -> int:
        """Channels of the state update."""
        return self.expand * self.d_model

    @property
    def heads(self) -> int:
        """Heads (H)."""
        return self.d_inner // self.head_dim


@dataclass(frozen=True, slots=True)
class TransformerModel:
    """A decoder-only transformer.

    Attributes:
        d_model: width of the residual stream.
        layers: layers.
        heads: query heads.
        kv_heads: heads of keys and values.
        d_ff: inner width of the MLP, or of one expert.
        vocab: rows of the embedding.
        head_dim: elements per head; 0 for d_model / heads.
        norm: norm before attention, MLP and head.
        mlp: gated (act(gate) * up, then down) or plain (up, act, down).
        activation: activation of the MLP; relu2 is the square of relu.
        position: rope, learned (a table added to the embedding), or none.
        max_positions: rows of the learned position table.
        attention_bias: biases of the query, key and value projections.
        output_bias: bias of the attention's output projection.
        mlp_bias: biases of the MLP, or of router and experts.
        fused_qkv: whether query, key and value come from one product (GPT-2) or from three.
        qk_norm: whether each head's queries and keys are normed (Qwen3).
        post_norm: whether what attention and MLP give is normed before it is added to the stream (Gemma 2).
        sinks: whether each head has a learned logit beside its scores (gpt-oss).
        tied_head: whether the head uses the embedding's table.
        window: positions that attention sees at most, 0 for all.
        window_pattern: which layers have the window; a shorter pattern repeats.
        experts: experts per layer, 0 for a plain MLP.
        experts_per_token: experts that each token visits.
        shared_d_ff: inner width of the MLP that every token visits beside its experts, 0 for none.
        shared_gate: whether a gate of each token scales what that MLP gives (Qwen2-MoE).
        dense_layers: first layers that have one MLP in place of experts (DeepSeek-MoE).
        dense_d_ff: inner width of theirs.
        router: scores that experts are chosen by: softmax, or sigmoid with a trained bias per expert (DeepSeek-V3).
        kv_lora_rank: width of the latent that gives all heads' keys and values (latent attention), 0 for none.
        q_lora_rank: width of that of queries, 0 where they come from the stream.
        qk_nope_head_dim: elements of a head's query and key without position.
        qk_rope_head_dim: elements of its query, and of one key for all heads, that are rotated.
        v_head_dim: elements of a head's value.
        absorb: where products up to keys and values move over to queries and results, over a cache of latents: decode
            (prompts expand them), always, or never (the cache has each head's keys and values).
        family: tag of this family.
    """

    d_model: Count
    layers: Layers
    heads: Count
    kv_heads: Count
    d_ff: Count
    vocab: Count
    head_dim: Whole = 0
    norm: Literal["rmsnorm", "layernorm"] = "rmsnorm"
    mlp: Literal["gated", "plain"] = "gated"
    activation: Activation = "silu"
    position: Literal["rope", "learned", "none"] = "rope"
    max_positions: Whole = 0
    attention_bias: bool = False
    output_bias: bool = False
    mlp_bias: bool = False
    fused_qkv: bool = False
    qk_norm: bool = False
    post_norm: bool = False
    sinks: bool = False
    tied_head: bool = False
    window: Whole = 0
    window_pattern: tuple[Literal["window", "full"], ...] = ("window",)
    experts: Whole = 0
    experts_per_token: Whole = 0
    shared_d_ff: Whole = 0
    shared_gate: bool = False
    dense_layers: Whole = 0
    dense_d_ff: Whole = 0
    router: Literal["softmax", "sigmoid"] = "softmax"
    kv_lora_rank: Whole = 0
    q_lora_rank: Whole = 0
    qk_nope_head_dim: Whole = 0
    qk_rope_head_dim: Whole = 0
    v_head_dim: Whole = 0
    absorb: Literal["decode", "always", "never"] = "decode"
    family: Literal["transformer"] = "transformer"

    def __post_init__(self) -> None:
        check_attention(self.d_model, self.heads, self.kv_heads, self.head_dim or self.kv_lora_rank)
        check_latent(self)
        check_experts(self.experts, self.experts_per_token, self.shared_d_ff, self.shared_gate)
        check_activation("gated" if self.experts else self.mlp, self.activation)
        check_pattern(self.window_pattern, self.layers, "window_pattern")
        if not self.window and self.window_pattern != ("window",):
            raise Refused("", "left out where window = 0", at="window_pattern")
        if (self.position == "learned") != (self.max_positions > 0):
            raise Refused("", "the rows of the table with position: learned, else 0", at="max_positions")
        if self.dense_layers > (self.layers if self.experts else 0):
            raise Refused("", f"0 to layers = {self.layers}, with experts; else 0", at="dense_layers")
        if (self.dense_layers > 0) != (self.dense_d_ff > 0):
            raise Refused("", "a width with dense_layers, else 0", at="dense_d_ff")
        if self.router != "softmax" and not self.experts:
            raise Refused("", "softmax without experts", at="router")

    @property
    def width_per_head(self) -> int:
        """Elements per head."""
        return self.head_dim or self.d_model // self.heads

    def window_of(self, layer: int) -> int:
        """Positions that a layer's attention sees at most, 0 for all."""
        return self.window if self.window_pattern[layer % len(self.window_pattern)] == "window" else 0


@dataclass(frozen=True, slots=True)
class HybridModel:
    """Layers of attention, linear attention, Mamba and gated delta rules in a pattern, then an MLP, experts or nothing.

    A model whose layers hold either a mixer or an MLP (Nemotron-H) has fewer here: an MLP belongs to the one before it.

    Attributes:
        d_model: width of the residual stream.
        layers: layers.
        heads: query heads, and heads of linear attention.
        kv_heads: heads of keys and values.
        d_ff: inner width of the MLP, or of one expert.
        vocab: rows of the embedding.
        pattern: mixer of each layer; a shorter pattern repeats.
        mlp_pattern: what follows the mixer in each layer; a shorter pattern repeats.
        mlp: gated or plain; experts are gated.
        activation: activation of MLP and experts.
        head_dim: elements per attention head; 0 for d_model / heads.
        position: rope or none (Jamba's attention has no positions).
        qk_norm: whether each head's queries and keys are normed.
        attention_gate: whether the query projection also gives a gate for what attention gives (Qwen3-Next).
        d_state: states per channel of the Mamba layers.
        d_conv: taps of their convolution.
        d_inner: channels of their state update; 0 for 2 * d_model.
        dt_rank: inner width of Mamba-1's dt projection; 0 for ceil(d_model / 16).
        ssm_head_dim: channels per head of Mamba-2.
        ssm_groups: groups of heads of Mamba-2 that share B and C.
        ssm_norms: whether Mamba-1's dt, B and C are normed (Jamba).
        gated_norm: whether Mamba-2 norms its gated output.
        chunk: tokens per chunk of Mamba-2's matrix form in prefill.
        conv_bias: whether the convolution has a bias.
        key_heads: heads of queries and keys of gated delta rules, 0 without such layers.
        key_dim: elements of each.
        value_heads: heads of their values; a multiple of ``key_heads``.
        value_dim: elements of each.
        tied_head: whether the head uses the embedding's table.
        window: positions that attention sees at most, 0 for all.
        experts: experts of a ``moe`` layer.
        experts_per_token: experts that each token visits.
        shared_d_ff: inner width of the MLP that every token visits beside its experts, 0 for none.
        shared_gate: whether a gate of each token scales what that MLP gives.
        family: tag of this family.
    """

    d_model: Count
    layers: Layers
    heads: Count
    kv_heads: Count
    d_ff: Count
    vocab: Count
    pattern: tuple[Literal["attention", "linear", "mamba1", "mamba2", "gdn"], ...]
    mlp_pattern: tuple[Literal["mlp", "moe", "none"], ...] = ("mlp",)
    mlp: Literal["gated", "plain"] = "gated"
    activation: Activation = "silu"
    head_dim: Whole = 0
    position: Literal["rope", "none"] = "rope"
    qk_norm: bool = False
    attention_gate: bool = False
    d_state: Count = 16
    d_conv: Count = 4
    d_inner: Whole = 0
    dt_rank: Whole = 0
    ssm_head_dim: Count = 64
    ssm_groups: Count = 1
    ssm_norms: bool = False
    gated_norm: bool = True
    chunk: Whole = 256
    conv_bias: bool = True
    key_heads: Whole = 0
    key_dim: Whole = 0
    value_heads: Whole = 0
    value_dim: Whole = 0
    tied_head: bool = False
    window: Whole = 0
    experts: Whole = 0
    experts_per_token: Whole = 0
    shared_d_ff: Whole = 0
    shared_gate: bool = False
    family: Literal["hybrid"] = "hybrid"

    def __post_init__(self) -> None:
        check_attention(self.d_model, self.heads, self.kv_heads, self.head_dim)
        check_experts(self.experts, self.experts_per_token, self.shared_d_ff, self.shared_gate)
        check_activation("gated" if self.experts else self.mlp, self.activation)
        for name in ("key_heads", "key_dim", "value_heads", "value_dim"):
            if (getattr(self, name) > 0) != ("gdn" in self.pattern):
                raise Refused("", "a number above 0 where pattern has gdn, else 0", at=name)
        if self.key_heads:
            divides(self.key_heads, self.value_heads, "key_heads", "value_heads")
        if ("moe" in self.mlp_pattern) != (self.experts > 0):
            raise Refused("", "a number above 0 where mlp_pattern has moe, else 0", at="experts")
        check_pattern(self.pattern, self.layers, "pattern")
        check_pattern(self.mlp_pattern, self.layers, "mlp_pattern")
        if "mamba2" in self.pattern:
            divides(self.ssm_head_dim, self.channels, "ssm_head_dim", "d_inner")
            divides(self.ssm_groups, self.channels // self.ssm_head_dim, "ssm_groups", "the number of Mamba heads")

    @property
    def width_per_head(self) -> int:
        """Elements per attention head."""
        return self.head_dim or self.d_model // self.heads

    @property
    def channels(self) -> int:
        """Channels of the Mamba layers' state update."""
        return self.d_inner or 2 * self.d_model

    def layer(self, index: int) -> tuple[str, str]:
        """(mixer, what follows it) of a layer."""
        return self.pattern[index % len(self.pattern)], self.mlp_pattern[index % len(self.mlp_pattern)]


Model: TypeAlias = Annotated[
    Mamba1Model | Mamba2Model | TransformerModel | HybridModel | EncoderModel | VitModel | ConvNetModel | OpsModel,
    Tagged("family"),
]
"""Any of them, told apart by ``family``."""

ONE_PASS_MODELS: Final = (EncoderModel, VitModel, ConvNetModel, OpsModel)
"""Families that take each input in one pass, and decode nothing."""


def of_images(model: Model) -> bool:
    """Whether what a model takes is counted in images; else in tokens."""
    return isinstance(model, VitModel | ConvNetModel) or (isinstance(model, OpsModel) and not model.tokens)


def phases_of(model: Model) -> tuple[str, ...]:
    """What can be run of a model, the default first."""
    if isinstance(model, EncoderModel):
        return ("inference", "train")
    return ("inference",) if isinstance(model, ONE_PASS_MODELS) else ("decode", "prefill", "inference", "train")


def takes_context(model: Model) -> bool:
    """Whether ``context`` counts tokens that a model reads; else its input has one size."""
    return isinstance(model, EncoderModel) or not isinstance(model, ONE_PASS_MODELS)


def kind_of(model: Model) -> str:
    """What a model is, in words."""
    if isinstance(model, EncoderModel):
        return "an encoder of texts"
    if isinstance(model, OpsModel):
        return "a list of operators"
    return "a model of images" if isinstance(model, ONE_PASS_MODELS) else "a language model"
