"""A `config.json` of Hugging Face as what a workload file says.

What a model does that no family states (attention over chosen positions, or that layers share) is refused by name: a
model that is nearly right is counted wrongly.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import MISSING, fields
from pathlib import Path
from typing import Any, Final, TypeAlias

from hwsim.errors import Fault, HwsimError, Where
from hwsim.spec import Refused
from hwsim.workload.families import EncoderModel, Model, TransformerModel, phases_of, takes_context
from hwsim.workload.huggingface.config import Config
from hwsim.workload.huggingface.models import MODEL_TYPES
from hwsim.workload.number_formats import FormatName

__all__ = ["document_of_config"]

Document: TypeAlias = "dict[str, Any]"
_CONTEXT: Final = 1024
_TEXT: Final = 128
_DTYPES: Final[Mapping[str, FormatName]] = {"bfloat16": "bf16", "float16": "fp16", "float32": "fp32"}
_BLOCK: Final = [128, 128]
"""Blocks of weights with a scale of their own; activations have one for every 128 elements (DeepSeek-V3)."""
_GROUPED_BITS: Final = ("gptq", "awq")


def document_of_config(data: bytes, source: str, name: str) -> Document:
    """What a workload file says of the model, defaults left out.

    Args:
        data: the bytes of the file.
        source: the file's name, for messages.
        name: the workload's name.

    Raises:
        HwsimError: no JSON object, a kind of model that hwsim has no family for, a key that is missing or out of range,
            a feature that the family does not state.
    """
    config = _parse(data, source)
    kind = _kind(config)
    if kind not in MODEL_TYPES:
        reason = _REASONS.get(kind)
        if reason:
            raise HwsimError(Fault(config.where("model_type"), f"model_type {kind!r}: {reason}", _expected()))
        raise HwsimError.unknown_name(config.where("model_type"), "model_type", kind, MODEL_TYPES)
    _refuse_features(config, kind)
    try:
        model = MODEL_TYPES[kind](config)
    except Refused as refused:
        raise HwsimError.at(
            source, f"{refused.at or 'the model'} {refused.found or 'does not fit'}", refused.expected
        ) from None
    formats = _formats(config)
    if isinstance(model, TransformerModel) and model.experts and formats.get("quantize"):
        formats["router"] = formats["vectors"]
    phase = phases_of(model)[0]
    return {
        "name": name,
        "description": f"{name} ({kind}), {formats['weights']}",
        "source": f"{Path(source).name} of Hugging Face, model_type {kind}{_left_out(config)}",
        "model": {"family": model.family, **_told(model)},
        "formats": formats,
        "run": {"phase": phase} | ({"context": _context(model)} if takes_context(model) else {}),
    }


def _context(model: Model) -> int:
    """The context of a run: an encoder's texts are short; a table of positions leaves room for as many new tokens."""
    if isinstance(model, EncoderModel):
        return min(_TEXT, model.max_positions)
    positions = model.max_positions if isinstance(model, TransformerModel) else 0
    return min(_CONTEXT, positions // 2) if positions else _CONTEXT


def _parse(data: bytes, source: str) -> Config:
    try:
        text = data.decode("utf-8-sig")
        keys = json.loads(text)
    except UnicodeDecodeError as error:
        raise HwsimError.at(source, f"no text in UTF-8 ({error.reason})", "a config.json of Hugging Face") from None
    except json.JSONDecodeError as error:
        where = Where(source, error.lineno, error.colno)
        raise HwsimError.at(where, f"no JSON: {error.msg}", "a config.json of Hugging Face") from None
    except RecursionError:
        raise HwsimError.at(source, "JSON nested too deep", "a config.json of Hugging Face") from None
    if not isinstance(keys, dict):
        raise HwsimError.at(source, f"a {type(keys).__name__}", "an object: a config.json of Hugging Face")
    return Config(source, text, keys)


def _kind(config: Config) -> str:
    """The file's ``model_type``; files of the mamba_ssm package have none, but ``ssm_cfg``."""
    if "model_type" not in config.keys and "ssm_cfg" in config.keys:
        return "mamba_ssm"
    kind = config.keys.get("model_type")
    if not isinstance(kind, str):
        raise HwsimError.at(config.source, "no model_type", _expected())
    return kind


def _expected() -> str:
    return "one of " + ", ".join(sorted(MODEL_TYPES))


def _refuse_features(config: Config, kind: str) -> None:
    """Features that change shapes, whatever kind of model has them."""
    if len(set(config.words("layer_types"))) > 1 and kind not in _LAYER_KINDS:
        raise config.refuse("layer_types", f"layers of one kind: hwsim reads several in {', '.join(_LAYER_KINDS)} only")
    if config.whole("decoder_sparse_step", default=1) != 1:
        raise config.refuse("decoder_sparse_step", "1: no family has experts in some layers only, but for hybrids")
    for key, why in _FEATURES.items():
        if config.keys.get(key) and (key, kind) not in _STATED:
            raise config.refuse(key, why)


_LAYER_KINDS: Final = ("bamba", "gemma2", "gemma3_text", "gpt_oss", "granitemoehybrid", "qwen3_next")
_LATENT_KINDS: Final = ("deepseek_v2", "deepseek_v3", "kimi_k2")
_STATED: Final = {
    *(("kv_lora_rank", kind) for kind in _LATENT_KINDS),
    ("shared_expert_intermediate_size", "qwen2_moe"),
    ("shared_expert_intermediate_size", "qwen3_next"),
    ("word_embed_proj_dim", "opt"),
}
_FEATURES: Final = {
    "kv_lora_rank": f"null: latent attention is read in {', '.join(_LATENT_KINDS)} only",
    "mlp_only_layers": "[]: no family has experts in some layers only, but for hybrids",
    "shared_expert_intermediate_size": "null: no family has experts of its kind that every token visits",
    "word_embed_proj_dim": "null: an embedding narrower than the model is in no family",
}
_REASONS: Final = {
    "albert": "layers that share their weights are in no family",
    "clip": "an encoder of texts is in no family; that of images alone has model_type clip_vision_model",
    "deberta-v2": "relative positions are in no family",
    "modernbert": "windows that see both sides are in no family",
    "phi": "one norm for attention and MLP together is in no family",
    "deepseek_v32": "attention over chosen positions is in no family",
    "gemma3": "its encoder of images is in no family; the text model alone has model_type gemma3_text",
    "rwkv": "its mixer is in no family",
    "t5": "an encoder with a decoder is in no family",
    "whisper": "an encoder with a decoder is in no family",
    "zamba2": "attention that layers share is in no family",
}
"""Kinds that users ask for and that no family states, with what is missing."""


def _left_out(config: Config) -> str:
    """What of the file the workload does not have, as words behind its source."""
    drafting = config.whole("num_nextn_predict_layers", default=0, least=0)
    return "; what drafts further tokens (num_nextn_predict_layers) is left out" if drafting else ""


def _formats(config: Config) -> dict[str, Any]:
    """Number formats by role; weights of a quantised checkpoint as its ``quantization_config`` says."""
    written = config.keys.get("dtype") or config.keys.get("torch_dtype") or "bfloat16"
    if written not in _DTYPES:
        key = "dtype" if config.keys.get("dtype") else "torch_dtype"
        raise config.refuse(key, "one of " + ", ".join(_DTYPES))
    plain = _DTYPES[written]
    formats: dict[str, Any] = {"weights": plain, "activations": plain, "vectors": plain}
    quantized = config.keys.get("quantization_config")
    if not quantized:
        return formats
    method, bits = (
        (quantized.get(key) for key in ("quant_method", "bits")) if isinstance(quantized, dict) else (None, 0)
    )
    if method in _GROUPED_BITS and bits in (4, 8):
        group = quantized.get("group_size", 128)
        return formats | {"weights": f"int{bits}", "weight_group": max(0, group) if isinstance(group, int) else 0}
    if method == "fp8" and quantized.get("weight_block_size") == _BLOCK:
        return formats | {"weights": "fp8_block", "activations": "fp8_block", "quantize": "dynamic"}
    if method == "fp8":
        return formats | {"weights": "fp8_e4m3"}
    if method == "mxfp4":
        return formats | {"experts": "mxfp4"}
    known = "quant_method gptq or awq of 4 or 8 bits, fp8, or mxfp4 (of experts)"
    expected = f"{known}; without it, hwsim's own --transform quantize:…"
    raise config.refuse("quantization_config", expected)


def _told(model: Model) -> dict[str, Any]:
    """The fields of a model that differ from their defaults."""
    told = {}
    for each in fields(model):
        value = getattr(model, each.name)
        if each.name != "family" and (each.default is MISSING or value != each.default):
            told[each.name] = list(value) if isinstance(value, tuple) else value
    return told
