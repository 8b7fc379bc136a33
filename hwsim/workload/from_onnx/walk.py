"""Node by node through a graph: the shape of what each gives, and its values where they are small constants."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

from hwsim.errors import HwsimError
from hwsim.workload.from_onnx.net import MICROSOFT, Node, NotUnderstood, Tensor
from hwsim.workload.from_onnx.shapes import CONTRIB

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = ["Walk"]

_SMALL: Final = 4096
"""Elements of the largest constant whose values are kept: shapes, axes, scales."""
_MOST: Final = 10**15
_FOLDED: Final = frozenset({
    "Abs", "Add", "And", "Cast", "Ceil", "Concat", "ConstantOfShape", "Div", "Equal", "Expand", "Floor",
    "Gather", "Greater", "GreaterOrEqual", "Identity", "Less", "LessOrEqual", "Max", "Min", "Mod", "Mul", "Neg",
    "Not", "Or", "Range", "ReduceMax", "ReduceMin", "ReduceProd", "ReduceSum", "Reshape", "Shape", "Size",
    "Slice", "Sqrt", "Squeeze", "Sub", "Tile", "Transpose", "Unsqueeze", "Where",
})  # fmt: skip
"""Operators that shapes are computed with; their constants are evaluated."""
_MOVES: Final = frozenset({"Transpose", "Reshape", "Identity", "Unsqueeze", "Squeeze", "Flatten"})
"""Of a constant they give a constant in the same format."""
_AS_GIVEN: Final = frozenset({"GroupNormalization", "MeanVarianceNormalization"})
"""Operators without a rule, as ONNX defines them by others; what they give is shaped like what they are given."""
_RANDOM: Final = ("Random", "Bernoulli", "Multinomial")


class Walk:
    """What is known of a graph's tensors so far.

    Args:
        source: the file, for messages.
        opsets: domain -> version of its operators.
        ir_version: version of the file's form.
        assume: whether what no rule gives the shape of is taken to be shaped like its first input.
    """

    def __init__(self, source: str, opsets: Mapping[str, int], ir_version: int, assume: bool) -> None:
        self.source = source
        self.tensors: dict[str, Tensor] = {}
        self.strange: dict[int, str] = {}
        self.told: Mapping[str, Any] = {}
        self._unshaped: set[str] = set()
        self._opsets = opsets
        self._ir_version = ir_version
        self._assume = assume

    def opset(self, domain: str) -> int:
        """Version of a domain's operators."""
        return self._opsets.get(domain, self._opsets.get("ai.onnx", 1) if not domain else 1)

    def checked(self, name: str, shape: tuple[int, ...]) -> tuple[int, ...]:
        """A shape that can be counted.

        Raises:
            HwsimError: a negative extent, or more elements than any memory holds.
        """
        if any(each < 0 for each in shape) or math.prod(shape) > _MOST:
            raise HwsimError.at(self.source, f"tensor {name!r} of shape {list(shape)}", f"at most {_MOST:,} elements")
        return shape

    def add_constant(self, name: str, proto: Any) -> None:
        """A tensor of the file, with its values where they are few and in the file."""
        shape = self.checked(name, tuple(int(each) for each in proto.dims))
        data = _values(proto) if math.prod(shape) <= _SMALL else None
        self.tensors[name] = Tensor(name, shape, proto.data_type, True, data)

    def folded(self, node: Node) -> bool:
        """Whether all that a node gives is constant: it does not run."""
        made = [self.tensors.get(name) for name in node.outputs if name and name not in self._unshaped]
        return all(each is not None and each.constant for each in made)

    def knows(self, node: Node) -> bool:
        """Whether the shapes of all that a node reads and makes are known."""
        names = (name for name in (*node.inputs, *node.outputs) if name and name not in self._unshaped)
        return all(name in self.tensors for name in names)

    def take(self, node: Node, proto: Any) -> None:
        """Add what a node gives.

        Raises:
            HwsimError: it reads what nothing before it makes, makes what there is already, or shapes contradict.
        """
        for name in node.outputs:
            if name in self.tensors:
                raise HwsimError.at(
                    self.source, f"a second {name!r}, of node {node.name!r}", "one maker of each tensor"
                )
        if any(name in self._unshaped for name in node.inputs):
            self._not_understood(node, "it reads a tensor whose shape depends on values")
            return
        missing = [name for name in node.inputs if name and name not in self.tensors]
        if missing and not self.strange:
            found = f"node {node.name!r} ({node.op_type}) reads {missing[0]!r}, which nothing before it makes"
            raise HwsimError.at(self.source, found, "nodes in order, without cycles")
        if missing:
            return  # what it reads is made by a node that is not understood, which is told
        if node.op_type == "Constant" and not node.domain:
            self._constant(node)
            return
        try:
            shapes = self._shapes(node, proto)
        except NotUnderstood as error:
            self._not_understood(node, str(error))
            return
        constant = self._is_constant(node)
        values = self._evaluated(node, proto, shapes) if constant else {}
        stored = self._stored(node) if constant else ""
        for name, (shape, kind) in shapes.items():
            self.tensors[name] = Tensor(name, self.checked(name, shape), kind, constant, values.get(name), stored)

    def _stored(self, node: Node) -> str:
        """Format of a constant made of a stored one: moved, or still quantised."""
        if not node.inputs or not node.inputs[0]:
            return ""
        first = self.tensors[node.inputs[0]]
        if node.op_type == "DequantizeLinear":
            try:
                return first.format
            except NotUnderstood:
                return ""
        return first.stored if node.op_type in _MOVES else ""

    def _is_constant(self, node: Node) -> bool:
        if node.op_type in ("Shape", "Size") and not node.domain:
            return True
        random = node.op_type.startswith(_RANDOM)
        return not random and all(self.tensors[name].constant for name in node.inputs if name)

    def _constant(self, node: Node) -> None:
        """A node whose attribute is its value."""
        import numpy as np  # noqa: PLC0415

        value = node.attributes.get("value")
        if value is not None and hasattr(value, "dims"):
            self.add_constant(node.outputs[0], value)
            return
        plain = next((node.attributes[name] for name in _CONSTANTS if name in node.attributes), None)
        if plain is None:
            self._not_understood(node, "a constant that is no tensor of numbers")
            return
        array = np.asarray(plain, dtype=_CONSTANTS[next(name for name in _CONSTANTS if name in node.attributes)])
        name = node.outputs[0]
        self.tensors[name] = Tensor(name, array.shape, 1 if array.dtype.kind == "f" else 7, True, array)

    def _not_understood(self, node: Node, why: str) -> None:
        """Note it; outputs are as the file tells, or like the first input, where that is to be assumed."""
        self.strange[node.index] = why
        first = self.tensors.get(node.inputs[0]) if node.inputs else None
        for place, name in enumerate(node.outputs):
            told = _told(self.told.get(name))
            if told is None and self._assume and place == 0 and first is not None:
                told = (first.shape, first.type)
            if name and told is not None:
                self.tensors[name] = Tensor(name, self.checked(name, told[0]), told[1])

    # --- shapes ----------------------------------------------------------------------------------

    def _shapes(self, node: Node, proto: Any) -> dict[str, tuple[tuple[int, ...], int]]:
        inputs = [self.tensors[name] if name else None for name in node.inputs]
        own = node.domain == MICROSOFT or node.op_type in ("SimplifiedLayerNormalization",)
        if own and node.op_type in CONTRIB:
            found = CONTRIB[node.op_type](node, inputs)
            if len(found) < len([name for name in node.outputs if name]):
                raise NotUnderstood(f"{len(node.outputs)} outputs")
            return {name: each for name, each in zip(node.outputs, found, strict=False) if name}
        return self._by_rule(node, proto)

    def _by_rule(self, node: Node, proto: Any) -> dict[str, tuple[tuple[int, ...], int]]:
        """Shapes by the rule that the onnx package has."""
        import onnx  # noqa: PLC0415
        from onnx.checker import ValidationError  # noqa: PLC0415
        from onnx.shape_inference import InferenceError, infer_node_outputs  # noqa: PLC0415

        if node.op_type in _AS_GIVEN and not node.domain and node.inputs[0]:
            first = self.tensors[node.inputs[0]]
            return {node.outputs[0]: (first.shape, first.type)}
        if any(each.type in (onnx.AttributeProto.GRAPH, onnx.AttributeProto.GRAPHS) for each in proto.attribute):
            raise NotUnderstood("graphs within a node (loops, branches)")
        try:
            schema = onnx.defs.get_schema(node.op_type, node.opset, node.domain)
        except onnx.defs.SchemaError:
            raise NotUnderstood("no such operator is known") from None
        read = {name: self.tensors[name] for name in node.inputs if name}
        types = {name: _type_of(each) for name, each in read.items()}
        data = {name: _proto_of(each) for name, each in read.items() if each.data is not None}
        imports = [onnx.helper.make_opsetid(domain, version) for domain, version in self._opsets.items()]
        try:
            found = infer_node_outputs(schema, proto, types, data, {}, imports, self._ir_version)
        except (InferenceError, ValidationError, RuntimeError, ValueError, TypeError) as error:
            reason = (str(error).strip().splitlines() or [type(error).__name__])[0][:160]
            raise HwsimError.at(
                self.source, f"node {node.name!r} ({node.op_type}): {reason}", "shapes that go together"
            ) from None
        shapes = {}
        for place, name in enumerate(node.outputs):
            told = _told_type(found[name]) if name in found else _told(self.told.get(name))
            if told is None and place == 0:
                raise NotUnderstood(f"the shape of {name!r} depends on values")
            if name and told is None:
                self._unshaped.add(name)  # a second result that mostly nobody reads, as the mask of a dropout
            if name and told is not None:
                shapes[name] = told
        return shapes

    # --- values ----------------------------------------------------------------------------------

    def _evaluated(
        self, node: Node, proto: Any, shapes: Mapping[str, tuple[tuple[int, ...], int]]
    ) -> dict[str, NDArray[np.generic]]:
        """Values of what a node makes of small constants; none where they are not known."""
        import numpy as np  # noqa: PLC0415

        few = all(math.prod(shape) <= _SMALL for shape, _ in shapes.values())
        if node.domain or node.op_type not in _FOLDED or not few:
            return {}
        if node.op_type in ("Shape", "Size"):
            shape = np.asarray(self.tensors[node.inputs[0]].shape, dtype=np.int64)
            start, end = node.attributes.get("start", 0), node.attributes.get("end")
            return {node.outputs[0]: np.asarray(shape.prod()) if node.op_type == "Size" else shape[start:end]}
        read = {name: self.tensors[name] for name in node.inputs if name}
        if any(each.data is None for each in read.values()):
            return {}
        return self._run(node, proto, read)

    def _run(self, node: Node, proto: Any, read: Mapping[str, Tensor]) -> dict[str, NDArray[np.generic]]:
        import onnx  # noqa: PLC0415
        from onnx.reference import ReferenceEvaluator  # noqa: PLC0415

        inputs = [onnx.helper.make_tensor_value_info(name, each.type, each.shape) for name, each in read.items()]
        outputs = [onnx.helper.make_empty_tensor_value_info(name) for name in node.outputs]
        graph = onnx.helper.make_graph([proto], "constant", inputs, outputs)
        imports = [onnx.helper.make_opsetid(domain, version) for domain, version in self._opsets.items()]
        model = onnx.helper.make_model(graph, opset_imports=imports, ir_version=self._ir_version)
        try:
            found = ReferenceEvaluator(model).run(None, {name: each.data for name, each in read.items()})
        except (ValueError, TypeError, IndexError, KeyError, RuntimeError, ArithmeticError, AttributeError):
            return {}  # its values are not known; its shape is
        return dict(zip(node.outputs, found, strict=True))


_CONSTANTS: Final = {"value_int": "int64", "value_ints": "int64", "value_float": "float32", "value_floats": "float32"}


def _values(proto: Any) -> NDArray[np.generic] | None:
    """The values of a tensor; None where they lie in another file or are not whole."""
    import onnx  # noqa: PLC0415

    if proto.data_location == onnx.TensorProto.EXTERNAL:
        return None
    try:
        return onnx.numpy_helper.to_array(proto)
    except (ValueError, TypeError, KeyError):
        return None


def _type_of(tensor: Tensor) -> Any:
    import onnx  # noqa: PLC0415

    return onnx.helper.make_tensor_type_proto(tensor.type, tensor.shape)


def _proto_of(tensor: Tensor) -> Any:
    import numpy as np  # noqa: PLC0415
    import onnx  # noqa: PLC0415

    return onnx.numpy_helper.from_array(np.asarray(tensor.data), tensor.name)


def _told(info: Any) -> tuple[tuple[int, ...], int] | None:
    """Shape and type as the file tells them of a tensor; None where it does not."""
    return None if info is None else _told_type(info.type)


def _told_type(told: Any) -> tuple[tuple[int, ...], int] | None:
    if not told.HasField("tensor_type") or not told.tensor_type.HasField("shape"):
        return None
    dims = told.tensor_type.shape.dim
    if not all(each.HasField("dim_value") for each in dims):
        return None
    return tuple(int(each.dim_value) for each in dims), int(told.tensor_type.elem_type)
