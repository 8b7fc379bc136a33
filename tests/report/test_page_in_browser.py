"""The page in a real Chromium: sorting, filtering, keyboard, no error, no request, hostile names, narrow and dark."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
import result_builder as build
import webdriver

from hwsim.analysis.roofline import roofline
from hwsim.report.page import PageFigure, page_html
from hwsim.report.roofline import roofline_figure
from hwsim.report.style import figure_bytes
from hwsim.result import Constant

WHY = webdriver.missing()
pytestmark = pytest.mark.skipif(WHY is not None and not os.environ.get("CI"), reason=WHY or "")  # with CI set they fail
HOSTILE = "<script>document.title='caught'</script>\"><img src=http://127.0.0.1:9/x onerror=document.title='caught'>"
ROWS = (
    "return [...document.querySelectorAll('#operators-t1 tbody tr')]"
    ".filter(r => !r.hidden).map(r => r.cells[0].textContent)"
)
"""Names in the operators' table, as they are shown."""


@pytest.fixture(scope="module")
def browser() -> Iterator[webdriver.Browser]:
    """One browser for all tests."""
    found = webdriver.Browser()
    yield found
    found.close()


def shown(browser: webdriver.Browser, folder: Path, name: str = "mamba") -> None:
    """Write a page with a hostile operator and open it from disk."""
    rows = (*build.OPS, build.op_row(HOSTILE, share=0.001, time_s=1e-4), build.op_row("n" * 300, share=0.0, time_s=0.0))
    answer = build.speculative(ops=rows, workload=name, notes=(HOSTILE, "\U0001f600"), assumed=(
        Constant(f"device.{HOSTILE}", 1.0, "x", "assumed", HOSTILE), build.ASSUMED,
    ))  # fmt: skip
    svg = figure_bytes(roofline_figure([roofline(build.result())]), "svg")
    text = page_html(answer, [PageFigure("roofline", "a roofline", svg, "caption")], None, f"hwsim simulate {HOSTILE}")
    target = folder / "report.html"
    target.write_text(text, encoding="utf-8")
    browser.console()
    browser.requests()
    browser.open(target.as_uri())


def test_nothing_is_asked_for_and_nothing_goes_wrong(browser: webdriver.Browser, tmp_path: Path) -> None:
    """Only the file itself is loaded; the console stays empty, which would name refused scripts too."""
    shown(browser, tmp_path, HOSTILE)
    browser.click("#operators-t1 th:nth-child(1) button")
    assert browser.console() == []
    assert browser.requests() == [(tmp_path / "report.html").as_uri()]


def test_hostile_names_are_shown_as_letters(browser: webdriver.Browser, tmp_path: Path) -> None:
    """The name stands in the heading and in its row; no element came of it, no script ran."""
    shown(browser, tmp_path, HOSTILE)
    assert HOSTILE in browser.run("return document.querySelector('h1').textContent")
    assert HOSTILE in browser.run(ROWS)
    assert browser.run("return document.title") != "caught"
    assert browser.run("return document.images.length + document.scripts.length") == 1


def test_sorting_by_mouse(browser: webdriver.Browser, tmp_path: Path) -> None:
    """Numbers by their value, not their words, largest first; a second click turns it; text by letter."""
    shown(browser, tmp_path)
    head = "#operators-t1 th:nth-child(9)"
    browser.click(f"{head} button")
    keys = "return [...document.querySelectorAll('#operators-t1 tbody tr')].map(r => Number(r.cells[8].dataset.key))"
    found = browser.run(keys)
    assert found == sorted(found, reverse=True)
    assert browser.run(f"return document.querySelector('{head}').getAttribute('aria-sort')") == "descending"
    browser.click(f"{head} button")
    assert browser.run(keys) == sorted(found)
    browser.click("#operators-t1 th:nth-child(1) button")
    names = browser.run(ROWS)
    assert names == sorted(names)
    assert browser.run("return document.querySelectorAll('#operators-t1 [aria-sort]').length") == 1


def test_sorting_and_filtering_by_keyboard(browser: webdriver.Browser, tmp_path: Path) -> None:
    """Tab reaches the field, the table and each head; Enter sorts."""
    shown(browser, tmp_path)
    browser.run("document.querySelector('#operators-t1-f').focus()")
    for key in "proj":
        browser.press(key)
    assert browser.run(ROWS) == ["in_proj", "out_proj"]
    browser.press(webdriver.TAB)
    browser.press(webdriver.TAB)
    assert browser.run("return document.activeElement.textContent") == "operator"
    browser.press(webdriver.ENTER)
    browser.press(webdriver.ENTER)
    assert browser.run(ROWS) == ["out_proj", "in_proj"]


def test_filter_counts_and_gives_back(browser: webdriver.Browser, tmp_path: Path) -> None:
    """Words in any order and case; the count is told; an empty field shows all rows again."""
    shown(browser, tmp_path)
    browser.type("#operators-t1-f", "GEMM out")
    assert browser.run(ROWS) == ["out_proj"]
    assert browser.run("return document.querySelector('#operators-t1-n').textContent") == "1 of 6 rows"
    field = "const f = document.querySelector('#operators-t1-f'); f.value = ''; f.dispatchEvent(new Event('input'))"
    browser.run(field)
    assert len(browser.run(ROWS)) == 6


def test_narrow_screens_scroll_tables_not_the_page(tmp_path: Path) -> None:
    """At the width of a telephone nothing sticks out, long names included."""
    narrow = webdriver.Browser(500)
    try:
        shown(narrow, tmp_path, "w" * 300)
        assert narrow.run("return document.documentElement.scrollWidth <= window.innerWidth")
    finally:
        narrow.close()


CONTRAST = """
const channel = (v) => { v /= 255; return v <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4; };
const light = (c) => { const [r, g, b] = c.match(/\\d+(\\.\\d+)?/g).map(Number);
  return 0.2126 * channel(r) + 0.7152 * channel(g) + 0.0722 * channel(b); };
const ground = (e) => { for (; e; e = e.parentElement) { const c = getComputedStyle(e).backgroundColor;
  if (!/, 0\\)$/.test(c)) return c; } return 'rgb(255, 255, 255)'; };
const names = ['p', 'td', 'th', 'dt', 'dd', 'a', 'caption', 'figcaption', 'pre', 'label', 'input', '.soft', '.answer'];
return Math.min(...names.flatMap((name) => [...document.querySelectorAll(name)]).map((e) => {
    const [a, b] = [light(getComputedStyle(e).color), light(ground(e))];
    return (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05); }));
"""
"""The least contrast of text, by the definition of WCAG 2."""


@pytest.mark.parametrize("dark", [False, True])
def test_text_stands_out_in_light_and_dark(tmp_path: Path, dark: bool) -> None:
    """At least 4.5 to 1, what WCAG asks at level AA; the dark page is dark."""
    found = webdriver.Browser(dark=dark)
    try:
        shown(found, tmp_path)
        assert found.run(CONTRAST) >= 4.5
        ground = found.run("return getComputedStyle(document.body).backgroundColor")
        red = int(re.findall(r"[0-9]+", ground)[0])
        assert (red < 60) == dark
    finally:
        found.close()
