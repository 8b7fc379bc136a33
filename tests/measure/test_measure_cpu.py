"""Timing this machine's core, and a machine from what was timed."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from hwsim.cli import main
from hwsim.devices.catalog import find_device
from hwsim.devices.cpu.loops import loop_cycles
from hwsim.errors import HwsimError
from hwsim.measure import Request, read_measurement
from hwsim.measure import cpu as measured_cpu
from hwsim.measure.cpu import CALIBRATED, calibrate, fit_core_path, measure, tile_rows

ZEN4 = Path(measured_cpu.__file__).parents[1] / "published" / "measured" / "zen4"
CPUINFO = "processor\t: 0\nvendor_id\t: {vendor}\ncpu family\t: 25\nmodel name\t: Test CPU\nflags\t\t: {flags}\n\n"
FLAGS = "sse avx512f avx512bw avx512_vbmi2 avx512_vpopcntdq"


@pytest.fixture(scope="module")
def zen4():
    """The measurement that ships."""
    return read_measurement(ZEN4)


def test_the_shipped_machine_is_near_where_it_was_not_calibrated(zen4) -> None:
    """Decompression from memory at the sparsities that the fit did not see, and out of L1 at all of them."""
    p = find_device("epyc-zen4").parameters
    rows = tile_rows(zen4)
    errors = {
        key: loop_cycles(p, *key) / cycles - 1
        for key, cycles in rows.items()
        if key[0] == "expand" and (key[1] == "l1" or key[2] not in CALIBRATED)
    }
    assert len(errors) > 30
    assert max(abs(error) for error in errors.values()) < 0.125
    assert sum(abs(error) for error in errors.values()) / len(errors) < 0.05


def test_calibration_gives_the_shipped_constants_back(zen4, tmp_path: Path) -> None:
    """The folder that ships makes a machine with the same core's path and overheads as the catalog's."""
    folder, out = tmp_path / "zen4", tmp_path / "mine.yaml"
    shutil.copytree(ZEN4, folder)
    assert main(["calibrate", str(folder), "--out", str(out), "--quiet"]) == 0
    mine, shipped = find_device(str(out)).parameters, find_device("epyc-zen4").parameters
    assert mine.name == "local"
    for name in ("bandwidth", "restart", "window"):
        assert getattr(mine.core_path, name).value == pytest.approx(getattr(shipped.core_path, name).value)
    assert mine.vector.expand_overhead.value == pytest.approx(shipped.vector.expand_overhead.value, abs=0.05)
    assert mine.vector.instructions["store"].cycles.kind == "measured"


def test_local_is_no_shipped_name(capsys: pytest.CaptureFixture[str]) -> None:
    """Asked for by name, the user's own machine is answered with how to make its file."""
    assert main(["simulate", "mamba-130m", "--device", "local"]) == 2
    assert "hwsim calibrate DIR --out local.yaml`, then --device local.yaml" in capsys.readouterr().err


def test_fit_finds_planted_constants(zen4) -> None:
    """Rows made by the model itself are met to half a per cent."""
    p = find_device("epyc-zen4").parameters
    rows = {("expand", level, s): loop_cycles(p, "expand", level, s) for level in ("l1", "memory") for s in CALIBRATED}
    found = fit_core_path(p.core_path, rows, p.clock.turbo.value)
    refit = replace(p, core_path=found)
    for sparsity in (0.0, 0.15, 0.5, 0.8):
        expected = loop_cycles(p, "expand", "memory", sparsity)
        assert loop_cycles(refit, "expand", "memory", sparsity) == pytest.approx(expected, rel=0.005)


@pytest.mark.parametrize(
    ("column", "value", "words"),
    [("cycles", "3", "no core is faster"), ("sparsity", "1.5", "0 to 1"), ("name", "expnd", "did you mean 'expand'")],
)
def test_impossible_rows_are_refused_with_their_line(zen4, column: str, value: str, words: str) -> None:
    """A row that no core can have given names its file and line."""
    table = zen4.table("tiles")
    line = table.lines[0]
    spoilt = replace(table, lines=(replace(line, cells={**line.cells, column: value}), *table.lines[1:]))
    with pytest.raises(HwsimError, match=words) as caught:
        tile_rows(replace(zen4, tables=(spoilt,)))
    assert ":2:" in str(caught.value)


def test_missing_rows_are_named(zen4) -> None:
    """Without its calibration rows, a measurement says which are missing."""
    with pytest.raises(HwsimError, match=r"no rows of expand at sparsity 0.0"):
        fit_core_path(find_device("epyc-zen4").parameters.core_path, {}, 3e9)
    with pytest.raises(HwsimError, match="no rows"):
        tile_rows(replace(zen4, tables=()))


def test_a_machine_of_another_family_cannot_be_extended(zen4) -> None:
    """Neither a GPU nor nothing at all."""
    with pytest.raises(HwsimError, match="family cpu"):
        calibrate(zen4, "h100-sxm")
    with pytest.raises(HwsimError, match="no machine is known"):
        calibrate(replace(zen4, header=replace(zen4.header, base=None)))


@pytest.mark.parametrize(
    ("file", "old", "new", "words"),
    [
        ("machine.yaml", "  clock_hz: ", "  clock: ", "facts: no clock_hz above 0"),
        ("machine.yaml", "  cores: 2.0", "  cores: 0.0", "facts: no cores above 0"),
        ("tiles.csv", "name,level", "nme,level", "tiles.csv:2: no column name"),
        ("tiles.csv", "expand,l1,0.500", "expand,l1,0.501", "no row of expand out of l1 at sparsity 0.5"),
        ("instructions.csv", "expand,l1,0.000,", "expand,l1,0.000,x", "instructions.csv:2: column cycles: 'x"),
    ],
)
def test_a_damaged_folder_is_the_user_s(tmp_path: Path, capsys, file: str, old: str, new: str, words: str) -> None:
    """What is missing is named with its file; nothing is written."""
    folder, out = tmp_path / "zen4", tmp_path / "mine.yaml"
    shutil.copytree(ZEN4, folder)
    text = (folder / file).read_text(encoding="utf-8")
    assert old in text
    (folder / file).write_text(text.replace(old, new, 1), encoding="utf-8")
    assert main(["calibrate", str(folder), "--out", str(out)]) == 2
    assert words in " ".join(capsys.readouterr().err.split())
    assert not out.exists()


def test_hardware_threads_are_no_cores(tmp_path: Path) -> None:
    """Siblings of one core count once, sockets apart; a file without cores counts threads."""
    path = tmp_path / "cpuinfo"
    threads = [(socket, core) for socket in (0, 1) for core in (0, 1, 2) for _ in range(2)]
    path.write_text("".join(f"physical id : {s}\ncore id : {c}\n\n" for s, c in threads), encoding="utf-8")
    assert measured_cpu._cores(path) == 6
    path.write_text("processor : 0\n", encoding="utf-8")
    assert measured_cpu._cores(path) >= 1


def test_no_compiler_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    """The names that are looked for stand in the message."""
    monkeypatch.setattr(shutil, "which", lambda name: None)
    monkeypatch.delenv("CC", raising=False)
    with pytest.raises(HwsimError, match="gcc, cc or clang"):
        measure(Request("today"))


def test_a_core_without_vbmi2_is_said(tmp_path: Path) -> None:
    """The missing extensions and a core that has them."""
    path = tmp_path / "cpuinfo"
    path.write_text(CPUINFO.format(vendor="GenuineIntel", flags="sse avx2 avx512f"), encoding="utf-8")
    with pytest.raises(HwsimError, match=r"Test CPU without avx512bw, avx512_vbmi2.*Zen 4"):
        measured_cpu._processor(path)
    with pytest.raises(HwsimError, match="Linux"):
        measured_cpu._processor(tmp_path / "none")


@pytest.mark.parametrize(
    ("vendor", "flags", "base"), [("AuthenticAMD", FLAGS, "epyc-zen4"), ("GenuineIntel", FLAGS, None)]
)
def test_the_nearest_shipped_machine(tmp_path: Path, vendor: str, flags: str, base: str | None) -> None:
    """A Zen 4 core is one of the catalog's; an Intel core without tiles is none."""
    path = tmp_path / "cpuinfo"
    path.write_text(CPUINFO.format(vendor=vendor, flags=FLAGS), encoding="utf-8")
    assert measured_cpu._nearest(measured_cpu._processor(path)) == base


def test_a_failing_program_is_said() -> None:
    """A compiler that ends badly is the user's to mend."""
    with pytest.raises(HwsimError, match="ends well"):
        measured_cpu._call(["false"], "compiling the loops")


def _runs_here() -> bool:
    try:
        measured_cpu._compiler()
        measured_cpu._processor(Path("/proc/cpuinfo"))
    except HwsimError:
        return False
    return True


@pytest.mark.skipif(not _runs_here(), reason="needs a C compiler and a core with AVX-512 VBMI2")
def test_measure_runs_on_this_machine(tmp_path: Path) -> None:
    """The loops compile and run, give every row, and calibrate to a machine that loads."""
    folder, out = tmp_path / "here", tmp_path / "here.yaml"
    assert main(["measure", "cpu", "--out", str(folder), "--quick", "--quiet"]) == 0
    rows = tile_rows(read_measurement(folder))
    assert {loop for loop, _, _ in rows} == {"expand", "expand_read", "sparse_gemv", "dense_gemv", "dense_read"}
    assert main(["calibrate", str(folder), "--out", str(out), "--extends", "epyc-zen4", "--quiet"]) == 0
    assert find_device(str(out)).clock_hz > 5e8


def test_paper_compares_with_a_measured_folder(capsys: pytest.CaptureFixture[str]) -> None:
    """The shipped folder as if it were fresh: rows of both levels, held-out ones said, within a tenth but for a few."""
    folder = str(ZEN4)
    assert main(["paper", "zen4-decompress", "--measured", folder, "--json", "-"]) == 0
    rows = json.loads(capsys.readouterr().out)["results"]
    local = {row["id"]: row for row in rows if row["paper"] == "local-decompress"}
    held = [row for name, row in local.items() if name.startswith("memory-") and "held out" in row["why"]]
    assert len(held) > 10
    assert sum(abs(row["error"]) <= 0.1 for row in held) >= len(held) - 2
    assert all((row["verdict"] == "reproduced") == (abs(row["error"]) <= 0.1) for row in local.values())
    assert main(["paper", "deca", "--measured", folder]) == 2
    assert "zen4-decompress" in capsys.readouterr().err
