"""Tree verification against every path alone, backtracking policies against each other: bit for bit."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hwsim.golden.generate import draft_tree, greedy_decode, restore, speculative_decode
from hwsim.golden.mamba import (
    LayerState,
    Model,
    decode_token,
    initial_states,
    random_mamba1,
    random_mamba2,
    random_model,
)
from hwsim.golden.speculative import (
    Tiling,
    ancestor_index,
    conv_windows,
    fifo_verify,
    greedy_verify,
    path_to,
    restore_cache,
    restore_replay,
    restore_rerun,
    verify_tree,
)
from hwsim.golden.ssm import ScanToken, scan
from hwsim.workload.decoding import TokenTree

STREE = (0, 0, 0, 1, 1, 2, 4, 4, 5, 7, 7, 7)
FORKED = (0, 0, 1, 1, 2, 3)


@st.composite
def parent_lists(draw: st.DrawFn, max_nodes: int = 14) -> tuple[int, ...]:
    """Parents of any tree in breadth-first order."""
    parents: list[int] = []
    for node in range(1, draw(st.integers(1, max_nodes))):
        parents.append(draw(st.integers(parents[-1] if parents else 0, node - 1)))
    return tuple(parents)


def scan_tokens(rng: np.random.Generator, count: int, shape: tuple[int, int, int]) -> list[ScanToken]:
    heads, rows, n = shape
    return [
        ScanToken(
            rng.uniform(0.2, 1.0, (heads, 1, 1)),
            rng.standard_normal((heads, rows)),
            rng.standard_normal((heads, n)),
            rng.standard_normal((heads, n)),
            rng.standard_normal((heads, rows)),
        )
        for _ in range(count)
    ]


def mixed_model(seed: int, vocabulary: int = 13) -> Model:
    """A Mamba-2 block with two groups, a Mamba-1 block and another Mamba-2 block."""
    rng = np.random.default_rng(seed)
    layers = [random_mamba2(rng, 6, 4, 3, 5, groups=2), random_mamba1(rng, 6, 8, 4, 2), random_mamba2(rng, 6, 2, 5, 3)]
    return random_model(rng, vocabulary, layers)


def warmed(model: Model, prompt: tuple[int, ...]) -> tuple[LayerState, ...]:
    states = initial_states(model)
    for token in prompt:
        states, _, _ = decode_token(model, states, token)
    return states


def same(left: tuple[LayerState, ...], right: tuple[LayerState, ...]) -> bool:
    """Whether two models' states hold the same bits."""
    return len(left) == len(right) and all(
        a.window.tobytes() == b.window.tobytes() and a.h.tobytes() == b.h.tobytes()
        for a, b in zip(left, right, strict=True)
    )


@given(
    parent_lists(),
    st.integers(1, 4),
    st.integers(1, 5),
    st.integers(1, 6),
    st.integers(1, 6),
    st.integers(1, 6),
    st.integers(0, 2**32 - 1),
)
@settings(max_examples=80, deadline=None)
def test_fifo_with_tiling_equals_every_path_alone(
    parents: tuple[int, ...], heads: int, rows: int, n: int, tile_heads: int, tile_rows: int, seed: int
) -> None:
    """States and outputs of all nodes have the bits of their root-to-node recurrence, for any tree and tiling."""
    rng = np.random.default_rng(seed)
    h = rng.standard_normal((heads, rows, n))
    tokens = scan_tokens(rng, len(parents) + 1, h.shape)
    run = fifo_verify(h, tokens, parents, Tiling(tile_heads, tile_rows))
    for node in range(len(tokens)):
        last, outputs = scan(h, [tokens[i] for i in path_to(parents, node)])
        assert run.states[node].tobytes() == last.tobytes()
        assert run.outputs[node].tobytes() == outputs[-1].tobytes()
    assert run.fifo_peak == TokenTree(parents).fifo_peak
    assert run.state_elements_read == h.size


@given(parent_lists(), st.integers(1, 4), st.integers(0, 2**32 - 1))
@settings(max_examples=50, deadline=None)
def test_windows_by_ancestor_equal_the_shift_register(parents: tuple[int, ...], depth: int, seed: int) -> None:
    """Each node's window is what a shift register would hold after its ancestors."""
    rng = np.random.default_rng(seed)
    window, inputs = rng.standard_normal((depth, 2)), rng.standard_normal((len(parents) + 1, 2))
    windows = conv_windows(window, inputs, parents)
    for node in range(len(inputs)):
        history = np.concatenate([window, inputs[list(path_to(parents, node)[:-1])]])
        assert windows[node].tobytes() == history[-depth:].tobytes()


def test_ancestor_index_by_hand() -> None:
    """A chain of two behind the root: taps move from stored inputs (-1 the newest) to nodes."""
    assert ancestor_index((0, 1), 3).tolist() == [[-3, -2, -1], [-2, -1, 0], [-1, 0, 1]]


@pytest.mark.parametrize("parents", [(), (0, 1, 2), FORKED, STREE])
@pytest.mark.parametrize("tiling", [Tiling(1, 1), Tiling(3, 2), Tiling(99, 99)])
def test_model_verifies_a_tree_like_every_path_alone(parents: tuple[int, ...], tiling: Tiling) -> None:
    """A whole model, Mamba-1 and Mamba-2: logits, states and windows of all nodes, bit for bit."""
    model = mixed_model(50)
    before = warmed(model, (1, 5, 2))
    tokens = np.random.default_rng(51).integers(0, 13, len(parents) + 1).tolist()
    run = verify_tree(model, before, tokens, parents, tiling)
    for node in range(len(tokens)):
        states = before
        for step in path_to(parents, node):
            states, logits, _ = decode_token(model, states, tokens[step])
        assert same(run.states[node], states)
        assert run.logits[node].tobytes() == logits.tobytes()
    assert run.fifo_peak == TokenTree(parents).fifo_peak


@pytest.mark.parametrize("parents", [(0, 1, 2), FORKED, STREE])
def test_policies_restore_the_same_state(parents: tuple[int, ...]) -> None:
    """After every possible accepted path, cache, replay and rerun give the same state and window, bit for bit."""
    model = mixed_model(60)
    before = warmed(model, (3, 3, 7, 1))
    tokens = np.random.default_rng(61).integers(0, 13, len(parents) + 1).tolist()
    run = verify_tree(model, before, tokens, parents, Tiling(2, 2))
    for node in range(len(tokens)):
        path = path_to(parents, node)
        cached = restore_cache(run.states, path)
        assert same(cached, restore_replay(before, run.traces, path))
        assert same(cached, restore_rerun(model, before, tokens, path))
        assert not same(cached, before)


@pytest.mark.parametrize("policy", ["cache", "replay", "rerun"])
def test_draft_state_includes_tokens_it_never_ran(policy: str) -> None:
    """A path that ends in the last level, which the draft did not run, is completed whatever the policy."""
    draft = mixed_model(70)
    before = warmed(draft, (2, 9))
    drafted = draft_tree(draft, before, 4, STREE)
    assert len(drafted.states) == 10
    path = path_to(STREE, 11)
    restored = restore(policy, draft, before, drafted.tokens, path, drafted.states, drafted.traces)  # type: ignore[arg-type]
    assert same(restored, restore_rerun(draft, before, drafted.tokens, path))


def test_draft_ranks_siblings_by_likelihood() -> None:
    """Children take the draft's tokens in order of likelihood; siblings differ."""
    draft = mixed_model(80)
    before = warmed(draft, (2,))
    drafted = draft_tree(draft, before, 4, STREE)
    _, logits, _ = decode_token(draft, before, 4)
    assert [logits[token] for token in drafted.tokens[1:4]] == sorted(logits, reverse=True)[:3]


def test_greedy_verify_by_hand() -> None:
    """The path follows the target's choices; it ends where no child holds the choice."""
    parents, tokens = (0, 0, 1, 1, 2), (9, 5, 6, 7, 8, 4)
    assert greedy_verify(parents, tokens, (5, 8, 0, 0, 3, 0)) == ((0, 1, 4), 3)
    assert greedy_verify(parents, tokens, (6, 0, 4, 0, 0, 2)) == ((0, 2, 5), 2)
    assert greedy_verify(parents, tokens, (1, 0, 0, 0, 0, 0)) == ((0,), 1)
    assert greedy_verify((0, 0), (9, 5, 5), (5, 1, 2)) == ((0, 1), 1)


@pytest.mark.parametrize("parents", [(0, 1, 2), FORKED, STREE])
@pytest.mark.parametrize(
    ("target_policy", "draft_policy"), [("replay", "cache"), ("cache", "rerun"), ("rerun", "replay")]
)
def test_speculative_decoding_yields_the_same_tokens(
    parents: tuple[int, ...], target_policy: str, draft_policy: str
) -> None:
    """Greedy speculative decoding of a tiny Mamba-2 gives exactly the autoregressive tokens."""
    rng = np.random.default_rng(98)
    layers = [random_mamba2(rng, 8, 2, 4, 4) for _ in range(2)]
    target = random_model(rng, 12, [replace(layer, out_proj=4 * layer.out_proj) for layer in layers])
    noisy = [replace(each, out_proj=each.out_proj + 0.3 * rng.standard_normal((8, 8))) for each in target.layers]
    draft = replace(target, layers=tuple(noisy))
    plain = greedy_decode(target, (1, 2, 3), 40)
    speculative = speculative_decode(
        target,
        draft,
        (1, 2, 3),
        40,
        parents,
        Tiling(1, 3),
        target_policy,  # type: ignore[arg-type]
        draft_policy,  # type: ignore[arg-type]
    )
    assert speculative.tokens == plain.tokens
    assert len(set(plain.tokens)) > 3
    assert set(speculative.per_step) >= {1, 2, 4}


def test_perfect_draft_is_always_accepted() -> None:
    """With the target as its own draft, a chain of K yields K + 1 tokens every step."""
    target = mixed_model(100)
    run = speculative_decode(target, target, (1, 2), 20, (0, 1, 2), Tiling(2, 2))
    assert set(run.per_step) == {4}
    assert run.tokens == greedy_decode(target, (1, 2), 20).tokens


@pytest.mark.parametrize(
    ("parents", "message"),
    [((0, 0, 1, 0), "node 4 has parent 0"), ((1, 0), "node 1 has parent 1"), ((0,), "5 nodes need 4 parents, not 1")],
)
def test_orders_that_a_fifo_cannot_serve_are_refused(parents: tuple[int, ...], message: str) -> None:
    """Parents that come back, or come after their child, are refused."""
    count = 5 if len(parents) == 1 else len(parents) + 1
    tokens = scan_tokens(np.random.default_rng(0), count, (1, 1, 1))
    with pytest.raises(ValueError, match=message):
        fifo_verify(np.zeros((1, 1, 1)), tokens, parents, Tiling(1, 1))
