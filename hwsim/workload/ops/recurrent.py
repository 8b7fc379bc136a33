"""Ops that carry state along a sequence: the causal convolution and the scans."""

from __future__ import annotations

from hwsim.workload.counts import MIXERS
from hwsim.workload.op import Axis, Op, Operand
from hwsim.workload.ops.checks import attributes_of, axis, check, choice, dims_of, formats_known, tensor

__all__ = ["conv1d", "scan"]

PHASES = ("prefill", "decode")


def conv1d(
    phase: str,
    batch: int,
    seq_len: int,
    channels: int,
    d_conv: int,
    dtype: str = "bf16",
    state_dtype: str | None = None,
    weight_dtype: str | None = None,
    activation: str = "none",
) -> Op:
    """Causal depthwise convolution along the sequence.

    Its state is the window of the last ``d_conv - 1`` inputs: read before, written after. (Some programs keep
    ``d_conv`` inputs; the newest of them is the input itself.)

    Args:
        phase: prefill or decode.
        batch: sequences.
        seq_len: new tokens per sequence.
        channels: channels.
        d_conv: taps.
        dtype: format of input and result.
        state_dtype: format of the window; default ``dtype``.
        weight_dtype: format of the taps; default ``dtype``.
        activation: ``silu`` when it is applied within the op, else ``none``.

    Raises:
        HwsimError: a dimension, format or choice makes no sense.
    """
    where = "conv1d"
    choice(where, "phase", phase, PHASES)
    choice(where, "activation", activation, ("none", "silu"))
    dims = dims_of(where, batch=batch, seq_len=seq_len, channels=channels, d_conv=d_conv)
    state_format, weight_format = state_dtype or dtype, weight_dtype or dtype
    formats_known(where, dtype, state_format, weight_format)
    window = (axis("batch"), axis("d_conv"), axis("channels"))
    return Op(
        "conv1d",
        "conv1d",
        dims,
        (
            tensor("x", "activation", dtype, "batch", "seq_len", "channels"),
            Operand("state", "state", window, state_format, halo=(0, 1, 0)),
            tensor("w", "weight", weight_format, "channels", "d_conv"),
            tensor("out", "output", dtype, "batch", "seq_len", "channels"),
        ),
        attributes_of(phase=phase, activation=activation),
    )


def scan(
    mixer: str,
    phase: str,
    batch: int,
    seq_len: int,
    heads: int,
    head_dim: int,
    d_state: int,
    groups: int = 1,
    chunk: int = 0,
    dtype: str = "bf16",
    state_dtype: str | None = None,
    weight_dtype: str | None = None,
) -> Op:
    """The recurrence of a state-space or linear-attention layer (``hwsim.workload.counts.MIXERS``).

    The dimensions ``groups`` x ``group`` are the heads. The state [batch, heads, head_dim, d_state] is read once and
    written once, whatever the number of tokens.

    Args:
        mixer: mamba1, mamba2, gla, gdn or linear.
        phase: prefill or decode.
        batch: sequences.
        seq_len: new tokens per sequence.
        heads: heads (gdn: value heads; mamba1: channels, with ``head_dim=1``).
        head_dim: channels per head (gdn: value dimension).
        d_state: states per channel (gdn: key dimension).
        groups: groups of heads that share B and C, or keys and queries; divides ``heads``.
        chunk: tokens per chunk of the matrix form, which prefill then uses; 0 for the recurrence token by token.
        dtype: format of inputs and result.
        state_dtype: format of the state; default ``dtype``.
        weight_dtype: format of A and D; default ``dtype``.

    Raises:
        HwsimError: a dimension, format or choice makes no sense.
    """
    where = "scan"
    choice(where, "mixer", mixer, MIXERS)
    choice(where, "phase", phase, PHASES)
    dims_of(where, heads=heads, groups=groups)
    check(heads % groups == 0, where, f"groups={groups}", f"a divisor of heads={heads}")
    check(chunk >= 0, where, f"chunk={chunk}", "0 (token by token) or more")
    no_chunks = "0: its decay differs in every channel and state, so that no matrix form exists"
    check(not (chunk and mixer == "mamba1"), where, f"chunk={chunk} with mixer=mamba1", no_chunks)
    group = heads // groups
    dims = dims_of(where, batch=batch, seq_len=seq_len, groups=groups, group=group, head_dim=head_dim, d_state=d_state)
    state_format, weight_format = state_dtype or dtype, weight_dtype or dtype
    formats_known(where, dtype, state_format, weight_format)
    head = axis(("groups", group), "group")
    state = tensor("state", "state", state_format, "batch", head, "head_dim", "d_state")
    inputs = tuple(
        tensor(name, "activation", dtype, "batch", "seq_len", *axes) for name, axes in _inputs(mixer, head).items()
    )
    weights = tuple(tensor(name, "weight", weight_format, *axes) for name, axes in _weights(mixer, head).items())
    out = tensor("out", "output", dtype, "batch", "seq_len", head, "head_dim")
    attributes = attributes_of(mixer=mixer, phase=phase, chunk=chunk)
    return Op("scan", "scan", dims, (*inputs, state, *weights, out), attributes)


def _inputs(mixer: str, head: Axis) -> dict[str, tuple[str | Axis, ...]]:
    """Activation operands of a mixer with their column axes."""
    channels, shared = (head, "head_dim"), ("groups", "d_state")
    if mixer in ("mamba1", "mamba2"):
        rate = channels if mixer == "mamba1" else (head,)
        return {"x": channels, "B": shared, "C": shared, "dt": rate}
    gates: dict[str, dict[str, tuple[str | Axis, ...]]] = {
        "linear": {},
        "gla": {"gate": (head, "d_state")},
        "gdn": {"a": (head,), "b": (head,)},
    }
    return {"q": shared, "k": shared, "v": channels, **gates[mixer]}


def _weights(mixer: str, head: Axis) -> dict[str, tuple[str | Axis, ...]]:
    """Weight operands of a mixer with their axes."""
    if mixer == "mamba1":
        return {"A": (head, "head_dim", "d_state"), "D": (head, "head_dim")}
    return {"A": (head,), "D": (head,)} if mixer == "mamba2" else {}
