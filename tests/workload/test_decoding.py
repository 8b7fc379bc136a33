"""Token trees, acceptance and steps: closed forms against enumeration and Monte-Carlo."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from textwrap import dedent

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hwsim.errors import HwsimError
from hwsim.spec import Quantity, Refused, load, parse
from hwsim.workload.decoding import (
    MAX_NODES,
    Acceptance,
    Autoregressive,
    Backtracking,
    ChainAcceptance,
    Decoding,
    RankAcceptance,
    Speculative,
    TokenTree,
    TreeForm,
    accepted_distribution,
    compose,
    expected_tokens,
    path_probabilities,
    required_tokens_per_step,
    sample,
)

STREE = TokenTree.from_levels([[0, 0, 0], [0, 0, 1], [0, 0, 1], [0, 0, 0]])


def share(value: float) -> Quantity:
    return Quantity(value=value, unit="1", kind="assumed", source="test")


def by_rank(*values: float) -> RankAcceptance:
    return RankAcceptance(per_rank=tuple(share(value) for value in values))


@st.composite
def trees(draw: st.DrawFn, max_nodes: int = 24) -> TokenTree:
    """Any tree in breadth-first order: parents that never decrease, each before its child."""
    parents: list[int] = []
    for node in range(1, draw(st.integers(1, max_nodes))):
        parents.append(draw(st.integers(parents[-1] if parents else 0, node - 1)))
    return TokenTree(tuple(parents))


def live_states(tree: TokenTree) -> int:
    """Peak of live parent states from their lifetimes: [own step, step of the last child)."""
    spans = [(node, children[-1]) for node, children in enumerate(tree.children) if children]
    return max((sum(born <= step < died for born, died in spans) for step in range(tree.nodes)), default=0)


def test_stree_tree_as_published() -> None:
    """The 13-node static tree: 12 drafted, depth 4, 3 nodes a level, children counts 3 / 2,1 / 2,1 / 3."""
    assert (STREE.nodes, STREE.drafted, STREE.depth) == (13, 12, 4)
    assert [len(level) for level in STREE.levels] == [1, 3, 3, 3, 3]
    assert [len(row) for row in STREE.children] == [3, 2, 1, 0, 2, 1, 0, 3, 0, 0, 0, 0, 0]
    assert STREE.parents == (0, 0, 0, 1, 1, 2, 4, 4, 5, 7, 7, 7)
    assert STREE.ranks == (0, 0, 1, 2, 0, 1, 0, 0, 1, 0, 0, 1, 2)
    assert STREE.internal == (0, 1, 2, 4, 5, 7)
    assert STREE.path(11) == (0, 1, 4, 7, 11)
    assert STREE.fifo_peak == 3


def test_chain_needs_one_live_state() -> None:
    """A chain is one path: each node's state replaces its parent's."""
    chain = TokenTree.chain(5)
    assert chain.parents == (0, 1, 2, 3, 4)
    assert chain.is_chain
    assert not STREE.is_chain
    assert chain.fifo_peak == 1
    assert TokenTree(()).fifo_peak == 0


@given(trees())
def test_fifo_peak_is_peak_of_lifetimes(tree: TokenTree) -> None:
    """Push and pop in order gives the peak that the states' lifetimes give, within the bound by levels."""
    assert tree.fifo_peak == live_states(tree)
    internal = [sum(bool(tree.children[node]) for node in level) for level in tree.levels] + [0]
    assert tree.fifo_peak <= max(here + below for here, below in pairwise(internal))


@given(trees())
def test_tree_views_agree(tree: TokenTree) -> None:
    """Levels, children, ranks, paths and the by-level form describe the same tree."""
    assert [node for level in tree.levels for node in level] == list(range(tree.nodes))
    assert sorted(node for row in tree.children for node in row) == list(range(1, tree.nodes))
    for node in range(1, tree.nodes):
        parent = tree.parents[node - 1]
        assert tree.children[parent][tree.ranks[node]] == node
        assert tree.path(node) == (*tree.path(parent), node)
        assert len(tree.path(node)) == tree.node_depths[node] + 1
    by_level = [[tree.parents[node - 1] - above[0] for node in level] for above, level in pairwise(tree.levels)]
    assert TokenTree.from_levels(by_level) == tree


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: TokenTree((0, 2)), r"parent 2 of node 2; expected a node that comes before it: 0 to 1"),
        (lambda: TokenTree((-1,)), r"parent -1 of node 1; expected .*: 0 to 0"),
        (lambda: TokenTree((0, 0, 1, 0)), r"parent 0 after parent 1; expected breadth-first order"),
        (lambda: TokenTree((0,) * MAX_NODES), rf"{MAX_NODES + 1} nodes with the root; expected at most {MAX_NODES}"),
        (lambda: TokenTree.chain(-1), r"-1 drafted tokens; expected 0 to 1023"),
        (lambda: TokenTree.chain(10**12), r"1000000000000 drafted tokens"),
        (lambda: TokenTree.from_levels([[0, 0], [2]]), r"parent 2; expected an index into the previous level: 0 to 1"),
        (lambda: TokenTree.from_levels([[0, 0], [1, 0]]), r"parent 0 after parent 1; expected breadth-first order"),
        (lambda: TokenTree.from_levels([[0], []]), r"an empty level; expected at least one node"),
        (TreeForm, r"no tree; expected exactly one of chain, parents, levels"),
        (lambda: TreeForm(chain=2, parents=(0,)), r"chain and parents; expected exactly one"),
        (lambda: TreeForm(chain=0), r"no drafted token; expected at least one"),
        (ChainAcceptance, r"no probability; expected exactly one of per_token, accepted_ratio"),
        (lambda: ChainAcceptance(per_token=share(1.2)), r"1.2; expected a probability, 0 to 1"),
        (lambda: ChainAcceptance(per_token=share(0.5), drafted=3), r"drafted without accepted_ratio"),
        (lambda: ChainAcceptance(accepted_ratio=share(0.5), drafted=0), r"0 drafted tokens; expected a chain length"),
        (lambda: by_rank(), r"no probability; expected at least one"),  # noqa: PLW0108
        (lambda: by_rank(0.7, -0.1), r"-0.1; expected a probability"),
        (lambda: by_rank(0.7, 0.4), r"probabilities that add up to 1.1; expected at most 1 in all"),
        (lambda: expected_tokens(STREE, by_rank(0.6, 0.2)), r"2 probabilities for a tree .* 3 children; expected .* 3"),
        (
            lambda: Speculative("d", TreeForm(parents=(0, 0)), ChainAcceptance(per_token=share(0.5))),
            r"a chain's acceptance for a tree that branches; expected model: rank",
        ),
        (lambda: compose(Autoregressive(), batch=0), r"batch: 0; expected at least 1"),
        (lambda: compose(Autoregressive(), context=-1), r"context: -1; expected 0 or more"),
        (lambda: required_tokens_per_step(2.0, 0.0, 1.0), r"expected three positive numbers"),
    ],
)
def test_what_is_wrong_is_said(build: Callable[[], object], message: str) -> None:
    """Each user error says what was found and what was expected."""
    with pytest.raises((HwsimError, Refused), match=message):
        build()


@dataclass(frozen=True, slots=True)
class Holder:
    decoding: Decoding


def loaded(text: str) -> Decoding:
    return load(parse(dedent(text), "w.yaml"), Holder).decoding


RANKS = """
    acceptance:
      model: rank
      per_rank:
        - {value: 0.6, unit: "1", kind: assumed, source: test}
        - {value: 0.2, unit: "1", kind: assumed, source: test}
        - {value: 10, unit: "%", kind: assumed, source: test}
"""


@pytest.mark.parametrize(
    "form",
    [
        "{levels: [[0, 0, 0], [0, 0, 1], [0, 0, 1], [0, 0, 0]]}",
        "{parents: [0, 0, 0, 1, 1, 2, 4, 4, 5, 7, 7, 7]}",
    ],
)
def test_files_give_the_same_tree_in_either_form(form: str) -> None:
    """A speculative decoding loads from YAML; levels and parents are two forms of one tree."""
    text = f"decoding:\n    mode: speculative\n    draft: d\n    tree: {form}\n    policy: {{draft: cache}}"
    decoding = loaded(text + RANKS)
    assert isinstance(decoding, Speculative)
    assert decoding.tree.tree == STREE
    assert decoding.policy == Backtracking(target="auto", draft="cache")
    assert isinstance(decoding.acceptance, RankAcceptance)
    assert decoding.acceptance.values == pytest.approx((0.6, 0.2, 0.1))


def test_autoregressive_loads() -> None:
    """The shortest decoding is its mode."""
    assert loaded("decoding: {mode: autoregressive}") == Autoregressive()


@pytest.mark.parametrize(
    ("tree", "message"),
    [
        ("{parents: [0, 5]}", r"w.yaml:4:25: parent 5 of node 2; expected a node that comes before it: 0 to 1"),
        ("{levels: [[0, 0], [0, 7]]}", r"w.yaml:4:33: parent 7; expected an index into the previous level: 0 to 1"),
        ("{chain: 99999999999}", r"w.yaml:4:19: 99999999999 drafted tokens; expected 0 to 1023"),
        ("{chian: 3}", r"w.yaml:4:12: unknown key 'chian' in decoding.tree; .* did you mean 'chain'"),
        ("{chain: 1, parents: [0]}", r"w.yaml:4:11: chain and parents; expected exactly one"),
        ("{parents: [0, 0, 0, 0]}", r"w.yaml:8:9: 3 probabilities for a tree in which a node has 4 children"),
    ],
)
def test_faults_in_files_have_their_place(tree: str, message: str) -> None:
    """A bad tree is a fault at its line and column."""
    text = f"decoding:\n    mode: speculative\n    draft: d\n    tree: {tree}"
    with pytest.raises(HwsimError, match=message):
        loaded(text + RANKS)


def test_chain_closed_forms() -> None:
    """The measured ratio gives 1 + K*ratio = 3.0475; iid gives the geometric sum; certain acceptance gives K + 1."""
    chain = TokenTree.chain(3)
    measured = ChainAcceptance(accepted_ratio=share(0.6825))
    assert expected_tokens(chain, measured) == pytest.approx(3.0475, abs=1e-12)
    assert expected_tokens(chain, ChainAcceptance(per_token=share(0.5))) == pytest.approx(1.875, abs=1e-12)
    assert expected_tokens(chain, ChainAcceptance(per_token=share(1.0))) == pytest.approx(4.0, abs=1e-12)
    assert expected_tokens(chain, ChainAcceptance(per_token=share(0.0))) == 1.0


def test_ratio_carries_to_other_lengths() -> None:
    """A ratio measured at K = 3 is exact there, and elsewhere follows the per-token probability behind it."""
    measured = ChainAcceptance(accepted_ratio=share(0.6825), drafted=3)
    a = measured.per_token_at(3)
    assert 1 + a + a**2 + a**3 == pytest.approx(3.0475, abs=1e-9)
    assert expected_tokens(TokenTree.chain(3), measured) == 1 + 3 * 0.6825
    assert expected_tokens(TokenTree.chain(5), measured) == pytest.approx(sum(a**i for i in range(6)), rel=1e-12)


@given(st.floats(0, 1), st.integers(1, 12))
def test_chain_closed_form_is_the_trees_enumeration(a: float, drafted: int) -> None:
    """For a chain, the closed form and the enumeration of the tree agree."""
    chain = TokenTree.chain(drafted)
    closed = expected_tokens(chain, ChainAcceptance(per_token=share(a)))
    assert closed == pytest.approx(expected_tokens(chain, by_rank(a)), rel=1e-9)


@given(trees(), st.lists(st.floats(0, 1), min_size=24, max_size=24))
def test_distribution_is_one_and_has_the_mean(tree: TokenTree, weights: list[float]) -> None:
    """Accepted lengths are a distribution whose mean is tau - 1; tau lies between 1 and depth + 1."""
    total = sum(weights) or 1.0
    acceptance = by_rank(*(weight / total for weight in weights))
    lengths = accepted_distribution(tree, acceptance)
    tau = expected_tokens(tree, acceptance)
    assert min(lengths) >= -1e-12
    assert sum(lengths) == pytest.approx(1.0)
    assert sum(length * p for length, p in enumerate(lengths)) == pytest.approx(tau - 1, abs=1e-9)
    assert 1 - 1e-12 <= tau <= tree.depth + 1 + 1e-9


def test_tree_tau_by_hand() -> None:
    """Root with two children, the first with one: tau = 1 + p0 + p1 + p0*p0."""
    tree = TokenTree((0, 0, 1))
    acceptance = by_rank(0.6, 0.2)
    assert path_probabilities(tree, acceptance) == pytest.approx((1.0, 0.6, 0.2, 0.36))
    assert expected_tokens(tree, acceptance) == pytest.approx(2.16)
    assert accepted_distribution(tree, acceptance) == pytest.approx((0.2, 0.44, 0.36))


@pytest.mark.parametrize(
    ("tree", "acceptance"),
    [
        (TokenTree.chain(3), ChainAcceptance(accepted_ratio=share(0.6825))),
        (TokenTree.chain(4), ChainAcceptance(per_token=share(0.8))),
        (STREE, by_rank(0.62, 0.14, 0.06)),
        (TokenTree((0, 0, 0, 0, 1, 1, 3)), by_rank(0.5, 0.2, 0.1, 0.05)),
        (TokenTree(()), by_rank(0.9)),
    ],
)
def test_monte_carlo_agrees(tree: TokenTree, acceptance: Acceptance) -> None:
    """Mean and distribution of 200,000 sampled steps lie within five standard errors of the exact values."""
    steps = 200_000
    tokens = sample(tree, acceptance, np.random.default_rng(2026), steps)
    error = tokens.std() / np.sqrt(steps)
    assert abs(tokens.mean() - expected_tokens(tree, acceptance)) <= 5 * error + 1e-12
    for length, p in enumerate(accepted_distribution(tree, acceptance)):
        assert abs(np.mean(tokens == length + 1) - p) <= 5 * np.sqrt(p * (1 - p) / steps) + 1e-12


def test_sampling_repeats_with_its_seed() -> None:
    """The same seed gives the same steps."""
    first, second = (sample(STREE, by_rank(0.6, 0.2, 0.1), np.random.default_rng(7), 50) for _ in range(2))
    assert first.tolist() == second.tolist()


def test_steps_of_a_chain() -> None:
    """K = 3: three draft passes of one token each, one verification of four; the last drafted token is unseen."""
    decoding = Speculative("mamba2-130m", TreeForm(chain=3), ChainAcceptance(per_token=share(0.8)))
    step = compose(decoding, batch=2, context=100)
    assert [(p.level, p.tokens, p.context) for p in step.draft_passes] == [(1, 1, 100), (2, 1, 101), (3, 1, 102)]
    assert (step.verify_tokens, step.batch, step.context) == (4, 2, 100)
    assert step.tokens_per_step == pytest.approx(2.952)
    assert step.draft_catch_up_tokens == pytest.approx(0.512)
    assert decoding.policy == Backtracking("auto", "auto")


def test_steps_of_a_tree() -> None:
    """STree: a draft pass per level over the nodes of the level above, one verification of 13."""
    form = TreeForm(levels=((0, 0, 0), (0, 0, 1), (0, 0, 1), (0, 0, 0)))
    step = compose(Speculative("d", form, by_rank(0.6, 0.2, 0.1)))
    assert [p.tokens for p in step.draft_passes] == [1, 3, 3, 3]
    assert step.verify_tokens == 13
    assert step.tree == STREE


def test_autoregressive_step() -> None:
    """One verification of one token, one token a step, no draft."""
    step = compose(Autoregressive(), batch=4, context=7)
    assert (step.draft_passes, step.verify_tokens, step.tokens_per_step, step.tree.nodes) == ((), 1, 1.0, 1)


def test_required_tokens_invert_the_speedup() -> None:
    """speedup = tau * t_ar / t_step, so a step that costs 1.2 tokens needs 2.4 of them for 2x."""
    assert required_tokens_per_step(2.0, 1.2, 1.0) == pytest.approx(2.4)
