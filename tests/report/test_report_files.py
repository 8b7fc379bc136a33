"""Files are written whole or not at all, and a failure is the user's to mend."""

from __future__ import annotations

from pathlib import Path

import pytest

from hwsim.errors import HwsimError
from hwsim.report.files import make_folder, write_bytes, write_text


def test_new_file_and_replaced_file(tmp_path: Path) -> None:
    """The content is there, nothing else is left behind, and the mode of the old file is kept."""
    target = tmp_path / "a.txt"
    write_text(target, "one\u00e9\n")
    assert target.read_bytes() == b"one\xc3\xa9\n"
    target.chmod(0o640)
    write_text(target, "two\n")
    assert target.read_text() == "two\n"
    assert target.stat().st_mode & 0o777 == 0o640
    assert [path.name for path in tmp_path.iterdir()] == ["a.txt"]


def test_link_is_followed(tmp_path: Path) -> None:
    """A link stays a link; what it points to is replaced."""
    real, link = tmp_path / "real", tmp_path / "link"
    real.write_text("old")
    link.symlink_to(real)
    write_text(link, "new")
    assert link.is_symlink()
    assert real.read_text() == "new"


def test_device_file_is_written_straight() -> None:
    """What is no regular file is not replaced by one."""
    write_bytes(Path("/dev/null"), b"x")
    assert not Path("/dev/null").is_file()


def test_failure_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A write that fails half way changes nothing and leaves no temporary file."""
    target = tmp_path / "a.txt"
    target.write_text("old")

    def fail(self: Path, _target: Path) -> Path:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "replace", fail)
    with pytest.raises(HwsimError, match="cannot write: No space left on device"):
        write_text(target, "new")
    assert target.read_text() == "old"
    assert [path.name for path in tmp_path.iterdir()] == ["a.txt"]


@pytest.mark.parametrize(
    ("name", "reason"),
    [("missing/a.txt", "No such file or directory"), ("", "it is a folder"), ("nul\0", "null byte")],
)
def test_cannot_write(tmp_path: Path, name: str, reason: str) -> None:
    """The fault names the file and the reason."""
    with pytest.raises(HwsimError, match=f"cannot write: .*{reason}"):
        write_text(tmp_path / name, "x")


def test_make_folder(tmp_path: Path) -> None:
    """Parents are made; a file in the way is a fault."""
    assert make_folder(tmp_path / "a" / "b").is_dir()
    (tmp_path / "f").write_text("")
    with pytest.raises(HwsimError, match=r"cannot write: .*; expected a folder"):
        make_folder(tmp_path / "f" / "g")
