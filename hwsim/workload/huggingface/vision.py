"""Vision transformers of Hugging Face: what their configuration classes mean as a `VitModel`."""

from __future__ import annotations

from typing import Any

from hwsim.workload.families import Model, VitModel
from hwsim.workload.huggingface.config import Config, activation_of

__all__ = ["clip_vision", "deit", "dinov2", "vit"]


def vit(config: Config) -> Model:
    """ViT with a head for its labels."""
    return VitModel(**_shapes(config), classes=_classes(config, 1000))


def deit(config: Config) -> Model:
    """DeiT with a distillation token and a head for each of both tokens."""
    architectures = config.words("architectures")
    if architectures and not any(each.endswith("WithTeacher") for each in architectures):
        raise config.refuse("architectures", "DeiTForImageClassificationWithTeacher: a head for each class token")
    return VitModel(**_shapes(config), classes=_classes(config, 1000), class_tokens=2)


def dinov2(config: Config) -> Model:
    """DINOv2 without a head, with its registers where it has some, less the token that masks patches in training."""
    if config.flag("use_swiglu_ffn", False):
        raise config.refuse("use_swiglu_ffn", "false: a gated MLP in a ViT is in no family")
    registers = 4 if config.keys.get("model_type") == "dinov2_with_registers" else 0
    shapes = _shapes(config, patch=14) | {
        "d_ff": config.whole("mlp_ratio", default=4) * config.whole("hidden_size", default=768)
    }
    registers = config.whole("num_register_tokens", default=registers, least=0)
    return VitModel(**shapes, classes=0, registers=registers, layer_scale=True)


def clip_vision(config: Config) -> Model:
    """CLIP's encoder of images with its projection in place of a head."""
    classes = config.whole("projection_dim", default=512)
    return VitModel(**_shapes(config, patch=32), classes=classes, pre_norm=True, patch_bias=False, head_bias=False)


def _shapes(config: Config, patch: int = 16) -> dict[str, Any]:
    """The fields that all kinds share; ``patch`` where it is left out."""
    activation = config.keys.get("hidden_act")
    if activation != "quick_gelu" and activation_of(config, "hidden_act", default="gelu") != "gelu":
        raise config.refuse("hidden_act", "gelu in a vision transformer")
    return {
        "d_model": config.whole("hidden_size", default=768),
        "layers": config.whole("num_hidden_layers", default=12),
        "heads": config.whole("num_attention_heads", default=12),
        "d_ff": config.whole("intermediate_size", default=3072),
        "image": config.whole("image_size", default=224),
        "patch": config.whole("patch_size", default=patch),
        "channels": config.whole("num_channels", default=3),
    }


def _classes(config: Config, default: int) -> int:
    """Labels of the head: those that the file names, or how many it says."""
    labels = config.keys.get("id2label")
    return len(labels) if isinstance(labels, dict) and labels else config.whole("num_labels", default=default)
