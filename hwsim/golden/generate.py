"""Greedy decoding of a NumPy model: one token at a time, and speculatively along a token tree.

Glossary: as in :mod:`hwsim.golden.speculative`. ``root`` is the last token, not yet run through either model; the
states are those before it. A step drafts the tree below the root, verifies all nodes in one pass of the target, keeps
the accepted path and takes the target's own token after it as the next root.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np

from hwsim.golden.mamba import LayerState, Model, Trace, decode_token, initial_states
from hwsim.golden.speculative import (
    Tiling,
    greedy_verify,
    path_to,
    restore_cache,
    restore_replay,
    restore_rerun,
    verify_tree,
)

__all__ = ["Drafted", "Generated", "Policy", "draft_tree", "greedy_decode", "restore", "speculative_decode"]

Policy: TypeAlias = Literal["cache", "replay", "rerun"]
"""How a model gets back to the accepted state."""


@dataclass(frozen=True, slots=True)
class Generated:
    """New tokens, and how many each step yielded (all 1 when autoregressive)."""

    tokens: tuple[int, ...]
    per_step: tuple[int, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Drafted:
    """A drafted tree.

    Attributes:
        tokens: token of each node, root first, [n].
        states: the draft's states after each node that it ran (all but the last level's), [m][layers].
        traces: what replay needs of them, [m][layers].
    """

    tokens: tuple[int, ...]
    states: tuple[tuple[LayerState, ...], ...]
    traces: tuple[tuple[Trace, ...], ...]


def greedy_decode(model: Model, prompt: Sequence[int], new_tokens: int) -> Generated:
    """Run the prompt, then take the likeliest token ``new_tokens`` times."""
    states = _prefill(model, prompt[:-1])
    token, out = prompt[-1], []
    for _ in range(new_tokens):
        states, logits, _ = decode_token(model, states, token)
        token = int(np.argmax(logits))
        out.append(token)
    return Generated(tuple(out), (1,) * new_tokens)


def speculative_decode(
    target: Model,
    draft: Model,
    prompt: Sequence[int],
    new_tokens: int,
    parents: Sequence[int],
    tiling: Tiling,
    target_policy: Policy = "replay",
    draft_policy: Policy = "cache",
) -> Generated:
    """Decode greedily with a draft: the same tokens as :func:`greedy_decode` of the target, in fewer passes of it."""
    target_states, draft_states = _prefill(target, prompt[:-1]), _prefill(draft, prompt[:-1])
    root = prompt[-1]
    out: list[int] = []
    per_step: list[int] = []
    while len(out) < new_tokens:
        drafted = draft_tree(draft, draft_states, root, parents)
        run = verify_tree(target, target_states, drafted.tokens, parents, tiling)
        choices = [int(choice) for choice in np.argmax(run.logits, axis=-1)]
        path, root = greedy_verify(parents, drafted.tokens, choices)
        target_states = restore(target_policy, target, target_states, drafted.tokens, path, run.states, run.traces)
        draft_states = restore(draft_policy, draft, draft_states, drafted.tokens, path, drafted.states, drafted.traces)
        out += [drafted.tokens[node] for node in path[1:]] + [root]
        per_step.append(len(path))
    return Generated(tuple(out[:new_tokens]), tuple(per_step))


def draft_tree(draft: Model, states: Sequence[LayerState], root: int, parents: Sequence[int]) -> Drafted:
    """Fill the tree: the child of rank r takes the draft's (r+1)-th likeliest token after its parent.

    Every node but the last level's is run, each from its parent's state (a draft pass per level).
    """
    children: list[list[int]] = [[] for _ in range(len(parents) + 1)]
    for node, parent in enumerate(parents, start=1):
        children[parent].append(node)
    last_level = len(path_to(parents, len(parents)))
    tokens = [root] + [0] * len(parents)
    after: list[tuple[LayerState, ...]] = []
    traces: list[tuple[Trace, ...]] = []
    for node, offspring in enumerate(children):
        if len(path_to(parents, node)) == last_level and node:
            break
        before = after[parents[node - 1]] if node else tuple(states)
        following, logits, trace = decode_token(draft, before, tokens[node])
        after.append(following)
        traces.append(trace)
        ranked = np.argsort(-logits, kind="stable")
        for rank, child in enumerate(offspring):
            tokens[child] = int(ranked[rank])
    return Drafted(tuple(tokens), tuple(after), tuple(traces))


def restore(
    policy: Policy,
    model: Model,
    before: Sequence[LayerState],
    tokens: Sequence[int],
    path: Sequence[int],
    states: Sequence[tuple[LayerState, ...]],
    traces: Sequence[tuple[Trace, ...]],
) -> tuple[LayerState, ...]:
    """The model's states after the accepted path, by ``policy``.

    Nodes of the path that the model has not run (the last level, for a draft) are run now, whatever the policy.
    """
    known = [node for node in path if node < len(states)]
    if policy == "cache":
        restored = restore_cache(states, known)
    elif policy == "replay":
        restored = restore_replay(before, traces, known)
    else:
        restored = restore_rerun(model, before, tokens, known)
    return restore_rerun(model, restored, tokens, path[len(known) :])


def _prefill(model: Model, prompt: Sequence[int]) -> tuple[LayerState, ...]:
    """States after a prompt, token by token."""
    states = initial_states(model)
    for token in prompt:
        states, _, _ = decode_token(model, states, token)
    return states
