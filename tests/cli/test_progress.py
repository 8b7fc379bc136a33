"""The progress bar: on a terminal, after a second, never when quiet; items pass unchanged."""

from __future__ import annotations

import io
import sys
import time
from functools import partial
from pathlib import Path

import pytest

from hwsim.cli import main
from hwsim.commands.console import Console
from hwsim.commands.progress import bar, share_bar
from hwsim.errors import HwsimError
from hwsim.measure import Measurement, Request


class Screen(io.StringIO):
    """A stderr that says it is a terminal."""

    def isatty(self) -> bool:
        return True


def screen_for(monkeypatch: pytest.MonkeyPatch) -> Screen:
    """stderr as a terminal of a known kind; called in the test, as pytest sets its own stderr before each."""
    found = Screen()
    monkeypatch.setattr(sys, "stderr", found)
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.delenv("NO_COLOR", raising=False)
    return found


def test_bar_is_shown_to_a_person(monkeypatch: pytest.MonkeyPatch) -> None:
    """With its words and its count, once patience is over."""
    screen = screen_for(monkeypatch)
    with bar("varying [b]things[/b]", 3, patience_s=0.0) as step:
        assert list(step([1, 2, 3])) == [1, 2, 3]
    assert "varying [b]things[/b]" in screen.getvalue()
    assert "3/3" in screen.getvalue()


def test_a_long_item_shows_the_bar_while_it_lasts(monkeypatch: pytest.MonkeyPatch) -> None:
    """A single machine that takes its time: the bar does not wait for the item's end."""
    screen = screen_for(monkeypatch)
    with bar("one long thing", 1, patience_s=0.01) as step:
        for _ in step([1]):
            for _ in range(1000):
                if "one long thing" in screen.getvalue():
                    break
                time.sleep(0.01)
            assert "one long thing" in screen.getvalue()


def test_a_bar_that_was_taken_away_does_not_come_back(monkeypatch: pytest.MonkeyPatch) -> None:
    """Patience that ends after the work draws nothing."""
    screen = screen_for(monkeypatch)
    with bar("gone", 1, patience_s=0.05) as step:
        list(step([1]))
    time.sleep(0.2)
    assert "gone" not in screen.getvalue()


@pytest.mark.parametrize("words", [["simulate", "srcnn"], ["compare", "srcnn"], ["roofline", "srcnn"]])
def test_commands_that_simulate_show_a_bar(words: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """Each hands its runs to the bar, which a patience of zero shows."""
    screen = screen_for(monkeypatch)
    monkeypatch.setattr("hwsim.commands.progress.bar", partial(bar, patience_s=0.0))
    assert main([*words, "--device", "optical-4k-2mhz"]) == 0
    assert "simulating" in screen.getvalue()


def test_short_work_shows_no_bar(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is done within a second is done without a word."""
    screen = screen_for(monkeypatch)
    with Console().progress("quick", 3) as step:
        assert list(step(range(3))) == [0, 1, 2]
    assert screen.getvalue() == ""


def test_no_colour_where_the_user_wants_none(monkeypatch: pytest.MonkeyPatch) -> None:
    """NO_COLOR keeps colour codes out (38;5;… and 3x)."""
    screen = screen_for(monkeypatch)
    monkeypatch.setenv("NO_COLOR", "1")
    with bar("plain", 1, patience_s=0.0) as step:
        list(step([1]))
    assert "plain" in screen.getvalue()
    assert "\x1b[38" not in screen.getvalue()
    assert "\x1b[35" not in screen.getvalue()


@pytest.mark.parametrize("quiet", [False, True])
def test_pipes_and_quiet_get_no_bar(quiet: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither a pipe nor a quiet run; the items still pass."""
    stream = Screen() if quiet else io.StringIO()
    monkeypatch.setattr(sys, "stderr", stream)
    with Console(quiet=quiet).progress("words", 2) as step:
        assert list(step("ab")) == ["a", "b"]
    assert stream.getvalue() == ""


def test_a_share_moves_the_bar(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing while patience lasts, then words and per cent; a second part that begins at 0 moves the same bar."""
    screen = screen_for(monkeypatch)
    now = [0.0]
    monkeypatch.setattr("hwsim.commands.progress.time.monotonic", lambda: now[0])
    with share_bar("searching", patience_s=1.0) as tell:
        tell(0.25)
        assert screen.getvalue() == ""
        now[0] = 1.5
        tell(0.5)
        tell(0.0)
        tell(1.0)
    assert "searching" in screen.getvalue()
    assert "100%" in screen.getvalue()


@pytest.mark.parametrize("quiet", [False, True])
def test_pipes_and_quiet_get_no_share(quiet: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """A share told to a pipe or to a quiet run shows nothing."""
    stream = Screen() if quiet else io.StringIO()
    monkeypatch.setattr(sys, "stderr", stream)
    with Console(quiet=quiet).share("searching") as tell:
        tell(0.5)
    assert stream.getvalue() == ""


@pytest.mark.parametrize("cell", ["2", '"2"'], ids=["by the array", "one by one"])
def test_rows_of_a_file_move_the_bar(cell: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """`kernel --csv`, both ways through the file (a quote leaves it to the slower one)."""
    screen = screen_for(monkeypatch)
    (tmp_path / "in.csv").write_text(f"op,tokens,width\nadd,{cell},64\nadd,3,64\n")
    for name, shown in (("bar", bar), ("share_bar", share_bar)):
        monkeypatch.setattr(f"hwsim.commands.progress.{name}", partial(shown, patience_s=0.0))
    words = ["kernel", "elementwise", "--csv", str(tmp_path / "in.csv"), "--device", "l4"]
    assert main([*words, "--out", str(tmp_path / "out.csv")]) == 0
    assert "timing kernels" in screen.getvalue()
    assert ("100%" if cell == "2" else "2/2") in screen.getvalue()


def test_measuring_tells_the_bar(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """`measure`: what the family tells moves the bar."""

    class Half:
        """A family that is half done when it finds no machine."""

        def measure(self, request: Request) -> Measurement:
            request.tell(0.5)
            raise HwsimError.at("hwsim measure", "no card", "a card")

    screen = screen_for(monkeypatch)
    monkeypatch.setattr("hwsim.commands.progress.share_bar", partial(share_bar, patience_s=0.0))
    monkeypatch.setattr("hwsim.measure.measurer", lambda name: Half())
    assert main(["measure", "gpu", "--out", str(tmp_path / "new")]) == 2
    assert "timing" in screen.getvalue()
    assert "50%" in screen.getvalue()
    assert not (tmp_path / "new").exists()


def test_mapping_to_a_part_shows_the_bar(monkeypatch: pytest.MonkeyPatch) -> None:
    """`rtl resources`, while Yosys works."""
    pytest.importorskip("amaranth")
    screen = screen_for(monkeypatch)
    monkeypatch.setattr("hwsim.commands.progress.bar", partial(bar, patience_s=0.0))
    monkeypatch.setattr("rtl.resources.measure", lambda unit, family: {"FF": 1})
    monkeypatch.setattr("rtl.emit.yosys_version", lambda: "0")
    assert main(["rtl", "resources", "softplus", "lanes=1"]) == 0
    assert "mapping" in screen.getvalue()
    assert "1/1" in screen.getvalue()


def test_a_search_tells_the_bar(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """`map` on a terminal: its search moves the bar, which a patience of zero shows."""
    screen = screen_for(monkeypatch)
    monkeypatch.setenv("HWSIM_MAPPING_CACHE", str(tmp_path))
    monkeypatch.setattr("hwsim.commands.progress.share_bar", partial(share_bar, patience_s=0.0))
    assert main(["map", "gemm", "m=48", "n=48", "k=48", "--device", "ws16"]) == 0
    assert "searching" in screen.getvalue()
