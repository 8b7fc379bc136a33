"""What the design needs of the chip, and the answer when it does not fit."""

from __future__ import annotations

import pytest
from fpga_cases import LARGE_CHIP, TARGET, answer, graph_of, layer_named, machine, refusal, shipped, trees
from hypothesis import given
from hypothesis import strategies as st

from hwsim.devices.base import PassWork, StatePlan
from hwsim.devices.fpga.capacity import check_fabric, check_memory, demand_of
from hwsim.errors import Infeasible
from hwsim.workload.catalog import find_workload

AR = PassWork("decode", 1)


def demand(values: dict[str, float] | None = None, work: PassWork = AR, device: str = "vck190") -> dict[str, float]:
    (terms,) = demand_of(machine(device, values).parameters, layer_named(), work)
    return {resource: sum(parts.values()) for resource, parts in terms.items()}


def well_formed(bad: Infeasible) -> None:
    assert sum(bad.terms.values()) == pytest.approx(bad.demand)
    assert bad.demand > bad.bound
    assert bad.levers
    assert all(bad.levers)
    assert bad.reason


def test_the_released_design_needs_what_its_readme_says() -> None:
    """107k LUT, 228 DSP, 456 BRAM."""
    found = demand()
    assert found["LUT"] == pytest.approx(107_000, rel=1e-3)
    assert found["DSP"] == 228
    assert found["BRAM"] == 456


def test_hidden_state_of_a_layer_in_uram() -> None:
    """81,920 rows of 8 elements (68 bits) in blocks of 72 x 4096: 20 blocks for each copy, rounded up together."""
    assert demand()["URAM"] == 5120 * 128 / 8 / 4096 == 20
    assert demand(work=PassWork("decode", 1, state=StatePlan(writes=3)))["URAM"] == 60


@pytest.mark.parametrize(
    ("path", "resource", "each"),
    [
        ("linear.tp", "LUT", 64 * 40),
        ("scan.lanes", "LUT", 1145),
        ("vector.lanes", "LUT", 500),
        ("scan.lanes", "DSP", 7),
    ],
)
def test_units_cost_fabric(path: str, resource: str, each: float) -> None:
    """A slot is 64 multipliers of 40 LUTs; lanes have their own price."""
    group, field = path.split(".")
    now = getattr(getattr(shipped("vck190").parameters, group), field).value
    assert demand({path: now + 2})[resource] - demand()[resource] == 2 * each


def test_weight_fifo_in_bram() -> None:
    """256 bits are four BRAMs of 72 bits wide, 512 deep each."""
    assert demand({"fifo.weight_beats": 513})["BRAM"] - demand()["BRAM"] == 4


def test_a_tree_needs_its_parents_states_and_its_nodes_conv_inputs() -> None:
    """FIFO of live parents, a tile each, and the conv inputs of every node but the root."""
    tree = find_workload("mamba-tree").decoding.tree.tree  # type: ignore[union-attr]
    (terms,) = demand_of(shipped("vck190-spec").parameters, layer_named(), PassWork("verify", 13, tree=tree))
    assert tree.fifo_peak == 3
    lane_bits, tile_bits = 48 * 8.5, 8 * 128 * 8.5
    words = tree.fifo_peak * -(-tile_bits // lane_bits)
    assert terms["BRAM"]["parent-state FIFO"] == -(-lane_bits // 72) * -(-words // 512)
    assert terms["BRAM"]["conv inputs of tree nodes"] == -(-12 * 5376 * 8.5 // (72 * 512))


@given(trees(), st.sampled_from(["scan.tile_channels", "fifo.weight_beats", "linear.tp", "scan.lanes"]))
def test_larger_units_never_need_less(tree: object, path: str) -> None:
    """Demand of each resource but URAM grows with the units (wider lanes may pack state better)."""
    values = {"scan.tile_channels": 8, "fifo.weight_beats": 512, "linear.tp": 4, "scan.lanes": 16}
    work = PassWork("verify", tree.nodes, tree=tree)  # type: ignore[attr-defined, arg-type]
    small = demand(values, work, "vck190-spec")
    large = demand({**values, path: values[path] * 2}, work, "vck190-spec")
    assert all(large[each] >= small[each] for each in ("LUT", "DSP") + (("BRAM",) if path != "scan.lanes" else ()))


@pytest.mark.parametrize(
    ("values", "resource"),
    [
        ({"part.lut": 100_000}, "LUT"),
        ({"linear.tp": 400}, "LUT"),
        ({"part.dsp": 200}, "DSP"),
        ({"part.bram": 455}, "BRAM"),
        ({"part.uram": 19}, "URAM"),
    ],
)
def test_a_short_chip_is_infeasible(values: dict[str, float], resource: str) -> None:
    """By name, with terms that add up to the demand, and levers."""
    bad = refusal("mamba-ar", machine("vck190", values))
    well_formed(bad)
    assert bad.resource == bad.unit == resource
    assert bad.bound == machine("vck190", values).parameters.part.__getattribute__(resource.lower()).value


@pytest.mark.parametrize(
    ("name", "part", "said"),
    [
        (
            "vck190",
            "part.lut",
            {"linear core": "assumed: 4 x 4 bit", "scan lanes": "derived: README.md", "control and routing": "derived"},
        ),
        ("vck190", "part.dsp", {"linear core": "datasheet", "vector units": "assumed: four conv taps"}),
        ("vck190", "part.bram", {"weight FIFO": "derived: width and depth", "control and routing": "derived: README"}),
        ("vck190", "part.uram", {"hidden state of a layer": "derived: width and depth"}),
        ("mamba-block-ideal", "part.dsp", {"conv": "derived: the RTL units", "addresses": "derived: the RTL"}),
        ("mamba-block-ideal", "part.bram", {"scan lanes": "derived: the RTL units"}),
    ],
)
def test_a_refusal_tells_where_each_figure_comes_from(name: str, part: str, said: dict[str, str]) -> None:
    """Kind and source of every term: a constant of the file, the blocks' geometry, or a formula of the units."""
    bad = refusal("mamba-ar", machine(name, {part: 1}))
    assert set(bad.sources) == set(bad.terms)
    assert all(bad.sources[term].startswith(text) for term, text in said.items())


@pytest.mark.parametrize(("part", "needs"), [("part.lut", "LUT"), ("part.bram", "BRAM"), ("part.uram", "URAM")])
def test_exactly_enough_is_enough(part: str, needs: str) -> None:
    """The bound itself is feasible, one block less is not."""
    wanted = demand()[needs]
    answer("mamba-ar", machine("vck190", {part: wanted}))
    refusal("mamba-ar", machine("vck190", {part: wanted - 1}))


def test_memory_holds_weights_state_and_saved_inputs() -> None:
    """Weights of target and draft once, states and inputs of the passes; one byte less than that is too little."""
    found = answer("mamba-tree", machine("vck190-spec"))
    needed = sum(found.memory_bytes.values())
    answer("mamba-tree", machine("vck190-spec", {"memory.capacity": needed}))
    bad = refusal("mamba-tree", machine("vck190-spec", {"memory.capacity": needed - 1}))
    well_formed(bad)
    assert (bad.resource, bad.unit) == ("DRAM", "bytes")
    assert set(bad.terms) == {"weights", "state", "activations"}


def test_weights_in_memory_are_the_models_at_four_bits() -> None:
    """Mamba-2 2.7B's linear weights at 4 bit with 6 bits per 128, the small vectors at 8 bit with scales."""
    found = answer("mamba-ar", machine("vck190"))
    linear = 2_571_632_640 * (4 + 6 / 128) / 8
    assert found.memory_bytes["weights"] == pytest.approx(linear, rel=0.002)
    assert found.memory_bytes["weights"] > linear
    assert found.memory_bytes["state"] == 64 * (5120 * 128 + 4 * (5120 + 2 * 128)) * 8.5 / 8


def test_a_large_batch_runs_out_of_uram_first() -> None:
    """Sequences run side by side keep a state each on the chip."""
    bad = refusal("mamba-ar", machine("vck190-spec", {"linear.tp": 100, "part.lut": 1e9}), batch=100)
    assert bad.resource == "URAM"
    answer("mamba-ar", machine("vck190-spec", {**LARGE_CHIP, "linear.tp": 100}), batch=100)


def test_checks_pass_where_everything_fits() -> None:
    """None is the answer of a check that has nothing to say."""
    p = shipped("vck190").parameters
    assert check_fabric(p, {"LUT": {"all": 1.0}}) is None
    assert check_memory(p, {"weights": 1.0}) is None
    assert shipped("vck190").fits(((graph_of(TARGET), AR),)) is None
