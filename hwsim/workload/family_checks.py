"""What the shapes of several model families may not be; each check raises `Refused` at the field."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from hwsim.spec import Refused

if TYPE_CHECKING:
    from hwsim.workload.families import TransformerModel

__all__ = ["check_activation", "check_attention", "check_experts", "check_latent", "check_pattern", "divides"]

_LATENT: Final = ("qk_nope_head_dim", "qk_rope_head_dim", "v_head_dim")
_NOT_LATENT: Final = ("head_dim", "fused_qkv", "qk_norm", "post_norm", "sinks", "window")


def divides(part: int, whole: int, name: str, of: str) -> None:
    """Refuse a part that does not divide the whole."""
    if part < 1 or whole % part:
        raise Refused("", f"a divisor of {of} = {whole}", at=name)


def check_attention(d_model: int, heads: int, kv_heads: int, head_dim: int) -> None:
    """Refuse heads that do not divide."""
    divides(kv_heads, heads, "kv_heads", "heads")
    if not head_dim:
        divides(heads, d_model, "heads", "d_model")


def check_latent(model: TransformerModel) -> None:
    """Refuse widths of latent attention that are not all there, and what no model has beside it."""
    if model.kv_lora_rank:
        _check_latent(model)
        return
    for name in ("q_lora_rank", *_LATENT):
        if getattr(model, name):
            raise Refused("", "0 without kv_lora_rank", at=name)
    if model.absorb != "decode":
        raise Refused("", "left out without kv_lora_rank", at="absorb")


def _check_latent(model: TransformerModel) -> None:
    for name in _LATENT:
        if not getattr(model, name):
            raise Refused("", "a number above 0 with kv_lora_rank", at=name)
    for name in _NOT_LATENT:
        if getattr(model, name):
            raise Refused("", "left out with kv_lora_rank: latent attention has none", at=name)
    if model.kv_heads != model.heads:
        raise Refused("", f"heads = {model.heads} with kv_lora_rank: one latent serves all heads", at="kv_heads")
    if model.position != "rope":
        raise Refused("", "rope with kv_lora_rank", at="position")


def check_pattern(pattern: tuple[str, ...], layers: int, name: str) -> None:
    """Refuse a pattern that does not repeat to the number of layers."""
    if not pattern or layers % len(pattern):
        raise Refused(f"{len(pattern)} entries", f"a number that divides layers = {layers}", at=name)


def check_activation(mlp: str, activation: str) -> None:
    """Refuse an activation that a gated MLP does not have."""
    if mlp == "gated" and activation.startswith("relu"):
        raise Refused("", "silu or gelu in a gated MLP, as experts are", at="activation")


def check_experts(experts: int, per_token: int, shared: int, gate: bool) -> None:
    """Refuse experts that do not add up, and what experts alone have."""
    if experts and not 1 <= per_token <= experts:
        raise Refused("", f"1 to experts = {experts}", at="experts_per_token")
    if not experts and per_token:
        raise Refused("", "0 without experts", at="experts_per_token")
    if not experts and shared:
        raise Refused("", "0 without experts", at="shared_d_ff")
    if gate and not shared:
        raise Refused("", "false where shared_d_ff = 0", at="shared_gate")
