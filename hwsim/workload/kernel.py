"""The kernels that a user can name: their arguments, and ops built from ``name=value`` pairs.

One table serves the command line, the columns of CSV files, ``hwsim list kernels`` and Python.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Final, Literal

from hwsim.errors import Fault, HwsimError, Where, did_you_mean
from hwsim.formats import FORMATS
from hwsim.workload.counts import ELEMENTWISE, MIXERS, NORM_OPS
from hwsim.workload.op import Op
from hwsim.workload.ops import attention, collective, conv1d, conv2d, elementwise, gemm, norm, scan, softmax
from hwsim.workload.ops.collective import COLLECTIVES

__all__ = ["KERNELS", "SETTINGS", "Argument", "KernelSpec", "build_kernel"]

Value = str | int | float


@dataclass(frozen=True, slots=True)
class Argument:
    """One argument of a kernel.

    Attributes:
        name: the name that a user types.
        type: int, float or str.
        meaning: one line for a reader.
        default: value when left out; None where ``required`` says that it must be given, or where another decides.
        required: whether it must be given.
        choices: valid values of a str; empty for free text.
    """

    name: str
    type: Literal["int", "float", "str"]
    meaning: str
    default: Value | None = None
    required: bool = False
    choices: tuple[str, ...] = ()

    def parse(self, value: Value, where: str) -> Value:
        """``value`` in the argument's type; text is converted (``1e3`` is a whole number).

        Raises:
            HwsimError: it is no such value.
        """
        if self.type == "str":
            text = str(value)
            if self.choices and text not in self.choices:
                fault = HwsimError.unknown_name(where, self.name, text, self.choices).faults[0]
                raise HwsimError(replace(fault, found=f"{self.name}={text}"))
            return text
        number = _number(value)
        if number is None or (self.type == "int" and not number.is_integer()):
            kind = "a whole number" if self.type == "int" else "a number"
            raise HwsimError.at(where, f"{self.name}={value}", kind)
        return int(number) if self.type == "int" else number


@dataclass(frozen=True, slots=True)
class KernelSpec:
    """One kind of kernel.

    Attributes:
        kind: the name that a user types.
        meaning: one line for a reader.
        arguments: its own, in the order in which help lists them.
        build: the constructor that takes them by name.
    """

    kind: str
    meaning: str
    arguments: tuple[Argument, ...]
    build: Callable[..., Op]

    def argument(self, name: str) -> Argument | None:
        """The argument of this name, if there is one; one of `SETTINGS` too."""
        return next((each for each in (*self.arguments, *SETTINGS) if each.name == name), None)

    @property
    def names(self) -> list[str]:
        """Every name that a user may give."""
        return [each.name for each in (*self.arguments, *SETTINGS)]


def _number(value: Value) -> float | None:
    """``value`` as a finite float; None when it is none."""
    if isinstance(value, bool):
        return None
    try:
        number = float(value)
    except ValueError:
        return None
    return number if abs(number) < float("inf") else None


# --- the table -------------------------------------------------------------------------------------


def _dim(name: str, meaning: str) -> Argument:
    return Argument(name, "int", meaning, required=True)


def _whole(name: str, default: int, meaning: str) -> Argument:
    return Argument(name, "int", meaning, default)


def _format(name: str, meaning: str, default: str | None = None) -> Argument:
    return Argument(name, "str", meaning, default, choices=tuple(FORMATS))


def _choice(name: str, meaning: str, choices: tuple[str, ...], default: str | None = None) -> Argument:
    return Argument(name, "str", meaning, default, required=default is None, choices=choices)


_DTYPE: Final = _format("dtype", "number format of inputs and result", "bf16")
_SEQUENCE_PHASE: Final = _choice("phase", "prefill or decode", ("prefill", "decode"))
_ROWS: Final = (
    _dim("tokens", "rows"),
    _dim("width", "elements per row of the output"),
    _DTYPE,
    Argument("read_elems", "int", "elements read per row, if not what the op needs"),
    Argument("write_elems", "int", "elements written per row, if not the width"),
)

SETTINGS: Final = (
    _choice("launch", "host time of the call: none, graph (replayed) or eager", ("none", "graph", "eager"), "none"),
    Argument("cores", "int", "cores that work on it, if not all"),
    Argument("stack", "str", "software generation whose kernels apply (hwsim show device lists those known)"),
)
"""What every kind takes besides: how it is run, not what is computed. Machines say which they know."""

_GEMM: Final = KernelSpec(
    "gemm",
    "matrix product: out[m, n] = a[m, k] . b[n, k]^T, b the weights",
    (
        _dim("m", "rows of a (tokens)"),
        _dim("n", "columns of the result"),
        _dim("k", "length of each dot product"),
        _format("dtype", "number format of a and b", "bf16"),
        _format("a_dtype", "number format of a, if not dtype"),
        _format("b_dtype", "number format of b, if not dtype"),
        _choice("acc", "accumulator", ("auto", "fp32", "fp16", "int32"), "auto"),
        _format("out_dtype", "number format of the result; default: a's, or bf16 where a has under 16 bits"),
        _whole("batch", 1, "independent products, each with its own b"),
        _whole("group", 0, "elements along k that share one weight scale; 0: none"),
        _choice("quantize", "dynamic: a is quantised within the op", ("none", "dynamic"), "none"),
        Argument("sparsity", "float", "fraction of b that is zero and not stored", 0.0),
        Argument(
            "structure", "str", "none, unstructured, 2:4, block:16x16, lowrank:R, monarch:B, btt:R, blast:BxR", "none"
        ),
        Argument("kernel", "str", "kernel that a CPU shall use: auto, amx, amx-sparse, avx-sparse, avx512 …", "auto"),
    ),
    gemm,
)

_ATTENTION: Final = KernelSpec(
    "attention",
    "scaled dot-product attention",
    (
        _choice("phase", "prefill and decode are causal", ("prefill", "decode", "bidirectional")),
        _dim("batch", "sequences"),
        _dim("heads", "query heads"),
        _dim("kv_heads", "heads of keys and values"),
        _dim("q_len", "new tokens per sequence"),
        _dim("kv_len", "positions per sequence, the new tokens included"),
        _dim("head_dim", "elements per head, of a query and a key"),
        _DTYPE,
        _format("kv_dtype", "number format of keys and values, if not dtype"),
        _whole("window", 0, "positions that a query sees at most; 0: all"),
        Argument("kernel", "str", "kernel: auto; on a GPU eager, fa2, fa3 …; on a CPU grouped, repeat_kv", "auto"),
        Argument("sparsity", "float", "fraction of keys and values that is zero and not stored", 0.0),
        _whole("v_head_dim", 0, "elements of a head's value; 0: head_dim"),
        _whole("latent", 0, "1: values are the first v_head_dim elements of the keys, read once (latent attention)"),
    ),
    attention,
)

_CONV1D: Final = KernelSpec(
    "conv1d",
    "causal depthwise convolution along the sequence",
    (
        _SEQUENCE_PHASE,
        _dim("batch", "sequences"),
        _dim("seq_len", "new tokens per sequence"),
        _dim("channels", "channels"),
        _dim("d_conv", "taps"),
        _DTYPE,
    ),
    conv1d,
)

_SCAN: Final = KernelSpec(
    "scan",
    "recurrence of a state-space or linear-attention layer",
    (
        _choice("mixer", "the recurrence", tuple(MIXERS)),
        _SEQUENCE_PHASE,
        _dim("batch", "sequences"),
        _dim("seq_len", "new tokens per sequence"),
        _dim("heads", "heads (gdn: value heads; mamba1: channels, with head_dim=1)"),
        _dim("head_dim", "channels per head (gdn: value dimension)"),
        _dim("d_state", "states per channel (gdn: key dimension)"),
        _whole("groups", 1, "groups of heads that share B and C (gdn: key heads)"),
        _whole("chunk", 0, "tokens per chunk of the matrix form in prefill; 0: token by token"),
        _DTYPE,
    ),
    scan,
)

_CONV2D: Final = KernelSpec(
    "conv2d",
    "two-dimensional convolution",
    (
        _dim("batch", "images"),
        _dim("oc", "output channels"),
        _dim("ic", "input channels"),
        _dim("y", "rows of the output"),
        _dim("x", "columns of the output"),
        _dim("r", "rows of the kernel"),
        _dim("s", "columns of the kernel"),
        _whole("stride", 1, "step of the kernel"),
        _whole("groups", 1, "independent groups of channels"),
        _whole("padding", 0, "zeros on each side"),
        _DTYPE,
        _whole("dilation", 1, "distance of neighbouring taps of the kernel"),
    ),
    conv2d,
)

_COLLECTIVE: Final = KernelSpec(
    "collective",
    "exchange between cards: all_reduce, all_gather, reduce_scatter, send_recv",
    (
        _choice("op", "the exchange", COLLECTIVES),
        _dim("bytes", "bytes of the whole tensor"),
        _dim("gpus", "cards that take part"),
        Argument("link", "str", "the way between them, if not the machine's own choice", "auto"),
    ),
    collective,
)

KERNELS: Final[dict[str, KernelSpec]] = {
    spec.kind: spec
    for spec in (
        _GEMM,
        _ATTENTION,
        _CONV1D,
        _SCAN,
        KernelSpec("norm", "norm of each row", (_choice("op", "the norm", tuple(NORM_OPS)), *_ROWS), norm),
        KernelSpec("softmax", "softmax of each row", (_choice("op", "", ("softmax",), "softmax"), *_ROWS), softmax),
        KernelSpec("elementwise", "elementwise op", (_choice("op", "the op", tuple(ELEMENTWISE)), *_ROWS), elementwise),
        _CONV2D,
        _COLLECTIVE,
    )
}
"""kind -> arguments and constructor."""


# --- building --------------------------------------------------------------------------------------


def build_kernel(kind: str, arguments: Mapping[str, Value], where: str = "kernel") -> Op:
    """The op of a kernel as a user describes it.

    Args:
        kind: one of :data:`KERNELS`.
        arguments: values by name; text is converted; empty text counts as left out (a blank CSV cell).
        where: the place that messages name.

    Raises:
        HwsimError: an unknown kind or argument, a missing one, a bad value: all that is wrong.
    """
    if kind not in KERNELS:
        raise HwsimError.unknown_name(where, "kernel", kind, KERNELS)
    spec = KERNELS[kind]
    given = {name: value for name, value in arguments.items() if value != ""}
    faults: list[Fault] = []
    values: dict[str, Value] = {}
    for name, value in given.items():
        argument = spec.argument(name)
        if argument is None:
            faults.append(_unknown(spec, name, where))
            continue
        try:
            values[name] = argument.parse(value, where)
        except HwsimError as error:
            faults += error.faults
    missing = [argument for argument in spec.arguments if argument.required and argument.name not in given]
    if missing:
        names = ", ".join(f"{argument.name} ({argument.meaning})" for argument in missing)
        faults.append(Fault(Where(where), f"{kind} without {names}", "a value for each"))
    if faults:
        raise HwsimError(*faults)
    settings = {each.name: values.pop(each.name) for each in SETTINGS if each.name in values}
    try:
        op = spec.build(**values)
    except HwsimError as error:
        raise HwsimError(*(replace(fault, where=Where(where)) for fault in error.faults)) from None
    return replace(op, attributes=op.attributes.replace(**settings)) if settings else op


def _unknown(spec: KernelSpec, name: str, where: str) -> Fault:
    names = spec.names
    expected = f"arguments of {spec.kind}: {', '.join(names)}"
    return Fault(Where(where), f"unknown argument {name!r}", expected, did_you_mean(name, names))
