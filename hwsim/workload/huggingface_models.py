"""Kinds of models of Hugging Face (``model_type``), each a function from a `config.json` to a model of a family.

Defaults are those of the `transformers` package's configuration classes, and of `mamba_ssm` for its own files.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal, TypeAlias

from hwsim.errors import Fault, HwsimError, Where
from hwsim.workload.families import HybridModel, Mamba1Model, Mamba2Model, Model, TransformerModel, VitModel

__all__ = ["MODEL_TYPES", "Config"]

_MAMBA_PADDING: Final = 8


@dataclass(frozen=True, slots=True)
class Config:
    """The keys of a file, and where they stand.

    Attributes:
        source: the file's name, for messages.
        text: its text, in which lines are counted.
        keys: what it says.
    """

    source: str
    text: str
    keys: Mapping[str, Any]

    def where(self, key: str) -> Where:
        """The line of a key."""
        found = re.search(rf'"{re.escape(key)}"\s*:', self.text)
        return Where(self.source, self.text.count("\n", 0, found.start()) + 1) if found else Where(self.source)

    def refuse(self, key: str, expected: str) -> HwsimError:
        """The error of a key that hwsim cannot take."""
        return HwsimError(Fault(self.where(key), f"{key}: {json.dumps(self.keys.get(key))}", expected))

    def whole(self, *names: str, default: int | None = None, least: int = 1) -> int:
        """A whole number under the first of the names that is there and not null.

        Raises:
            HwsimError: none of them is there and there is no default, or it is no whole number from ``least``.
        """
        for name in names:
            value = self.keys.get(name)
            if value is None:
                continue
            if isinstance(value, bool) or not isinstance(value, int) or value < least:
                raise self.refuse(name, f"a whole number from {least}")
            return value
        if default is None:
            raise HwsimError.at(self.source, f"no {' or '.join(names)}", "the shapes of a model")
        return default

    def flag(self, name: str, default: bool) -> bool:
        """A truth value; null counts as left out."""
        value = self.keys.get(name)
        if value is None:
            return default
        if not isinstance(value, bool):
            raise self.refuse(name, "true or false")
        return value

    def words(self, name: str) -> tuple[str, ...]:
        """A list of words; none when it is not there."""
        value = self.keys.get(name) or []
        if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
            raise self.refuse(name, "a list of words")
        return tuple(value)


Activation: TypeAlias = Literal["silu", "gelu", "relu"]


def _activation(config: Config, *names: str, default: Activation = "silu") -> Activation:
    """The activation under the first of the names that is there and not null."""
    for name in names:
        word = config.keys.get(name)
        if word is None:
            continue
        known: Activation
        for known in ("silu", "gelu", "relu"):
            if isinstance(word, str) and (word == known or word.startswith(f"{known}_")):
                return known
        if word == "swish":
            return "silu"
        raise config.refuse(name, "silu, gelu or relu")
    return default


def _window(config: Config, *, used: bool = True, left_out: int = 0) -> int:
    """Positions that attention sees at most; Qwen gives a width that ``use_sliding_window`` does not use."""
    if not config.flag("use_sliding_window", used):
        return 0
    if "sliding_window" not in config.keys:  # null means that there is none
        return left_out
    return config.whole("sliding_window", default=0, least=0)


def _shapes(config: Config, kv_heads: int | None = None) -> dict[str, Any]:
    """The fields that decoder-only transformers share under their usual keys; ``kv_heads`` where it is left out."""
    heads = config.whole("num_attention_heads")
    width, per_head = config.whole("hidden_size"), config.whole("head_dim", default=0, least=0)
    return {
        "d_model": width,
        "layers": config.whole("num_hidden_layers"),
        "heads": heads,
        "kv_heads": config.whole("num_key_value_heads", default=kv_heads or heads),
        "head_dim": 0 if per_head * heads == width else per_head,
        "vocab": config.whole("vocab_size"),
    }


def _llama(
    *, bias: bool = False, qk_norm: bool = False, tied: bool = False, window: bool = True, experts: bool = False,
    activation: Activation = "silu", width: int = 0, kv_heads: int | None = None,
) -> Callable[[Config], Model]:  # fmt: skip
    """RMSNorm, rope and a gated MLP, and what differs between the kinds that have them, or leave it to their class."""

    def model(config: Config) -> Model:
        inner = ("moe_intermediate_size", "intermediate_size") if experts else ("intermediate_size",)
        return TransformerModel(
            **_shapes(config, kv_heads),
            d_ff=config.whole(*inner),
            activation=_activation(config, "hidden_activation", "hidden_act", default=activation),
            attention_bias=config.flag("attention_bias", bias),
            output_bias=config.flag("attention_bias", False) and not bias,
            mlp_bias=config.flag("mlp_bias", False),
            qk_norm=qk_norm,
            tied_head=config.flag("tie_word_embeddings", tied),
            window=_window(config, used=window, left_out=width),
            experts=config.whole("num_local_experts", "num_experts") if experts else 0,
            experts_per_token=config.whole("num_experts_per_tok") if experts else 0,
        )

    return model


def _gpt2(config: Config) -> Model:
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
        activation=_activation(config, "activation_function", default="gelu"),
        position="learned",
        max_positions=config.whole("n_positions", "max_position_embeddings"),
        attention_bias=True,
        output_bias=True,
        mlp_bias=True,
        fused_qkv=True,
        tied_head=config.flag("tie_word_embeddings", True),
    )


def _plain_decoder(*, fused: bool, bias_key: str, tied: bool) -> Callable[[Config], Model]:
    """LayerNorm, rope and a plain MLP with biases (GPT-NeoX, Starcoder2)."""

    def model(config: Config) -> Model:
        bias = config.flag(bias_key, True)
        return TransformerModel(
            **_shapes(config),
            d_ff=config.whole("intermediate_size"),
            norm="layernorm",
            mlp="plain",
            activation=_activation(config, "hidden_act", default="gelu"),
            attention_bias=bias,
            output_bias=bias,
            mlp_bias=bias or fused,
            fused_qkv=fused,
            tied_head=config.flag("tie_word_embeddings", tied),
            window=_window(config),
        )

    return model


def _mamba1(config: Config) -> Model:
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
        conv_bias=config.flag("use_conv_bias", True),
        tied_head=config.flag("tie_word_embeddings", True),
    )


def _mamba2(config: Config) -> Model:
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


def _mamba_ssm(config: Config) -> Model:
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


def _jamba(config: Config) -> Model:
    every, first = config.whole("attn_layer_period"), config.whole("attn_layer_offset", least=0)
    step, start = config.whole("expert_layer_period"), config.whole("expert_layer_offset", least=0)
    experts = config.whole("num_experts")
    return HybridModel(
        **_shapes(config),
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


def _bamba(config: Config) -> Model:
    layers = config.whole("num_hidden_layers")
    chosen = config.keys.get("attn_layer_indices") or []
    if not isinstance(chosen, list) or not all(isinstance(i, int) and 0 <= i < layers for i in chosen):
        raise config.refuse("attn_layer_indices", f"a list of layers below {layers}")
    head = config.whole("mamba_d_head", default=64)
    inner = config.whole("mamba_expand", default=2) * config.whole("hidden_size")
    if config.whole("mamba_n_heads", default=inner // head) * head != inner:
        raise config.refuse("mamba_n_heads", f"mamba_expand * hidden_size / mamba_d_head = {inner // head}")
    return HybridModel(
        **_shapes(config),
        d_ff=config.whole("intermediate_size"),
        pattern=tuple("attention" if i in chosen else "mamba2" for i in range(layers)),
        d_state=config.whole("mamba_d_state", default=256),
        d_conv=config.whole("mamba_d_conv", default=4),
        d_inner=inner,
        ssm_head_dim=head,
        ssm_groups=config.whole("mamba_n_groups", default=1),
        chunk=config.whole("mamba_chunk_size", default=256),
        conv_bias=config.flag("mamba_conv_bias", True),
        tied_head=config.flag("tie_word_embeddings", False),
    )


def _vit(config: Config) -> Model:
    labels = config.keys.get("id2label")
    return VitModel(
        d_model=config.whole("hidden_size", default=768),
        layers=config.whole("num_hidden_layers", default=12),
        heads=config.whole("num_attention_heads", default=12),
        d_ff=config.whole("intermediate_size", default=3072),
        image=config.whole("image_size", default=224),
        patch=config.whole("patch_size", default=16),
        channels=config.whole("num_channels", default=3),
        classes=len(labels) if isinstance(labels, dict) and labels else config.whole("num_labels", default=1000),
    )


MODEL_TYPES: Final[dict[str, Callable[[Config], Model]]] = {
    "bamba": _bamba,
    "gemma": _llama(tied=True, activation="gelu"),
    "gpt2": _gpt2,
    "gpt_neox": _plain_decoder(fused=True, bias_key="attention_bias", tied=False),
    "jamba": _jamba,
    "llama": _llama(),
    "mamba": _mamba1,
    "mamba2": _mamba2,
    "mamba_ssm": _mamba_ssm,
    "mistral": _llama(width=4096, kv_heads=8),
    "mixtral": _llama(experts=True, kv_heads=8),
    "phi3": _llama(),
    "qwen2": _llama(bias=True, window=False),
    "qwen3": _llama(qk_norm=True, window=False),
    "qwen3_moe": _llama(qk_norm=True, window=False, experts=True),
    "starcoder2": _plain_decoder(fused=False, bias_key="use_bias", tied=True),
    "vit": _vit,
}
"""Kinds of models that hwsim reads, each with the function that does."""
