"""The `golden` fixture itself: it compares, tells the difference, and writes only when asked."""

from __future__ import annotations

from pathlib import Path

import pytest

pytest_plugins = ["pytester"]

CONFTEST = Path(__file__).resolve().parents[1] / "conftest.py"
USE = "def test_it(golden):\n    golden('table.txt', 'one\\ntwo\\n')\n"


@pytest.fixture
def project(pytester: pytest.Pytester) -> pytest.Pytester:
    """A project whose only test holds a text of two lines against its golden file."""
    tests = pytester.mkdir("tests")
    (tests / "conftest.py").write_text(CONFTEST.read_text(encoding="utf-8"), encoding="utf-8")
    (tests / "test_it.py").write_text(USE, encoding="utf-8")
    return pytester


def test_a_missing_file_fails_with_the_way_out(project: pytest.Pytester) -> None:
    """Without a golden file the test fails and names the switch; nothing is written."""
    result = project.runpytest_subprocess("tests", "-p", "no:cacheprovider")
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["*no golden file tests/golden_files/table.txt*--update-golden*"])
    assert not (project.path / "tests/golden_files").exists()


def test_update_then_compare_then_differ(project: pytest.Pytester) -> None:
    """--update-golden writes the text, the same text passes, another fails with a readable difference."""
    project.runpytest_subprocess("tests", "--update-golden").assert_outcomes(passed=1)
    path = project.path / "tests/golden_files/table.txt"
    assert path.read_text() == "one\ntwo\n"
    project.runpytest_subprocess("tests").assert_outcomes(passed=1)
    path.write_text("one\n2\n")
    result = project.runpytest_subprocess("tests")
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["--- table.txt (expected)", "-2", "+two"])
    assert path.read_text() == "one\n2\n"
