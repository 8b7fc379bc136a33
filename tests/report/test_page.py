"""The HTML page as text: one file, well formed, escaped, with everything that a reader is promised."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from typing import Any

import pytest
import result_builder as build

from hwsim.analysis.roofline import roofline
from hwsim.commands.arguments import repeat_command
from hwsim.report.page import PageFigure, page_html
from hwsim.report.roofline import roofline_figure
from hwsim.report.style import figure_bytes
from hwsim.result import Constant

HOSTILE = [
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "'; alert(1); '",
    "{{ 7 * 7 }}{% raw %}",
    "\u202eevil\u0007",
    "\U0001f600 emoji",
    "n" * 500,
]
VOID = {"meta", "input", "br", "img", "link"}


class Outline(HTMLParser):
    """Elements with their attributes, and whether each is closed in its turn."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.wrong: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        if not self.open or self.open.pop() != tag:
            self.wrong.append(tag)

    def of(self, tag: str) -> list[dict[str, str | None]]:
        """Attributes of each element of a kind."""
        return [attributes for name, attributes in self.elements if name == tag]


def page(answer: Any = None, **changes: Any) -> str:
    """A page with the same figure twice."""
    answer = answer or build.speculative(**changes)
    svg = figure_bytes(roofline_figure([roofline(answer)]), "svg")
    figures = [PageFigure(name, f"what {name} shows", svg, f"caption of {name}") for name in ("one", "two")]
    return page_html(answer, figures, build.result(), "hwsim simulate mamba --device board-spec")


def test_page_is_one_well_formed_file() -> None:
    """Elements close in turn, identifiers are unique, nothing is loaded from anywhere."""
    outline = Outline(page())
    assert outline.wrong == []
    assert outline.open == []
    names = [attributes["id"] for _, attributes in outline.elements if "id" in attributes]
    assert len(names) == len(set(names))
    assert outline.of("link") == []
    assert outline.of("img") == []
    addresses = [a[key] for _, a in outline.elements for key in ("src", "href", "xlink:href", "action") if a.get(key)]
    assert all(address is not None and address.startswith("#") for address in addresses)


def test_references_inside_the_figures_hold() -> None:
    """Every glyph and clip that a drawing uses is defined in the page, under its own name."""
    text = page()
    names = set(re.findall(r'\bid="([^"]+)"', text))
    used = set(re.findall(r'href="#([^"]+)"', text)) | set(re.findall(r"url\(#([^)]+)\)", text))
    assert used <= names


def test_page_repeats_byte_for_byte() -> None:
    """No time, no random name."""
    assert page() == page()


def test_page_says_what_is_promised() -> None:
    """Answer first, then tables, figures, accounts, hashes, versions, command."""
    text = page()
    first = text.index("41.67 ms per token")
    places = [text.index(f'<section id="{name}"') for name in ("operators", "figures", "accounts", "record")]
    assert [first, *places] == sorted([first, *places])
    for words in ("device.memory.bandwidth", "no source states it", "a" * 64, "SHA-256", "hwsim</th>", "NumPy".lower()):
        assert words in text
    assert "hwsim simulate mamba --device board-spec" in text
    assert "The acceptance was measured on another model." in text


def test_page_is_accessible() -> None:
    """Language, title, one h1, h2 below it, heads with scope, captions, labels for fields, words for drawings."""
    outline = Outline(page())
    assert outline.of("html") == [{"lang": "en"}]
    assert len(outline.of("h1")) == 1
    assert [tag for tag, _ in outline.elements if re.fullmatch("h[3-6]", tag)] == []
    assert all(head.get("scope") in ("col", "row") for head in outline.of("th"))
    assert len(outline.of("caption")) == len(outline.of("table"))
    fields = {field["id"] for field in outline.of("input")}
    assert fields == {label["for"] for label in outline.of("label")}
    drawings = [each for each in outline.of("svg") if each.get("role") == "img"]
    assert [each["aria-label"] for each in drawings] == ["what one shows", "what two shows"]


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_names_stay_text_on_the_page(name: str) -> None:
    """Wherever a name of the user stands, it makes no element and no attribute; the rest of the page is the same."""
    constant = Constant(f"device.{name}", 1.0, "x", "assumed", name)
    inputs = {f"{name}.yaml": "a" * 64}
    calm = Outline(page(ops=(build.op_row("calm", block="calm"),), assumed=(constant,), inputs={"x": "a" * 64}))
    wild = Outline(
        page(
            workload=name, device=name, ops=(build.op_row(name, block=name),), assumed=(constant,), inputs=inputs,
            notes=(name,), bytes={name: 1.0}, memory_bytes={name: 1.0},
        )
    )  # fmt: skip
    svg_parts = {"path", "g", "use", "defs", "text", "clippath", "rect"}
    assert [tag for tag, _ in wild.elements if tag not in svg_parts and tag not in ("tr", "td", "th")] == [
        tag for tag, _ in calm.elements if tag not in svg_parts and tag not in ("tr", "td", "th")
    ]
    assert not any(key.startswith("on") for _, attributes in wild.elements for key in attributes)


def test_infeasible_rival_and_bare_result_make_a_page() -> None:
    """Sections without content are left out, in the contents too."""
    bare = build.result(fitted=(), assumed=(), inputs={}, formats={}, passes=())
    text = page_html(bare, (), build.INFEASIBLE)
    for name in ("figures", "accounts", "formats", "notes", "passes"):
        assert f'<section id="{name}"' not in text
        assert f'href="#{name}"' not in text


def test_command_to_repeat_leaves_out_where_it_was_written() -> None:
    """The question stays, quoted for a shell; files and quietness go."""
    words = ["mamba", "--device", "d 1", "--out", "x", "--json=-", "--quiet", "--set", "a=[0, 1]", "--trace", "t"]
    assert repeat_command("hwsim simulate", words) == "hwsim simulate mamba --device 'd 1' --set 'a=[0, 1]'"
