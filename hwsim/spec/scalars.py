"""What a plain (unquoted) YAML scalar means: the YAML 1.2 core schema, section 10.3.2 of the specification.

PyYAML's own rules are those of YAML 1.1, under which ``1e12`` is text, ``12:30`` is 750, ``off`` is False
and ``017`` is 15. None of that holds here.
"""

from __future__ import annotations

import math
import re
from typing import Final

from hwsim.spec.nodes import ScalarValue

__all__ = ["MAX_DIGITS", "as_infinity", "resolve", "tidy_number"]

MAX_DIGITS: Final = 64
"""Characters of the longest number: longer text is a slip, and Python refuses it past 4300 digits."""

_WORDS: Final[dict[str, ScalarValue]] = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL"), None),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
    **{sign + word: math.inf for sign in ("", "+") for word in (".inf", ".Inf", ".INF")},
    **dict.fromkeys(("-.inf", "-.Inf", "-.INF"), -math.inf),
    **dict.fromkeys((".nan", ".NaN", ".NAN"), math.nan),
}
_INTEGER: Final = re.compile(r"[-+]?[0-9]+")
_BASED: Final = re.compile(r"0o[0-7]+|0x[0-9a-fA-F]+")
_FLOAT: Final = re.compile(r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?")


def resolve(text: str) -> ScalarValue:
    """The value of a plain scalar.

    Raises:
        ValueError: the text is a number that is too long or too large to be held.
    """
    if text in _WORDS:
        return _WORDS[text]
    if not _FLOAT.fullmatch(text) and not _BASED.fullmatch(text):
        return text
    if len(text) > MAX_DIGITS:
        raise ValueError(f"a number of {len(text)} characters; expected at most {MAX_DIGITS} (write it as 1.5e30)")
    if _BASED.fullmatch(text):
        return int(text, 0)
    if _INTEGER.fullmatch(text):
        return int(text)
    value = float(text)
    if math.isinf(value):
        raise ValueError(f"{text}; expected a number below 1.8e308, or .inf")
    return value


def as_infinity(text: str) -> str | None:
    """``text`` as YAML writes infinity, if it is infinity in another language's words; a unit behind it stays."""
    match = re.fullmatch(r"([-+]?)(?:inf|infinity)(\s+\S+)?", text, re.IGNORECASE)
    return f"{match[1]}.inf{match[2] or ''}" if match else None


def tidy_number(text: str) -> str | None:
    """``text`` without the separators of thousands that YAML 1.2 does not know, if that makes it a number."""
    tidy = re.sub(r"(?<=[0-9])[_,'](?=[0-9])", "", text)
    return tidy if tidy != text and len(tidy) <= MAX_DIGITS and _FLOAT.fullmatch(tidy) else None
