"""Files at the door: bounded reading, and ``extends`` and ``carries`` between files."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable
from dataclasses import replace
from functools import lru_cache
from itertools import islice
from pathlib import Path
from typing import Final, TypeAlias

from hwsim.errors import HwsimError, Where, did_you_mean
from hwsim.spec.nodes import Document, Entry, MappingNode, Node, ScalarNode, join
from hwsim.spec.shorthand import is_quantity, split_number, with_value
from hwsim.spec.text import MAX_BYTES, parse

__all__ = ["MAX_EXTENDS", "Resolver", "carried", "merge", "read", "read_bytes"]

MAX_EXTENDS: Final = 16
"""Files in the longest chain of ``extends`` and ``carries``."""

_PARENTS: Final = ("extends", "carries")

Resolver: TypeAlias = Callable[[str], Path]
"""A shipped name to its file; raises :class:`HwsimError` for a name that is not shipped."""

_NEIGHBOURS: Final = 1000


def read(path: str | Path, resolve: Resolver | None = None) -> Document:
    """Read a YAML file and the files that it extends.

    ``extends: base.yaml`` names a file beside this one; ``extends: base`` a shipped name. Mappings merge
    key by key and this file's values win; lists and quantities are replaced whole. ``carries`` is the same for a file
    of another machine: what was found there is assumed here, and its source says so.

    Args:
        path: the file.
        resolve: turns a shipped name into its file; without it only files can be extended.

    Raises:
        HwsimError: a file cannot be read, is not YAML, or the chain of ``extends`` loops or is too long.
    """
    chain: list[Document] = []
    foreign: list[str | None] = []
    seen: list[Path] = []
    target = Path(path)
    asked_by: Where | None = None
    while True:
        data = read_bytes(target, asked_by)
        _check_chain(target.resolve(), seen, asked_by)
        seen.append(target.resolve())
        document, key, parent = _take_parent(_parsed(data, str(target)))
        chain.append(document)
        if parent is None:
            break
        asked_by = parent.where
        target = _locate(key, parent, target, resolve)
        foreign.append(target.stem if key == "carries" else None)
    root = chain[-1].root
    for document, other in zip(reversed(chain[:-1]), reversed(foreign), strict=True):
        root = merge(root if other is None else carried(root, other), document.root)
    return replace(chain[0], root=root, parents=tuple((each.source, each.sha256) for each in chain[1:]))


@lru_cache(maxsize=32)
def _parsed(data: bytes, source: str) -> Document:
    """A file's tree. Trees are read-only: a process that meets the same text again need not parse it again."""
    return parse(data, source)


def read_bytes(path: str | Path, where: Where | None = None, what: str = "YAML file", most: int = MAX_BYTES) -> bytes:
    """The bytes of a regular file of at most 1 MiB, or ``most``; the length is checked before and while reading.

    Args:
        path: the file.
        where: the place that asks for it, when it is not the user himself.
        what: what the file should be, for messages.
        most: bytes that it may have.

    Raises:
        HwsimError: the file is missing, unreadable, no regular file, or too long.
    """
    target = Path(path)
    at = where or Where(str(path))
    name = f"{str(path)!r}" if where else "the file"
    try:
        status = target.stat()
        if not stat.S_ISREG(status.st_mode):
            raise HwsimError.at(at, f"{name} is {_kind(status.st_mode)}", f"a {what}")
        if status.st_size > most:
            limit = f"at most {most:,}{' (1 MiB)' if most == MAX_BYTES else ''}"
            raise HwsimError.at(at, f"{name} has {status.st_size:,} bytes", limit)
        with target.open("rb") as stream:
            data = stream.read(most + 1)
    except FileNotFoundError:
        raise HwsimError.at(at, f"no such file: {str(path)!r}", f"a {what}", _near_file(target)) from None
    except (OSError, ValueError) as error:  # ValueError: a NUL in the path
        reason = (error.strerror if isinstance(error, OSError) else None) or str(error)
        raise HwsimError.at(at, f"cannot read {str(path)!r}: {reason}", f"a readable {what}") from None
    if len(data) > most:
        words = "1 MiB" if most == MAX_BYTES else f"{most:,} bytes"
        raise HwsimError.at(at, f"{name} has more than {words}", f"at most {most:,} bytes")
    return data


def merge(base: Node, child: Node, path: str = "") -> Node:
    """``base`` with ``child`` laid over it: mappings merge, everything else is replaced.

    A quantity is one value: a child that gives a new ``value`` must give its unit, kind and source too.
    A plain number over a quantity keeps the unit and is marked as set by the child's file; what is no number stays as
    it is, for the schema to refuse beside all else that is wrong.
    """
    if is_quantity(base):
        if isinstance(child, ScalarNode) and split_number(child) is not None:
            return with_value(base, child, None, f"set in {child.where.source}", path)
        if isinstance(child, MappingNode) and "value" in child.entries:
            return child
    if not (isinstance(base, MappingNode) and isinstance(child, MappingNode)):
        return child
    entries = dict(base.entries)
    for key, entry in child.entries.items():
        old = entries.get(key)
        entries[key] = Entry(entry.key_where, merge(old.node, entry.node, join(path, key))) if old else entry
    return MappingNode(entries, child.where)


def carried(node: Node, origin: str) -> Node:
    """The tree of another machine's file: its quantities are assumed, and sources name where they were found.

    Args:
        node: the tree.
        origin: what the other machine is called.
    """
    if not isinstance(node, MappingNode):
        return node
    if not is_quantity(node):
        entries = {key: replace(entry, node=carried(entry.node, origin)) for key, entry in node.entries.items()}
        return MappingNode(entries, node.where)
    kind, source = node.get("kind"), node.get("source")
    if not (isinstance(kind, ScalarNode) and isinstance(source, ScalarNode)) or kind.value in ("assumed", "set"):
        return node
    words = f"{kind.text} on {origin}: {source.text}"
    laid = {"kind": replace(kind, value="assumed", text="assumed"), "source": replace(source, value=words, text=words)}
    entries = {key: replace(entry, node=laid.get(key, entry.node)) for key, entry in node.entries.items()}
    return MappingNode({key: entry for key, entry in entries.items() if key != "rows"}, node.where)


def _take_parent(document: Document) -> tuple[Document, str, ScalarNode | None]:
    """The document without its ``extends`` or ``carries`` key, that key, and its value."""
    root = document.root
    found = [key for key in _PARENTS if isinstance(root, MappingNode) and key in root.entries]
    if not isinstance(root, MappingNode) or not found:
        return document, "", None
    node = root.entries[found[0]].node
    if len(found) > 1:
        where = root.entries[found[1]].key_where
        raise HwsimError.at(where, "'carries' beside 'extends'", "one of them: the file named there may have the other")
    if not isinstance(node, ScalarNode) or not isinstance(node.value, str) or not node.value:
        raise HwsimError.at(node.where, f"'{found[0]}' without a name", "a shipped name or a file such as base.yaml")
    entries = {key: entry for key, entry in root.entries.items() if key != found[0]}
    return replace(document, root=MappingNode(entries, root.where)), found[0], node


def _locate(key: str, parent: ScalarNode, child: Path, resolve: Resolver | None) -> Path:
    """The file that an ``extends`` or ``carries`` value means."""
    name = parent.text
    if "/" in name or name.endswith((".yaml", ".yml")):
        return child.parent / name
    if resolve is None:
        raise HwsimError.at(parent.where, f"'{key}: {name}' names no file", "a file such as base.yaml")
    try:
        return resolve(name)
    except HwsimError as error:
        raise HwsimError(*(replace(fault, where=parent.where) for fault in error.faults)) from None


def _check_chain(target: Path, seen: list[Path], asked_by: Where | None) -> None:
    """Refuse a chain of ``extends`` that loops or is too long."""
    at = asked_by or Where(str(target))
    if target in seen:
        names = [path.name for path in [*seen[seen.index(target) :], target]]
        raise HwsimError.at(at, f"a loop of extends: {' -> '.join(names)}", "a chain that ends")
    if len(seen) >= MAX_EXTENDS:
        raise HwsimError.at(at, f"a chain of more than {MAX_EXTENDS} files", "a shorter chain of extends")


def _kind(mode: int) -> str:
    """What stands where a regular file should."""
    kinds = ((stat.S_ISDIR, "a directory"), (stat.S_ISFIFO, "a pipe"), (stat.S_ISSOCK, "a socket"))
    return next((text for test, text in kinds if test(mode)), "a device")


def _near_file(path: Path) -> str | None:
    """A file in the same directory with nearly the same name."""
    try:
        with os.scandir(path.parent) as entries:
            names = sorted(entry.name for entry in islice(entries, _NEIGHBOURS))
    except OSError:
        return None
    near = did_you_mean(path.name, names)
    return str(path.parent / near) if near else None
