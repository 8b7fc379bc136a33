"""Kinds of models of Hugging Face (``model_type``), each with the function that reads its `config.json`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from hwsim.workload.families import Model
from hwsim.workload.huggingface.config import Config
from hwsim.workload.huggingface.encoders import bert, distilbert
from hwsim.workload.huggingface.mamba import (
    bamba,
    granite_hybrid,
    jamba,
    mamba1,
    mamba2,
    mamba_ssm,
    nemotron_h,
    qwen3_next,
)
from hwsim.workload.huggingface.transformers import (
    deepseek,
    gemma,
    gpt2,
    gpt_oss,
    latent_deepseek,
    llama,
    opt,
    plain_decoder,
)
from hwsim.workload.huggingface.vision import clip_vision, deit, dinov2, vit

__all__ = ["MODEL_TYPES"]


MODEL_TYPES: Final[dict[str, Callable[[Config], Model]]] = {
    "bamba": bamba,
    "bert": bert(vocab=30522),
    "camembert": bert(vocab=30522),
    "clip_vision_model": clip_vision,
    "deepseek": deepseek,
    "deepseek_v2": latent_deepseek("softmax"),
    "deepseek_v3": latent_deepseek("sigmoid"),
    "deit": deit,
    "dinov2": dinov2,
    "dinov2_with_registers": dinov2,
    "distilbert": distilbert,
    "electra": bert(vocab=30522, pooler=False),
    "falcon_mamba": mamba1(norms=True),
    "gemma": llama(tied=True, activation="gelu"),
    "gemma2": gemma(every=2, qk_norm=False),
    "gemma3_text": gemma(every=6, qk_norm=True),
    "gpt2": gpt2,
    "gpt_neox": plain_decoder(fused=True, bias_key="attention_bias", tied=False),
    "gpt_oss": gpt_oss,
    "granite": llama(tied=False),
    "granitemoehybrid": granite_hybrid,
    "jamba": jamba,
    "kimi_k2": latent_deepseek("sigmoid"),
    "llama": llama(),
    "mamba": mamba1(),
    "mamba2": mamba2,
    "mamba_ssm": mamba_ssm,
    "mistral": llama(width=4096, kv_heads=8),
    "mixtral": llama(experts=True, kv_heads=8),
    "nemotron_h": nemotron_h,
    "opt": opt,
    "phi3": llama(),
    "qwen2": llama(bias=True, window=False),
    "qwen2_moe": llama(bias=True, window=False, experts=True, shared=True),
    "qwen3": llama(qk_norm=True, window=False),
    "qwen3_moe": llama(qk_norm=True, window=False, experts=True),
    "qwen3_next": qwen3_next,
    "roberta": bert(vocab=50265),
    "starcoder2": plain_decoder(fused=False, bias_key="use_bias", tied=True),
    "vit": vit,
    "xlm-roberta": bert(vocab=30522),
}
"""Kinds of models that hwsim reads, each with the function that does."""
