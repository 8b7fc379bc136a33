"""`ArrayDevice`: the mapper's cycles, bytes and energy through the same door as every machine."""

from dataclasses import fields

import pytest

from hwsim.devices.base import Device
from hwsim.devices.catalog import find_device
from hwsim.errors import HwsimError, Infeasible
from hwsim.pipeline import kernel, simulate
from hwsim.spec import quantities
from hwsim.workload.catalog import find_workload
from hwsim.workload.kernel import build_kernel
from hwsim.workload.model import Formats


@pytest.fixture(scope="module")
def ws16():
    """The shipped machine."""
    return find_device("ws16")


def op(kind, **arguments):
    return build_kernel(kind, {"dtype": "int8"} | {name: str(value) for name, value in arguments.items()}, "test")


def test_it_is_a_device(ws16):
    """Every member of the protocol is there; main memory and the PEs have the declared rates."""
    assert isinstance(ws16, Device)
    rates = {resource.name: resource.rate for resource in ws16.resources}
    assert rates == {"memory": 16e9, "pes": 256e9, "L2": 64e9, "L1": 256e9, "wreg": 512e9}
    assert ws16.roofs.ridge_macs_per_byte("int8", "DRAM") == 16


def test_a_kernel_gives_the_golden_account(ws16):
    """GEMM 1024^3: cycles and energy of the golden mapping, and its 6 MiB of main memory."""
    answer = kernel(op("gemm", m=1024, n=1024, k=1024), ws16)
    assert answer.cycles == 4_194_304
    assert answer.energy_j == pytest.approx(863.4394e-6, rel=1e-6)
    assert answer.bytes["DRAM"] == 6 * 2**20
    assert answer.utilization["memory"] == pytest.approx(6 * 2**20 / 16 / 4_194_304)


def test_the_slowest_port_is_the_limit(ws16):
    """GEMV 4096^2 waits for main memory: (16 Mi weights + 8 Ki) bytes at 16 bytes a cycle."""
    answer = kernel(op("gemm", m=1, n=4096, k=4096), ws16)
    assert (answer.cycles, answer.bound) == ((4096 * 4096 + 8192) // 16, "memory")


@pytest.mark.parametrize(
    "asked",
    [
        op("gemm", m=64, n=48, k=80, batch=3),
        op("conv2d", batch=1, oc=32, ic=16, y=8, x=8, r=3, s=3),
        op("conv2d", batch=1, oc=16, ic=16, y=8, x=8, r=3, s=3, groups=16),
    ],
    ids=["batched", "conv", "depthwise"],
)
def test_time_is_above_every_roof(ws16, asked):
    """Compute and each level's bytes at full speed bound the time from below."""
    answer = kernel(asked, ws16)
    assert answer.time_s >= answer.macs / ws16.roofs.macs_per_s["int8"]
    assert all(answer.time_s >= count / ws16.roofs.bytes_per_s[level] for level, count in answer.bytes.items())


@pytest.mark.parametrize("path", ["levels.0.read_bandwidth=32e9", "levels.1.capacity=1e6", "axes.0.extent=32"])
def test_more_is_never_slower(path):
    """Latency-bound GEMV: bandwidth, room or rows added, cycles do not grow."""
    asked = op("gemm", m=1, n=512, k=512)
    assert kernel(asked, find_device("ws16", [path])).cycles <= kernel(asked, find_device("ws16")).cycles


def test_what_it_lacks_is_infeasible_with_a_reason(ws16):
    """Other kinds, other formats, sparse operands, dimensions beyond the mapper: an answer, not a crash."""
    reasons = {
        "attention's products, not softmax": op("softmax", tokens=4, width=8),
        "take int8 for activation, not fp16": op("gemm", m=4, n=4, k=4, dtype="fp16"),
        "no unit for sparse operands": op("gemm", m=4, n=4, k=4, sparsity=0.5, structure="2:4"),
        "fewer than 2^53": op("gemm", m=2**20, n=2**20, k=2**20),
    }
    for reason, asked in reasons.items():
        answer = kernel(asked, ws16)
        assert isinstance(answer, Infeasible)
        assert reason in answer.reason
        assert answer.levers


def test_a_model_is_refused_for_its_heaviest_missing_op(ws16):
    """Mamba needs a scan, which no PE array has."""
    answer = simulate(find_workload("mamba"), ws16)
    assert isinstance(answer, Infeasible)
    assert "not scan" in answer.reason


def test_formats_are_the_multipliers_own(ws16):
    """Weights and activations become int8, and the answer says so."""
    adapted, choice = ws16.formats(Formats(weights="fp16", activations="bf16"))
    assert (adapted.weights, adapted.activations) == ("int8", "int8")
    assert choice.differences == ("weights: asked fp16, runs int8", "activations: asked bf16, runs int8")


def test_memory_that_is_too_small_is_named():
    """Weights beyond a finite main memory: the level, the terms, the lever."""
    from hwsim.devices.base import PassWork
    from hwsim.workload.graph import Graph

    device = find_device("ws16", ["levels.0.capacity=1000"])
    graph = Graph("one")
    graph.add(op("gemm", m=1, n=64, k=64))
    passes = ((graph, PassWork("decode", 1)),)
    assert device.fits(passes).terms["weights"] == 4096
    assert find_device("ws16").fits(passes) is None


def test_every_constant_enters_something(ws16):
    """Energies, capacities, and all else has a say in time."""
    said = {path: ws16.enters(path) for path, _ in quantities(ws16.parameters, "")}
    assert {where for path, where in said.items() if "energy" in path} == {"energy"}
    assert {where for path, where in said.items() if "levels[0].capacity" in path} == {"capacity"}
    assert {where for path, where in said.items() if "[1].capacity" in path} == {"time"}  # it decides which nests fit
    assert {where for path, where in said.items() if "bandwidth" in path or "extent" in path} == {"time"}


def test_faults_of_a_machine_are_found_when_it_is_read(tmp_path):
    """Two levels of one name: refused by `check`, not by the first op."""
    from hwsim.devices import catalog

    text = (catalog._CATALOG / "ws16.yaml").read_text(encoding="utf-8").replace("name: L2", "name: L1")
    path = tmp_path / "twice.yaml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(HwsimError, match="two parts called 'L1'"):
        find_device(str(path))


def test_the_parameters_are_documented(ws16):
    """Each field of the catalog value stands in its docstring."""
    text = type(ws16.parameters).__doc__ or ""
    assert all(f"{field.name}:" in text for field in fields(ws16.parameters))
