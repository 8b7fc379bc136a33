"""Convolution networks: `hwsim.workload.convnet` as a graph."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from hwsim.workload.builders.body import linear
from hwsim.workload.graph import Graph
from hwsim.workload.named import Named
from hwsim.workload.op import Axis, Op, Operand
from hwsim.workload.ops import conv2d, elementwise, with_bias
from hwsim.workload.ops.checks import attributes_of

if TYPE_CHECKING:
    from hwsim.workload.convnet import ConvLayer, ConvNetModel, Extent
    from hwsim.workload.model import Formats, Pass

__all__ = ["build"]


def build(model: ConvNetModel, formats: Formats, pass_: Pass) -> Graph:
    """The graph of one pass over ``pass_.batch`` images; ``relu`` and flattening are ops of their own."""
    graph = Graph(model.family)
    extents, last = model.extents, {"": "", "image": ""}
    previous = "image"
    for name, layer in model.named:
        source = layer.after or previous
        given, result = extents[source], extents[name]
        images = pass_.batch
        ops = _ops(name, layer, given, extents.get(layer.other), result, formats, images)
        feeding = last[source]
        for place, (op, operand) in enumerate(ops):
            graph.add(op)
            if feeding:
                graph.connect(feeding, op.id, operand)
            if layer.other and place == 0 and last[layer.other]:
                graph.connect(last[layer.other], op.id, "y")
            feeding = op.id
        last[name] = feeding
        previous = name
    return graph


def _ops(
    name: str, layer: ConvLayer, given: Extent, other: Extent | None, result: Extent, formats: Formats, images: int
) -> list[tuple[Op, str]]:
    """The ops of a layer in order, each with the operand that takes what comes before it."""
    pixels = images * result.rows * result.columns
    if layer.kind == "conv":
        found = [(_conv(layer, given, result, formats, images), "x")]
    elif layer.kind == "linear":
        flat = _flatten(given, formats, images)
        product = linear(images, layer.channels, given.elements, formats, True)
        found = [(replace(flat, name=f"{name}.flatten", block="linear"), "x")] if given.rows > 1 else []
        found.append((product, "a"))
    elif layer.kind == "add":
        found = [(elementwise("add", pixels, result.channels, formats.flowing), "x")]
    elif layer.kind == "concat":
        found = [(_concat(given.channels, (other or given).channels, pixels, formats), "x")]
    else:
        found = [(_resized(layer, given, result, formats, images), "x")]
    main = next(place for place, (op, _) in enumerate(found) if not op.name.endswith(".flatten"))
    found[main] = (replace(found[main][0], name=name, block=layer.kind), found[main][1])
    if layer.relu and layer.kind in ("conv", "add", "linear"):
        relu = elementwise("relu", pixels, result.channels, formats.flowing)
        found.append((replace(relu, name=f"{name}.relu", block=layer.kind), "x"))
    return found


def _conv(layer: ConvLayer, given: Extent, result: Extent, formats: Formats, images: int) -> Op:
    """A convolution with a bias; what `same` pads on both sides together may be odd, so the halo is stated here."""
    op = conv2d(
        images,
        layer.channels,
        given.channels,
        result.rows,
        result.columns,
        layer.kernel,
        layer.kernel,
        layer.stride,
        layer.groups,
        dtype=formats.activations,
        dilation=layer.dilation,
    )
    x, weight, out = op.operands
    reached = x.shape(op.dims)
    halo = (0, 0, reached[2] - given.rows, reached[3] - given.columns)
    padding = max(0, halo[2]) // 2
    x = replace(x, halo=halo if layer.padding == "same" else ())
    weight = replace(weight, format=formats.weights)
    if layer.padding == "valid":
        x = replace(x, halo=(0, 0, min(0, halo[2]), min(0, halo[3])))
    op = replace(op, operands=(x, weight, out), attributes=op.attributes.replace(padding=padding))
    return with_bias(op, formats.vectors)


def _axes(*names: str) -> tuple[Axis, ...]:
    return tuple(((name, 1),) for name in names)


def _flatten(given: Extent, formats: Formats, images: int) -> Op:
    """An image's pixels and channels side by side."""
    dims = Named({"batch": images, "tokens": given.rows * given.columns, "width": given.channels})
    flat: Axis = (("width", given.rows * given.columns), ("tokens", 1))
    operands = (
        Operand("x", "activation", _axes("batch", "tokens", "width"), formats.flowing),
        Operand("out", "output", (*_axes("batch"), flat), formats.flowing),
    )
    return Op("flatten", "elementwise", dims, operands, Named({"op": "copy"}))


def _concat(left: int, right: int, pixels: int, formats: Formats) -> Op:
    """Channels of two images side by side."""
    dims = Named({"tokens": pixels, "width": left + right, "left": left, "right": right})
    operands = (
        Operand("x", "activation", _axes("tokens", "left"), formats.flowing),
        Operand("y", "activation", _axes("tokens", "right"), formats.flowing),
        Operand("out", "output", _axes("tokens", "width"), formats.flowing),
    )
    return Op("concat", "elementwise", dims, operands, Named({"op": "copy"}))


def _resized(layer: ConvLayer, given: Extent, result: Extent, formats: Formats, images: int) -> Op:
    """A pooling (an operation for each pixel read) or a repetition of pixels."""
    read = images * given.rows * given.columns
    written = images * result.rows * result.columns
    dims = Named({"tokens": written, "width": result.channels, "kv_len": read})
    operands = (
        Operand("x", "activation", _axes("kv_len", "width"), formats.flowing),
        Operand("out", "output", _axes("tokens", "width"), formats.flowing),
    )
    pooled = -(-read // written) if layer.kind == "pool" else 0
    return Op(layer.kind, "elementwise", dims, operands, attributes_of(op="copy", ops_per_element=pooled))
