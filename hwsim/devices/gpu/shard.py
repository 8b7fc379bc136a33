"""One card's part of an op in a cluster, and the collective that follows it.

Tensor parallel (Shoeybi et al. 2019): the columns of a block's first products and the rows of its last are divided,
with the heads and channels between them, and one all-reduce closes the block; experts are divided alike, or spread
(`hwsim.devices.gpu.spread`). Latents of latent attention, which serve all heads, and the products down to them are
whole on every card, and so is their cache. Sequence parallel: tokens of a prompt are divided; attention gathers keys
and values, a recurrence its states (LASP-2, Sun et al. 2025), or both go round a ring; a decode divides the cache's
positions and adds up partial results. Data parallel and micro-batches of a pipeline divide the sequences.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from hwsim.devices.gpu.spread import spread
from hwsim.formats import FORMATS
from hwsim.workload.builders.layers import experts_touched
from hwsim.workload.training import GRAD_WEIGHT, forward_name
from hwsim.workload.training_passes import BACK_W, BACK_X, GRAD, OF_WEIGHTS, QUANTIZE, QUANTIZE_W, TURN, TURN_W, TURN_X

if TYPE_CHECKING:
    from hwsim.workload.op import Op, Operand

__all__ = ["Collective", "Split", "collectives_after", "shard"]

_COLUMNS: Final = frozenset(
    {
        *("q_proj", "k_proj", "v_proj", "qkv_proj", "gate_proj", "up_proj", "shared_gate_proj", "shared_up_proj"),
        *("q_b_proj", "kv_b_proj", "in_proj", "ba_proj", "dt_proj", "lm_head"),
    }
)
_ROWS: Final = frozenset({"o_proj", "down_proj", "shared_down_proj", "out_proj", "x_proj"})
_WIDTHS: Final = frozenset(
    {
        *("rope", "k_concat", "mlp_act", "shared_mlp_act", "attn_gate"),
        *("gate", "dt_softplus", "decay", "strength", "gated_norm", "q_features", "k_features"),
    }
)
_HEAD_PRODUCTS: Final = frozenset({"k_b_proj", "v_b_proj"})
"""Products of latent attention side by side, one for each head."""
_PER_HEAD: Final = frozenset({"q_norm", "k_norm", "head_norm"})
_HEADS: Final = {"attention": "kv_heads", "scan": "groups"}
_PRODUCTS: Final = {"": ("n", "k"), f"{GRAD}_x": ("k", "n"), GRAD_WEIGHT: ("m", "n")}
"""Where the columns and depth of a product's weights stand in it and in its two gradients, by the end of its name."""
_PASSES: Final = {
    **dict.fromkeys((QUANTIZE, TURN), ("width", "")),
    **dict.fromkeys((TURN_X, BACK_X), ("", "width")),
    **dict.fromkeys((QUANTIZE_W, TURN_W, BACK_W), ("tokens", "width")),
}
"""The same of passes beside a narrow product; what has neither is whole on every card."""
_OPENING: Final = ("attn_norm", "mlp_norm", "norm", "final_norm")
_SUMMED: Final = frozenset({"embedding", "combine", *(name + GRAD for name in _OPENING)})
"""Other ops that an all-reduce stands beside: the divided table, the sum of what experts give (none of their products
needs its own), and what gives a block's first products their input, whose gradients are added up."""
_WITH_GRADIENTS: Final = 2.0 / 2.5
"""Keys and values of the backward go with their gradients; its five products stand as heads of 2.5 times the width."""
_STATES_AT_HAND: Final = (f"{GRAD}_states", f"{GRAD}_out")
"""Scans of the backward that need no exchange: states that entered a card are kept, and gradients of states go round
once."""
_WITHIN_CHUNKS: Final = 0.5
"""Share of a chunked scan's products that are within chunks, which wait for no state: half where a chunk is as long as
a head is wide (64; `hwsim.devices.gpu.recurrent.chunk_flop`)."""
_MADE_OF: Final = frozenset({"k", "v", "B", "x"})
"""What the state of a card's own tokens is made of, which LASP adds to the one that arrives before it goes on."""
_SEQUENCES: Final = frozenset({"attention", "scan", "conv1d", "conv2d"})


@dataclass(frozen=True, slots=True)
class Split:
    """How a pass is divided.

    Attributes:
        tensor: cards that divide each layer.
        sequence: cards that divide the tokens of a prompt, or the positions of a cache.
        batch: sequences of the pass.
        local: sequences that one card has at a time.
        decode: whether few tokens are added to a cache.
        train: whether the loss is taken of divided logits, which no card then gathers (Shoeybi et al. 2019, section 3).
        states: how states go between cards that divide a sequence: ``gather`` or ``ring``.
        keys: the same of keys and values.
        experts: whether the cards that divide each layer have a slice of each expert (``divided``) or whole experts
            (``spread``).
    """

    tensor: int
    sequence: int
    batch: int
    local: int
    decode: bool
    train: bool = False
    states: str = "gather"
    keys: str = "gather"
    experts: str = "divided"

    def rows(self, rows: int) -> int:
        """Rows of all sequences to those of a card's."""
        return _part(rows * self.local, self.batch)


@dataclass(frozen=True, slots=True)
class Collective:
    """A collective that follows an op.

    Attributes:
        op: which; ``chain`` is a message from each card to the next, one after the other, ``ring`` as many rounds in
            which each card sends to the next while it computes.
        bytes: of the whole tensor, or of a message.
        gpus: cards that take part.
        share: share of the op's time beside which a gather runs.
        reads: bytes that each card of a chain reads from memory before it sends on.
    """

    op: str
    bytes: float
    gpus: int
    share: float = 0.0
    reads: float = 0.0


def _part(count: int, cards: int) -> int:
    return -(-count // cards)


def shard(op: Op, split: Split) -> Op:
    """The part of an op that one card runs; dimensions that do not divide are rounded up."""
    return _tensor(_visited(_sequence(_batch(op, split), split)), split)


def _batch(op: Op, split: Split) -> Op:
    d = op.dims
    if op.name.endswith(OF_WEIGHTS):
        return op
    if op.kind in _SEQUENCES or ("batch" in d and "tokens" in d):
        return replace(op, dims=d.replace(batch=split.rows(d["batch"])))
    name = _rows_of(op) if op.kind == "gemm" else "tokens"
    return replace(op, dims=d.replace(**{name: split.rows(d[name])})) if name in d else op


def _visited(op: Op) -> Op:
    """A product of experts with those that the tokens of a card's part visit: fewer tokens visit fewer."""
    d, picked = op.dims, int(op.attributes.get("picked", 0))
    if not picked or op.name.endswith(GRAD_WEIGHT):
        return op
    touched = experts_touched(int(op.attributes["experts"]), picked, max(1, d["m"] // picked))
    return replace(op, dims=d.replace(expert=min(d["expert"], touched)))


def _sequence(op: Op, split: Split) -> Op:
    """Tokens of a prompt, or positions of a cache; attention is divided so that causal parts are equal (zigzag)."""
    d, cards = op.dims, split.sequence
    ends = op.block in ("embedding", "head") and not split.train  # a prompt's logits are those of its last token
    apart = ends or op.kind == "conv2d" or op.name.endswith(OF_WEIGHTS)
    if cards == 1 or apart:
        return op
    if op.kind == "attention":
        if split.decode:
            seen = _part(d["kv_len"], cards)
            return replace(op, dims=d.replace(kv_len=seen), attributes=op.attributes.replace(kv_len=seen))
        q = _part(d["q_len"], cards)
        causal = op.attributes["phase"] != "bidirectional"
        kv = d["kv_len"] - (d["q_len"] - q) // 2 if causal else d["kv_len"]
        return replace(op, dims=d.replace(q_len=q, kv_len=kv), attributes=op.attributes.replace(kv_len=kv))
    if split.decode:
        return op
    for name in ("seq_len", _rows_of(op), "tokens"):
        if name in d:
            return replace(op, dims=d.replace(**{name: _part(d[name], cards)}))
    return op


def _tensor(op: Op, split: Split) -> Op:
    """Columns, rows, heads or channels; what works on whole rows of the residual stream is repeated on every card."""
    cards = split.tensor
    if cards == 1:
        return op
    if split.experts == "spread" and (part := spread(op, cards)) is not None:
        return part
    if op.kind in _HEADS:
        return _heads(op, _HEADS[op.kind], cards)
    names = tuple(name for name in _divided_dims(op) if name in op.dims)
    if not names and op.kind != "embedding":
        return op
    dims = op.dims.replace(**{name: _part(op.dims[name], cards) for name in names})
    if "k_width" in dims:  # one key for all heads, which is turned beside the queries of a card's heads
        dims = dims.replace(width=dims["q_width"] + dims["k_width"])
    return replace(op, dims=dims, operands=_resident(op, cards))


def _divided_dims(op: Op) -> tuple[str, ...]:
    """Dimensions that tensor parallelism divides."""
    name = forward_name(op.name)
    end = op.name.removeprefix(name)
    if op.kind == "gemm" and name in _HEAD_PRODUCTS:
        return ("batch",)
    if op.kind == "gemm" or end in _PASSES:
        columns, depth = _PRODUCTS[end] if op.kind == "gemm" else _PASSES[end]
        return (columns,) if name in _COLUMNS else (depth,) if name in _ROWS else ()
    if op.kind == "conv1d":
        return ("channels",)
    if name in _WIDTHS:
        return ("width", "q_width", "kv_width")
    return ("tokens",) if name in _PER_HEAD else ()


def _rows_of(op: Op) -> str:
    """The dimension of a product that numbers its tokens."""
    return "k" if op.name.endswith(GRAD_WEIGHT) else "m"


def _heads(op: Op, outer: str, cards: int) -> Op:
    """Heads divided: whole groups while there are enough, then within the groups, whose shared part is repeated."""
    groups, group = op.dims[outer], op.dims["group"]
    if groups >= cards:
        return replace(op, dims=op.dims.replace(**{outer: _part(groups, cards)}))
    return replace(op, dims=op.dims.replace(**{outer: 1, "group": _part(groups * group, cards)}))


def _resident(op: Op, cards: int) -> tuple[Operand, ...]:
    """Operands with the memory that lives for them divided too."""
    return tuple(
        each if each.resident is None else replace(each, resident=_part(each.resident, cards)) for each in op.operands
    )


def collectives_after(part: Op, split: Split) -> tuple[Collective, ...]:
    """What a card must exchange after its part of an op.

    Args:
        part: what `shard` gave.
        split: how the pass is divided.
    """
    found: list[Collective] = []
    out = float(part.output.bytes(part.dims))
    if split.tensor > 1:
        if (part.name in _ROWS and part.block != "moe") or part.name in _SUMMED:
            found.append(Collective("all_reduce", out, split.tensor))
        elif part.name == "lm_head" and not split.train:
            found.append(Collective("all_gather", out * split.tensor, split.tensor))
    if split.sequence > 1:
        found += _sequence_collectives(part, split, out)
    return tuple(found)


def _sequence_collectives(part: Op, split: Split, out: float) -> list[Collective]:
    cards, d = split.sequence, part.dims
    if part.kind == "attention":
        if split.decode:
            return [Collective("all_reduce", out, cards)]
        width = d["head_dim"] + (0 if part.attributes.get("latent") else d.get("v_head_dim", d["head_dim"]))
        own = 1.0 * d["batch"] * d["kv_heads"] * d["q_len"] * width
        own *= FORMATS[part.operand("k").format].bits_per_element / 8.0
        own *= _WITH_GRADIENTS if part.name.endswith(GRAD) else 1.0
        if split.keys == "ring":
            return [Collective("ring", own, cards)]
        return [Collective("all_gather", own * cards, cards)]
    if part.kind == "scan" and not split.decode and not part.name.endswith(_STATES_AT_HAND):
        states = float(sum(each.bytes(d) for each in part.operands if each.role == "state"))
        if split.states == "ring":
            reads = float(sum(each.bytes(d) for each in part.operands if each.name in _MADE_OF))
            return [Collective("chain", states, cards, reads=reads)]
        return [Collective("all_gather", states * cards, cards, _WITHIN_CHUNKS)]
    return []
