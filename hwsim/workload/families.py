"""Model families: the shapes that a workload file gives under ``model``, each with its tag ``family``."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Final, Literal, TypeAlias

from hwsim.spec import Bound, Refused, Tagged
from hwsim.workload.convnet import ConvNetModel
from hwsim.workload.listed import OpsModel
from hwsim.workload.ranges import Count, Whole

__all__ = [
    "ONE_PASS_MODELS",
    "ConvNetModel",
    "Count",
    "HybridModel",
    "Mamba1Model",
    "Mamba2Model",
    "Model",
    "OpsModel",
    "TransformerModel",
    "VitModel",
    "Whole",
    "of_images",
]

Layers: TypeAlias = Annotated[int, Bound(low=1, high=10_000)]
"""Layers of a model; the graph holds each one, so that a slip of a finger does not fill the memory."""


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
        _divides(self.head_dim, self.d_inner, "head_dim", "expand * d_model")
        _divides(self.groups, self.heads, "groups", "the number of heads")

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
        activation: activation of the MLP.
        position: rope, learned (a table added to the embedding), or none.
        max_positions: rows of the learned position table.
        attention_bias: biases of the query, key and value projections.
        output_bias: bias of the attention's output projection.
        mlp_bias: biases of the MLP.
        fused_qkv: whether query, key and value come from one product (GPT-2) or from three.
        qk_norm: whether each head's queries and keys are normed (Qwen3).
        tied_head: whether the head uses the embedding's table.
        window: positions that attention sees at most, 0 for all.
        experts: experts per layer, 0 for a plain MLP.
        experts_per_token: experts that each token visits.
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
    activation: Literal["silu", "gelu", "relu"] = "silu"
    position: Literal["rope", "learned", "none"] = "rope"
    max_positions: Whole = 0
    attention_bias: bool = False
    output_bias: bool = False
    mlp_bias: bool = False
    fused_qkv: bool = False
    qk_norm: bool = False
    tied_head: bool = False
    window: Whole = 0
    experts: Whole = 0
    experts_per_token: Whole = 0
    family: Literal["transformer"] = "transformer"

    def __post_init__(self) -> None:
        _check_attention(self.d_model, self.heads, self.kv_heads, self.head_dim)
        _check_experts(self.experts, self.experts_per_token)
        if (self.position == "learned") != (self.max_positions > 0):
            raise Refused("", "the rows of the table with position: learned, else 0", at="max_positions")
        if self.mlp == "gated" and self.activation == "relu":
            raise Refused("", "silu or gelu in a gated MLP", at="activation")

    @property
    def width_per_head(self) -> int:
        """Elements per head."""
        return self.head_dim or self.d_model // self.heads


@dataclass(frozen=True, slots=True)
class HybridModel:
    """Layers of attention and Mamba in a pattern, each followed by an MLP, experts, or nothing.

    Attributes:
        d_model: width of the residual stream.
        layers: layers.
        heads: query heads.
        kv_heads: heads of keys and values.
        d_ff: inner width of the MLP, or of one expert.
        vocab: rows of the embedding.
        pattern: mixer of each layer; a shorter pattern repeats.
        mlp_pattern: what follows the mixer in each layer; a shorter pattern repeats.
        head_dim: elements per attention head; 0 for d_model / heads.
        position: rope or none (Jamba's attention has no positions).
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
        tied_head: whether the head uses the embedding's table.
        window: positions that attention sees at most, 0 for all.
        experts: experts of a ``moe`` layer.
        experts_per_token: experts that each token visits.
        family: tag of this family.
    """

    d_model: Count
    layers: Layers
    heads: Count
    kv_heads: Count
    d_ff: Count
    vocab: Count
    pattern: tuple[Literal["attention", "mamba1", "mamba2"], ...]
    mlp_pattern: tuple[Literal["mlp", "moe", "none"], ...] = ("mlp",)
    head_dim: Whole = 0
    position: Literal["rope", "none"] = "rope"
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
    tied_head: bool = False
    window: Whole = 0
    experts: Whole = 0
    experts_per_token: Whole = 0
    family: Literal["hybrid"] = "hybrid"

    def __post_init__(self) -> None:
        _check_attention(self.d_model, self.heads, self.kv_heads, self.head_dim)
        _check_experts(self.experts, self.experts_per_token)
        if ("moe" in self.mlp_pattern) != (self.experts > 0):
            raise Refused("", "a number above 0 where mlp_pattern has moe, else 0", at="experts")
        for name, pattern in (("pattern", self.pattern), ("mlp_pattern", self.mlp_pattern)):
            if not pattern or self.layers % len(pattern):
                raise Refused(f"{len(pattern)} entries", f"a number that divides layers = {self.layers}", at=name)
        if "mamba2" in self.pattern:
            _divides(self.ssm_head_dim, self.channels, "ssm_head_dim", "d_inner")
            _divides(self.ssm_groups, self.channels // self.ssm_head_dim, "ssm_groups", "the number of Mamba heads")

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


@dataclass(frozen=True, slots=True)
class VitModel:
    """A vision transformer with a class token (arXiv 2010.11929; DeiT 2012.12877 has the same shapes).

    Attributes:
        d_model: width of the residual stream.
        layers: layers.
        heads: heads.
        d_ff: inner width of the MLP.
        image: rows and columns of the image.
        patch: rows and columns of a patch; divides ``image``.
        channels: channels of the image.
        classes: classes of the head.
        family: tag of this family.
    """

    d_model: Count
    layers: Layers
    heads: Count
    d_ff: Count
    image: Count = 224
    patch: Count = 16
    channels: Count = 3
    classes: Count = 1000
    family: Literal["vit"] = "vit"

    def __post_init__(self) -> None:
        _divides(self.heads, self.d_model, "heads", "d_model")
        _divides(self.patch, self.image, "patch", "image")

    @property
    def tokens(self) -> int:
        """Tokens per image: patches and the class token."""
        return (self.image // self.patch) ** 2 + 1


Model: TypeAlias = Annotated[
    Mamba1Model | Mamba2Model | TransformerModel | HybridModel | VitModel | ConvNetModel | OpsModel,
    Tagged("family"),
]
"""Any of them, told apart by ``family``."""

ONE_PASS_MODELS: Final = (VitModel, ConvNetModel, OpsModel)
"""Families that take each input in one pass, and decode nothing."""


def of_images(model: Model) -> bool:
    """Whether what a model takes is counted in images; else in tokens."""
    return isinstance(model, VitModel | ConvNetModel) or (isinstance(model, OpsModel) and not model.tokens)


def _divides(part: int, whole: int, name: str, of: str) -> None:
    if part < 1 or whole % part:
        raise Refused("", f"a divisor of {of} = {whole}", at=name)


def _check_attention(d_model: int, heads: int, kv_heads: int, head_dim: int) -> None:
    _divides(kv_heads, heads, "kv_heads", "heads")
    if not head_dim:
        _divides(heads, d_model, "heads", "d_model")


def _check_experts(experts: int, per_token: int) -> None:
    if experts and not 1 <= per_token <= experts:
        raise Refused("", f"1 to experts = {experts}", at="experts_per_token")
    if not experts and per_token:
        raise Refused("", "0 without experts", at="experts_per_token")
