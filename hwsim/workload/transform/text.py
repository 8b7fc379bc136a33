"""``NAME:k=v,…`` as typed after ``--transform``, in the words of a workload file."""

from __future__ import annotations

import re
from typing import Final

from hwsim.errors import HwsimError
from hwsim.workload.transform.known import TRANSFORMS

__all__ = ["flow_of"]

_NAME: Final = re.compile(r"[a-z0-9][a-z0-9_-]*")
_COMMA: Final = re.compile(r",(?![^\[{]*[\]}])")


def flow_of(text: str) -> str:
    """The YAML flow mapping that ``NAME:k=v,…`` stands for: ``{name: NAME, k: v, …}``.

    Raises:
        HwsimError: no such transform (the nearest is suggested), or a part that is not ``k=v``.
    """
    where = "--transform"
    name, _, rest = text.partition(":")
    if name not in TRANSFORMS:
        raise HwsimError.unknown_name(where, "transform", name, TRANSFORMS)
    parts = [f"name: {name}"]
    seen = {"name"}
    for part in _COMMA.split(rest) if rest else ():
        key, equals, value = part.partition("=")
        if not (equals and value.strip() and _NAME.fullmatch(key.strip())):
            raise HwsimError.at(where, f"{part!r} in {text!r}", f"NAME:k=v,k=v as in {name}:k=v")
        if key.strip() in seen:
            raise HwsimError.at(where, f"{key.strip()} twice in {text!r}", "each parameter once")
        seen.add(key.strip())
        parts.append(f"{key.strip()}: {_quoted(value.strip())}")
    return "{" + ", ".join(parts) + "}"


def _quoted(value: str) -> str:
    """A value as YAML flow text; ``2:4`` is a word here, not a mapping."""
    return f'"{value}"' if ":" in value and value[0] not in "[{\"'" else value
