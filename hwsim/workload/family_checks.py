"""What the shapes of several model families may not be; each check raises `Refused` at the field."""

from __future__ import annotations

from hwsim.spec import Refused

__all__ = ["check_activation", "check_attention", "check_experts", "check_pattern", "divides"]


def divides(part: int, whole: int, name: str, of: str) -> None:
    """Refuse a part that does not divide the whole."""
    if part < 1 or whole % part:
        raise Refused("", f"a divisor of {of} = {whole}", at=name)


def check_attention(d_model: int, heads: int, kv_heads: int, head_dim: int) -> None:
    """Refuse heads that do not divide."""
    divides(kv_heads, heads, "kv_heads", "heads")
    if not head_dim:
        divides(heads, d_model, "heads", "d_model")


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
