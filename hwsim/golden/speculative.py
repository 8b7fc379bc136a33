"""Verification of a token tree by one pass of a state-space model, and the ways back to the accepted state.

Glossary (shapes as in :mod:`hwsim.golden.ssm`):

* n nodes in breadth-first order; node 0 is the root, the last accepted token; ``parents[i - 1]`` is the parent of
  node i, so parents never decrease. Tokens of sibling nodes differ.
* tile: a group of heads times a range of the P channels, with all N states. Tiles never exchange data, so each tile of
  the state is read once and carried through all nodes before the next one.
* FIFO: the states of nodes that still have children to come. A node's state is pushed if it has children and popped
  after its last child; breadth-first order makes the parent wanted next always the oldest.
* path: nodes from the root to an accepted node.

What is published is that verification is FIFO-based and tiled (SpecMamba, abstract); the form here is a reconstruction.
Replay and rerun as in itsdaniele/speculative_mamba, ``mamba_simple_cache.py`` and ``decode_speculative.py``.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hwsim.golden.mamba import Layer, LayerState, Model, Trace, decode_token
from hwsim.golden.ssm import F64, ScanToken, ordered_sum, state_update

__all__ = [
    "ScanRun",
    "Tiling",
    "TreeRun",
    "ancestor_index",
    "conv_windows",
    "fifo_verify",
    "greedy_verify",
    "path_to",
    "replay_state",
    "restore_cache",
    "restore_replay",
    "restore_rerun",
    "verify_tree",
]


@dataclass(frozen=True, slots=True)
class Tiling:
    """How the state [H, P, N] is cut: ``heads`` per tile and ``rows`` of P per tile; the last ones may be smaller."""

    heads: int
    rows: int

    def tiles(self, heads: int, rows: int) -> Iterator[tuple[slice, slice]]:
        """Slices of H and P, tile after tile."""
        for head in range(0, heads, self.heads):
            for row in range(0, rows, self.rows):
                yield slice(head, min(head + self.heads, heads)), slice(row, min(row + self.rows, rows))


@dataclass(frozen=True, slots=True, eq=False)
class ScanRun:
    """What :func:`fifo_verify` gives.

    Attributes:
        states: state after each node, [n, H, P, N].
        outputs: y of each node, [n, H, P].
        fifo_peak: most states that the FIFO held at once, in tiles.
        state_elements_read: elements of the initial state read: each once, whatever n is.
    """

    states: F64
    outputs: F64
    fifo_peak: int
    state_elements_read: int


@dataclass(frozen=True, slots=True, eq=False)
class TreeRun:
    """What :func:`verify_tree` gives.

    Attributes:
        logits: [n, V].
        states: ``states[i][l]`` is the state of layer l after node i, [n][layers].
        traces: what replay needs, [n][layers].
        fifo_peak: most tile states in a FIFO at once, over all layers.
    """

    logits: F64
    states: tuple[tuple[LayerState, ...], ...]
    traces: tuple[tuple[Trace, ...], ...]
    fifo_peak: int


def fifo_verify(h: F64, tokens: Sequence[ScanToken], parents: Sequence[int], tiling: Tiling) -> ScanRun:
    """Run the scan of all nodes: tiles outermost, nodes in breadth-first order inside, parent states in a FIFO.

    Args:
        h: state before the root, [H, P, N].
        tokens: each node's part, [n].
        parents: parents of nodes 1 to n-1.
        tiling: how the state is cut.

    Raises:
        ValueError: the nodes are not in breadth-first order, so that a FIFO cannot serve them.
    """
    last_child = _last_children(parents, len(tokens))
    states, outputs = np.empty((len(tokens), *h.shape)), np.empty((len(tokens), *h.shape[:2]))
    peak = read = 0
    for heads, rows in tiling.tiles(*h.shape[:2]):
        fifo: deque[F64] = deque()
        before = h[heads, rows]
        read += before.size
        for node, token in enumerate(tokens):
            if node:
                before = fifo[0]
                if last_child[parents[node - 1]] == node:
                    fifo.popleft()
            after, y = state_update(before, token.tile(heads, rows))
            if last_child[node]:
                fifo.append(after)
                peak = max(peak, len(fifo))
            states[node, heads, rows], outputs[node, heads, rows] = after, y
    return ScanRun(states, outputs, peak, read)


def ancestor_index(parents: Sequence[int], depth: int) -> NDArray[np.int64]:
    """Which input each tap of each node's window takes, oldest first, [n, depth].

    An entry of 0 or more is a node; -1 is the newest input before the root, -2 the one before it.
    """
    index = np.empty((len(parents) + 1, depth), dtype=np.int64)
    index[0] = np.arange(-depth, 0)
    for node, parent in enumerate(parents, start=1):
        index[node] = [*index[parent][1:], parent]
    return index


def conv_windows(window: F64, inputs: F64, parents: Sequence[int]) -> F64:
    """Window of inputs before each node, by ancestor: [K-1, C], [n, C] -> [n, K-1, C], oldest first."""
    index = ancestor_index(parents, len(window))
    return np.where((index >= 0)[..., None], inputs[np.maximum(index, 0)], window[np.minimum(index, -1)])


def verify_tree(
    model: Model, states: Sequence[LayerState], tokens: Sequence[int], parents: Sequence[int], tiling: Tiling
) -> TreeRun:
    """Run all nodes of a tree through the model, layer by layer: linear parts side by side, scans node after node.

    Args:
        model: the target.
        states: its states before the root, one per layer.
        tokens: token of each node, [n].
        parents: parents of nodes 1 to n-1.
        tiling: how each layer's state is cut.
    """
    u = model.embedding[np.asarray(tokens)]
    by_layer, peak = [], 0
    for layer, state in zip(model.layers, states, strict=True):
        u, after, traces, held = _verify_layer(layer, state, u, parents, tiling)
        by_layer.append((after, traces))
        peak = max(peak, held)
    nodes = range(len(tokens))
    node_states = tuple(tuple(after[i] for after, _ in by_layer) for i in nodes)
    node_traces = tuple(tuple(traces[i] for _, traces in by_layer) for i in nodes)
    return TreeRun(model.logits(u), node_states, node_traces, peak)


def _verify_layer(
    layer: Layer, state: LayerState, u: F64, parents: Sequence[int], tiling: Tiling
) -> tuple[F64, list[LayerState], list[Trace], int]:
    """All nodes through one layer: outputs [n, D], state and trace after each node, peak of the FIFO."""
    conv_inputs, z, dt_raw = layer.enter(u)
    windows = conv_windows(state.window, conv_inputs, parents)
    taps = np.concatenate([windows, conv_inputs[:, None]], axis=1)
    conv_out = ordered_sum(np.swapaxes(taps, 1, 2) * layer.conv_weight) + layer.conv_bias
    tokens = [layer.token(out, dt) for out, dt in zip(conv_out, dt_raw, strict=True)]
    run = fifo_verify(state.h, tokens, parents, tiling)
    after = [LayerState(tap[1:], h) for tap, h in zip(taps, run.states, strict=True)]
    traces = [Trace(conv_input, token) for conv_input, token in zip(conv_inputs, tokens, strict=True)]
    return layer.leave(u, run.outputs, z), after, traces, run.fifo_peak


def greedy_verify(parents: Sequence[int], tokens: Sequence[int], choices: Sequence[int]) -> tuple[tuple[int, ...], int]:
    """Accept the path along which every drafted token is the target's own choice.

    Args:
        parents: parents of nodes 1 to n-1.
        tokens: token of each node, [n].
        choices: the target's greedy token after each node, [n].

    Returns:
        The accepted path from the root, and the target's token after it: the step yields len(path) - 1 + 1 tokens.
    """
    path = [0]
    for node, parent in enumerate(parents, start=1):
        if parent == path[-1] and tokens[node] == choices[parent]:
            path.append(node)
    return tuple(path), int(choices[path[-1]])


def path_to(parents: Sequence[int], node: int) -> tuple[int, ...]:
    """Nodes from the root to ``node``, both included."""
    path = [node]
    while path[-1]:
        path.append(parents[path[-1] - 1])
    return tuple(reversed(path))


def restore_cache(states: Sequence[tuple[LayerState, ...]], path: Sequence[int]) -> tuple[LayerState, ...]:
    """Policy ``cache``: the state after every node was stored; take the one after the path's end."""
    return states[path[-1]]


def restore_replay(
    before: Sequence[LayerState], traces: Sequence[tuple[Trace, ...]], path: Sequence[int]
) -> tuple[LayerState, ...]:
    """Policy ``replay``: apply the path's stored inputs to the state before the root; no weights, no outputs."""
    return tuple(replay_state(state, [traces[node][index] for node in path]) for index, state in enumerate(before))


def replay_state(state: LayerState, traces: Sequence[Trace]) -> LayerState:
    """The state of one layer after the tokens of ``traces``."""
    window, h = state.window, state.h
    for trace in traces:
        window = np.concatenate([window, trace.conv_input[None]])[1:]
        h = trace.token.decay * h + trace.token.drive[..., None] * trace.token.b[:, None, :]
    return LayerState(window, h)


def restore_rerun(
    model: Model, before: Sequence[LayerState], tokens: Sequence[int], path: Sequence[int]
) -> tuple[LayerState, ...]:
    """Policy ``rerun``: run the path's tokens through the whole model again, from the state before the root."""
    states = tuple(before)
    for node in path:
        states, _, _ = decode_token(model, states, tokens[node])
    return states


def _last_children(parents: Sequence[int], nodes: int) -> list[int]:
    """Last child of each node, 0 for none, [n]; refuses an order that a FIFO cannot serve."""
    if len(parents) != nodes - 1:
        raise ValueError(f"{nodes} nodes need {nodes - 1} parents, not {len(parents)}")
    last, newest = [0] * nodes, 0
    for node, parent in enumerate(parents, start=1):
        if not newest <= parent < node:
            raise ValueError(f"node {node} has parent {parent}: the nodes are not in breadth-first order")
        last[parent], newest = node, parent
    return last
