"""`Body`: the ops and edges of one layer, written once and stamped out for every layer that is like it."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Final, TypeAlias

from hwsim.errors import HwsimError
from hwsim.workload.op import Op
from hwsim.workload.ops import elementwise, embedding, gemm, norm, with_bias

if TYPE_CHECKING:
    from hwsim.workload.graph import Graph
    from hwsim.workload.model import Formats, Pass

__all__ = [
    "STREAM",
    "Body",
    "Ends",
    "Source",
    "final_norm",
    "gathered",
    "language_model",
    "linear",
    "normed",
    "positions",
    "residual",
]

STREAM: Final = "<stream>"
"""The residual stream that enters a layer: the output of the op before it."""

Source: TypeAlias = str | tuple[str, int, int]
"""A producer's name within the layer, or that name with the columns lo, hi of its output."""


@dataclass(frozen=True, slots=True)
class Ends:
    """What stands before and behind the layers of a language model.

    Attributes:
        d_model: width of the residual stream.
        vocab: rows of the embedding and columns of the head.
        tied_head: whether the head uses the embedding's table.
        norm: kind of the final norm.
        positions: rows of a learned position table, 0 for none.
    """

    d_model: int
    vocab: int
    tied_head: bool
    norm: str = "rmsnorm"
    positions: int = 0


@dataclass(slots=True)
class Body:
    """One layer under construction.

    Attributes:
        ops: ops in order.
        links: (producer's name or :data:`STREAM`, consumer's name, operand, columns).
    """

    ops: list[Op] = field(default_factory=list)
    links: list[tuple[str, str, str, tuple[int, int] | None]] = field(default_factory=list)

    def add(self, name: str, block: str, op: Op, **inputs: Source) -> str:
        """Add ``op`` under a name and block, its operands fed by ``inputs``; returns the name."""
        self.ops.append(replace(op, name=name, block=block))
        for operand, source in inputs.items():
            producer, columns = (source, None) if isinstance(source, str) else (source[0], source[1:])
            self.links.append((producer, name, operand, columns))
        return name

    def stamp(self, graph: Graph, layer: int | None, stream: str | None) -> str:
        """Add this layer to a graph behind the op ``stream`` (None: the graph's input); returns its last op's id."""
        prefix = "" if layer is None else f"layers.{layer}."
        for op in self.ops:
            last = graph.add(op if layer is None else _in_layer(op, layer))
        for producer, consumer, operand, columns in self.links:
            source = stream if producer == STREAM else prefix + producer
            if source is not None:
                graph.connect(source, prefix + consumer, operand, columns)
        return last


def _in_layer(op: Op, layer: int) -> Op:
    """The op with its layer; `dataclasses.replace` would take three times as long, and models have many ops."""
    return Op(op.name, op.kind, op.dims, op.operands, op.attributes, layer, op.block)


def language_model(graph: Graph, bodies: list[Body], ends: Ends, formats: Formats, pass_: Pass) -> Graph:
    """Add embedding, one body per layer, final norm and head; without ``pass_.lm_head`` the layers alone."""
    stream: str | None = add_embedding(graph, ends, formats, pass_) if pass_.lm_head else None
    for layer, body in enumerate(bodies):
        stream = body.stamp(graph, layer, stream)
    if pass_.lm_head and stream is not None:
        add_head(graph, stream, ends, formats, pass_)
    return graph


def linear(m: int, n: int, k: int, formats: Formats, bias: bool = False, out_dtype: str | None = None) -> Op:
    """A linear layer in the formats of the model's weights and activations."""
    op = gemm(
        m,
        n,
        k,
        a_dtype=formats.activations,
        b_dtype=formats.weights,
        acc=formats.acc,
        out_dtype=out_dtype or formats.flowing,
        group=min(formats.weight_group, k),
        quantize=formats.quantize,
        sparsity=formats.weight_sparsity,
        structure=formats.weight_structure,
    )
    return with_bias(op, formats.vectors) if bias else op


def normed(kind: str, rows: int, width: int, formats: Formats) -> Op:
    """A norm in the model's formats."""
    return norm(kind, rows, width, formats.flowing, weight_dtype=formats.vectors)


def final_norm(kind: str, rows: int, width: int, formats: Formats) -> Op:
    """The norm before the head, whose result is in the format that the head takes."""
    op = normed(kind, rows, width, formats)
    return replace(op, operands=(*op.operands[:-1], replace(op.output, format=formats.of_head.flowing)))


def residual(rows: int, width: int, formats: Formats) -> Op:
    """The addition of a block's output to the residual stream."""
    return elementwise("add", rows, width, formats.flowing)


def add_embedding(graph: Graph, ends: Ends, formats: Formats, pass_: Pass) -> str:
    """Add the gather of the token embeddings (and of learned positions, added to it)."""
    body = Body()
    body.add("embedding", "embedding", gathered(ends.vocab, ends.d_model, formats, pass_))
    if ends.positions:
        body.add("position_embedding", "embedding", positions(ends.positions, ends.d_model, formats, pass_))
        add = residual(pass_.rows, ends.d_model, formats)
        body.add("position_add", "embedding", add, x="embedding", y="position_embedding")
    return body.stamp(graph, None, None)


def positions(rows: int, width: int, formats: Formats, pass_: Pass) -> Op:
    """A gather of learned positions from a table of ``rows``.

    Raises:
        HwsimError: a sequence has more positions than the table.
    """
    if pass_.context + pass_.tokens > rows:
        found = f"{pass_.context + pass_.tokens:,} positions, {pass_.context:,} before those that run"
        raise HwsimError.at("--context", found, f"at most {rows:,}, the rows of the model's table (max_positions)")
    return gathered(rows, width, formats, pass_)


def gathered(rows: int, width: int, formats: Formats, pass_: Pass) -> Op:
    """A gather from a table of ``rows``; its output is in the activations' format."""
    op = embedding(pass_.rows, width, rows, formats.embedding_format)
    table, out = op.operands
    return replace(op, operands=(table, replace(out, format=formats.flowing)))


def add_head(graph: Graph, stream: str, ends: Ends, formats: Formats, pass_: Pass) -> str:
    """Add final norm and head. A prefill needs the logits of each sequence's last token only, so it gathers those."""
    body = Body()
    rows, width, multiplied = pass_.rows, ends.d_model, formats.of_head
    last = body.add("final_norm", "head", final_norm(ends.norm, rows, width, formats), x=STREAM)
    if pass_.phase == "prefill" and pass_.tokens > 1:
        chosen = embedding(pass_.batch, width, rows, multiplied.flowing, learned=False)
        last, rows = body.add("last_token", "head", chosen, table=last), pass_.batch
    a_dtype, b_dtype = multiplied.activations, multiplied.weights
    head = gemm(rows, ends.vocab, width, a_dtype=a_dtype, b_dtype=b_dtype, out_dtype="fp32")
    if ends.tied_head:
        a, b, out = head.operands
        head = replace(head, operands=(a, replace(b, resident=0), out))
    body.add("lm_head", "head", head, a=last)
    return body.stamp(graph, None, stream)
