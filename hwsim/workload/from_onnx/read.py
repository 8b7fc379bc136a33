"""Bytes of an ONNX file to a `Net`: dimensions given, shapes inferred node by node, constants folded, dead ends cut.

Shape rules are the onnx package's own (`onnx.shape_inference.infer_node_outputs`), as are the values of small constants
(`onnx.reference`), of which shapes are made. Weights need not be there: they may lie in another file.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

from hwsim.errors import Fault, HwsimError, Where, did_you_mean
from hwsim.workload.from_onnx.net import Net, Node, Tensor
from hwsim.workload.from_onnx.walk import Walk

if TYPE_CHECKING:
    import onnx

__all__ = ["MAX_BYTES", "PACKAGE", "read_net"]

MAX_BYTES: Final = 2**31 - 1
"""Bytes of the largest file: what a protocol buffer holds."""
PACKAGE: Final = "pip install 'hwsim[onnx]'"
_EXPECTED: Final = "an ONNX model"
_MOST_NODES: Final = 100_000
_MOST_EXTENT: Final = 1_000_000_000
_SUM: Final = re.compile(r"\s*\+\s*")


def read_net(data: bytes, source: str, dims: Mapping[str, int], assume: bool = False) -> Net:
    """The graph of a file.

    Args:
        data: its bytes.
        source: its name, for messages.
        dims: the file's symbolic dimensions.
        assume: whether what no rule gives the shape of is taken to be shaped like its first input.

    Raises:
        HwsimError: no package onnx, no ONNX model, a dimension that is not given or not in the file, a node that reads
            what nothing makes, shapes that contradict each other.
    """
    model = _model(data, source)
    graph = model.graph
    if not graph.node or not graph.output:
        raise HwsimError.at(source, "no ONNX model with nodes and outputs", _EXPECTED)
    if len(graph.node) > _MOST_NODES:
        raise HwsimError.at(source, f"{len(graph.node):,} nodes", f"at most {_MOST_NODES:,}")
    weights = {each.name for each in graph.initializer} | {each.values.name for each in graph.sparse_initializer}
    inputs = [each for each in graph.input if each.name not in weights]
    shapes = _input_shapes(inputs, source, dims)
    walk = Walk(source, {each.domain: each.version for each in model.opset_import}, model.ir_version, assume)
    for name, (shape, kind) in shapes.items():
        walk.tensors[name] = Tensor(name, shape, kind)
    _add_weights(walk, graph)
    walk.told = {each.name: each for each in (*graph.value_info, *graph.output)}
    nodes = [_node(walk, index, proto) for index, proto in enumerate(graph.node)]
    for node, proto in zip(nodes, graph.node, strict=True):
        walk.take(node, proto)
    outputs = tuple(each.name for each in graph.output)
    missing = [name for name in outputs if name not in walk.tensors and not walk.strange]
    if missing:
        raise HwsimError.at(source, f"output {missing[0]!r}, which no node makes", _EXPECTED)
    needed = _needed(walk, nodes, outputs)
    alive = [each for each in nodes if each.index in needed]
    unknown = tuple(each for each in alive if each.index in walk.strange)
    live = tuple(each for each in alive if walk.knows(each))
    return Net(live, walk.tensors, tuple(shapes), outputs, dict(walk.strange), unknown)


def _model(data: bytes, source: str) -> onnx.ModelProto:
    """The parsed file, its own functions put in the place of their calls."""
    try:
        import onnx  # noqa: PLC0415 - an extra, brought in by the command that needs it
        import onnx.inliner  # noqa: PLC0415
        from google.protobuf.message import DecodeError  # noqa: PLC0415
    except ImportError as error:
        found = f"an ONNX file, which needs the package onnx ({error})"
        raise HwsimError.at(source, found, f"{PACKAGE}, or the model's config.json") from None
    try:
        model: onnx.ModelProto = onnx.ModelProto.FromString(data)
    except DecodeError:
        raise HwsimError.at(source, "no ONNX model: not a whole protocol buffer", _EXPECTED) from None
    _check_text(model, source)
    if not model.functions:
        return model
    try:
        inlined: onnx.ModelProto = onnx.inliner.inline_local_functions(model)
    except RuntimeError as error:
        raise HwsimError.at(source, f"functions that cannot be put in place: {_first(error)}", _EXPECTED) from None
    return inlined


def _check_text(model: onnx.ModelProto, source: str) -> None:
    """Raise where a name is no text: protocol buffers of this kind hand out the bytes then."""
    graph, kept = model.graph, [each.domain for each in model.opset_import]
    for node in graph.node:
        kept += [
            node.name,
            node.op_type,
            node.domain,
            *node.input,
            *node.output,
            *(each.name for each in node.attribute),
        ]
    named = (*graph.input, *graph.output, *graph.value_info, *graph.initializer)
    kept += [each.name for each in named] + [each.values.name for each in graph.sparse_initializer]
    kept += [dim.dim_param for each in graph.input for dim in each.type.tensor_type.shape.dim]
    if any(isinstance(each, bytes) for each in kept):
        raise HwsimError.at(source, "names that are no UTF-8", _EXPECTED)


def _first(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:200]


def _input_shapes(inputs: Any, source: str, dims: Mapping[str, int]) -> dict[str, tuple[tuple[int, ...], int]]:
    """Shape and data type of each input, symbolic dimensions replaced by those given."""
    faults: list[Fault] = []
    known: set[str] = set()
    found: dict[str, tuple[tuple[int, ...], int]] = {}
    for each in inputs:
        if not each.type.HasField("tensor_type") or not each.type.tensor_type.HasField("shape"):
            faults.append(Fault(Where(source), f"input {each.name!r} without a shape", "a tensor with its dimensions"))
            continue
        shape = []
        for axis, dim in enumerate(each.type.tensor_type.shape.dim):
            name = dim.dim_param or f"{each.name}.{axis}"
            if dim.HasField("dim_value") and dim.dim_value > 0:
                extent: int | None = dim.dim_value
            else:
                known.update(_SUM.split(name) if name not in dims else [name])
                extent = _extent(name, dims)
            if extent is None:
                words = f"{each.name}: dimension {axis} is {name!r}, which the file leaves open"
                faults.append(Fault(Where(source), words, f"--dim {name!r}=N" if " " in name else f"--dim {name}=N"))
            elif extent > _MOST_EXTENT:
                faults.append(Fault(Where(source), f"{each.name}: {extent:,} elements", f"at most {_MOST_EXTENT:,}"))
            shape.append(extent or 1)
        found[each.name] = (tuple(shape), each.type.tensor_type.elem_type)
    for name in dims:
        if name not in known:
            open_ones = ", ".join(sorted(known)) or "none: every dimension is fixed"
            found_words = f"{name!r}, which is no open dimension of {source}"
            faults.append(Fault(Where("--dim"), found_words, open_ones, did_you_mean(name, known)))
    if faults:
        raise HwsimError(*dict.fromkeys(faults))
    return found


def _extent(name: str, dims: Mapping[str, int]) -> int | None:
    """A dimension by its name, or as the sum of named ones and numbers (``past + 1``); None where one is not given."""
    if name in dims:
        return dims[name]
    terms = [int(term) if term.isdecimal() and len(term) < 10 else dims.get(term) for term in _SUM.split(name)]
    known = [term for term in terms if term is not None]
    return sum(known) if known and len(known) == len(terms) and len(terms) > 1 else None


def _add_weights(walk: Walk, graph: Any) -> None:
    for proto in graph.initializer:
        walk.add_constant(proto.name, proto)
    for proto in graph.sparse_initializer:
        name, kind = proto.values.name, proto.values.data_type
        walk.tensors[name] = Tensor(name, walk.checked(name, tuple(proto.dims)), kind, constant=True)


def _node(walk: Walk, index: int, proto: Any) -> Node:
    from onnx.helper import get_attribute_value  # noqa: PLC0415

    attributes: dict[str, Any] = {}
    for each in proto.attribute:
        try:
            value = get_attribute_value(each)
        except ValueError as error:
            found = f"node {proto.name or proto.op_type!r}: attribute {each.name!r}: {_first(error)}"
            raise HwsimError.at(walk.source, found, _EXPECTED) from None
        attributes[each.name] = value.decode("utf-8", "replace") if isinstance(value, bytes) else value
    domain = "" if proto.domain == "ai.onnx" else proto.domain
    name = proto.name or f"{proto.op_type}_{index}"
    return Node(
        index, name, proto.op_type, domain, tuple(proto.input), tuple(proto.output), attributes, walk.opset(domain)
    )


def _needed(walk: Walk, nodes: list[Node], outputs: tuple[str, ...]) -> set[int]:
    """Nodes that run and that an output needs; what a constant is made of is not needed."""
    wanted, alive = set(outputs), set()
    for node in reversed(nodes):
        if wanted.intersection(node.outputs) and not walk.folded(node):
            alive.add(node.index)
            wanted.update(node.inputs)
    return alive
