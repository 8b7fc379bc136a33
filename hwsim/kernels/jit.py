"""The one way in which kernels are compiled, and where the compiled code is kept.

Compiled kernels go to a folder that is named by a digest of *all* kernel sources, numba's version and the processor:
numba itself only looks at the file of the outermost function, and would keep using an inner one that has changed.
The folder lies in ``NUMBA_CACHE_DIR`` where that is set, else in this package's ``__pycache__``, else in the user's
cache folder, else in a private one under the temporary directory. Where none can be written, or the disk is full,
kernels compile each time. The folder's name says what is in it, so where the sources lie and how old they are makes no
difference, and several processes may fill it at once.
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
from numba.core.caching import CompileResultCacheImpl, FunctionCache, _CacheLocator

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


class _Place(_CacheLocator):
    """Where numba keeps a kernel: in our folder, as old as its source's text is new."""

    def __init__(self, function: Callable[..., Any], source: Path) -> None:
        self._line = function.__code__.co_firstlineno
        self._stamp = hashlib.sha256(source.read_bytes()).hexdigest()

    @classmethod
    def from_function(cls, py_func: Callable[..., Any], py_file: str) -> _Place | None:
        """None for code that is in no file."""
        source = Path(py_file)
        return cls(py_func, source) if source.is_file() else None

    def get_cache_path(self) -> str:
        """One folder for all kernels; its name holds a digest of their sources."""
        return str(_FOLDER)

    def get_source_stamp(self) -> str:
        """What must be the same for an entry to count."""
        return self._stamp

    def get_disambiguator(self) -> str:
        """Tells functions of one name apart."""
        return str(self._line)


class _Kept(CompileResultCacheImpl):
    """numba's form of an entry, in our place."""

    _locator_classes = [_Place]  # noqa: RUF012 - as numba has it


class _Cache(FunctionCache):
    """numba's cache on disk, on which no answer depends: what cannot be kept is compiled again another time."""

    _impl_class = _Kept

    def save_overload(self, sig: Any, data: Any) -> None:
        """Keep what was compiled if the disk has room; numba removes a file that it could not finish.

        One process at a time: numba numbers a kernel's entries by those that it finds, and two processes that compile
        for different types at once would give both the same number, and one of them the other's code.
        """
        with suppress(OSError), _alone(Path(self.cache_path)):
            super().save_overload(sig, data)  # type: ignore[no-untyped-call]


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Hold a folder's lock, which the system gives back when the process ends; where there are none, go without."""
    try:
        import fcntl  # noqa: PLC0415 - POSIX
    except ImportError:
        yield
        return
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def jit(function: Kernel) -> Kernel:
    """Compile ``function`` on its first call, or load it from the cache; plain Python under NUMBA_DISABLE_JIT=1."""
    _KERNELS.add(function.__qualname__)
    kernel: Any = numba.njit(error_model="numpy")(function)
    if _FOLDER is not None:
        kernel._cache = _Cache(function)  # type: ignore[no-untyped-call] # what `cache=True` does, with numba's class
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
