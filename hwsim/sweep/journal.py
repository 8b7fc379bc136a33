"""Finished rows on disk while a sweep runs, so that one that was stopped can go on.

The journal lies beside the file that the sweep will write, as ``NAME.partial``: a first line with the digest of all
that the rows depend on, then a row on each line; each is JSON behind its CRC-32, so that a damaged row is not taken for
an answer. It is removed when the file itself has been written.
"""

from __future__ import annotations

import errno
import hashlib
import json
import zlib
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import TextIO

from hwsim.errors import HwsimError
from hwsim.sweep.outcome import Row

__all__ = ["Journal"]


class Journal:
    """The journal of one sweep; a context that holds the file open. Beside a device (``/dev/stdout``) none is kept.

    Args:
        target: the file that the sweep will write.
        inputs: name -> what the rows depend on: digests of files, the program's version.
        resume: whether to go on with a journal that is there.

    Raises:
        HwsimError: on entry: the target is a folder; there is a journal and ``resume`` was not asked; it is of other
            inputs; it cannot be read or written.
    """

    def __init__(self, target: Path, inputs: Mapping[str, str], resume: bool) -> None:
        self.target, self.path = target, target.parent / f"{target.name}.partial"
        self.digest = hashlib.sha256(json.dumps(dict(sorted(inputs.items()))).encode()).hexdigest()
        self.resume = resume
        self.rows: dict[int, Row] = {}
        self._stream: TextIO | None = None

    def __enter__(self) -> Journal:
        try:
            if self.target.is_dir():
                raise IsADirectoryError(errno.EISDIR, "it is a folder", str(self.target))
            if self.path.exists():
                self._go_on()
            elif self.target.is_file() or not self.target.exists():
                self._begin()
        except OSError as error:
            expected = "a file in an existing, writable folder"
            where = error.filename or self.path
            raise HwsimError.at(str(where), f"cannot write: {error.strerror or error}", expected) from None
        return self

    def __exit__(self, kind: type[BaseException] | None, value: BaseException | None, _: TracebackType | None) -> None:
        if self._stream is not None:
            with suppress(OSError):  # a row that could not be written was told by `keep`
                self._stream.close()

    def keep(self, row: Row) -> None:
        """Write a row down."""
        self.rows[row["point"]] = row
        try:
            self._write(row)
        except OSError as error:
            raise HwsimError.at(
                str(self.path), f"cannot write: {error.strerror or error}", "room on the disk"
            ) from None

    def remove(self) -> None:
        """The sweep's own file has been written."""
        if self._stream is not None:
            self.path.unlink(missing_ok=True)

    def _write(self, line: Mapping[str, object]) -> None:
        if self._stream is not None:
            text = json.dumps(line)
            self._stream.write(f"{zlib.crc32(text.encode()):08x} {text}\n")
            self._stream.flush()

    def _begin(self) -> None:
        """A new file with its first line, or none."""
        self._stream = self.path.open("x", encoding="utf-8")
        try:
            self._write({"digest": self.digest})
        except OSError:
            with suppress(OSError):  # what could not be written is still to be flushed
                self._stream.close()
            self.path.unlink(missing_ok=True)
            raise

    def _go_on(self) -> None:
        """Read the rows that are there and write on behind them, over a last line that was cut off."""
        data = self.path.read_bytes()
        whole = data[: data.rfind(b"\n") + 1]
        try:
            head, *rows = [_read(line) for line in whole.split(b"\n")[:-1]] or [{}]
            found = {int(row["point"]): row for row in rows}
            digest = head.get("digest")
        except (ValueError, KeyError, TypeError, AttributeError):
            expected = "one as it was written; or no such file, to begin anew"
            raise HwsimError.at(str(self.path), "no journal of a sweep, or a damaged one", expected) from None
        if not self.resume:
            expected = "--resume to go on with it, or no such file"
            raise HwsimError.at(str(self.path), f"{len(found)} rows of a sweep that was stopped", expected)
        if digest != self.digest:
            words = "rows of another sweep, or of other files or another version of hwsim"
            raise HwsimError.at(str(self.path), words, "those of this sweep; remove the file to begin anew")
        self.rows = found
        self._stream = self.path.open("r+", encoding="utf-8")
        self._stream.truncate(len(whole))
        self._stream.seek(0, 2)


def _read(line: bytes) -> Row:
    """A line's JSON.

    Raises:
        ValueError: it is not what was written.
    """
    check, _, text = line.partition(b" ")
    if int(check, 16) != zlib.crc32(text):
        raise ValueError("damaged")
    row: Row = json.loads(text)
    return row
