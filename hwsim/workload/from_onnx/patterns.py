"""Several nodes that are one operator: attention, norms and activations that exporters write out in elementary steps.

A pattern is found from its one telling node (softmax, a mean, erf) outwards, over nodes that nothing else reads.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final

from hwsim.workload.from_onnx.net import Net, Node, Tensor

__all__ = ["AttentionForm", "Found", "RowsForm", "found_patterns"]

_NORM_STEPS: Final = frozenset(
    {"ReduceMean", "Sub", "Pow", "Mul", "Add", "Sqrt", "Div", "Reciprocal", "Cast", "Identity"}
)
_ACTIVATION_STEPS: Final = frozenset({"Div", "Mul", "Add", "Erf", "Tanh", "Pow", "Sub", "Sigmoid", "Identity"})
_VIEWS: Final = frozenset({"Transpose", "Reshape", "Unsqueeze", "Squeeze", "Expand", "Identity", "Cast", "Flatten"})
_ON_SCORES: Final = frozenset({"Add", "Mul", "Div", "Where", "Cast", "Identity", "Reshape", "Dropout", "IsNaN", "Max"})
_LONGEST: Final = 24
_NEAR: Final = 64
"""Nodes after a tensor's first reader among which the steps of one norm or activation are looked for."""
_LEVELS: Final = 6


@dataclass(frozen=True, slots=True)
class AttentionForm:
    """softmax(q . k^T) . v."""

    q: Tensor
    k: Tensor
    v: Tensor
    scores: Tensor
    head_dim: int
    kv_share: int


@dataclass(frozen=True, slots=True)
class RowsForm:
    """A norm or an activation of a tensor."""

    kind: str
    op: str
    out: Tensor


@dataclass(frozen=True, slots=True)
class Found:
    """A pattern.

    Attributes:
        nodes: places of its nodes.
        name: name of the telling node.
        last: place of the node that ends it, where the operator stands.
        form: what it computes.
    """

    nodes: frozenset[int]
    name: str
    last: int
    form: AttentionForm | RowsForm


def found_patterns(net: Net) -> Iterator[Found]:
    """Patterns of a graph; no node is in two."""
    taken: set[int] = set()
    for node in net.nodes:
        if node.index in taken:
            continue
        found = _at(net, node)
        if found is not None and not taken.intersection(found.nodes):
            taken |= found.nodes
            yield found


def _at(net: Net, node: Node) -> Found | None:
    if node.op_type == "Softmax":
        return _attention(net, node)
    if node.op_type == "ReduceMean":
        return _norm(net, node)
    if node.op_type in ("Erf", "Tanh", "Sigmoid"):
        return _activation(net, node)
    return None


# --- attention ---------------------------------------------------------------------------------------


def _attention(net: Net, softmax: Node) -> Found | None:
    """Two products of activations around a softmax over the last axis, with scaling and masks between them."""
    scores, axis = net.made(softmax), softmax.number("axis", -1 if softmax.opset >= 13 else 1)
    if axis not in (-1, len(scores.shape) - 1):
        return None
    before = _back_to_product(net, softmax.inputs[0], scores.elements)
    after = _on_to_product(net, softmax.outputs[0])
    if before is None or after is None:
        return None
    (first, *inner), (second, *outer) = before, after
    q, k = (net.needed(first, place) for place in (0, 1))
    v = net.needed(second, 1)
    products = all(not each.constant for each in (q, k, v)) and second.inputs[0] != second.inputs[1]
    fits = min(len(each.shape) for each in (q, k, v, scores)) >= 3 and v.shape[-1] == q.shape[-1]
    if not products or not fits or scores.shape[-2:] != (q.shape[-2], v.shape[-2]):
        return None
    sides = [_views_before(net, product, place) for product, place in ((first, 0), (first, 1), (second, 1))]
    nodes = {first.index, second.index, softmax.index, *(each.index for each in (*inner, *outer))}
    nodes.update(each.index for side in sides for each in side)
    last = second
    behind = net.only_reader(second.outputs[0])
    if behind is not None and behind.op_type == "Transpose":
        nodes.add(behind.index)
        last = behind
    form = AttentionForm(q, k, v, scores, q.shape[-1], _shared(net, sides[2]))
    return Found(frozenset(nodes), softmax.name, last.index, form)


def _back_to_product(net: Net, name: str, elements: int) -> list[Node] | None:
    """From a tensor back to the product that made it, over scaling and masks: that node, then those between."""
    between: list[Node] = []
    while len(between) < _LONGEST:
        node = net.maker(name)
        if node is None or net.only_reader(name) is None:
            return None
        if node.op_type in ("MatMul", "FusedMatMul"):
            return [node, *between]
        large = [each for each in net.flowing(node) if each.elements == elements]
        if node.op_type not in _ON_SCORES or len(large) != 1:
            return None
        between.append(node)
        name = large[0].name
    return None


def _on_to_product(net: Net, name: str) -> list[Node] | None:
    """From the probabilities on to the product that reads them."""
    between: list[Node] = []
    while len(between) < _LONGEST:
        node = net.only_reader(name)
        if node is None or not node.outputs:
            return None
        if node.op_type == "MatMul" and node.inputs[0] == name:
            return [node, *between]
        if node.op_type not in _ON_SCORES:
            return None
        between.append(node)
        name = node.outputs[0]
    return None


def _views_before(net: Net, product: Node, place: int) -> list[Node]:
    """Nodes before an operand that only lay it out anew, repeat heads, or scale it by one number."""
    found: list[Node] = []
    name = product.inputs[place]
    while len(found) < _LONGEST:
        node = net.maker(name)
        if node is None or net.only_reader(name) is None or not node.inputs or not node.inputs[0]:
            break
        flowing = net.flowing(node)
        scaled = node.op_type in ("Mul", "Div") and len(flowing) == 1 and _scalars_only(net, node)
        if not scaled and (node.op_type not in _VIEWS or len(flowing) != 1):
            break
        found.append(node)
        name = flowing[0].name
    return found


def _scalars_only(net: Net, node: Node) -> bool:
    return all(net.tensors[name].scalar for name in node.inputs if name and net.tensors[name].constant)


def _shared(net: Net, views: list[Node]) -> int:
    """Query heads that share a head of keys and values: how often views repeat it."""
    share = 1
    for node in views:
        if node.op_type == "Expand":
            share *= max(1, net.made(node).elements // max(1, net.needed(node, 0).elements))
    return share


# --- rows ----------------------------------------------------------------------------------------------


def _norm(net: Net, mean: Node) -> Found | None:
    """A layer norm (mean, difference, mean of its square) or an RMS norm (mean of a square), written out in steps."""
    given = net.needed(mean, 0)
    if given.constant:
        return None
    square = net.maker(given.name)
    found = _closed(net, given.name, mean, _NORM_STEPS, 2, _is_layer_norm)
    if found is not None:
        return _rows(net, found, "norm", "layernorm", mean.name)
    if square is None or square.op_type not in ("Pow", "Mul") or len(net.flowing(square)) != 1:
        return None
    found = _closed(net, net.flowing(square)[0].name, mean, _NORM_STEPS, 1, _is_rms_norm)
    return None if found is None else _rows(net, found, "norm", "rmsnorm", mean.name)


def _is_layer_norm(net: Net, nodes: list[Node]) -> bool:
    types = [node.op_type for node in nodes]
    return types.count("ReduceMean") == 2 and "Sub" in types and _divides_by_root(net, nodes)


def _is_rms_norm(net: Net, nodes: list[Node]) -> bool:
    return [node.op_type for node in nodes].count("ReduceMean") == 1 and _divides_by_root(net, nodes)


def _divides_by_root(net: Net, nodes: list[Node]) -> bool:
    types = {node.op_type for node in nodes}
    inverse = any(_power(net, node) == -0.5 for node in nodes)
    has_root = "Sqrt" in types or any(_power(net, node) == 0.5 for node in nodes)
    return inverse or (has_root and bool({"Div", "Reciprocal"} & types))


def _power(net: Net, node: Node) -> float | None:
    """The constant power of a ``Pow``."""
    power = net.needed(node, 1) if node.op_type == "Pow" else None
    return float(power.data.reshape(-1)[0]) if power is not None and power.data is not None and power.scalar else None


def _activation(net: Net, node: Node) -> Found | None:
    """GELU by erf or tanh, SiLU by sigmoid: steps that start from one tensor and end in a product with it."""
    for root in _roots(net, node):
        found = _closed(net, root, node, _ACTIVATION_STEPS, 0, _is_gated)
        if found is not None:
            op = "silu" if node.op_type == "Sigmoid" and len(found) == 2 else "gelu"
            return _rows(net, found, "elementwise", op, node.name)
    return None


def _is_gated(net: Net, nodes: list[Node]) -> bool:
    return any(node.op_type == "Mul" and len(net.flowing(node)) == 2 for node in nodes)


def _roots(net: Net, node: Node) -> list[str]:
    """Tensors before a node, over steps of activations, the nearest first."""
    found: dict[str, None] = {}
    edge = [each.name for each in net.flowing(node)]
    for _ in range(_LEVELS):
        found.update(dict.fromkeys(edge))
        makers = [maker for name in edge if (maker := net.maker(name)) is not None]
        edge = [each.name for maker in makers if maker.op_type in _ACTIVATION_STEPS for each in net.flowing(maker)]
    return list(found)


def _closed(
    net: Net, root: str, telling: Node, steps: frozenset[str], learned: int, fits: Callable[[Net, list[Node]], bool]
) -> list[Node] | None:
    """Nodes around a telling one that compute one tensor of the tensor ``root`` alone, as many as there are.

    None but the last of them is read outside; at most ``learned`` trained vectors enter.
    """
    within = _computed_of(net, root, steps)
    best: list[Node] | None = None
    for place, end in enumerate(within):
        nodes = _before(end, within[:place])
        own = {node.index for node in nodes}
        inner = [node for node in nodes if node.index != end.index]
        closed = all(_read_within(net, node, own) for node in inner)
        trained = sum(
            net.tensors[name].elements > 1 for node in nodes for name in node.inputs if _is_constant(net, name)
        )
        if closed and telling.index in own and trained <= learned and fits(net, nodes):
            best = nodes
    return best


def _is_constant(net: Net, name: str) -> bool:
    return bool(name) and net.tensors[name].constant


def _computed_of(net: Net, root: str, steps: frozenset[str]) -> list[Node]:
    """Steps near a tensor that read nothing else that flows, in order."""
    readers = net.readers.get(root, [])
    start = bisect_left(net.nodes, readers[0].index, key=lambda node: node.index) if readers else len(net.nodes)
    inside, found = {root}, []
    for node in net.nodes[start : start + _NEAR]:
        flowing = {each.name for each in net.flowing(node)}
        if node.op_type in steps and flowing and flowing <= inside:
            found.append(node)
            inside.update(name for name in node.outputs if name)
    return found


def _before(end: Node, earlier: list[Node]) -> list[Node]:
    """The earlier nodes that a node needs, then itself."""
    wanted, found = set(end.inputs), [end]
    for node in reversed(earlier):
        if wanted.intersection(node.outputs):
            wanted.update(node.inputs)
            found.append(node)
    return found[::-1]


def _read_within(net: Net, node: Node, own: set[int]) -> bool:
    """Whether only nodes of a set read what a node gives."""
    given = [name for name in node.outputs if name]
    return not any(name in net.outputs for name in given) and all(
        reader.index in own for name in given for reader in net.readers.get(name, [])
    )


def _rows(net: Net, nodes: list[Node], kind: str, op: str, name: str) -> Found:
    form = RowsForm(kind, op, net.made(nodes[-1]))
    return Found(frozenset(node.index for node in nodes), name, nodes[-1].index, form)
