"""What the FPGA machine runs: ops, formats, layers; what it answers to the rest."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
from fpga_cases import machine, refusal, shipped

from hwsim.devices.base import Device, FormatChoice, PassWork, Roofs
from hwsim.devices.catalog import device_names, find_device
from hwsim.devices.fpga import FpgaDevice
from hwsim.devices.fpga.layer import layer_of, misfits
from hwsim.workload.builders import build
from hwsim.workload.catalog import find_workload
from hwsim.workload.decoding import Speculative
from hwsim.workload.graph import Graph
from hwsim.workload.listed import ListedGemm, OpsModel
from hwsim.workload.model import Formats, HybridModel, Mamba2Model, Pass, Run, Workload

FPGAS = [name for name in device_names() if find_device(name).family == "fpga"]
TRANSFORMERS = ["transformer", "gpt2", "llama-2-7b", "mixtral-8x7b", "qwen3-8b", "vit", "deit-t", "jamba", "apriel-h1"]


def hybrid(**changes: object) -> Workload:
    """Two layers of the given pattern; none of its ops alone is beyond the machine."""
    values = {"pattern": ("mamba2",), "d_model": 64, "layers": 2, "heads": 1, "kv_heads": 1, "d_ff": 128, "vocab": 97}
    return Workload("hybrid", HybridModel(**{**values, **changes}), run=Run(lm_head="host"))


@pytest.mark.parametrize("device", FPGAS)
@pytest.mark.parametrize("name", TRANSFORMERS)
def test_attention_has_no_unit(device: str, name: str) -> None:
    """Transformers, vision models and hybrids with attention: infeasible for that reason, on every machine."""
    workload = find_workload(name)
    bad = refusal(workload, shipped(device))
    assert bad.resource == "attention unit"
    assert bad.reason == f"{device} has no attention unit (needed by attention)"
    assert (bad.demand, bad.bound) == (1, 0)
    assert sum(bad.terms.values()) == bad.demand
    assert bad.levers == ("a Mamba workload, or a machine of another family",)


def test_images_alone_have_no_unit_either() -> None:
    """A convolution over images on its own."""
    graph = build(find_workload("vit").model, Formats(), Pass("inference"))
    patch = next(op for op in graph if op.kind == "conv2d")
    bad = shipped("vck190").supports(patch)
    assert bad is not None
    assert bad.resource == "conv2d unit"


@pytest.mark.parametrize("changes", [{"pattern": ("mamba2",)}, {"pattern": ("mamba1",)}])
def test_a_layer_with_more_than_a_mixer_is_refused(changes: dict[str, object]) -> None:
    """An MLP is made of known ops, but the dataflow has no place for them: never lowered in part."""
    bad = refusal(hybrid(**changes), shipped("vck190"))
    assert bad.resource == "layer structure"
    assert "dataflow runs plain Mamba layers" in bad.reason
    assert any("up" in name or "gate" in name for name in bad.terms)
    assert sum(bad.terms.values()) == bad.demand
    assert bad.levers


def test_a_mixer_without_its_gated_norm_is_refused() -> None:
    """The released dataflow has the norm between scan and out_proj."""
    bad = refusal(hybrid(mlp_pattern=("none",), gated_norm=False), shipped("vck190"))
    assert bad.terms == {"gate": 1, "gated_norm": 1}


def test_misfits_name_what_is_too_much_and_what_lacks() -> None:
    """Strangers in the layer's order, then what is missing by name; every op without a Mamba scan."""
    graph = build(find_workload("mamba-ar").model, shipped("vck190").formats(Formats())[0], Pass("decode"))
    (run,) = (run for run in graph.layer_runs() if run.ops[0].layer is not None)
    assert misfits(run.ops) == ()
    assert layer_of(run.ops).state_elements == 655_360
    other = replace(run.ops[0], name="stranger")
    assert misfits((other, *run.ops[1:])) == ("stranger", run.ops[0].name)
    without = tuple(op for op in run.ops if op.kind != "scan")
    assert misfits(without) == tuple(op.name for op in without)


@pytest.mark.parametrize("draft", ["transformer", "jamba"])
def test_a_draft_that_is_no_mamba_is_refused(draft: str) -> None:
    """The draft runs on the same machine: checked before its states are planned."""
    workload = find_workload("mamba")
    assert isinstance(workload.decoding, Speculative)
    bad = refusal(replace(workload, decoding=replace(workload.decoding, draft=draft)), shipped("vck190-spec"))
    assert bad.resource == "attention unit"


def test_formats_are_those_the_design_is_built_for() -> None:
    """Every role changes to the built format, and what departs from the question is said."""
    formats, choice = shipped("vck190").formats(Formats(weights="bf16", activations="int4", state="fp32"))
    assert (formats.weights, formats.activations, formats.state) == ("int4", "int4", "int8")
    assert formats.weight_group == 128
    assert choice.differences == ("weights: asked bf16, runs int4", "state: asked fp32, runs int8")
    assert FormatChoice({"weights": "int4"}, {"weights": "int4"}).differences == ()


@pytest.mark.parametrize("name", FPGAS)
def test_every_machine_is_a_device(name: str) -> None:
    """The protocol, with resources that the schedule's stages use and peaks that are the units' products."""
    device = shipped(name)
    p = device.parameters
    assert isinstance(device, Device)
    assert (device.name, device.family, device.clock_hz) == (name, "fpga", p.clock.value)
    rates = {each.name: each.rate for each in device.resources}
    assert rates["linear"] == p.linear.tp.value * p.linear.cip.value * p.linear.cop.value * p.clock.value
    assert rates["scan"] == p.scan.lanes.value * p.clock.value
    assert rates["memory"] == device.roofs.bytes_per_s["dram"]
    assert device.static_power_w() == p.energy.static_power.value
    assert device.verifies_trees == (name.endswith("-spec") or p.structure == "block")


def test_ridge_point() -> None:
    """VC1902 as released: 64 MACs a cycle over 10.05 GB/s."""
    roofs = shipped("vck190").roofs
    assert roofs.ridge_macs_per_byte("int4", "dram") == pytest.approx(64 * 400e6 / 10.05e9)
    assert Roofs({"int8": 4.0}, {"dram": 2.0}).ridge_macs_per_byte("int8", "dram") == 2


def test_peaks_of_one_format_add_up() -> None:
    """Where core and lanes share a format, both can be busy: the peak is their sum."""
    same = machine("vck190", {"formats.weights": "int8"}).roofs.macs_per_s
    apart = machine("vck190").roofs.macs_per_s
    assert same["int8"] == apart["int4"] + apart["int8"] == (64 + 2 * 8) * 400e6


def test_mappings_show_the_tiling() -> None:
    """The linear core's shape for a GEMM, the lanes' for a scan, the width of a vector unit for the rest."""
    device = shipped("vck190-spec")
    graph = build(find_workload("mamba-ar").model, device.formats(Formats())[0], Pass("decode"))
    by_name = {op.name: device.map(op) for op in graph if op.layer == 0}
    assert by_name["in_proj"] == {"tp": 13, "cip": 8, "cop": 8}
    assert by_name["scan"] == {"tile_channels": 8, "lanes": 48}
    assert by_name["norm"] == {"lanes": 32}


def test_planning_states_needs_layers() -> None:
    """A model without layers has no state to plan."""
    graph = build(Mamba2Model(64, 1, 97), shipped("vck190").formats(Formats())[0], Pass("decode"))
    empty = type(graph)("empty")
    with pytest.raises(ValueError, match="needs a model with layers"):
        shipped("vck190-spec").plan_state(empty, (PassWork("verify", 2),), "cache", 1)
    assert isinstance(shipped("vck190-spec"), FpgaDevice)


# -- products one by one -----------------------------------------------------------------


def listed_product(**changes: object) -> Graph:
    """A list of one product, in the formats of the machine."""
    op = ListedGemm(**{"m": 4, "n": 96, "k": 160, **changes})  # type: ignore[arg-type]
    return build(OpsModel((op,)), Formats(weights="int4", activations="int4"), Pass("inference"))


def test_each_of_several_products_has_weights_to_hold() -> None:
    """Three times the weights for three products, none for those of activations."""
    device, work = shipped("vck190"), PassWork("inference", 1)
    one, three = (device.footprint(((listed_product(batch=batch), work),))["weights"] for batch in (1, 3))
    assert one == (96 * 160 * 4 + math.ceil(96 * 160 * 6 / 128)) / 8
    assert three == pytest.approx(3 * one, rel=1e-3)
    assert device.footprint(((listed_product(of="activations"), work),))["weights"] == 0.0


def test_activations_that_stream_as_weights_must_have_their_format() -> None:
    """A core of 4-bit weights and 8-bit inputs multiplies no two 8-bit inputs."""
    device = machine("vck190", {"formats.activations": "int8"})
    graph = build(
        OpsModel((ListedGemm(m=4, n=96, k=160, of="activations"),)),
        Formats(weights="int4", activations="int8"),
        Pass("inference"),
    )
    bad = device.supports(graph.ops[0])
    assert bad is not None
    assert "takes int4 for activation, not int8" in bad.reason
