"""Files, written whole or not at all, and only where the user says."""

from __future__ import annotations

import contextlib
import os
import tempfile
from pathlib import Path

from hwsim.errors import HwsimError

__all__ = ["make_folder", "write_bytes", "write_text"]


def write_text(target: Path, text: str) -> None:
    """Write ``text`` as UTF-8 (see :func:`write_bytes`)."""
    write_bytes(target, text.encode("utf-8", errors="backslashreplace"))


def write_bytes(target: Path, data: bytes) -> None:
    """Write ``data`` beside ``target``, then move it into place: readers see the old file or the new one, whole.

    What is no regular file (a pipe, ``/dev/stdout``) is written straight. The mode is that of a new file, or of the
    file that was there before; a link is followed.

    Raises:
        HwsimError: the folder is missing, or the file cannot be written.
    """
    try:
        real = target.resolve() if target.is_symlink() else target
        if real.exists() and not real.is_file() and not real.is_dir():
            real.write_bytes(data)
        else:
            _replace(real, data)
    except (OSError, ValueError, RuntimeError) as error:  # ValueError: a NUL; RuntimeError: links in a circle
        raise _cannot_write(target, error) from None


def make_folder(folder: Path) -> Path:
    """Make ``folder`` and its parents where they are missing.

    Raises:
        HwsimError: it cannot be made.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except (OSError, ValueError) as error:
        raise _cannot_write(folder, error, "a folder") from None
    return folder


def _replace(target: Path, data: bytes) -> None:
    """Write a temporary file in the same folder and rename it."""
    if target.is_dir():
        raise IsADirectoryError("it is a folder")
    descriptor, name = tempfile.mkstemp(prefix=".hwsim-", suffix=".tmp", dir=target.parent)
    temporary = Path(name)
    try:
        with os.fdopen(descriptor, "wb") as stream:
            stream.write(data)
        temporary.chmod(_mode(target))
        temporary.replace(target)
    except BaseException:
        with contextlib.suppress(OSError):
            temporary.unlink()
        raise


def _mode(target: Path) -> int:
    """Permission bits of the file that is replaced, or those that a new file gets."""
    with contextlib.suppress(OSError):
        return target.stat().st_mode & 0o777
    mask = os.umask(0)
    os.umask(mask)
    return 0o666 & ~mask


def _cannot_write(target: Path, error: Exception, what: str = "a file") -> HwsimError:
    """The fault for a file that cannot be written."""
    reason = (error.strerror if isinstance(error, OSError) else None) or str(error)
    return HwsimError.at(str(target), f"cannot write: {reason}", f"{what} in an existing, writable folder")
