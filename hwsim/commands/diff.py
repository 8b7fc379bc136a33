"""`hwsim diff`: what changed between two results, and which inputs differ."""

from __future__ import annotations

from argparse import Namespace
from pathlib import Path
from typing import Any

from hwsim.commands.arguments import Parser
from hwsim.commands.console import Console
from hwsim.errors import HwsimError, Where

__all__ = ["add_arguments", "run"]

MAX_BYTES = 64 << 20


def add_arguments(parser: Parser) -> None:
    """Declare the command's arguments."""
    parser.add_argument("before", metavar="A.json", help="a result that simulate wrote")
    parser.add_argument("after", metavar="B.json", help="another one")
    parser.add_json()


def run(arguments: Namespace) -> int:
    """Compare two results."""
    from hwsim.analysis.diff import difference  # noqa: PLC0415

    console = Console(arguments.json, arguments.quiet)
    found = difference(_read(arguments.before), _read(arguments.after))
    if console.shows_text:
        from hwsim.report.difference import difference_blocks  # noqa: PLC0415

        console.show(difference_blocks(arguments.before, arguments.after, found))
    console.write_json(found.to_dict())
    return 0


def _read(name: str) -> dict[str, Any]:
    """A result as `simulate --json` wrote it.

    Raises:
        HwsimError: the file cannot be read, is no JSON, or holds something else.
    """
    import json  # noqa: PLC0415

    target = Path(name)
    try:
        if target.is_file() and target.stat().st_size > MAX_BYTES:
            raise HwsimError.at(name, f"{target.stat().st_size:,} bytes", f"a result of at most {MAX_BYTES:,} bytes")
        value = json.loads(target.read_text(encoding="utf-8"))
    except json.JSONDecodeError as error:
        where = Where(name, error.lineno, error.colno)
        raise HwsimError.at(where, f"no JSON: {error.msg}", "a result that `hwsim simulate --json` wrote") from None
    except (UnicodeDecodeError, RecursionError) as error:
        raise HwsimError.at(name, f"no JSON: {error}", "a result that `hwsim simulate --json` wrote") from None
    except (OSError, ValueError) as error:
        reason = (error.strerror if isinstance(error, OSError) else None) or str(error)
        raise HwsimError.at(name, f"cannot read: {reason}", "a result that `hwsim simulate --json` wrote") from None
    if not isinstance(value, dict) or "schema_version" not in value:
        found = "no key 'schema_version'" if isinstance(value, dict) else f"a {type(value).__name__}"
        raise HwsimError.at(name, found, "a result that `hwsim simulate --json` wrote")
    return value
