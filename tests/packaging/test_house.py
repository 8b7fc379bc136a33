"""Rules of the house that no linter holds: lengths, leftovers, a documented public door."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import hwsim

ROOT = Path(__file__).resolve().parents[2]
SOURCES = sorted(path for room in ("hwsim", "rtl", "bench", "tools") for path in (ROOT / room).rglob("*.py"))
MODULES = [path for path in SOURCES if path.is_relative_to(ROOT / "hwsim")]
MAX_MODULE_LINES = 420
MAX_FUNCTION_LINES = 80
LEFTOVERS = re.compile(r"\b(?:TO" + r"DO|FIX" + r"ME|XXX|HACK)\b|NotImplemented(?:Error)?\b|_(?:old|backup|copy)\.py")
MAX_PUBLIC_NAMES = 20

Function = ast.FunctionDef | ast.AsyncFunctionDef


def name_of(path: Path) -> str:
    """The path as a reader knows it."""
    return path.relative_to(ROOT).as_posix()


def functions(path: Path) -> list[Function]:
    """Every function of a module, methods and nested ones included."""
    return [node for node in ast.walk(ast.parse(text_of(path))) if isinstance(node, Function)]


def text_of(path: Path) -> str:
    """A source file's text."""
    return path.read_text(encoding="utf-8")


def test_module_lengths() -> None:
    """A module that outgrows its bound wants a second one."""
    lengths = {name_of(path): len(text_of(path).splitlines()) for path in SOURCES}
    assert lengths
    assert not {name: lines for name, lines in lengths.items() if lines > MAX_MODULE_LINES}


def test_function_lengths() -> None:
    """No function outgrows its bound, decorators aside."""
    lengths = {
        f"{name_of(path)}:{node.lineno} {node.name}": (node.end_lineno or node.lineno) - node.lineno + 1
        for path in SOURCES
        for node in functions(path)
    }
    assert lengths
    assert not {name: lines for name, lines in lengths.items() if lines > MAX_FUNCTION_LINES}


def test_no_leftovers() -> None:
    """No note to do something later, no stub, no twin of an older version."""
    found = [
        f"{name_of(path)}:{number}: {line.strip()}"
        for path in SOURCES
        for number, line in enumerate([path.name, *text_of(path).splitlines()])
        if LEFTOVERS.search(line) and "return NotImplemented" not in line
    ]
    assert not found


def test_no_silent_except() -> None:
    """No handler that swallows an error with a bare pass, and no bare except."""
    silent = [
        f"{name_of(path)}:{node.lineno}"
        for path in SOURCES
        for node in ast.walk(ast.parse(text_of(path)))
        if isinstance(node, ast.ExceptHandler)
        and (node.type is None or all(isinstance(statement, ast.Pass) for statement in node.body))
    ]
    assert not silent


def test_all_lists_names_that_exist() -> None:
    """What a module's `__all__` lists is bound in that module, and listed once."""
    for path in MODULES:
        tree = ast.parse(text_of(path))
        names = exported(tree)
        assert len(names) == len(set(names)), name_of(path)
        assert not set(names) - top_level_names(tree), name_of(path)


def exported(tree: ast.Module) -> list[str]:
    """A module's `__all__`, or nothing."""
    for node in tree.body:
        if isinstance(node, ast.Assign) and any(isinstance(t, ast.Name) and t.id == "__all__" for t in node.targets):
            return list(ast.literal_eval(node.value))
    return []


def top_level_names(tree: ast.Module) -> set[str]:
    """Names that a module's body binds."""
    names: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, Function | ast.ClassDef):
            names.add(node.name)
        elif isinstance(node, ast.Import | ast.ImportFrom):
            names |= {alias.asname or alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            names.add(node.id)
    return names


def test_the_public_door_is_small_and_documented() -> None:
    """`import hwsim` offers at most twenty names, each of which exists and, unless it is a constant, is documented."""
    assert len(hwsim.__all__) <= MAX_PUBLIC_NAMES
    assert hwsim.__doc__
    for name in hwsim.__all__:
        value = getattr(hwsim, name)
        if callable(value):
            assert (value.__doc__ or "").strip(), name
            assert not value.__doc__.startswith(f"{name}("), f"{name} has only the docstring that dataclass writes"


def test_docstrings_of_hwsim_modules() -> None:
    """Every module of the package says what it is for; an `__init__` without code included."""
    silent = [name_of(path) for path in MODULES if not ast.get_docstring(ast.parse(text_of(path)))]
    assert not silent
