"""`hwsim import` of ONNX files of any bytes: no traceback, a documented exit code, files whole or not there."""

from __future__ import annotations

import os
import tempfile
from functools import cache
from pathlib import Path

import onnx
from civil import OLD, Case, hold_civil
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

CASES = int(os.environ.get("HWSIM_FUZZ_CASES", "400"))


@cache
def squeezenet() -> bytes:
    """A small exported model that the onnx package carries."""
    return (Path(onnx.__file__).parent / "backend/test/data/light/light_squeezenet.onnx").read_bytes()


@st.composite
def imports(draw: st.DrawFn) -> Case:
    """A model with bytes changed, cut out or put in, imported with options that may not fit."""
    text = bytearray(squeezenet())
    for _ in range(draw(st.integers(1, 4))):
        place = draw(st.integers(0, len(text) - 1))
        text[place : place + draw(st.integers(0, 4))] = draw(st.binary(max_size=4))
    data = draw(st.one_of(st.just(bytes(text)), st.just(bytes(text[: draw(st.integers(0, len(text)))])), st.binary()))
    where = draw(
        st.sampled_from((("--out", "out.yaml"), ("--out", "old.yaml"), ("--json", "-"), (), ("--out", "no/out")))
    )
    more = draw(st.sampled_from(((), ("--skip-unknown",), ("--dim", "batch=1"), ("--dim", "x"))))
    files = {"mine.onnx": data, "old.yaml": OLD.encode()}
    return Case(("import", "mine.onnx", *where, *more), files, ("out.yaml", "old.yaml"))


@settings(max_examples=max(1, CASES // 10), deadline=None, database=None, suppress_health_check=list(HealthCheck))
@given(imports())
def test_import_stays_civil(case: Case) -> None:
    """Whatever the file is."""
    with tempfile.TemporaryDirectory() as folder:
        hold_civil(case, Path(folder))
