"""An ONNX file as the document of a workload: its operators in order, equal layers folded, formats by role."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from hwsim.errors import Fault, HwsimError, Where
from hwsim.spec import OneLine
from hwsim.workload.from_onnx.lowering import Fields, Lowering
from hwsim.workload.from_onnx.net import MICROSOFT, Net, Node, NotUnderstood
from hwsim.workload.from_onnx.patterns import AttentionForm, Found, found_patterns
from hwsim.workload.from_onnx.products import PRODUCTS, add_attention
from hwsim.workload.from_onnx.read import read_net
from hwsim.workload.from_onnx.repeats import folded
from hwsim.workload.from_onnx.rows import FREE, ROWS, add_rows

__all__ = ["Imported", "document_of_onnx"]

_MOST_FAULTS: Final = 20
_MOST_EXTENT: Final = 1_000_000_000
_DOMAINS: Final = ("", MICROSOFT)
_FLOATS: Final = ("fp32", "fp16", "bf16")


@dataclass(frozen=True, slots=True)
class Imported:
    """What a file says.

    Attributes:
        document: what a workload file says of it.
        operators: operators, repetitions counted.
        free: type of nodes that cost nothing -> how many.
        skipped: nodes that are not understood, with why; left out.
    """

    document: dict[str, Any]
    operators: int
    free: Mapping[str, int]
    skipped: tuple[str, ...]


def document_of_onnx(data: bytes, source: str, name: str, dims: Mapping[str, int], skip: bool = False) -> Imported:
    """The workload that an ONNX file is.

    Args:
        data: the bytes of the file.
        source: the file's name, for messages.
        name: the workload's name.
        dims: the file's symbolic dimensions.
        skip: whether nodes that are not understood are left out instead of refused.

    Raises:
        HwsimError: no ONNX model, a dimension that is not given, or nodes that are not understood (all of them).
    """
    net = read_net(data, source, dims, skip)
    low = Lowering(net)
    odd = [(node, net.strange[node.index]) for node in net.unknown] + list(_lower(low))
    if odd and not skip:
        raise HwsimError(*_faults(source, sorted(odd, key=lambda each: each[0].index)))
    if not low.ops:
        raise HwsimError.at(source, "no operator that runs", "a model with operators on what it is given")
    _check_extents(low.ops, source)
    formats = _formats(low.ops)
    ops = [_entry(each, formats) for each in low.ops]
    tokens = _tokens(net)
    document = {
        "name": name,
        "description": f"{name} from ONNX, {formats['weights']}",
        "source": f"{Path(source).name}{_words(dims)}",
        "model": {"family": "ops", **({"tokens": tokens} if tokens else {}), "ops": folded(ops)},
        "formats": formats,
        "run": {"phase": "inference"},
    }
    skipped = tuple(f"{node.name} ({node.op_type}): {why}" for node, why in odd)
    return Imported(document, len(ops), dict(low.free), skipped)


def _words(dims: Mapping[str, int]) -> str:
    return "".join(f", {name}={extent}" for name, extent in dims.items())


def _faults(source: str, odd: list[tuple[Node, str]]) -> Iterable[Fault]:
    """One for each node that is not understood; beyond some they are counted."""
    expected = "operators that hwsim states, or --skip-unknown to leave it out"
    for node, why in odd[:_MOST_FAULTS]:
        owner = f" of {node.domain}" if node.domain else ""
        yield Fault(Where(source), f"node {node.name!r} ({node.op_type}{owner}): {why}", expected)
    if len(odd) > _MOST_FAULTS:
        yield Fault(Where(source), f"{len(odd) - _MOST_FAULTS} more nodes that are not understood", expected)


def _lower(low: Lowering) -> Iterable[tuple[Node, str]]:
    """Add all nodes; yields those that are not understood, with why."""
    patterns: dict[int, Found] = {}
    for found in _patterns(low.net):
        patterns[found.last] = found
        low.taken |= found.nodes
    for node in low.net.nodes:
        if node.index in low.net.strange:
            continue
        try:
            if node.index in patterns:
                _add_pattern(low, patterns[node.index])
            elif node.index not in low.taken:
                _add_node(low, node)
        except NotUnderstood as error:
            yield node, str(error)


def _patterns(net: Net) -> Iterable[Found]:
    """Patterns, but those in which a node is not as its operator says."""
    try:
        yield from found_patterns(net)
    except NotUnderstood:
        return  # the node is met again on its own, and told


def _add_pattern(low: Lowering, found: Found) -> None:
    form = found.form
    if isinstance(form, AttentionForm):
        batches = form.scores.elements // (form.scores.shape[-1] * form.scores.shape[-2])
        batch = form.scores.shape[0] if len(form.scores.shape) == 4 else 1
        heads = batches // batch
        out = low.written_format(low.net.made(next(node for node in low.net.nodes if node.index == found.last)))
        add_attention(
            low, found.name, low.read_format(form.q), out, batch=batch, heads=heads,
            kv_heads=max(1, heads // form.kv_share), q_len=form.scores.shape[-2], kv_len=form.scores.shape[-1],
            head_dim=form.head_dim, causal=False,
        )  # fmt: skip
        return
    add_rows(low, found.name, form.out, form)


def _add_node(low: Lowering, node: Node) -> None:
    if node.domain not in _DOMAINS:
        raise NotUnderstood(f"hwsim knows no operators of {node.domain}")
    if node.op_type in FREE:
        low.count_free(node)
        return
    handler = PRODUCTS.get(node.op_type) or ROWS.get(node.op_type)
    if handler is None:
        raise NotUnderstood("hwsim states no such operator")
    try:
        handler(low, node)
    except (IndexError, ZeroDivisionError, ValueError) as error:
        raise NotUnderstood(f"inputs in a form that it does not have ({error})") from None


def _check_extents(ops: Iterable[Fields], source: str) -> None:
    for op in ops:
        for key, value in op.items():
            if isinstance(value, int) and value > _MOST_EXTENT:
                found = f"{op['name']}: {key}={value:,}"
                raise HwsimError.at(source, found, f"at most {_MOST_EXTENT:,}")


def _formats(ops: Iterable[Fields]) -> dict[str, str]:
    """Formats by role: those of most products, and of most vectors of numbers for what they add to."""
    votes = {role: Counter[str]() for role in ("weights", "activations", "vectors")}
    for op in ops:
        if "weights" in op:
            votes["weights"][op["weights"]] += 1
            votes["activations"][op["activations"]] += 1
        elif op["activations"] in _FLOATS:
            votes["vectors"][op["activations"]] += 1
    plain = (votes["vectors"] + votes["activations"]).most_common(1)
    usual = plain[0][0] if plain else "fp32"
    vectors = votes["vectors"].most_common(1)
    found = {role: (counts.most_common(1) or [(usual, 1)])[0][0] for role, counts in votes.items()}
    return found | {"vectors": vectors[0][0] if vectors else usual if usual in _FLOATS else "fp32"}


def _entry(op: Fields, formats: Mapping[str, str]) -> OneLine:
    """An operator without the formats that it shares with the workload."""
    told = dict(op)
    if told.get("out") == told["activations"]:
        del told["out"]
    for role in ("activations", "weights"):
        if told.get(role) == formats[role]:
            del told[role]
    return OneLine(told)


def _tokens(net: Net) -> int:
    """Tokens of an input: of the first input of whole numbers with a batch and a length; 0 where there is none."""
    whole = (net.tensors[name] for name in net.inputs)
    return next((each.elements for each in whole if each.type in (6, 7) and len(each.shape) == 2), 0)
