"""Closed forms: multiply-accumulates and other operations of each kind of op.

One multiply-accumulate (MAC) is ``a*b + c``. Everything else counts as *other operations*, one for each
scalar add, multiply, compare, division, square root, exponential or logarithm. Counts are of the dense
arithmetic: what a machine skips (sparsity) or adds (padding to tiles) is the machine's affair.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

__all__ = [
    "COUNTS",
    "ELEMENTWISE",
    "MIXERS",
    "NORM_OPS",
    "SOFTMAX_OPS",
    "TANH_OPS",
    "Elementwise",
    "Mixer",
    "attended_pairs",
]

Dims = Mapping[str, int]
Attributes = Mapping[str, str | int | float | bool]

_MOST_STAGES: Final = 31
"""Stages of a fast transform at most, one for each power of two below its width: dimensions end at a billion."""

SILU_OPS: Final = 4
"""x * 1/(1 + exp(-x)): exponential, add, reciprocal, multiply (the sign is free)."""

TANH_OPS: Final = 4
"""(e - 1) / (e + 1) with e = exp(2x): exponential, two additions, division (the factor is folded)."""

NORM_OPS: Final[dict[str, int]] = {"rmsnorm": 4, "layernorm": 7, "gated_rmsnorm": 4 + SILU_OPS + 1}
"""Operations per element. rmsnorm: square, add to the sum, times 1/rms, times gain. layernorm: add to the sum;
subtract the mean, square, add; times 1/std, times gain, plus bias. gated_rmsnorm: rmsnorm(y * silu(z)).
The one division and square root per row are left out: they do not grow with the width."""

SOFTMAX_OPS: Final = 5
"""Compare for the maximum, subtract it, exponential, add to the sum, divide."""

ATTENTION_OPS: Final = 5
"""Per score: scale, compare for the running maximum, subtract it, exponential, add to the sum."""


@dataclass(frozen=True, slots=True)
class Elementwise:
    """What an elementwise op reads and does for each element that it writes.

    Attributes:
        inputs: activation operands of the width of the output.
        vector: names of weight vectors (one value per column, shared by all rows).
        ops: operations per output element.
        meaning: one line for a reader.
    """

    inputs: tuple[str, ...]
    ops: int
    meaning: str
    vector: tuple[str, ...] = ()


ELEMENTWISE: Final[dict[str, Elementwise]] = {
    "add": Elementwise(("x", "y"), 1, "x + y"),
    "mul": Elementwise(("x", "y"), 1, "x * y"),
    "silu_mul": Elementwise(("gate", "up"), SILU_OPS + 1, "silu(gate) * up"),
    "gelu_mul": Elementwise(("gate", "up"), 9 + 1, "gelu(gate) * up, tanh form"),
    "sigmoid_mul": Elementwise(("gate", "up"), SILU_OPS, "sigmoid(gate) * up"),
    "silu": Elementwise(("x",), SILU_OPS, "x * sigmoid(x)"),
    "gelu": Elementwise(("x",), 9, "tanh form: 0.5 * x * (1 + tanh(c * (x + 0.044715 * x^3)))"),
    "relu": Elementwise(("x",), 1, "max(x, 0)"),
    "relu2": Elementwise(("x",), 2, "max(x, 0)^2"),
    "sigmoid_bias": Elementwise(("x",), 4, "1/(1 + exp(-x)), plus bias", ("bias",)),
    "softplus": Elementwise(("x",), 3, "log(1 + exp(x))"),
    "softplus_bias": Elementwise(("x",), 4, "log(1 + exp(x + bias))", ("bias",)),
    "rope": Elementwise(("x",), 3, "rotary embedding: two multiplies and an add per element"),
    "quantize": Elementwise(("x",), 3, "scale, round, clamp"),
    "absmax_scale": Elementwise(("x",), 2, "absolute value and compare; the scale itself is one division per row"),
    "scale": Elementwise(("x",), 1, "x times one number"),
    "channel_scale": Elementwise(("x",), 1, "x times a trained number for each column", ("scale",)),
    "copy": Elementwise(("x",), 0, "a move"),
    "map": Elementwise(("x",), 1, "any other function of each element, one operation unless it says how many"),
    "topk": Elementwise(("x",), 0, "the largest of each row: a compare per element read and per element kept"),
    "weighted_sum": Elementwise(("x",), 2, "rows of a token added up with weights: a multiply and an add per row"),
    "hadamard": Elementwise(("x",), 0, "fast Walsh-Hadamard transform along the width: log2(width) adds per element"),
}
"""The elementwise ops known, by the name that a user types."""


@dataclass(frozen=True, slots=True)
class Mixer:
    """The recurrence of a state-space or linear-attention layer, h[head, p, n], counted per token.

    Attributes:
        macs_state: MACs per state element.
        ops_state: other operations per state element.
        macs_channel: MACs per channel (head, p).
        ops_channel: other operations per channel.
        ops_head: other operations per head.
        meaning: the recurrence.
    """

    macs_state: int
    ops_state: int
    macs_channel: int
    ops_channel: int
    ops_head: int
    meaning: str


MIXERS: Final[dict[str, Mixer]] = {
    "mamba1": Mixer(2, 3, 1, 1, 0, "h = exp(dt*A)*h + (dt*x)*B; y = h.C + D*x; A per channel and state [2312.00752]"),
    "mamba2": Mixer(2, 1, 1, 1, 2, "h = exp(dt*A)*h + (dt*x)*B; y = h.C + D*x; A per head [2405.21060]"),
    "gla": Mixer(2, 1, 0, 0, 0, "h = a*h + v*k; y = h.q; gate a per head and state [2312.06635]"),
    "gdn": Mixer(3, 1, 0, 3, 2, "u = b*(v - a*(h.k)); h = a*h + u*k; y = h.q; a, b per head [2412.06464]"),
    "linear": Mixer(2, 0, 0, 0, 0, "h = h + v*k; y = h.q"),
}
"""State updates by mixer. In each, ``(dt*x)*B`` (or ``u*k``) is one multiply, ``a*h + that`` and ``h.C`` one MAC each;
mamba1 adds dt*A and its exponential for each state element, mamba2 for each head; linear has no decay, so its
update is a single MAC. GLA's gate arrives as a decay (its sigmoid belongs to the projection)."""


def attended_pairs(q_len: int, kv_len: int, window: int, causal: bool) -> int:
    """(query, key) pairs that attention computes.

    Causal: the queries are the last ``q_len`` of ``kv_len`` positions and each sees itself and what is before it,
    at most ``window`` positions in all (0: no limit). Lengths may be arrays.
    """
    if not causal:
        return q_len * kv_len
    first = kv_len - q_len + 1  # positions that the first query sees
    pairs = q_len * first + q_len * (q_len - 1) // 2
    if not window:
        return pairs
    excess = (kv_len - window + abs(kv_len - window)) // 2  # positions before the last query's window
    beyond = (q_len + excess - abs(q_len - excess)) // 2  # queries with positions before their window
    return pairs - beyond * excess + beyond * (beyond - 1) // 2


def _gemm(dims: Dims, attributes: Attributes) -> tuple[int, int]:
    rows = dims["batch"] * dims["m"]
    quantise = 3 * rows * dims["k"] if attributes.get("quantize") == "dynamic" else 0
    bias = rows * dims["n"] if attributes.get("bias") else 0
    return rows * dims["n"] * dims["k"], quantise + bias


def _attention(dims: Dims, attributes: Attributes) -> tuple[int, int]:
    q_len, head_dim = dims["q_len"], dims["head_dim"]
    value_dim = dims.get("v_head_dim", head_dim)
    kv_len: Any = attributes["kv_len"]
    pairs = attended_pairs(q_len, kv_len, int(attributes["window"]), attributes["phase"] != "bidirectional")
    heads = dims["batch"] * dims["kv_heads"] * dims["group"]
    scores = pairs + (q_len if attributes.get("sinks") else 0)  # a sink is one more score, without key and value
    return heads * pairs * (head_dim + value_dim), heads * (ATTENTION_OPS * scores + q_len * value_dim)


def _conv1d(dims: Dims, attributes: Attributes) -> tuple[int, int]:
    outputs = dims["batch"] * dims["seq_len"] * dims["channels"]
    per_output = (SILU_OPS if attributes.get("activation") == "silu" else 0) + bool(attributes.get("bias"))
    return outputs * dims["d_conv"], outputs * per_output


def _scan(dims: Dims, attributes: Attributes) -> tuple[int, int]:
    heads = dims["groups"] * dims["group"]
    channels = heads * dims["head_dim"]
    states = channels * dims["d_state"]
    mixer = MIXERS[str(attributes["mixer"])]
    chunk = int(attributes["chunk"])
    if chunk and attributes["phase"] == "prefill":
        macs, other = _chunked(dims, str(attributes["mixer"]), chunk)
        return dims["batch"] * macs, dims["batch"] * other
    tokens = dims["batch"] * dims["seq_len"]
    macs = states * mixer.macs_state + channels * mixer.macs_channel
    other = states * mixer.ops_state + channels * mixer.ops_channel + heads * mixer.ops_head
    return tokens * macs, tokens * other


def _chunked(dims: Dims, mixer: str, chunk: int) -> tuple[int, int]:
    """Chunked (matrix) form over one sequence; within a chunk of l tokens only the l*(l+1)/2 causal pairs count.

    Per chunk and head: scores (C.B per group), scores times values, the chunk's state, the carried state's output
    (2405.21060 section 6; 2312.06635 section 4). gdn adds the triangular solve of the WY form (2412.06464 section 3.3):
    k.k scores, l^3/6 MACs of forward substitution, and its result times keys, values and the carried state.
    """
    groups, heads = dims["groups"], dims["groups"] * dims["group"]
    p, n = dims["head_dim"], dims["d_state"]
    full, rest = divmod(dims["seq_len"], chunk)
    macs = other = 0
    for length, count in ((chunk, full), (rest, (rest > 0) * 1)):
        pairs = length * (length + 1) // 2
        chunk_macs = groups * pairs * n + heads * (pairs * p + 2 * length * p * n + p * n)
        chunk_other = 0 if mixer == "linear" else heads * 3 * pairs  # decay of a pair: subtract, exponential, multiply
        if mixer == "mamba2":
            chunk_macs += heads * length * p  # D * x
            chunk_other += heads * (length * p + 2 * length)  # dt * x; dt * A and its running sum
        elif mixer == "gla":
            chunk_other += heads * 3 * length * n  # running sum of the gates, scaled queries and keys
        elif mixer == "gdn":
            solve = length * (length * length - 1) // 6
            chunk_macs += groups * pairs * n + heads * (solve + pairs * (n + p) + length * p * n)
            chunk_other += heads * (length * (n + p) + 2 * length + length * p)
        macs += count * chunk_macs
        other += count * chunk_other
    return macs, other


def _norm(dims: Dims, attributes: Attributes) -> tuple[int, int]:
    return 0, dims["tokens"] * dims["width"] * NORM_OPS[str(attributes["op"])]


def _softmax(dims: Dims, attributes: Attributes) -> tuple[int, int]:
    return 0, dims["tokens"] * dims["width"] * SOFTMAX_OPS


def _elementwise(dims: Dims, attributes: Attributes) -> tuple[int, int]:
    elements = dims.get("batch", 1) * dims["tokens"] * dims["width"]
    name = str(attributes["op"])
    if name == "hadamard" and "ops_per_element" not in attributes:
        return 0, elements * sum((dims["width"] > 1 << bit) * 1 for bit in range(_MOST_STAGES))
    if name == "topk":
        return 0, elements * dims.get("read", 1)
    return 0, elements * int(attributes.get("ops_per_element", ELEMENTWISE[name].ops))


def _conv2d(dims: Dims, attributes: Attributes) -> tuple[int, int]:
    outputs = dims["batch"] * dims["groups"] * dims["oc"] * dims["y"] * dims["x"]
    return outputs * dims["ic"] * dims["r"] * dims["s"], outputs * bool(attributes.get("bias"))


def _embedding(dims: Dims, attributes: Attributes) -> tuple[int, int]:
    return 0, 0


def _collective(dims: Dims, attributes: Attributes) -> tuple[int, int]:
    return 0, 0


COUNTS: Final[dict[str, Callable[[Dims, Attributes], tuple[int, int]]]] = {
    "gemm": _gemm,
    "attention": _attention,
    "conv1d": _conv1d,
    "scan": _scan,
    "norm": _norm,
    "softmax": _softmax,
    "elementwise": _elementwise,
    "conv2d": _conv2d,
    "embedding": _embedding,
    "collective": _collective,
}
"""kind -> (dims, attributes) -> (MACs, other operations)."""
