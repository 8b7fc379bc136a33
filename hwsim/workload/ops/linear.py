"""Matrix products, convolutions and row gathers."""

from __future__ import annotations

import re
from dataclasses import replace

from hwsim.formats import FORMATS
from hwsim.workload.op import Op, Operand
from hwsim.workload.ops.checks import MAX_DIMENSION, attributes_of, axis, check, choice, dims_of, formats_known, tensor
from hwsim.workload.structured import STRUCTURES, factors_of, is_structured

__all__ = ["conv2d", "embedding", "gemm", "sparse_form", "with_bias"]


def gemm(
    m: int,
    n: int,
    k: int,
    dtype: str = "bf16",
    a_dtype: str | None = None,
    b_dtype: str | None = None,
    acc: str = "auto",
    out_dtype: str | None = None,
    batch: int = 1,
    group: int = 0,
    quantize: str = "none",
    sparsity: float = 0.0,
    structure: str = "none",
    kernel: str = "auto",
) -> Op:
    """``out[batch, m, n] = a[batch, m, k] . b[batch, n, k]^T`` with b the weights.

    Args:
        m: rows of a (tokens).
        n: columns of the result.
        k: length of each dot product.
        dtype: format of a and b where ``a_dtype`` or ``b_dtype`` do not say otherwise.
        a_dtype: format of the activations.
        b_dtype: format of the weights.
        acc: accumulator: auto, fp32, fp16 or int32.
        out_dtype: format of the result; default: ``a_dtype`` when it has 16 bits or more, else bf16.
        batch: independent products, each with its own weights.
        group: elements along k that share one weight scale, 0 for one scale per row or none.
        quantize: ``dynamic`` quantises a within the op.
        sparsity: fraction of the weights that are zero and not stored.
        structure: none, unstructured, ``N:M``, ``block:RxC`` (R along n), or one of `hwsim.workload.structured`.
        kernel: name of the kernel that a CPU shall use.

    Raises:
        HwsimError: a dimension, format, choice or the sparsity makes no sense.
    """
    where = "gemm"
    dims = dims_of(where, batch=batch, m=m, n=n, k=k)
    a_format, b_format = a_dtype or dtype, b_dtype or dtype
    formats_known(where, a_format, b_format, *((out_dtype,) if out_dtype else ()))
    choice(where, "acc", acc, ("auto", "fp32", "fp16", "int32"))
    choice(where, "quantize", quantize, ("none", "dynamic"))
    check(0 <= group <= k, where, f"group={group}", f"0 (no groups) to k={k}")
    if is_structured(structure):
        check(sparsity == 0, where, f"sparsity={sparsity} with structure={structure}", "0: the factors are dense")
        density, form = sum(each.parameters for each in factors_of(where, structure, n, k)) / (n * k), structure
    else:
        density, form = sparse_form(where, sparsity, structure)
    out_format = out_dtype or (a_format if FORMATS[a_format].bits >= 16 else "bf16")
    b_axes = (axis("batch"), axis("n"), axis("k"))
    return Op(
        "gemm",
        "gemm",
        dims,
        (
            tensor("a", "activation", a_format, "batch", "m", "k"),
            Operand("b", "weight", b_axes, b_format, density, form),
            tensor("out", "output", out_format, "batch", "m", "n"),
        ),
        attributes_of(acc=acc, group=group, quantize=quantize, **({} if kernel == "auto" else {"kernel": kernel})),
    )


def sparse_form(where: str, sparsity: float, structure: str) -> tuple[float, str]:
    """(density, structure) of an operand from what a user says.

    Raises:
        HwsimError: sparsity outside [0, 1), an unknown structure, or an ``N:M`` that contradicts the sparsity.
    """
    check(0 <= sparsity < 1, where, f"sparsity={sparsity}", "a fraction from 0 up to, not including, 1")
    pattern = re.fullmatch(r"([1-9]\d*):([1-9]\d*)", structure)
    if pattern:
        kept, of = int(pattern[1]), int(pattern[2])
        check(kept < of, where, f"structure={structure}", "N:M with N below M")
        agrees = sparsity == 0 or abs(sparsity - (1 - kept / of)) < 1e-9
        check(agrees, where, f"sparsity={sparsity} with structure={structure}", f"0 or {1 - kept / of:g}")
        return kept / of, structure
    if re.fullmatch(r"block:[1-9]\d*x[1-9]\d*", structure):
        return 1 - sparsity, structure
    known, words = structure in ("none", "unstructured"), ", ".join(STRUCTURES)
    check(known, where, f"structure={structure}", "none, unstructured, N:M (2:4), block:RxC (block:16x16), " + words)
    return 1 - sparsity, "dense" if sparsity == 0 else "unstructured"


def with_bias(op: Op, format_: str) -> Op:
    """``op`` with one trained bias per output column (gemm, conv1d, conv2d)."""
    column_axes = {"gemm": (axis("n"),), "conv1d": (axis("channels"),), "conv2d": (axis("groups"), axis("oc"))}
    bias = Operand("bias", "weight", column_axes[op.kind], format_)
    attributes = op.attributes.replace(bias=True)
    return replace(op, operands=(*op.operands[:-1], bias, op.operands[-1]), attributes=attributes)


def conv2d(
    batch: int,
    oc: int,
    ic: int,
    y: int,
    x: int,
    r: int,
    s: int,
    stride: int = 1,
    groups: int = 1,
    padding: int = 0,
    dtype: str = "bf16",
    dilation: int = 1,
) -> Op:
    """Two-dimensional convolution; the iteration dimensions ``oc`` and ``ic`` are per group.

    Args:
        batch: images.
        oc: output channels in all.
        ic: input channels in all.
        y: rows of the output.
        x: columns of the output.
        r: rows of the kernel.
        s: columns of the kernel.
        stride: step of the kernel, the same along rows and columns.
        groups: independent groups of channels; ``ic`` for a depthwise convolution.
        padding: zeros on each side. They are neither stored nor read, but their products are counted.
        dtype: format of images, weights and result.
        dilation: distance of neighbouring taps of the kernel, the same along rows and columns.

    Raises:
        HwsimError: a dimension makes no sense, ``groups`` does not divide the channels, or padding swallows the input.
    """
    where = "conv2d"
    dims_of(where, oc=oc, ic=ic, stride=stride, groups=groups, dilation=dilation)
    check(oc % groups == 0 and ic % groups == 0, where, f"groups={groups}", f"a divisor of oc={oc} and of ic={ic}")
    dims = dims_of(where, batch=batch, groups=groups, oc=oc // groups, ic=ic // groups, y=y, x=x, r=r, s=s)
    formats_known(where, dtype)
    inner = min(stride * (y - 1) + dilation * (r - 1), stride * (x - 1) + dilation * (s - 1)) + 1
    check(padding >= 0 and 2 * padding < inner, where, f"padding={padding}", "0 or more, and input left between it")
    image_axes = (
        axis("batch"),
        axis(("groups", ic // groups), "ic"),
        axis(("y", stride), ("r", dilation)),
        axis(("x", stride), ("s", dilation)),
    )
    return Op(
        "conv2d",
        "conv2d",
        dims,
        (
            Operand("x", "activation", image_axes, dtype, halo=(0, 0, 2 * padding, 2 * padding) if padding else ()),
            tensor("w", "weight", dtype, axis(("groups", oc // groups), "oc"), "ic", "r", "s"),
            tensor("out", "output", dtype, "batch", axis(("groups", oc // groups), "oc"), "y", "x"),
        ),
        attributes_of(stride=stride, padding=padding, **({"dilation": dilation} if dilation > 1 else {})),
    )


def embedding(tokens: int, width: int, rows: int, dtype: str = "bf16", learned: bool = True) -> Op:
    """A gather of ``tokens`` rows of ``width`` elements from a table of ``rows``.

    Args:
        tokens: rows gathered.
        width: elements per row.
        rows: rows of the table.
        dtype: format of the table and of the result.
        learned: whether the table is trained (an embedding), or an activation (a choice of tokens).
    """
    dims = dims_of("embedding", tokens=tokens, width=width)
    check(1 <= rows <= MAX_DIMENSION, "embedding", f"rows={rows}", f"1 to {MAX_DIMENSION:,}")
    formats_known("embedding", dtype)
    axes = (axis("tokens"), axis("width"))
    table = Operand("table", "weight" if learned else "activation", axes, dtype, resident=rows * width)
    out = Operand("out", "output", axes, dtype)
    return Op("embedding", "embedding", dims, (table, out), attributes_of(rows=rows))
