"""What `hwsim measure gpu` times: kernels with the arguments of `hwsim kernel`, at sizes off the usual grid."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

__all__ = ["LAUNCHES", "TIMED", "Case", "cases"]

TIMED: Final = ("time_s", "spread")
"""Columns behind a row's arguments: the median, and the middle half of the samples over it."""

LAUNCHES: Final = ("graph", "eager", "call")
"""Host time of an empty kernel: in a replayed graph, called after others, and called and waited for."""


@dataclass(frozen=True, slots=True)
class Case:
    """One kernel: its kind and its arguments by name."""

    kind: str
    arguments: tuple[tuple[str, str | int], ...]

    @property
    def named(self) -> dict[str, str | int]:
        """The arguments by name."""
        return dict(self.arguments)


_SHAPES: Final = (
    (1, 4096, 4096),
    (3, 11008, 4096),
    (7, 4096, 14336),
    (17, 6144, 4096),
    (33, 2560, 5120),
    (61, 12288, 4096),
    (97, 4097, 4096),
    (133, 5120, 2560),
    (197, 768, 768),
    (197, 3072, 768),
    (264, 10576, 2560),
    (391, 3072, 4096),
    (512, 512, 512),
    (777, 4096, 11008),
    (1025, 6144, 4096),
    (1576, 1024, 4096),
    (2047, 8192, 8192),
    (4096, 4096, 4096),
    (4099, 14336, 4096),
    (8192, 8192, 8192),
    (16, 16, 16),
    (64, 128, 65536),
    (5, 32000, 4096),
    (12288, 3072, 768),
)
_DTYPES: Final = ("bf16", "fp16", "fp32", "fp8_e4m3", "int8")
_VECTORS: Final = (
    ("norm", "rmsnorm"),
    ("norm", "layernorm"),
    ("softmax", "softmax"),
    ("elementwise", "add"),
    ("elementwise", "gelu"),
    ("elementwise", "copy"),
)
_ROWS: Final = ((1, 4096), (37, 2560), (197, 768), (1000, 5120), (4097, 4096), (16384, 4096), (65536, 5120))
_PROMPTS: Final = ((1, 32, 8, 1000, 128), (4, 16, 16, 511, 64), (2, 32, 32, 2048, 128), (1, 32, 8, 8192, 128))
_STEPS: Final = ((1, 32, 8, 4097, 128), (16, 32, 8, 1000, 128), (64, 32, 8, 4096, 128), (8, 16, 16, 333, 64))
_IMAGES: Final = ((8, 12, 197, 64), (64, 16, 197, 64), (3, 12, 1025, 64))
_SCANS: Final = ((1, 2048, 80, 64, 128), (4, 1000, 64, 64, 128), (8, 517, 24, 64, 128))


def cases(quick: bool = False) -> tuple[Case, ...]:
    """Every kernel to time; ``quick`` takes each third product and the small ones of the rest."""
    found = (*_products(), *_vectors(), *_attentions(), *_recurrences())
    return found[::3] if quick else found


def _case(kind: str, **arguments: str | int) -> Case:
    return Case(kind, tuple(arguments.items()))


def _products() -> Iterator[Case]:
    for dtype in _DTYPES:
        for m, n, k in _SHAPES:
            yield _case("gemm", m=m, n=n, k=k, dtype=dtype)


def _vectors() -> Iterator[Case]:
    for kind, op in _VECTORS:
        for tokens, width in _ROWS:
            yield _case(kind, op=op, tokens=tokens, width=width, dtype="bf16")


def _attentions() -> Iterator[Case]:
    for batch, heads, kv_heads, length, dim in _PROMPTS:
        yield _attention("prefill", batch, heads, kv_heads, length, length, dim)
    for batch, heads, kv_heads, length, dim in _STEPS:
        yield _attention("decode", batch, heads, kv_heads, 1, length, dim)
    for batch, heads, length, dim in _IMAGES:
        yield _attention("bidirectional", batch, heads, heads, length, length, dim)


def _attention(phase: str, batch: int, heads: int, kv_heads: int, q: int, kv: int, dim: int) -> Case:
    return _case(
        "attention",
        phase=phase,
        batch=batch,
        heads=heads,
        kv_heads=kv_heads,
        q_len=q,
        kv_len=kv,
        head_dim=dim,
        dtype="bf16",
    )


def _recurrences() -> Iterator[Case]:
    for batch, length, heads, dim, states in _SCANS:
        yield _case(
            "conv1d", phase="prefill", batch=batch, seq_len=length, channels=heads * dim, d_conv=4, dtype="bf16"
        )
        shape = {"batch": batch, "seq_len": length, "heads": heads, "head_dim": dim, "d_state": states, "chunk": 256}
        yield _case("scan", mixer="mamba2", phase="prefill", **shape, dtype="bf16")
