"""The layer's schedule: what waits for what, tile by tile, and what hides behind what."""

from __future__ import annotations

from itertools import pairwise

import pytest
from fpga_cases import IDEAL_MEMORY, layer_named, layer_program, machine, shipped
from hypothesis import given, settings
from hypothesis import strategies as st

from hwsim.devices.base import PassWork
from hwsim.devices.fpga.body import layer_body
from hwsim.devices.fpga.load import loads_of
from hwsim.schedule import Program, Schedule, critical_cycles, run

HIDDEN = {"scan", "conv", "gate", "state_in", "state_out", "conv_in", "conv_out", "conv_weights"}


def scheduled(program: Program) -> Schedule:
    schedule = run(program)
    assert isinstance(schedule, Schedule)
    return schedule


def times(program: Program, rep: int) -> dict[str, list[tuple[int, int]]]:
    """Stage -> (start, end) of its tiles in one repetition."""
    found: dict[str, list[tuple[int, int]]] = {}
    for _, stage, _, start, end in scheduled(program).window(rep, 1).rows():
        found.setdefault(stage, []).append((start, end))
    return found


def test_the_scan_ends_one_tile_after_the_last_x_tile() -> None:
    """Hidden under in_proj: its tail is one conv tile and one scan tile of 256 cycles."""
    layer = times(layer_program(machine("vck190", IDEAL_MEMORY), PassWork("decode", 1)), 1)
    last_x = layer["in_proj"][-2][1]  # the last output tile is z's
    assert layer["scan"][-1][1] == last_x + 1 + 256
    assert layer["scan"][-1][1] < layer["in_proj"][-1][1]
    assert layer["gate"][-1][0] == layer["in_proj"][-1][1]


def test_an_x_tile_arrives_every_640_cycles() -> None:
    """Permuted order: two 320-cycle tiles for each x, and one dt tile in 129."""
    layer = times(layer_program(machine("vck190", IDEAL_MEMORY), PassWork("decode", 1)), 1)
    starts = [start for start, _ in layer["scan"]]
    gaps = [after - before for before, after in pairwise(starts)]
    assert set(gaps) == {640, 960}
    assert gaps.count(960) == 9
    first_b = layer["in_proj"][0][0]
    assert starts[0] == first_b + (32 + 1 + 1) * 320 + 1


@pytest.mark.parametrize("memory", [IDEAL_MEMORY, {"memory.bandwidth": 1e15}, {}])
def test_the_scan_is_not_on_the_critical_path(memory: dict[str, float]) -> None:
    """With ideal memory the linear core leads; with the released port or memory the weights do; never the scan."""
    spent = critical_cycles(layer_program(machine("vck190", memory), PassWork("decode", 1)))
    assert "scan" not in spent
    lead = max(spent, key=spent.__getitem__)
    assert lead == ("in_proj" if memory == IDEAL_MEMORY else "weights.in_proj")
    if memory == IDEAL_MEMORY:
        assert not HIDDEN - {"gate"} & spent.keys()
        assert spent["in_proj"] == 423_040
        assert spent["out_proj"] == 204_800


def test_a_layer_with_ideal_memory_is_its_gemms_and_barriers() -> None:
    """423,040 + 204,800 cycles, the norms' passes, and what fills and drains the pipeline."""
    program = layer_program(machine("vck190", IDEAL_MEMORY), PassWork("decode", 1), reps=64)
    per_layer = scheduled(program).makespan_cycles / 64
    gemms, norms = 423_040 + 204_800, (320 + 9) + (640 + 9)
    assert gemms + norms <= per_layer <= gemms + norms + 64


def test_weights_run_ahead_no_further_than_the_fifo() -> None:
    """A burst starts only when the tiles before it have freed room for it."""
    program = layer_program(machine("vck190", IDEAL_MEMORY), PassWork("decode", 1))
    layer = times(program, 1)
    tile_beats = -(-428_004 // program.stage("in_proj").tiles)
    most_beats = max(512 + 256 + tile_beats, 2 * (256 + tile_beats))
    for index, (start, _) in enumerate(layer["weights.in_proj"]):
        freed = sum(end <= start for _, end in layer["in_proj"]) * tile_beats
        assert (index + 1) * 256 - freed <= most_beats + 256 + tile_beats


@pytest.mark.parametrize("name", ["mamba-2.8b", "mamba-130m"])
def test_mamba1_scan_hides_under_the_z_half(name: str) -> None:
    """x_proj needs the whole conv, so the scan starts with dt_proj and runs beside the z half of in_proj."""
    layer = times(layer_program(machine("vck190", IDEAL_MEMORY), PassWork("decode", 1), name), 1)
    assert layer["x_proj"][0][0] >= layer["conv"][-1][1]
    assert layer["scan"][0][0] >= layer["dt_proj"][0][1]
    assert layer["scan"][-1][1] <= layer["in_proj.z"][-1][1]
    assert layer["out_proj"][0][0] >= layer["gate"][-1][1]


@settings(max_examples=25)
@given(
    st.sampled_from(["mamba2-2.7b", "mamba2-130m", "mamba-130m"]),
    st.sampled_from([1, 2, 4, 8, 16, 24, 48, 64]),
    st.sampled_from([1, 2, 3, 0.5, 0.25]),
)
def test_each_channel_waits_for_what_it_needs(name: str, cop: int, ratio: float) -> None:
    """Whatever the tiling: a scan tile follows the output tiles of its channels, a gate tile its scan tile."""
    tile = max(1, int(cop * ratio))
    values = {"linear.cop": cop, "scan.tile_channels": tile if cop % tile == 0 or tile % cop == 0 else cop}
    device = machine("vck190", {**IDEAL_MEMORY, **values, "part.lut": 1e9})
    tile = int(values["scan.tile_channels"])
    layer = times(layer_program(device, PassWork("decode", 1), name), 1)
    d_inner = layer_named(name).d_inner
    source = "conv" if name.startswith("mamba2") else "dt_proj"
    skipped = len(layer[source]) - -(-d_inner // cop)
    for index, (start, _) in enumerate(layer["scan"]):
        last_channel = min((index + 1) * tile, d_inner) - 1
        assert start >= layer[source][skipped + last_channel // cop][1]
    for index, (start, _) in enumerate(layer["gate"]):
        last_channel = min((index + 1) * cop, d_inner) - 1
        assert start >= layer["scan"][last_channel // tile][1]


def test_a_gemm_of_less_than_a_beat_has_no_stream() -> None:
    """Wide ports and a tiny projection: its weights come in a neighbour's beat, and the layer still runs."""
    device = machine("vck190", {"memory.ports": 1024, "memory.port_bits": 4096})
    (load,) = loads_of(device.parameters, PassWork("decode", 1))
    body = layer_body(device.parameters, layer_named("mamba-130m"), load)
    assert "weights.dt_proj" not in body.beats
    scheduled(Program(tuple(body.stages), tuple(body.edges), 2))


def test_a_tree_is_one_reading_of_state_and_weights() -> None:
    """13 nodes: 13 times the scan, the same state and weights in."""
    from hwsim.devices.base import StatePlan
    from hwsim.workload.decoding import TokenTree

    device = shipped("vck190-spec")
    tree = TokenTree.from_levels([[0, 0, 0], [0, 0, 1], [0, 0, 1], [0, 0, 0]])
    one = layer_program(device, PassWork("decode", 1))
    many = layer_program(device, PassWork("verify", 13, tree=tree, state=StatePlan("cache", 1, 13)))
    for name in ("conv_in", "conv_weights", "state_in", "weights.in_proj", "weights.out_proj", "in_proj", "out_proj"):
        assert many.stage(name).cycles_per_rep == one.stage(name).cycles_per_rep, name
    assert many.stage("scan").cycles_per_rep == 13 * one.stage("scan").cycles_per_rep
    assert many.stage("state_out").cycles_per_rep == pytest.approx(13 * one.stage("state_out").cycles_per_rep, abs=13)
