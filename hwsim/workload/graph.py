"""`Graph`: the ops of one pass and what flows between them, a directed acyclic graph on networkx.

Tensors on edges are compared as matrices of rows (tokens) by columns (features): an edge takes all rows of the
producer's output and a range of its columns. An edge into a cache carries the new positions only.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from itertools import groupby
from typing import TYPE_CHECKING, Final, NamedTuple

from hwsim.errors import HwsimError, did_you_mean
from hwsim.workload.op import ROLES, Op, Operand

if TYPE_CHECKING:
    import networkx as nx

__all__ = ["Edge", "Graph", "LayerRun", "Totals"]


class Edge(NamedTuple):
    """A tensor that flows from one op to another.

    Attributes:
        producer: id of the op whose output it is.
        consumer: id of the op that reads it.
        operand: the consumer's operand.
        columns: columns ``[lo, hi)`` of the producer's output; None for all.
    """

    producer: str
    consumer: str
    operand: str
    columns: tuple[int, int] | None = None


class LayerRun(NamedTuple):
    """Consecutive layers that cost the same.

    Attributes:
        ops: ops of the first of them, in order.
        repeats: how many such layers follow one another.
    """

    ops: tuple[Op, ...]
    repeats: int


@dataclass(frozen=True, slots=True)
class Totals:
    """Sums over ops.

    Attributes:
        ops: number of ops.
        parameters: trained parameters.
        weight_bytes: bytes that the weights occupy in memory.
        state_elements: elements of recurrent state, convolution windows included.
        macs: multiply-accumulates.
        other_ops: other scalar operations.
        bytes_by_role: bytes that must move, by role (:attr:`hwsim.workload.op.Op.bytes_by_role`).
    """

    ops: int
    parameters: int
    weight_bytes: int
    state_elements: int
    macs: int
    other_ops: int
    bytes_by_role: Mapping[str, int]

    @property
    def bytes(self) -> int:
        """Bytes of all roles."""
        return sum(self.bytes_by_role.values())


class Graph:
    """Ops in order, and the edges between them. Shapes are checked when an edge is added.

    Args:
        name: what it is the graph of, for messages.
    """

    def __init__(self, name: str = "graph") -> None:
        self.name: Final = name
        self._ops: dict[str, Op] = {}
        self._fed: dict[tuple[str, str], Edge] = {}
        self._checked: set[tuple[object, ...]] = set()
        self._own: Final = len(self.__dict__) + 1

    # --- building --------------------------------------------------------------------------------

    def add(self, op: Op) -> str:
        """Add an op and return its id.

        Raises:
            HwsimError: an op of this id is there already.
        """
        name = op.id
        if name in self._ops:
            raise HwsimError.at(self.name, f"a second op {name!r}", "a different id for each op")
        self._ops[name] = op
        self._forget()
        return name

    def connect(self, producer: str, consumer: str, operand: str, columns: tuple[int, int] | None = None) -> None:
        """Let ``operand`` of ``consumer`` be the output of ``producer``, or the columns ``[lo, hi)`` of it.

        Raises:
            HwsimError: an end is unknown, the operand has a producer already, or the shapes differ (both ends named).
        """
        edge = Edge(producer, consumer, operand, columns)
        source, target = self.op(producer), self.op(consumer)
        earlier = self._fed.get((consumer, operand))
        if earlier is not None:
            found = f"{producer} -> {consumer}.{operand}, which {earlier.producer} feeds already"
            raise HwsimError.at(self.name, found, "one producer for each operand")
        key = (id(source.dims), id(source.operands), id(target.dims), id(target.operands), operand, columns)
        if key not in self._checked:
            _check_shapes(self.name, source, target, edge)
            self._checked.add(key)
        self._fed[consumer, operand] = edge
        self._forget()

    def _forget(self) -> None:
        if len(self.__dict__) > self._own:  # something was read since the last change
            for name in ("ops", "totals", "_distinct", "_layer_runs", "_graph"):
                self.__dict__.pop(name, None)

    @cached_property
    def _graph(self) -> nx.DiGraph[str]:
        """What flows where, for networkx: made when it is first asked for, as most graphs are only summed up."""
        import networkx as nx  # noqa: PLC0415 - `check` needs none of it

        graph: nx.DiGraph[str] = nx.DiGraph()
        graph.add_nodes_from(self._ops)
        graph.add_edges_from((edge.producer, edge.consumer) for edge in self._fed.values())
        return graph

    # --- reading ---------------------------------------------------------------------------------

    def __len__(self) -> int:
        return len(self._ops)

    def __contains__(self, op_id: object) -> bool:
        return op_id in self._ops

    def __iter__(self) -> Iterator[Op]:
        return iter(self.ops)

    def op(self, op_id: str) -> Op:
        """The op of this id.

        Raises:
            HwsimError: there is none; the nearest id is suggested.
        """
        try:
            return self._ops[op_id]
        except KeyError:
            raise HwsimError.at(
                self.name, f"unknown op {op_id!r}", "the id of an op", did_you_mean(op_id, self._ops)
            ) from None

    @property
    def edges(self) -> tuple[Edge, ...]:
        """All edges in the order in which they were added."""
        return tuple(self._fed.values())

    def edges_into(self, op_id: str) -> tuple[Edge, ...]:
        """Edges that feed an op, in the order of its operands."""
        keys = ((op_id, operand.name) for operand in self.op(op_id).operands)
        return tuple(self._fed[key] for key in keys if key in self._fed)

    def predecessors(self, op_id: str) -> tuple[str, ...]:
        """Ids of the ops that feed an op."""
        return tuple(self._graph.predecessors(op_id))

    def successors(self, op_id: str) -> tuple[str, ...]:
        """Ids of the ops that an op feeds."""
        return tuple(self._graph.successors(op_id))

    def networkx(self) -> nx.DiGraph[str]:
        """A copy as a networkx graph: nodes carry ``op``, edges carry ``links`` (a tuple of :class:`Edge`)."""
        import networkx as nx  # noqa: PLC0415 - `check` needs none of it

        copy = self._graph.copy()
        nx.set_node_attributes(copy, self._ops, "op")
        for edge in self._fed.values():
            data = copy.edges[edge.producer, edge.consumer]
            data["links"] = (*data.get("links", ()), edge)
        return copy

    @cached_property
    def ops(self) -> tuple[Op, ...]:
        """Ops in topological order; where several may come next, the one that was added first.

        Raises:
            HwsimError: the edges form a cycle, which is named.
        """
        index = {name: position for position, name in enumerate(self._ops)}
        if all(index[edge.producer] < index[edge.consumer] for edge in self._fed.values()):
            return tuple(self._ops.values())
        import networkx as nx  # noqa: PLC0415 - `check` needs none of it

        try:
            order = list(nx.lexicographical_topological_sort(self._graph, key=index.__getitem__))
        except nx.NetworkXUnfeasible:
            cycle = " -> ".join([producer for producer, _ in nx.find_cycle(self._graph)])
            raise HwsimError.at(self.name, f"a cycle {cycle}", "a graph without cycles") from None
        return tuple(self._ops[name] for name in order)

    # --- sums ------------------------------------------------------------------------------------

    @cached_property
    def totals(self) -> Totals:
        """Sums over all ops."""
        return _totals(self.distinct())

    def distinct(self) -> tuple[tuple[Op, int], ...]:
        """One op of each signature and name with the number of times it occurs, in order of first occurrence."""
        return self._distinct

    @cached_property
    def _distinct(self) -> tuple[tuple[Op, int], ...]:
        by_identity: dict[tuple[int, int, int, str, str], list[Op]] = {}
        for op in self.ops:
            key = (id(op.dims), id(op.operands), id(op.attributes), op.name, op.block)
            by_identity.setdefault(key, []).append(op)
        merged: dict[tuple[object, ...], tuple[Op, int]] = {}
        for ops in by_identity.values():
            signature = (ops[0].name, *ops[0].signature)
            first, count = merged.get(signature, (ops[0], 0))
            merged[signature] = (first, count + len(ops))
        return tuple(merged.values())

    def totals_by(self, key: Callable[[Op], str]) -> dict[str, Totals]:
        """Sums over the ops that share a key, as ``graph.totals_by(lambda op: op.block)``, in order of occurrence."""
        groups: dict[str, list[tuple[Op, int]]] = {}
        for op, count in self.distinct():
            groups.setdefault(key(op), []).append((op, count))
        return {name: _totals(tuple(ops)) for name, ops in groups.items()}

    def totals_by_block(self) -> dict[str, Totals]:
        """Sums by block (layer kind)."""
        return self.totals_by(lambda op: op.block)

    # --- layers ----------------------------------------------------------------------------------

    def layers(self) -> tuple[tuple[Op, ...], ...]:
        """Ops in order, cut wherever the layer changes; ops outside the layers form groups of their own."""
        return tuple(tuple(group) for _, group in groupby(self.ops, key=lambda op: op.layer))

    def layer_runs(self) -> tuple[LayerRun, ...]:
        """:meth:`layers` with equal neighbours counted instead of repeated (equal: names and signatures)."""
        return self._layer_runs

    def gathered(self) -> Graph:
        """The ops without their edges, equal layers next to one another: of as few layer runs as there are kinds."""
        kinds: list[list[tuple[Op, ...]]] = []
        for ops in self.layers():
            same = next((kind for kind in kinds if ops[0].layer is not None and _alike(kind[0], ops)), None)
            if same is None:
                kinds.append([ops])
            else:
                same.append(ops)
        graph = Graph(self.name)
        for op in (op for kind in kinds for ops in kind for op in ops):
            graph.add(op)
        return graph

    @cached_property
    def _layer_runs(self) -> tuple[LayerRun, ...]:
        runs: list[LayerRun] = []
        for ops in self.layers():
            if runs and ops[0].layer is not None and _alike(runs[-1].ops, ops):
                runs[-1] = LayerRun(runs[-1].ops, runs[-1].repeats + 1)
            else:
                runs.append(LayerRun(ops, 1))
        return tuple(runs)


def _alike(left: tuple[Op, ...], right: tuple[Op, ...]) -> bool:
    """Whether two groups of ops have the same names and signatures."""
    return len(left) == len(right) and all(
        a.name == b.name and (_same(a, b) or a.signature == b.signature) for a, b in zip(left, right, strict=True)
    )


def _same(a: Op, b: Op) -> bool:
    """Whether two ops were made from one another, which is quicker to see than that their signatures are equal."""
    shared = a.dims is b.dims and a.operands is b.operands and a.attributes is b.attributes
    return shared and a.kind == b.kind and a.block == b.block


def _totals(counted: tuple[tuple[Op, int], ...]) -> Totals:
    by_role: dict[str, int] = dict.fromkeys(ROLES, 0)
    for op, count in counted:
        for role, moved in op.bytes_by_role.items():
            by_role[role] += count * moved
    return Totals(
        ops=sum(count for _, count in counted),
        parameters=sum(count * op.parameters for op, count in counted),
        weight_bytes=sum(count * op.weight_bytes for op, count in counted),
        state_elements=sum(count * op.state_elements for op, count in counted),
        macs=sum(count * op.macs for op, count in counted),
        other_ops=sum(count * op.other_ops for op, count in counted),
        bytes_by_role=by_role,
    )


def _check_shapes(graph: str, source: Op, target: Op, edge: Edge) -> None:
    """Raise unless the columns that an edge takes are there and are what the operand expects."""
    names = [operand.name for operand in target.operands if operand.role in ("activation", "cache")]
    if edge.operand not in names:
        found = f"{edge.producer} -> {edge.consumer}.{edge.operand}, an operand that {edge.consumer} does not read"
        raise HwsimError.at(graph, found, f"one of {', '.join(names)}", did_you_mean(edge.operand, names))
    rows, width = _matrix(source, source.output)
    lo, hi = edge.columns or (0, width)
    expected = _expected(target, target.operand(edge.operand))
    if not 0 <= lo < hi <= width or (rows, hi - lo) != expected:
        raise HwsimError.at(
            graph,
            f"columns {lo}:{hi} of {edge.producer}'s output ({rows} rows x {width} columns) into "
            f"{edge.consumer}.{edge.operand}",
            f"{expected[0]} rows x {expected[1]} columns",
        )


def _expected(target: Op, operand: Operand) -> tuple[int, int]:
    """(rows, columns) that an operand takes: of a cache the new positions, of a gather all rows to choose from."""
    if operand.role == "cache":
        return operand.matrix(target.dims.replace(kv_len=target.dims["q_len"]))
    rows, columns = _matrix(target, operand)
    is_table = target.kind == "embedding" and operand.name == "table"
    return (int(target.attributes["rows"]) if is_table else rows), columns


def _matrix(op: Op, operand: Operand) -> tuple[int, int]:
    """(rows, columns) of an operand; where heads are rows or products, a token's heads are put side by side."""
    rows, columns = operand.matrix(op.dims)
    heads = int(op.attributes.get("heads", 1)) if op.kind in ("norm", "gemm") else 1
    return rows // heads, columns * heads
