"""The tree-size figure: what it shows, and that it is the same on every run."""

from __future__ import annotations

from hwsim.analysis.tree_size import TreeSize, TreeSizes
from hwsim.report.style import figure_bytes
from hwsim.report.tree_size import tree_size_figure

SIZES = tuple(TreeSize(n, 1 + 0.5 * n, 3 - abs(n - 4) * 0.3, 1 + 0.1 * n, "memory") for n in range(2, 8))
MACHINES = (TreeSizes("board-a", SIZES), TreeSizes("board-b", SIZES[:3]))


def test_best_size_is_named() -> None:
    """The annotation names the best size of each machine."""
    upper = tree_size_figure(MACHINES, "a model").axes[0]
    texts = [text.get_text() for text in upper.texts]
    assert texts == ["3.00x at 4 nodes", "3.00x at 4 nodes"]


def test_one_line_a_machine_in_both_panels() -> None:
    """Each panel has a line of every size for each machine, told apart by name."""
    upper, lower = tree_size_figure(MACHINES, "a model").axes
    assert [text.get_text() for text in upper.get_legend().get_texts()] == ["board-a", "board-b"]
    for axes in (upper, lower):
        assert [len(line.get_xdata()) for line in axes.get_lines() if line.get_label() in ("board-a", "board-b")] == [
            6,
            3,
        ]


def test_same_bytes_on_every_run() -> None:
    """Two drawings of the same numbers are the same file."""
    first, second = (figure_bytes(tree_size_figure(MACHINES, "a model"), "svg") for _ in range(2))
    assert first == second
