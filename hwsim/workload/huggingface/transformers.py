"""Decoder-only transformers of Hugging Face: what their configuration classes mean as a `TransformerModel`.

Defaults are those of the `transformers` package's configuration classes. Factors that change no shape (soft caps of
logits, multipliers of Granite, scales of embeddings) are not read and not counted.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, Literal

from hwsim.workload.families import Activation, Model, TransformerModel
from hwsim.workload.huggingface.config import Config, activation_of, shapes_of, window_of, window_pattern_of

__all__ = ["deepseek", "gemma", "gpt2", "gpt_oss", "latent_deepseek", "llama", "opt", "plain_decoder"]

_OPT_OFFSET: Final = 2
"""Rows of OPT's position table before that of the first token."""


def llama(
    *, bias: bool = False, qk_norm: bool = False, tied: bool = False, window: bool = True, experts: bool = False,
    shared: bool = False, activation: Activation = "silu", width: int = 0, kv_heads: int | None = None,
) -> Callable[[Config], Model]:  # fmt: skip
    """RMSNorm, rope and a gated MLP, and what differs between the kinds that have them, or leave it to their class."""

    def model(config: Config) -> Model:
        inner = ("moe_intermediate_size", "intermediate_size") if experts else ("intermediate_size",)
        beside = config.whole("shared_expert_intermediate_size", default=0, least=0) if shared else 0
        return TransformerModel(
            **shapes_of(config, kv_heads),
            d_ff=config.whole(*inner),
            activation=activation_of(config, "hidden_activation", "hidden_act", default=activation),
            attention_bias=config.flag("attention_bias", bias),
            output_bias=config.flag("attention_bias", False) and not bias,
            mlp_bias=config.flag("mlp_bias", False),
            qk_norm=qk_norm,
            tied_head=config.flag("tie_word_embeddings", tied),
            window=window_of(config, used=window, left_out=width),
            experts=config.whole("num_local_experts", "num_experts") if experts else 0,
            experts_per_token=config.whole("num_experts_per_tok") if experts else 0,
            shared_d_ff=beside,
            shared_gate=beside > 0,
        )

    return model


def gpt2(config: Config) -> Model:
    """GPT-2: one product for query, key and value, learned positions, plain MLPs."""
    width = config.whole("n_embd", "hidden_size")
    heads = config.whole("n_head", "num_attention_heads")
    return TransformerModel(
        d_model=width,
        layers=config.whole("n_layer", "num_hidden_layers"),
        heads=heads,
        kv_heads=heads,
        d_ff=config.whole("n_inner", default=4 * width),
        vocab=config.whole("vocab_size"),
        norm="layernorm",
        mlp="plain",
        activation=activation_of(config, "activation_function", default="gelu"),
        position="learned",
        max_positions=config.whole("n_positions", "max_position_embeddings"),
        attention_bias=True,
        output_bias=True,
        mlp_bias=True,
        fused_qkv=True,
        tied_head=config.flag("tie_word_embeddings", True),
    )


def plain_decoder(*, fused: bool, bias_key: str, tied: bool) -> Callable[[Config], Model]:
    """LayerNorm, rope and a plain MLP with biases (GPT-NeoX, Starcoder2)."""

    def model(config: Config) -> Model:
        bias = config.flag(bias_key, True)
        return TransformerModel(
            **shapes_of(config),
            d_ff=config.whole("intermediate_size"),
            norm="layernorm",
            mlp="plain",
            activation=activation_of(config, "hidden_act", default="gelu"),
            attention_bias=bias,
            output_bias=bias,
            mlp_bias=bias or fused,
            fused_qkv=fused,
            tied_head=config.flag("tie_word_embeddings", tied),
            window=window_of(config),
        )

    return model


def opt(config: Config) -> Model:
    """OPT: plain ReLU MLPs and learned positions; its 350M norms after the blocks, which no family states."""
    if not config.flag("do_layer_norm_before", True):
        raise config.refuse("do_layer_norm_before", "true: norms in place of the first ones are in no family")
    bias, heads = config.flag("enable_bias", True), config.whole("num_attention_heads")
    return TransformerModel(
        d_model=config.whole("hidden_size"),
        layers=config.whole("num_hidden_layers"),
        heads=heads,
        kv_heads=heads,
        d_ff=config.whole("ffn_dim"),
        vocab=config.whole("vocab_size"),
        norm="layernorm",
        mlp="plain",
        activation=activation_of(config, "activation_function", default="relu"),
        position="learned",
        max_positions=config.whole("max_position_embeddings", default=2048) + _OPT_OFFSET,
        attention_bias=bias,
        output_bias=bias,
        mlp_bias=bias,
        tied_head=config.flag("tie_word_embeddings", True),
    )


def gemma(*, every: int, qk_norm: bool) -> Callable[[Config], Model]:
    """Gemma 2 and 3: norms before and after each block, a window in all layers but every second or sixth."""

    def model(config: Config) -> Model:
        window, pattern = window_pattern_of(config, every=config.whole("sliding_window_pattern", default=every))
        return TransformerModel(
            **shapes_of(config, kv_heads=4, head_dim=256),
            d_ff=config.whole("intermediate_size"),
            activation=activation_of(config, "hidden_activation", "hidden_act", default="gelu"),
            attention_bias=config.flag("attention_bias", False),
            output_bias=config.flag("attention_bias", False),
            qk_norm=qk_norm,
            post_norm=True,
            tied_head=config.flag("tie_word_embeddings", True),
            window=window,
            window_pattern=pattern,
        )

    return model


def gpt_oss(config: Config) -> Model:
    """gpt-oss: experts with biases, attention sinks, a window in every second layer."""
    window, pattern = window_pattern_of(config, every=2, left_out=128)
    bias = config.flag("attention_bias", True)
    return TransformerModel(
        **shapes_of(config, kv_heads=8, head_dim=64),
        d_ff=config.whole("intermediate_size"),
        activation=activation_of(config, "hidden_act"),
        attention_bias=bias,
        output_bias=bias,
        mlp_bias=True,
        sinks=True,
        tied_head=config.flag("tie_word_embeddings", False),
        window=window,
        window_pattern=pattern,
        experts=config.whole("num_local_experts", default=128),
        experts_per_token=config.whole("num_experts_per_tok", "experts_per_token", default=4),
    )


def deepseek(config: Config) -> Model:
    """DeepSeek-MoE: shared experts beside the chosen ones, and first layers without any."""
    return TransformerModel(**shapes_of(config), **_shared_experts(config))


def _shared_experts(config: Config) -> dict[str, Any]:
    """The fields of a model of DeepSeek's beside attention's shapes."""
    if config.whole("moe_layer_freq", default=1) != 1:
        raise config.refuse("moe_layer_freq", "1: experts in every layer behind the first ones")
    expert, dense = config.whole("moe_intermediate_size"), config.whole("first_k_dense_replace", default=0, least=0)
    return {
        "d_ff": expert,
        "activation": activation_of(config, "hidden_act"),
        "attention_bias": config.flag("attention_bias", False),
        "output_bias": config.flag("attention_bias", False),
        "tied_head": config.flag("tie_word_embeddings", False),
        "experts": config.whole("n_routed_experts"),
        "experts_per_token": config.whole("num_experts_per_tok"),
        "shared_d_ff": expert * config.whole("n_shared_experts", default=0, least=0),
        "dense_layers": dense,
        "dense_d_ff": config.whole("intermediate_size") if dense else 0,
    }


def latent_deepseek(router: Literal["softmax", "sigmoid"]) -> Callable[[Config], Model]:
    """DeepSeek-V2 and V3, Kimi K2: latent attention; groups that limit the choice of experts change no work.

    Layers that draft further tokens (``num_nextn_predict_layers``) are left out.
    """

    def model(config: Config) -> Model:
        scores = config.keys.get("scoring_func") or router
        if scores not in ("softmax", "sigmoid"):
            raise config.refuse("scoring_func", "softmax or sigmoid")
        direct = "q_lora_rank" in config.keys and config.keys["q_lora_rank"] is None
        return TransformerModel(
            **(shapes_of(config) | {"head_dim": 0}),
            **_shared_experts(config),
            router=scores,
            kv_lora_rank=config.whole("kv_lora_rank", default=512),
            q_lora_rank=0 if direct else config.whole("q_lora_rank", default=1536),
            qk_nope_head_dim=config.whole("qk_nope_head_dim", default=128),
            qk_rope_head_dim=config.whole("qk_rope_head_dim", default=64),
            v_head_dim=config.whole("v_head_dim", default=128),
        )

    return model
