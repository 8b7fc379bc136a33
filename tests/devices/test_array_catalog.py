"""The shipped arrays: loaded, every number with its source, ops on the array and on the host, whole models."""

import json
from math import inf

import pytest

from hwsim.cli import main
from hwsim.devices.array.host import HostWork
from hwsim.devices.array.machine import Placed
from hwsim.devices.catalog import find_device
from hwsim.devices.mapped import mapper_view
from hwsim.errors import HwsimError, Infeasible
from hwsim.mapping.check import nest_faults
from hwsim.mapping.hierarchy import Fanout, Hierarchy, Level, SpatialAxis
from hwsim.mapping.nest import Nest, Spread
from hwsim.mapping.problem import gemm
from hwsim.mapping.search import find_best
from hwsim.pipeline import kernel, simulate
from hwsim.spec import quantities
from hwsim.timing.linear import systolic_os_cycles, systolic_ws_cycles
from hwsim.workload.catalog import find_workload
from hwsim.workload.kernel import build_kernel

NAMES = ["ws16", "systolic-ws-16", "systolic-os-16", "eyeriss", "tpu-256"]
ALL = frozenset({"input", "weight", "output"})


def op(kind, device, **arguments):
    words = {"dtype": device.parameters.format} | {name: str(value) for name, value in arguments.items()}
    return build_kernel(kind, words, "test")


ATTENTION = {"phase": "prefill", "batch": 1, "heads": 4, "kv_heads": 2, "q_len": 32, "kv_len": 32, "head_dim": 16}


@pytest.mark.parametrize("name", NAMES)
def test_every_number_has_a_source(name):
    """Value, unit, kind and source throughout."""
    found = list(quantities(find_device(name).parameters))
    assert len(found) > 20
    assert all(quantity.source for _, quantity in found)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("kind", ["gemm", "conv2d"])
def test_time_is_above_every_roof(name, kind):
    """Compute and each level's bytes at full speed bound the time from below; the nest is legal."""
    device = find_device(name)
    sizes = {"m": 64, "n": 48, "k": 80} if kind == "gemm" else dict(batch=1, oc=32, ic=16, y=8, x=8, r=3, s=3)
    asked = op(kind, device, **sizes)
    answer = kernel(asked, device)
    assert answer.time_s >= answer.macs / device.roofs.macs_per_s[device.parameters.format]
    assert all(answer.time_s >= count / device.roofs.bytes_per_s[level] for level, count in answer.bytes.items())
    (part,) = device.map(asked)
    assert nest_faults(part.problem, device.hierarchy, part.nest) == ()
    assert answer.cycles == part.cost.cycles


def test_systolic_machines_keep_the_rule_of_the_verilog():
    """With memories that never make it wait a machine of the catalog takes the systolic rule's cycles."""
    fast = [f"levels.{i}.{side}_bandwidth=1e18" for i in (0, 1, 2) for side in ("read", "write")]
    for name, rule, sizes in (
        ("systolic-ws-16", systolic_ws_cycles, {"m": 40, "n": 32, "k": 48}),
        ("systolic-os-16", systolic_os_cycles, {"m": 32, "n": 48, "k": 40}),
    ):
        device = find_device(name, fast)
        # six tiles of 40 beats; a cycle to fill and one to drain, however fast the memories
        cycles = kernel(op("gemm", device, **sizes), device).cycles
        assert rule(6, 40, 16) <= cycles <= rule(6, 40, 16) + 4


def test_attention_is_two_products_and_a_softmax_on_the_host():
    """Scores, softmax, values, in this order; grouped queries share a product."""
    device = find_device("tpu-256")
    scores, softmax, values = device.map(op("attention", device, **ATTENTION))
    assert isinstance(scores, Placed)
    assert isinstance(values, Placed)
    assert scores.problem.extents == {"batch": 2, "m": 64, "n": 32, "k": 16}
    assert values.problem.extents == {"batch": 2, "m": 64, "n": 16, "k": 32}
    assert isinstance(softmax, HostWork)
    assert softmax.read_bytes == 2 * 64 * 32 * 4  # sums of 32 bits
    assert softmax.written_bytes == 2 * 64 * 32
    assert softmax.energy_pj == 5 * 2 * 64 * 32


def test_without_a_host_only_products_run():
    """ws16 declares none: attention and norms are infeasible, with the lever."""
    device = find_device("ws16")
    for asked in (op("attention", device, **ATTENTION), op("norm", device, op="rmsnorm", tokens=4, width=8)):
        bad = device.supports(asked)
        assert isinstance(bad, Infeasible)
        assert "a host: in the machine's file" in bad.levers


@pytest.mark.parametrize("name", ["systolic-ws-16", "eyeriss", "tpu-256"])
def test_whole_models_run(name):
    """A vision transformer end to end: shares add up, host and array both work, nothing is above the peak."""
    device = find_device(name)
    answer = simulate(find_workload("deit-t"), device)
    assert sum(row.share for row in answer.ops) == pytest.approx(1)
    assert answer.energy_j_by["host"] > 0
    assert answer.macs / answer.time_s <= max(device.roofs.macs_per_s.values())
    assert answer.bytes["DRAM"] >= answer.memory_bytes["weights"]


def test_a_mapping_file_decides(tmp_path, capsys):
    """`simulate --mapping FILE`: nests written by `map`, then used; the file is among the inputs."""
    target = tmp_path / "deit.yaml"
    assert main(["map", "deit-t", "--device", "eyeriss", "--out", str(target), "--quiet"]) == 0
    assert main(["check", str(target), "--quiet"]) == 0
    capsys.readouterr()
    words = ["simulate", "deit-t", "--device", "eyeriss", "--json", "-"]
    assert main(words) == 0
    auto = json.loads(capsys.readouterr().out)
    assert main([*words, "--mapping", str(target)]) == 0
    given = json.loads(capsys.readouterr().out)
    assert given["mapping"] == str(target)
    assert str(target) in given["inputs"]
    assert given["cycles"] == auto["cycles"]
    worse = target.read_text().replace("hold W in GLB, ", "")
    target.write_text(worse)
    assert main([*words, "--mapping", str(target)]) == 0
    assert json.loads(capsys.readouterr().out)["energy_j"] != auto["energy_j"]


def test_map_of_a_model_sums_its_products(capsys):
    """`map WORKLOAD`: a row for each product, sums over its runs, the host's ops named."""
    assert main(["map", "deit-t", "--device", "ws16", "--json", "-"]) == 0
    form = json.loads(capsys.readouterr().out)
    assert form["energy_j"] == pytest.approx(sum(row["energy_j"] * row["count"] for row in form["results"]))
    assert form["cycles"] == sum(row["cycles"] * row["count"] for row in form["results"])
    assert form["optimal"] == all(row["optimal"] for row in form["results"])
    assert form["searched"] < sum(row["count"] for row in form["results"])
    assert "attn_norm" in form["not_mapped"]


def test_an_fpga_has_one_nest(capsys):
    """`map gemm --device vck190`: the dataflow's nest, a space of one."""
    assert (
        main(["map", "gemm", "m=1", "n=512", "k=256", "--device", "vck190", "--mode", "pipelined", "--json", "-"]) == 0
    )
    form = json.loads(capsys.readouterr().out)
    assert (form["space"], form["optimal"], form["nests"]["represented"]) == ("dataflow", True, 1)
    assert (
        main(
            [
                "map",
                "conv2d",
                "batch=1",
                "oc=4",
                "ic=4",
                "y=4",
                "x=4",
                "r=1",
                "s=1",
                "--device",
                "vck190",
                "--json",
                "-",
            ]
        )
        == 3
    )


def test_families_without_nests_are_named():
    """A GPU has no loop nest: the message says which families do."""
    with pytest.raises(HwsimError, match="which have loop nests; hwsim map also takes cpu, gpu and optical"):
        mapper_view(find_device("l4"))


def level(name, capacity=inf, may=ALL, must=frozenset()):
    return Level(name, capacity, 1, 1, 1, 1, may, must)


def test_an_axis_that_cannot_multicast_is_never_used():
    """n on an axis without multicast of inputs: the fault names operand and mend, and the search leaves it idle."""
    axis = SpatialAxis("columns", 4, ("n",), frozenset())
    hierarchy = Hierarchy("m", 1e9, (level("top"), Fanout((axis,))), 1)
    (fault,) = nest_faults(gemm(4, 4, 4), hierarchy, Nest((Spread("columns", "n", 1),)))
    assert "dimension n on axis columns, which cannot multicast I" in str(fault)
    assert find_best(gemm(4, 4, 4), hierarchy).cost.cycles_by["compute"] == 64


@pytest.mark.parametrize(
    ("parts", "message"),
    [
        ((), "no level before the first fan-out"),
        ((Fanout((SpatialAxis("a", 2, ("n",)),)),), "no level before the first fan-out"),
        ((level("top", may=frozenset({"input"})),), "top may not hold output, weight"),
        ((level("top"), level("top")), "two parts called 'top'"),
        ((level("top"), level("l", may=frozenset({"input"}), must=ALL)), "l must hold output, weight but may not"),
    ],
)
def test_hierarchies_that_lack_something(parts, message):
    """A missing level, a role that nothing holds, a name twice: each said."""
    with pytest.raises(HwsimError, match=message):
        Hierarchy("m", 1e9, parts, 1)


def test_a_systolic_array_is_square():
    """Sides that differ have no rule."""
    axes = (SpatialAxis("a", 2, ("n",)), SpatialAxis("b", 4, ("k",)))
    with pytest.raises(HwsimError, match="a systolic array of 2 x 4; expected axes of one extent"):
        Hierarchy("m", 1e9, (level("top"), Fanout(axes)), 1, systolic="weight")


def test_constraints_that_leave_no_mapping():
    """A level that must hold what has no room: infeasible, with need, room and levers."""
    hierarchy = Hierarchy("m", 1e9, (level("top"), level("l", 2, must=ALL)), 1)
    answer = find_best(gemm(4, 4, 4), hierarchy)
    assert isinstance(answer, Infeasible)
    assert (answer.resource, answer.demand, answer.bound) == ("l", 3, 2)
    assert answer.levers == ("more capacity of l", "let an operand bypass l", "narrower words")
