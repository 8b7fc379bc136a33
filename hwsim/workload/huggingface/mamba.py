"""Mamba, hybrids of attention with Mamba or gated delta rules, and files of the `mamba_ssm` package.

Defaults are those of the `transformers` package's configuration classes, and of `mamba_ssm` for its files.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, Literal

from hwsim.workload.families import HybridModel, Mamba1Model, Mamba2Model, Model
from hwsim.workload.huggingface.config import Config, activation_of, repeated, shapes_of

__all__ = ["bamba", "granite_hybrid", "jamba", "mamba1", "mamba2", "mamba_ssm", "nemotron_h", "qwen3_next"]

_MAMBA_PADDING: Final = 8


def mamba1(*, norms: bool = False) -> Callable[[Config], Model]:
    """Mamba-1, and Falcon-Mamba with norms of dt, B and C."""

    def model(config: Config) -> Model:
        return _mamba1(config, norms)

    return model


def _mamba1(config: Config, norms: bool) -> Model:
    width = config.whole("hidden_size")
    inner = config.whole("intermediate_size", default=config.whole("expand", default=2) * width)
    if inner % width:
        raise config.refuse("intermediate_size", f"a multiple of hidden_size = {width}")
    rank = config.keys.get("time_step_rank")
    if config.flag("use_bias", False):
        raise config.refuse("use_bias", "false: projections of Mamba have no biases in hwsim")
    return Mamba1Model(
        d_model=width,
        layers=config.whole("num_hidden_layers"),
        vocab=config.whole("vocab_size"),
        d_state=config.whole("state_size", default=16),
        d_conv=config.whole("conv_kernel", default=4),
        expand=inner // width,
        dt_rank=0 if rank in (None, "auto") else config.whole("time_step_rank"),
        ssm_norms=norms,
        conv_bias=config.flag("use_conv_bias", True),
        tied_head=config.flag("tie_word_embeddings", True),
    )


def mamba2(config: Config) -> Model:
    """Mamba-2 of `transformers`, with 8 groups unless the file says otherwise."""
    if config.flag("use_bias", False):
        raise config.refuse("use_bias", "false: projections of Mamba have no biases in hwsim")
    model = Mamba2Model(
        d_model=config.whole("hidden_size"),
        layers=config.whole("num_hidden_layers"),
        vocab=config.whole("vocab_size"),
        d_state=config.whole("state_size", default=128),
        d_conv=config.whole("conv_kernel", default=4),
        expand=config.whole("expand", default=2),
        head_dim=config.whole("head_dim", default=64),
        groups=config.whole("n_groups", default=8),
        chunk=config.whole("chunk_size", default=256),
        conv_bias=config.flag("use_conv_bias", True),
        tied_head=config.flag("tie_word_embeddings", False),
    )
    if config.whole("num_heads", default=model.heads) != model.heads:
        raise config.refuse("num_heads", f"expand * hidden_size / head_dim = {model.heads}")
    return model


def mamba_ssm(config: Config) -> Model:
    """Files of the mamba_ssm package (`config_mamba.py`): the vocabulary is padded to a multiple."""
    own = config.keys.get("ssm_cfg")
    layer = own.get("layer", "Mamba1") if isinstance(own, dict) and set(own) <= {"layer"} else None
    if layer not in ("Mamba1", "Mamba2"):
        raise config.refuse("ssm_cfg", '{}, {"layer": "Mamba1"} or {"layer": "Mamba2"}')
    if config.keys.get("attn_layer_idx") or config.keys.get("d_intermediate"):
        raise config.refuse("attn_layer_idx", "[] with d_intermediate 0: plain Mamba layers")
    multiple = config.whole("pad_vocab_size_multiple", default=_MAMBA_PADDING)
    return (Mamba2Model if layer == "Mamba2" else Mamba1Model)(
        d_model=config.whole("d_model"),
        layers=config.whole("n_layer"),
        vocab=-(-config.whole("vocab_size") // multiple) * multiple,
        tied_head=config.flag("tie_embeddings", True),
    )


def jamba(config: Config) -> Model:
    """Jamba: attention and experts in layers that their periods and offsets choose."""
    every, first = config.whole("attn_layer_period"), config.whole("attn_layer_offset", least=0)
    step, start = config.whole("expert_layer_period"), config.whole("expert_layer_offset", least=0)
    experts = config.whole("num_experts")
    return HybridModel(
        **shapes_of(config),
        d_ff=config.whole("intermediate_size"),
        pattern=tuple("attention" if i % every == first else "mamba1" for i in range(every)),
        mlp_pattern=tuple("moe" if i % step == start else "mlp" for i in range(step)) if experts > 1 else ("mlp",),
        position="none",
        d_state=config.whole("mamba_d_state", default=16),
        d_conv=config.whole("mamba_d_conv", default=4),
        d_inner=config.whole("mamba_expand", default=2) * config.whole("hidden_size"),
        dt_rank=0 if config.keys.get("mamba_dt_rank") in (None, "auto") else config.whole("mamba_dt_rank"),
        ssm_norms=True,
        conv_bias=config.flag("mamba_conv_bias", True),
        tied_head=config.flag("tie_word_embeddings", False),
        experts=experts if experts > 1 else 0,
        experts_per_token=config.whole("num_experts_per_tok") if experts > 1 else 0,
    )


def bamba(config: Config) -> Model:
    """Bamba: attention in the layers that the file lists, Mamba-2 in the others."""
    layers = config.whole("num_hidden_layers")
    chosen = config.keys.get("attn_layer_indices") or []
    if not isinstance(chosen, list) or not all(isinstance(i, int) and 0 <= i < layers for i in chosen):
        raise config.refuse("attn_layer_indices", f"a list of layers below {layers}")
    return HybridModel(
        **shapes_of(config),
        d_ff=config.whole("intermediate_size"),
        pattern=repeated(["attention" if i in chosen else "mamba2" for i in range(layers)]),
        **_mamba2_layers(config),
        tied_head=config.flag("tie_word_embeddings", False),
    )


def _mamba2_layers(config: Config) -> dict[str, Any]:
    """The fields of the Mamba-2 layers of IBM's hybrids."""
    inner = config.whole("mamba_expand", default=2) * config.whole("hidden_size")
    if config.keys.get("mamba_d_head") in (None, "auto"):
        heads = config.whole("mamba_n_heads", default=128)
        head = max(1, inner // heads)
    else:
        head = config.whole("mamba_d_head")
        heads = config.whole("mamba_n_heads", default=inner // head)
    if heads * head != inner:
        raise config.refuse("mamba_n_heads", f"mamba_expand * hidden_size / mamba_d_head = {inner // head}")
    return {
        "d_state": config.whole("mamba_d_state", default=256),
        "d_conv": config.whole("mamba_d_conv", default=4),
        "d_inner": inner,
        "ssm_head_dim": head,
        "ssm_groups": config.whole("mamba_n_groups", default=1),
        "chunk": config.whole("mamba_chunk_size", default=256),
        "conv_bias": config.flag("mamba_conv_bias", True),
    }


def granite_hybrid(config: Config) -> Model:
    """Granite 4: attention among Mamba-2, experts with a shared one in each layer, or an MLP alone."""
    kinds: dict[str, Literal["attention", "mamba2"]] = {"attention": "attention", "mamba": "mamba2"}
    experts = config.whole("num_local_experts", default=8, least=0)
    shared = config.whole("shared_intermediate_size", default=1024)
    return HybridModel(
        **shapes_of(config),
        d_ff=config.whole("intermediate_size") if experts else shared,
        pattern=repeated(config.layers_of(kinds, "mamba")),
        mlp_pattern=("moe",) if experts else ("mlp",),
        position="rope" if config.keys.get("position_embedding_type") == "rope" else "none",
        **_mamba2_layers(config),
        tied_head=config.flag("tie_word_embeddings", True),
        experts=experts,
        experts_per_token=config.whole("num_experts_per_tok") if experts else 0,
        shared_d_ff=shared if experts else 0,
    )


def nemotron_h(config: Config) -> Model:
    """Nemotron-H: a letter per layer, M for Mamba-2, * for attention, - for an MLP, which joins the mixer before it."""
    letters = config.keys.get("hybrid_override_pattern")
    if not isinstance(letters, str) or not letters or set(letters) - set("M*-"):
        raise config.refuse("hybrid_override_pattern", "a word of M, * and -")
    if letters.startswith("-") or "--" in letters:
        raise config.refuse("hybrid_override_pattern", "an MLP behind a mixer: no family has one alone")
    mixers = [(each, letters[i + 1 : i + 2] == "-") for i, each in enumerate(letters) if each != "-"]
    heads, head = config.whole("mamba_num_heads", default=128), config.whole("mamba_head_dim", default=64)
    for name in ("use_bias", "mlp_bias", "attention_bias"):
        if config.flag(name, False):
            raise config.refuse(name, "false: projections of hybrids have no biases in hwsim")
    return HybridModel(
        **shapes_of(config, kv_heads=8, head_dim=config.whole("attention_head_dim", default=128))
        | {"layers": len(mixers)},
        d_ff=config.whole("intermediate_size"),
        pattern=tuple("attention" if letter == "*" else "mamba2" for letter, _ in mixers),
        mlp_pattern=tuple("mlp" if followed else "none" for _, followed in mixers),
        mlp="plain",
        activation=activation_of(config, "mlp_hidden_act", default="relu2"),
        position="none",
        d_state=config.whole("ssm_state_size", default=128),
        d_conv=config.whole("conv_kernel", default=4),
        d_inner=heads * head,
        ssm_head_dim=head,
        ssm_groups=config.whole("n_groups", default=8),
        chunk=config.whole("chunk_size", default=128),
        conv_bias=config.flag("use_conv_bias", True),
        tied_head=config.flag("tie_word_embeddings", False),
    )


def qwen3_next(config: Config) -> Model:
    """Qwen3-Next: gated attention in every fourth layer, gated delta rules in the others, experts with a shared one."""
    layers, every = config.whole("num_hidden_layers"), config.whole("full_attention_interval", default=4)
    kinds: dict[str, Literal["attention", "gdn"]] = {"full_attention": "attention", "linear_attention": "gdn"}
    left_out = ["full_attention" if (layer + 1) % every == 0 else "linear_attention" for layer in range(layers)]
    pattern = config.layers_of(kinds, "") or [kinds[each] for each in left_out]
    linear = ("linear_num_key_heads", "linear_key_head_dim", "linear_num_value_heads", "linear_value_head_dim")
    key_heads, key_dim, value_heads, value_dim = (
        config.whole(name, default=default) for name, default in zip(linear, (16, 128, 32, 128), strict=True)
    )
    shared = config.whole("shared_expert_intermediate_size", default=512, least=0)
    if config.flag("attention_bias", False):
        raise config.refuse("attention_bias", "false: projections of hybrids have no biases in hwsim")
    return HybridModel(
        **shapes_of(config, kv_heads=2, head_dim=256),
        d_ff=config.whole("moe_intermediate_size", default=512),
        pattern=repeated(pattern),
        mlp_pattern=("moe",),
        activation=activation_of(config, "hidden_act"),
        qk_norm=True,
        attention_gate=True,
        d_conv=config.whole("linear_conv_kernel_dim", default=4),
        conv_bias=False,
        key_heads=key_heads,
        key_dim=key_dim,
        value_heads=value_heads,
        value_dim=value_dim,
        tied_head=config.flag("tie_word_embeddings", False),
        experts=config.whole("num_experts", default=512),
        experts_per_token=config.whole("num_experts_per_tok", default=10),
        shared_d_ff=shared,
        shared_gate=shared > 0,
    )
