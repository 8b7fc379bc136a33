"""A figure to the file that the user names: SVG or PNG, by its ending."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from hwsim.errors import HwsimError

if TYPE_CHECKING:
    from hwsim.commands.console import Console

__all__ = ["figure_kind", "write_figure"]

_KINDS: Final = {".svg": "svg", ".png": "png"}


def figure_kind(out: Path | None) -> str:
    """``svg`` or ``png``, by the file's name; svg when there is no file.

    Raises:
        HwsimError: neither.
    """
    if out is None:
        return "svg"
    if out.suffix.lower() not in _KINDS:
        raise HwsimError.at("--out", f"{str(out)!r}", "a name that ends in .svg or .png", str(out.with_suffix(".svg")))
    return _KINDS[out.suffix.lower()]


def write_figure(console: Console, out: Path, figure: Any) -> None:
    """Write the figure (matplotlib's, which only `report` may name), and say so."""
    from hwsim.report.files import write_bytes  # noqa: PLC0415
    from hwsim.report.style import figure_bytes  # noqa: PLC0415

    write_bytes(out, figure_bytes(figure, figure_kind(out)))
    console.note(f"wrote {out}")
