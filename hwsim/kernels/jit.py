"""The one way in which kernels are compiled, and where the compiled code is kept.

Compiled kernels go to a folder that is named by a digest of *all* kernel sources, numba's version and the processor:
numba itself only looks at the file of the outermost function, and would keep using an inner one that has changed.
The folder lies in ``NUMBA_CACHE_DIR`` where that is set, else in this package's ``__pycache__``, else in the user's
cache folder, else in a private one under the temporary directory. Where none can be written, or the disk is full,
kernels compile each time.
"""

from __future__ import annotations

import hashlib
import os
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Final, TypeVar, cast

import numba
from llvmlite import binding
from numba.core import config, event
from numba.core.caching import FunctionCache

__all__ = ["before_compile", "cache_folder", "jit", "jit_part"]

Kernel = TypeVar("Kernel", bound=Callable[..., Any])

_settings: Any = config
_HERE: Final = Path(__file__).parent
_PART: Final[dict[str, Any]] = {
    "error_model": "numpy",
    "forceinline": True,
    "no_cpython_wrapper": True,
    "no_cfunc_wrapper": True,
    "_nrt": False,
}
_KERNELS: Final[set[str]] = set()
_HOOKS: Final[list[Callable[[str], None]]] = []


def _digest() -> str:
    text = hashlib.sha256(f"{numba.__version__} {binding.get_host_cpu_name()}".encode())
    for source in sorted(_HERE.glob("*.py")):
        text.update(source.read_bytes())
    return text.hexdigest()[:16]


def _candidates() -> Iterator[Path]:
    if _settings.CACHE_DIR:
        yield Path(_settings.CACHE_DIR)
        return
    yield _HERE / "__pycache__"
    home = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")  # noqa: PTH111 - keeps "~" when unknown
    if Path(home).is_absolute():
        yield Path(home) / "hwsim"
    yield Path(tempfile.gettempdir()) / f"hwsim-{os.getuid() if hasattr(os, 'getuid') else 'cache'}"


def _usable(folder: Path) -> bool:
    """Whether ``folder`` can be made, is ours alone to write, and takes a file.

    Compiled code is loaded from it, so a folder of another user (planted in the temporary directory) is refused.
    """
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        status = folder.stat()
        if hasattr(os, "getuid") and (status.st_uid != os.getuid() or status.st_mode & 0o002):
            return False
        with tempfile.TemporaryFile(dir=folder):
            return True
    except OSError:
        return False


def _choose_folder() -> Path | None:
    name = f"hwsim-kernels-{_digest()}"
    return next((parent / name for parent in _candidates() if _usable(parent) and _usable(parent / name)), None)


_FOLDER: Final = None if _settings.DISABLE_JIT else _choose_folder()


def cache_folder() -> Path | None:
    """Where compiled kernels are kept, or None where no folder can be written or the JIT is off."""
    return _FOLDER


@contextmanager
def _numba_cache(folder: Path) -> Iterator[None]:
    """Point numba at ``folder`` while a kernel is declared; other users of numba in this process are left alone."""
    before = _settings.CACHE_DIR
    _settings.CACHE_DIR = str(folder)
    try:
        yield
    finally:
        _settings.CACHE_DIR = before


class _Cache(FunctionCache):
    """numba's cache on disk, on which no answer depends: what cannot be kept is compiled again another time."""

    def save_overload(self, sig: Any, data: Any) -> None:
        """Keep what was compiled if the disk has room; numba removes a file that it could not finish."""
        with suppress(OSError):
            super().save_overload(sig, data)  # type: ignore[no-untyped-call]


def jit(function: Kernel) -> Kernel:
    """Compile ``function`` on its first call, or load it from the cache; plain Python under NUMBA_DISABLE_JIT=1."""
    _KERNELS.add(function.__qualname__)
    kernel: Any = numba.njit(error_model="numpy")(function)
    if _FOLDER is not None:
        with _numba_cache(_FOLDER):  # what `cache=True` does, with numba's own class
            kernel._cache = _Cache(function)  # type: ignore[no-untyped-call]
    return cast("Kernel", kernel)


def jit_part(function: Kernel) -> Kernel:
    """Compile ``function`` into the kernels that call it; it has no cache entry of its own, and may not allocate.

    Without reference counts, entry points for Python and calls that remain, kernels compile a third faster and the
    engine steps twice as fast.
    """
    compile_part: Callable[[Kernel], Kernel] = numba.njit(**_PART)
    return compile_part(function)


class _Watch(event.Listener):
    """Hears numba begin to compile: what is loaded from the cache makes no event, parts of a kernel are left out."""

    def on_start(self, event: Any) -> None:
        name = event.data["dispatcher"].py_func.__qualname__
        if name in _KERNELS:
            for hook in _HOOKS:
                hook(name)

    def on_end(self, event: Any) -> None:
        """Nothing is said of the end."""


_register: Any = event.register
_register("numba:compile", _Watch())


def before_compile(hook: Callable[[str], None] | None) -> None:
    """Have ``hook`` called with the name of each kernel that is about to compile (seconds); None takes it back."""
    _HOOKS[:] = [] if hook is None else [hook]
