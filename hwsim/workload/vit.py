"""Vision transformers: ViT, DeiT, CLIP's encoder of images, DINOv2."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

from hwsim.spec import Bound
from hwsim.workload.family_checks import divides
from hwsim.workload.ranges import Count, Layers, Whole

__all__ = ["VitModel"]


@dataclass(frozen=True, slots=True)
class VitModel:
    """A vision transformer with a class token (arXiv 2010.11929; DeiT 2012.12877, CLIP 2103.00020, DINOv2 2304.07193).

    Attributes:
        d_model: width of the residual stream.
        layers: layers.
        heads: heads.
        d_ff: inner width of the MLP.
        image: rows and columns of the image.
        patch: rows and columns of a patch; divides ``image``.
        channels: channels of the image.
        classes: classes of a head; 0 for none (DINOv2).
        class_tokens: trained tokens in front of the patches, each with a head: 2 with DeiT's distillation token.
        registers: further trained tokens, which have neither position nor head (DINOv2).
        layer_scale: whether trained vectors scale what attention and MLP give (DINOv2).
        pre_norm: whether tokens are normed before the first layer (CLIP).
        patch_bias: whether patches get a bias (CLIP's do not).
        head_bias: whether a head has one.
        family: tag of this family.
    """

    d_model: Count
    layers: Layers
    heads: Count
    d_ff: Count
    image: Count = 224
    patch: Count = 16
    channels: Count = 3
    classes: Whole = 1000
    class_tokens: Annotated[int, Bound(low=1, high=2)] = 1
    registers: Whole = 0
    layer_scale: bool = False
    pre_norm: bool = False
    patch_bias: bool = True
    head_bias: bool = True
    family: Literal["vit"] = "vit"

    def __post_init__(self) -> None:
        divides(self.heads, self.d_model, "heads", "d_model")
        divides(self.patch, self.image, "patch", "image")

    @property
    def tokens(self) -> int:
        """Tokens per image: patches and the trained ones in front of them."""
        return self.positions + self.registers

    @property
    def positions(self) -> int:
        """Tokens that have a position: patches and class tokens."""
        return (self.image // self.patch) ** 2 + self.class_tokens
