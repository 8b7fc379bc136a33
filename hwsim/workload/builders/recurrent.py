"""What mixers with a state share: the causal convolution and the recurrence, in a model's formats."""

from __future__ import annotations

from hwsim.workload.model import Formats, Pass
from hwsim.workload.op import Op
from hwsim.workload.ops import conv1d, scan, with_bias

__all__ = ["convolution", "recurrence"]


def convolution(d_conv: int, channels: int, bias: bool, formats: Formats, pass_: Pass) -> Op:
    """A mixer's causal convolution with its SiLU."""
    op = conv1d(
        _phase(pass_),
        pass_.batch,
        pass_.tokens,
        channels,
        d_conv,
        formats.flowing,
        formats.conv_format,
        formats.conv_format,
        activation="silu",
    )
    return with_bias(op, formats.conv_format) if bias else op


def recurrence(mixer: str, sizes: tuple[int, int, int, int], chunk: int, formats: Formats, pass_: Pass) -> Op:
    """A mixer's recurrence.

    Args:
        mixer: its name (`hwsim.workload.counts.MIXERS`).
        sizes: heads, channels per head, states per channel, groups of heads that share keys and queries (B and C).
        chunk: tokens per chunk of the matrix form in prefill; 0 for token by token.
        formats: of the model.
        pass_: what is run.
    """
    heads, head_dim, d_state, groups = sizes
    return scan(
        mixer,
        _phase(pass_),
        pass_.batch,
        pass_.tokens,
        heads,
        head_dim,
        d_state,
        groups,
        chunk,
        formats.flowing,
        formats.state,
        formats.vectors,
    )


def _phase(pass_: Pass) -> str:
    return "prefill" if pass_.phase == "prefill" else "decode"
