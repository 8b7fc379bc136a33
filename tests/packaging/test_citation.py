"""CITATION.cff: a well-formed file of the Citation File Format that keeps up with the project."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import yaml

import hwsim

ROOT = Path(__file__).resolve().parents[2]
CITATION = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))


def test_citation_has_what_the_format_requires() -> None:
    """cff-version, message, title and authors, each of these with a name (Citation File Format 1.2.0)."""
    assert {"cff-version", "message", "title", "authors"} <= set(CITATION)
    assert CITATION["cff-version"] == "1.2.0"
    assert CITATION["type"] == "software"
    assert CITATION["authors"]
    assert all("name" in author or "family-names" in author for author in CITATION["authors"])


def test_citation_agrees_with_the_project() -> None:
    """Version and licence are those of the package; the changelog knows the version."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert str(CITATION["version"]) == hwsim.__version__
    assert CITATION["license"] == project["license"]
    assert re.search(
        rf"^## \[{re.escape(hwsim.__version__)}\]", (ROOT / "CHANGELOG.md").read_text("utf-8"), re.MULTILINE
    )
