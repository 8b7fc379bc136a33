"""Answers of the mapper on disk: keyed by content, safe when several processes write, never needed.

The key is a digest of the problem, the hierarchy, the question and of the mapper's own source, so that no entry
outlives what made it. An entry holds nests and the certificate; what a nest costs is always computed anew.
"""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict
from functools import cache
from pathlib import Path
from typing import Any, Final

from hwsim.kernels.jit import cache_folder
from hwsim.mapping.files import parse_steps, step_text
from hwsim.mapping.hierarchy import Hierarchy
from hwsim.mapping.nest import Nest
from hwsim.mapping.problem import Problem

__all__ = ["fetch", "key_of", "store"]

_VARIABLE: Final = "HWSIM_MAPPING_CACHE"
"""Environment variable: a folder for the answers; empty for none."""


def key_of(problem: Problem, hierarchy: Hierarchy, *question: str) -> str:
    """The name of an answer."""
    parts = (_source_digest(), repr(problem), _stable(hierarchy), *question)
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()


def fetch(key: str) -> dict[str, Any] | None:
    """The nests (``nest`` first, then ``front``) and certificate kept under a key; None when there are none.

    A file that cannot be read or is no entry of this key counts as none.
    """
    folder = _folder()
    if folder is None:
        return None
    with suppress(OSError, ValueError, KeyError, TypeError):
        entry = json.loads((folder / f"{key}.json").read_text("utf-8"))
        if entry["key"] != key:
            return None
        nests = [parse_steps(steps) for steps in entry["nests"]]
        return {"nests": nests, "certificate": entry["certificate"]}
    return None


def store(key: str, nests: Sequence[Nest], certificate: Any) -> None:
    """Keep an answer: written beside and renamed, so that a reader finds all of it or nothing. Failure is no fault."""
    folder = _folder()
    if folder is None:
        return
    entry = {
        "key": key,
        "nests": [[step_text(step) for step in nest.steps] for nest in nests],
        "certificate": asdict(certificate),
    }
    with suppress(OSError):
        folder.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(dir=folder, suffix=".part")
        try:
            with os.fdopen(handle, "w", encoding="utf-8") as stream:
                json.dump(entry, stream)
            Path(name).replace(folder / f"{key}.json")
        except OSError:
            Path(name).unlink(missing_ok=True)


def _folder() -> Path | None:
    named = os.environ.get(_VARIABLE)
    if named is not None:
        return Path(named) if named else None
    kernels = cache_folder()
    return kernels / "mappings" if kernels else None


def _stable(hierarchy: Hierarchy) -> str:
    """The hierarchy as text, sets in order, its name left out."""
    text = {name: value for name, value in asdict(hierarchy).items() if name != "name"}
    return json.dumps(text, default=sorted, sort_keys=True)


@cache
def _source_digest() -> str:
    """Digest of the mapper's source, and of the kernels and cycle rules that it uses."""
    here = Path(__file__).resolve().parent
    kernels, timing = here.parent / "kernels", here.parent / "timing"
    own = [*sorted(here.glob("*.py")), *sorted(kernels.glob("loopnest*.py"))]
    files = [*own, kernels / "steady.py", timing / "linear.py"]
    return hashlib.sha256(b"".join(path.read_bytes() for path in files)).hexdigest()
