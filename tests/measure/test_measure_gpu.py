"""Measuring and calibrating a card: on a timer that knows the truth, on recorded rows, and without a card."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path
from types import ModuleType, SimpleNamespace

import pytest

from hwsim.cli import main
from hwsim.devices.catalog import find_device
from hwsim.devices.gpu.estimate import ALONE
from hwsim.devices.gpu.kernels import estimate
from hwsim.errors import HwsimError, Infeasible
from hwsim.measure import Request, read_measurement, write_measurement
from hwsim.measure.gpu import calibrate, card_named, measure
from hwsim.measure.gpu_bounds import least_s
from hwsim.measure.gpu_cases import LAUNCHES, cases
from hwsim.workload.kernel import build_kernel

Capture = pytest.CaptureFixture[str]
TRUTH = (
    "stacks.trtllm-1.gemm.floor=7050",
    "stacks.trtllm-1.gemm.tensor_share=0.6",
    "stacks.trtllm-1.dram_share=0.65",
    "stacks.trtllm-1.vector.stream=0.6",
    "stacks.trtllm-1.attention.decode_floor='9 us'",
    "stacks.trtllm-1.scan.conv_floor='7 us'",
)


class KnownCard:
    """A timer whose card is the simulator's own with other constants: the truth that calibration should find."""

    card = "NVIDIA A100-SXM4-80GB"
    versions = {"torch": "2.9"}  # noqa: RUF012
    facts = {"sms": 108.0, "memory_bytes": 8.5e10}  # noqa: RUF012

    def __init__(self, faulty: bool = False) -> None:
        self.parameters = find_device("a100-sxm-80", TRUTH).parameters
        self.faulty = faulty

    def samples_s(self, case, repeats):
        found = estimate(self.parameters, build_kernel(case.kind, case.named), ALONE)
        if isinstance(found, Infeasible):
            return None
        time = found.time_s * (1e-3 if self.faulty and case.named.get("m") == 8192 else 1.0)
        return [time * (1.0 + 0.001 * (number % 3)) for number in range(repeats)]

    def launch_samples_s(self, how, repeats):
        return [{"graph": 1e-6, "eager": 8e-6, "call": 15e-6}[how]] * repeats


@pytest.fixture(scope="module")
def measured(tmp_path_factory):
    """The folder of a whole measurement of the known card."""
    folder = tmp_path_factory.mktemp("measured")
    write_measurement(folder, measure(Request("2026-01-01"), KnownCard()))
    return folder


def test_calibration_finds_the_constants_that_made_the_rows(measured: Path, tmp_path: Path, capsys: Capture) -> None:
    """A whole round: folder, file, machine; its constants are measured, name their rows, and predict the card."""
    target = tmp_path / "mine.yaml"
    assert main(["calibrate", str(measured), "--out", str(target)]) == 0
    assert "a100-sxm-80-measured" in capsys.readouterr().out
    mine, truth, base = find_device(str(target)), KnownCard().parameters, find_device("a100-sxm-80").parameters
    stack = mine.parameters.software
    assert stack.gemm.floor.kind == "measured"
    assert "rows of products" in stack.gemm.floor.source
    assert mine.parameters.launches.eager.value == pytest.approx(8e-6)
    assert stack.vector.rotary == base.software.vector.rotary  # no row tells it
    rows = [build_kernel(case.kind, case.named) for case in cases()]

    def miss(p) -> float:
        pairs = [(estimate(p, op, ALONE), estimate(truth, op, ALONE)) for op in rows]
        found = [
            a.time_s / b.time_s for a, b in pairs if not isinstance(a, Infeasible) and not isinstance(b, Infeasible)
        ]
        return sum(abs(each - 1) for each in found) / len(found)

    assert miss(base) > 0.12
    assert miss(mine.parameters) < 0.04
    assert main(["check", str(target)]) == 0


def test_a_measurement_says_what_it_is_of(measured: Path) -> None:
    """Card, versions, method, and a file per kind whose columns `hwsim kernel --csv` takes."""
    found = read_measurement(measured)
    assert found.header.base == "a100-sxm-80"
    assert found.header.versions == {"torch": "2.9"}
    assert "CUDA graph" in found.header.method
    kinds = {table.name for table in found.tables}
    assert {"gemm", "attention", "norm", "softmax", "elementwise", "conv1d", "scan", "launch"} == kinds
    launch = found.table("launch")
    assert launch is not None
    assert [line.cells["how"] for line in launch.lines] == list(LAUNCHES)


def test_rows_beyond_the_card_are_left_out_and_told() -> None:
    """A timer that is a thousand times too fast on one shape loses those rows."""
    said: list[str] = []
    shares: list[float] = []
    asked = Request("d", False, said.append, shares.append)
    whole, cut = (measure(asked, KnownCard(faulty)) for faulty in (False, True))
    first = shares[: len(shares) // 2]
    assert first == sorted(set(first)) == shares[len(first) :]
    assert first[0] == 0.0 < first[-1] < 1.0
    sizes = [len(each.table("gemm").lines) for each in (whole, cut)]  # type: ignore[union-attr]
    assert sizes[1] < sizes[0]
    assert any("left out: gemm.csv" in line and "at its nominal rates" in line for line in said)


def test_impossible_rows_are_refused_by_line(measured: Path, tmp_path: Path, capsys: Capture) -> None:
    """Calibrate names each row that no such card can have given, each cell that is no number; nothing is written."""
    for path in measured.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    lines = (tmp_path / "gemm.csv").read_text().splitlines()
    for number, text in ((1, "1e-9"), (2, "soon"), (3, "-1")):
        cells = lines[number].split(",")
        cells[4] = text
        lines[number] = ",".join(cells)
    (tmp_path / "gemm.csv").write_text("\n".join(lines) + "\n")
    assert main(["calibrate", str(tmp_path), "--out", str(tmp_path / "out.yaml")]) == 2
    said = capsys.readouterr().err
    assert "gemm.csv:2: time_s 1e-09; expected at least" in said
    assert "gemm.csv:3: column time_s: 'soon'; expected a number" in said
    assert "gemm.csv:4: time_s -1; expected a time above 0" in said
    assert not (tmp_path / "out.yaml").exists()


def test_too_few_rows_and_unknown_cards_are_refused(measured: Path) -> None:
    """Without a group of rows nothing is measured; without a known card the base must be named."""
    found = read_measurement(measured)
    with pytest.raises(HwsimError, match="0 rows; expected 6 rows of streaming kernels"):
        calibrate(replace(found, tables=()))
    stranger = replace(found, header=replace(found.header, base=None, machine="Some Card"))
    with pytest.raises(HwsimError, match="--extends: Some Card, which no shipped card is known for"):
        calibrate(stranger)
    with pytest.raises(HwsimError, match="of family fpga; expected a machine of family gpu"):
        calibrate(stranger, "vck190")


@pytest.mark.parametrize(
    ("name", "card"),
    [
        ("NVIDIA H100 80GB HBM3", "h100-sxm"),
        ("NVIDIA H100 PCIe", "h100-pcie"),
        ("NVIDIA H100 NVL", None),
        ("NVIDIA H200", "h200-sxm"),
        ("NVIDIA A100-SXM4-40GB", "a100-sxm-40"),
        ("NVIDIA A100-SXM4-80GB", "a100-sxm-80"),
        ("NVIDIA A100 80GB PCIe", None),
        ("NVIDIA GeForce RTX 4090", "rtx-4090"),
        ("NVIDIA L4", "l4"),
        ("NVIDIA L40S", "l40s"),
        ("NVIDIA L40", None),
        ("Tesla T4", "t4"),
        ("Tesla V100-SXM2-16GB", "v100"),
        ("NVIDIA A40", "a40"),
        ("NVIDIA RTX PRO 6000 Blackwell Server Edition", "rtx-pro-6000-server"),
        ("Quadro P2000", None),
        ("NVIDIA A100-PCIE-40GB", None),
        ("NVIDIA GeForce RTX 3090 Ti", None),
        ("NVIDIA GeForce RTX 4090 D", None),
        ("NVIDIA GeForce RTX 4090 Laptop GPU", None),
    ],
)
def test_cards_are_known_by_their_drivers_names(name: str, card: str | None) -> None:
    """Each name means its card and no near one."""
    assert card_named(name) == card


def test_no_torch_is_said_clearly(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture) -> None:
    """What is missing, what is expected; nothing is written."""
    monkeypatch.setattr("hwsim.measure.gpu_torch.find_spec", lambda name: None)
    assert main(["measure", "gpu", "--out", str(tmp_path / "m")]) == 2
    assert "no module torch; expected PyTorch with CUDA beside hwsim" in capsys.readouterr().err
    assert not (tmp_path / "m").exists()


def test_no_cuda_is_said_clearly(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture) -> None:
    """A torch without a card names its version."""
    fake = ModuleType("torch")
    fake.__version__ = "2.9.0+cpu"  # type: ignore[attr-defined]
    fake.cuda = SimpleNamespace(is_available=lambda: False)  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "torch", fake)
    monkeypatch.setattr("hwsim.measure.gpu_torch.find_spec", lambda name: object())
    assert main(["measure", "gpu", "--out", str(tmp_path / "m")]) == 2
    assert "torch 2.9.0+cpu sees no CUDA device" in capsys.readouterr().err


def test_the_least_time_of_a_product_is_its_roofline() -> None:
    """A large product: its arithmetic at the highest clock; a tiny one: its bytes from L2, with room for its rate."""
    device = find_device("a100-sxm-80")
    large, small = (build_kernel("gemm", {"m": n, "n": n, "k": n}) for n in (8192, 64))
    assert least_s(device, large) == pytest.approx(8192**3 / device.roofs.macs_per_s["bf16"])  # type: ignore[arg-type]
    assert least_s(device, small) == pytest.approx(3 * 64 * 64 * 2 / device.roofs.bytes_per_s["l2"] / 2)  # type: ignore[arg-type]
