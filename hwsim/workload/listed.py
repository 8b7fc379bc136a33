"""A model as a list of operators with their dimensions: what a user writes who knows no family, and what ONNX gives.

Dimensions are of one input (an image, a sequence); a run's batch multiplies the rows of every operator. The operators
run in the order in which they stand, one after the other, as machines run a model's operators anyway.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Annotated, Final, Literal, TypeAlias

from hwsim.spec import Bound, Refused, Tagged
from hwsim.workload.number_formats import FormatName, Formats
from hwsim.workload.ranges import Count, Whole

__all__ = [
    "AnyListed",
    "Listed",
    "ListedAttention",
    "ListedConv1d",
    "ListedConv2d",
    "ListedElementwise",
    "ListedEmbedding",
    "ListedGemm",
    "ListedNorm",
    "ListedScan",
    "ListedSoftmax",
    "OpsModel",
    "Repeat",
    "in_formats",
]

_MOST: Final = 100_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Listed:
    """What every operator of the list may say.

    Attributes:
        name: its name; default its kind with a number. Within ``repeat`` it is the name in each repetition.
        activations: number format of what it reads and writes; default: the workload's.
        weights: format of its weights; default: the workload's.
        out: format of its result; default: that of ``activations``.
    """

    name: str = ""
    activations: FormatName | None = None
    weights: FormatName | None = None
    out: FormatName | None = None

    def over(self, formats: Formats) -> Formats:
        """The workload's formats with the operator's own laid over them."""
        return replace(
            formats, activations=self.activations or formats.activations, weights=self.weights or formats.weights
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class ListedGemm(Listed):
    """``out[m, n] = a[m, k] . b``, of one input.

    Attributes:
        m: rows of one input.
        n: columns of the result.
        k: length of each dot product.
        batch: independent products; each with weights of its own, or each of activations.
        bias: whether each column has a trained bias.
        of: what b is: ``weights``, or ``activations`` (as in attention).
        group: elements along k that share one weight scale; 0 for the workload's ``weight_group``.
    """

    m: Count
    n: Count
    k: Count
    batch: Count = 1
    bias: bool = False
    of: Literal["weights", "activations"] = "weights"
    group: Whole = 0
    kind: Literal["gemm"] = "gemm"


@dataclass(frozen=True, slots=True, kw_only=True)
class ListedConv2d(Listed):
    """A convolution of one input.

    Attributes:
        oc: output channels in all.
        ic: input channels in all.
        y: rows of the result.
        x: columns of the result.
        r: rows of the kernel.
        s: columns of the kernel.
        stride: step of the kernel.
        groups: independent groups of channels.
        dilation: distance of neighbouring taps.
        batch: images of one input.
        rows: rows of the image, padding left out; 0 where the kernel reaches exactly the image.
        columns: columns of the image, likewise.
        bias: whether each output channel has a trained bias.
    """

    oc: Count
    ic: Count
    y: Count
    x: Count
    r: Count
    s: Count
    stride: Count = 1
    groups: Count = 1
    dilation: Count = 1
    batch: Count = 1
    rows: Whole = 0
    columns: Whole = 0
    bias: bool = False
    kind: Literal["conv2d"] = "conv2d"

    def __post_init__(self) -> None:
        if self.oc % self.groups or self.ic % self.groups:
            raise Refused("", f"a divisor of oc={self.oc} and ic={self.ic}", at="groups")


@dataclass(frozen=True, slots=True, kw_only=True)
class ListedAttention(Listed):
    """Attention of one sequence (`hwsim.workload.ops.attention`).

    Attributes:
        phase: prefill and decode are causal, with the queries last among ``kv_len`` positions; bidirectional is not.
        heads: query heads.
        kv_heads: heads of keys and values; 0 for as many.
        q_len: queries.
        kv_len: positions, the queries' own included.
        head_dim: elements per head.
        batch: parts of one input that attend apart (windows of a vision transformer).
        window: positions that a query sees at most; 0 for all.
    """

    phase: Literal["prefill", "decode", "bidirectional"]
    heads: Count
    q_len: Count
    kv_len: Count
    head_dim: Count
    kv_heads: Whole = 0
    batch: Count = 1
    window: Whole = 0
    kind: Literal["attention"] = "attention"

    def __post_init__(self) -> None:
        if self.heads % (self.kv_heads or self.heads):
            raise Refused("", f"a divisor of heads={self.heads}", at="kv_heads")
        if self.phase != "bidirectional" and self.q_len > self.kv_len:
            raise Refused("", f"at most kv_len={self.kv_len}, which counts the queries", at="q_len")
        if self.phase == "bidirectional" and self.window:
            raise Refused("", "0 where attention is bidirectional", at="window")


@dataclass(frozen=True, slots=True, kw_only=True)
class ListedNorm(Listed):
    """A norm of each row: ``op`` of ``tokens`` rows of ``width``."""

    op: Literal["rmsnorm", "layernorm", "gated_rmsnorm"]
    tokens: Count
    width: Count
    kind: Literal["norm"] = "norm"


@dataclass(frozen=True, slots=True, kw_only=True)
class ListedSoftmax(Listed):
    """Softmax over each of ``tokens`` rows of ``width``."""

    tokens: Count
    width: Count
    kind: Literal["softmax"] = "softmax"


@dataclass(frozen=True, slots=True, kw_only=True)
class ListedElementwise(Listed):
    """An elementwise operator, a move or a reduction.

    Attributes:
        op: its name (``hwsim.workload.counts.ELEMENTWISE``); ``map`` is any function, ``copy`` a move.
        tokens: rows of one input.
        width: elements of the result in a row.
        read_elems: elements read in a row; 0 for what the op needs.
        learned: elements of a trained tensor that it reads, whatever the batch.
        ops: operations for each element of the result; 0 for what the op needs.
    """

    op: Literal[
        "add",
        "mul",
        "silu",
        "silu_mul",
        "gelu",
        "gelu_mul",
        "relu",
        "relu2",
        "sigmoid_mul",
        "softplus",
        "rope",
        "quantize",
        "absmax_scale",
        "scale",
        "copy",
        "map",
        "hadamard",
        "topk",
    ]
    tokens: Count
    width: Count
    read_elems: Whole = 0
    learned: Whole = 0
    ops: Whole = 0
    kind: Literal["elementwise"] = "elementwise"


@dataclass(frozen=True, slots=True, kw_only=True)
class ListedEmbedding(Listed):
    """A gather of ``tokens`` rows of ``width`` from a table of ``rows``, trained or of activations."""

    tokens: Count
    width: Count
    rows: Count
    learned: bool = True
    kind: Literal["embedding"] = "embedding"


@dataclass(frozen=True, slots=True, kw_only=True)
class ListedConv1d(Listed):
    """A causal depthwise convolution along one sequence (`hwsim.workload.ops.conv1d`)."""

    phase: Literal["prefill", "decode"]
    seq_len: Count
    channels: Count
    d_conv: Count
    activation: Literal["none", "silu"] = "none"
    kind: Literal["conv1d"] = "conv1d"


@dataclass(frozen=True, slots=True, kw_only=True)
class ListedScan(Listed):
    """A recurrence along one sequence (`hwsim.workload.ops.scan`)."""

    mixer: Literal["mamba1", "mamba2", "gla", "gdn", "linear"]
    phase: Literal["prefill", "decode"]
    seq_len: Count
    heads: Count
    head_dim: Count
    d_state: Count
    groups: Count = 1
    chunk: Whole = 0
    kind: Literal["scan"] = "scan"

    def __post_init__(self) -> None:
        if self.heads % self.groups:
            raise Refused("", f"a divisor of heads={self.heads}", at="groups")
        if self.chunk and self.mixer == "mamba1":
            raise Refused("", "0: mamba1 has no matrix form", at="chunk")


_Operator: TypeAlias = (
    ListedGemm
    | ListedConv2d
    | ListedAttention
    | ListedNorm
    | ListedSoftmax
    | ListedElementwise
    | ListedEmbedding
    | ListedConv1d
    | ListedScan
)

AnyListed: TypeAlias = Annotated[_Operator, Tagged("kind")]
"""Any operator, told apart by ``kind``."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Repeat:
    """Equal layers, one after the other.

    Attributes:
        times: how many.
        ops: the operators of each.
    """

    times: Annotated[int, Bound(low=1, high=10_000)]
    ops: tuple[AnyListed, ...]
    kind: Literal["repeat"] = "repeat"

    def __post_init__(self) -> None:
        if not self.ops:
            raise Refused("no operators", "one or more", at="ops")


Entry: TypeAlias = Annotated[_Operator | Repeat, Tagged("kind")]
"""What may stand in the list: an operator, or a group that repeats."""


@dataclass(frozen=True, slots=True)
class OpsModel:
    """A list of operators, run once for each batch.

    Attributes:
        ops: the operators, in order.
        tokens: tokens that one input holds, for rates in tokens; 0 where an input is an image.
        family: tag of this family.
    """

    ops: tuple[Entry, ...]
    tokens: Whole = 0
    family: Literal["ops"] = "ops"

    def __post_init__(self) -> None:
        if not self.ops:
            raise Refused("no operators", "one or more", at="ops")
        if sum(each.times * len(each.ops) if isinstance(each, Repeat) else 1 for each in self.ops) > _MOST:
            raise Refused("", f"at most {_MOST:,} operators, repetitions counted", at="ops")
        for place, names in self._names():
            seen: set[str] = set()
            for name in names:
                if name in seen:
                    raise Refused(f"a second operator {name!r}", "a name for each", at=place)
                seen.add(name)

    @property
    def named(self) -> tuple[tuple[int, tuple[tuple[str, Listed], ...]], ...]:
        """Groups of operators with their names, each with its repetitions; 0 for operators outside of ``repeat``."""
        numbers: dict[str, int] = {}
        found: list[tuple[int, tuple[tuple[str, Listed], ...]]] = []
        for entry in self.ops:
            group = entry.ops if isinstance(entry, Repeat) else (entry,)
            named: list[tuple[str, Listed]] = []
            for op in group:
                numbers[op.kind] = numbers.get(op.kind, 0) + 1
                named.append((op.name or f"{op.kind}{numbers[op.kind]}", op))
            found.append((entry.times if isinstance(entry, Repeat) else 0, tuple(named)))
        return tuple(found)

    @property
    def layers(self) -> int:
        """Operators with weights that are multiplied."""
        groups = ((max(1, times), [op for _, op in named]) for times, named in self.named)
        return sum(times * sum(_has_weights(op) for op in ops) for times, ops in groups)

    def _names(self) -> Iterator[tuple[str, list[str]]]:
        """Names that must differ: of all operators outside of ``repeat``, and within each."""
        yield "ops", [named[0][0] for times, named in self.named if not times]
        for place, (times, named) in enumerate(self.named):
            if times:
                yield f"ops[{place}].ops", [name for name, _ in named]


def _has_weights(op: Listed) -> bool:
    return isinstance(op, ListedConv2d) or (isinstance(op, ListedGemm) and op.of == "weights")


def in_formats(model: OpsModel, asked: Formats, adapt: Callable[[Formats], Formats]) -> OpsModel:
    """The model with the operators' own formats as a machine runs them.

    Args:
        model: the model.
        asked: the workload's formats.
        adapt: formats that are asked to those that are run.
    """

    def adapted(op: Entry) -> Entry:
        if isinstance(op, Repeat):
            return replace(op, ops=tuple(adapted(each) for each in op.ops))  # type: ignore[misc]
        if op.activations is None and op.weights is None:
            return op
        used = adapt(op.over(asked))
        return replace(op, activations=used.activations, weights=used.weights)

    return replace(model, ops=tuple(adapted(each) for each in model.ops))
