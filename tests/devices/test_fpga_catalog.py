"""The shipped machines' files: complete accounts, and faults with their place."""

from __future__ import annotations

from pathlib import Path

import pytest

from hwsim.devices import catalog
from hwsim.devices.catalog import device_document, device_names, find_device
from hwsim.errors import HwsimError
from hwsim.spec import Quantity, quantities

CATALOG = Path(catalog.__file__).parent / "catalog"
KINDS = {"datasheet", "measured", "derived", "fitted", "assumed"}


def test_all_files_are_shipped_names() -> None:
    """Names are the files' stems, sorted; each file says its own."""
    assert {"vck190", "vck190-spec", "vhk158-spec", "u280"} <= set(device_names())
    assert list(device_names()) == sorted(path.stem for path in CATALOG.glob("*.yaml"))
    assert all(find_device(name).name == name for name in device_names())


@pytest.mark.parametrize("name", device_names())
def test_every_value_has_unit_kind_and_source(name: str) -> None:
    """Open accounts: no number without them; a fitted one names its rows."""
    found = list(quantities(find_device(name).parameters, name))
    assert len(found) > 20
    for path, quantity in found:
        assert isinstance(quantity, Quantity), path
        assert quantity.kind in KINDS, path
        assert quantity.unit, path
        assert len(quantity.source) > 5, path
        assert quantity.kind != "fitted" or quantity.rows, path


@pytest.mark.parametrize("name", device_names())
def test_every_file_has_a_head_comment(name: str) -> None:
    """What it is and where it comes from, before anything else."""
    assert (CATALOG / f"{name}.yaml").read_text(encoding="utf-8").startswith("# ")


def test_the_speculative_designs_are_assumed() -> None:
    """Of SpecMamba only the abstract was readable: slots, lanes and array carry that mark."""
    for name in ("vck190-spec", "vhk158-spec"):
        p = find_device(name).parameters
        assert p.linear.tp.kind == p.scan.lanes.kind == "assumed"
        assert p.verifies_trees
    fitted = [path for path, each in quantities(find_device("vck190").parameters, "") if each.kind == "fitted"]
    assert [path.strip(".") for path in fitted if "energy" not in path] == ["memory.bandwidth"]


@pytest.mark.parametrize(
    ("old", "new", "fault"),
    [
        ("tp: {value: 1,", "tp: {value: 1.5,", "1.5 for tp; expected a whole number"),
        (
            'ports: {value: 1, unit: "1", kind: datasheet, source: "HT',
            'ports: {value: 3, unit: "1", kind: datasheet, source: "HT',
            "3 ports; expected 1 (single-port) or 2 (dual-port state memory)",
        ),
        ("weights: int4", "weights: int5", "found 'int5' for formats.weights; expected one of fp32, tf32,"),
        (
            "tile_channels: {value: 8,",
            "tile_channels: {value: 12,",
            "12 for tile_channels; expected a multiple or a divisor of linear.cop = 8",
        ),
        (
            "port_bits: {value: 256,",
            "port_bits: {value: 12,",
            "12 for port_bits; expected whole bytes: a multiple of 8",
        ),
        ("tp: {value: 1,", "tp: {value: .inf,", "expected a number of at least 1 and of at most 1e+09"),
        ("value: 10.05e9\n    unit: bytes/s", "value: 0.5\n    unit: bytes/s", "expected a number of at least 1"),
        ("clock: {value: 400e6, unit: Hz", "clock: {value: 400e6, unit: bytes", "expected"),
    ],
)
def test_faults_name_their_place(old: str, new: str, fault: str, tmp_path: Path) -> None:
    """file:line:col of the value that is wrong, what was found and what was expected."""
    text = (CATALOG / "vck190.yaml").read_text(encoding="utf-8")
    assert text.count(old) == 1
    path = tmp_path / "board.yaml"
    path.write_text(text.replace(old, new), encoding="utf-8")
    with pytest.raises(HwsimError) as caught:
        find_device(str(path))
    (found,) = caught.value.faults
    line = next(number for number, row in enumerate(text.splitlines(), 1) if old.splitlines()[0] in row)
    assert found.where.source == str(path)
    assert found.where.line is not None
    assert abs(found.where.line - line) <= new.count("\n")
    assert found.where.column is not None
    assert fault in str(found)


def test_faults_suggest_the_nearest(tmp_path: Path) -> None:
    """Formats, keys, machines and families that are nearly right."""
    text = (CATALOG / "vck190.yaml").read_text(encoding="utf-8")
    for old, new, suggestion in (
        ("weights: int4", "weights: int44", "int4"),
        (
            '  lanes: {value: 8, unit: "1", kind: datasheet, source: "src',
            '  lames: {value: 8, unit: "1", kind: datasheet, source: "src',
            "lanes",
        ),
        ("family: fpga", "family: fpgb", "fpga"),
    ):
        assert text.count(old) == 1
        path = tmp_path / "board.yaml"
        path.write_text(text.replace(old, new), encoding="utf-8")
        with pytest.raises(HwsimError) as caught:
            find_device(str(path))
        assert suggestion in [fault.suggestion for fault in caught.value.faults]
    with pytest.raises(HwsimError, match="did you mean 'vck190-spec'"):
        find_device("vck190-spek")


def test_a_file_without_a_family_is_refused(tmp_path: Path) -> None:
    """The family decides what the rest must hold."""
    path = tmp_path / "board.yaml"
    path.write_text("name: board\n", encoding="utf-8")
    with pytest.raises(HwsimError, match="no family; expected family: array or fpga"):
        find_device(str(path))


def test_all_faults_of_a_file_at_once(tmp_path: Path) -> None:
    """Three slips, three faults."""
    text = (CATALOG / "vck190.yaml").read_text(encoding="utf-8")
    text = text.replace("tp: {value: 1,", "tp: {value: 0,").replace("state: int8", "state: int7")
    path = tmp_path / "board.yaml"
    path.write_text(text.replace("verifies_trees: false", "verifies_trees: 1"), encoding="utf-8")
    with pytest.raises(HwsimError) as caught:
        find_device(str(path))
    assert len(caught.value.faults) == 3


def test_a_user_file_may_extend_a_shipped_machine(tmp_path: Path) -> None:
    """Only what differs need be said."""
    path = tmp_path / "mine.yaml"
    path.write_text(
        "extends: vck190\nname: mine\nscan:\n  lanes: {value: 16, unit: '1', kind: assumed, source: a wider scan}\n",
        encoding="utf-8",
    )
    device = find_device(str(path))
    assert (device.name, device.parameters.scan.lanes.value, device.parameters.scan.ports.value) == ("mine", 16, 1)
    assert {Path(source).name for source in dict(device_document(str(path)).parents)} == {"vck190.yaml"}


@pytest.mark.parametrize(
    ("setting", "fault"),
    [
        ("linear.tp=1.5", "--set device.linear.tp=1.5: 1.5 for tp; expected a whole number"),
        ("linear.tp=.inf", "expected a number of at least 1 and of at most 1e+09"),
        ("clock=0", "expected a number of at least 1 and of at most 1e+12"),
        ("memory.bandwidth=1e-300", "expected a number of at least 1"),
        ("memory.efficiency=0", "expected a number of at least 0.001 and of at most 1"),
        ("energy.mac=.inf", "expected a number of at least 0 and of at most 1e+12"),
        ("memroy.bandwidth=1e9", "did you mean 'memory.bandwidth'?"),
    ],
)
def test_faults_of_settings_name_the_setting(setting: str, fault: str) -> None:
    """``--set`` is checked as the file is."""
    with pytest.raises(HwsimError) as caught:
        find_device("vck190", [setting])
    assert fault in str(caught.value)
    assert str(caught.value).startswith(f"--set device.{setting}: ")


@pytest.mark.parametrize(
    "setting", ["memory.bandwidth=.inf", "memory.capacity=.inf", "part.lut=.inf", "part.uram=.inf"]
)
def test_what_a_chip_offers_may_be_ideal(setting: str) -> None:
    """Stock and bandwidth without limit."""
    assert find_device("vck190", [setting]).name == "vck190"
