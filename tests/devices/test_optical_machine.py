"""The optical family behind the device protocol."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hwsim.devices.base import Analogue, Device
from hwsim.devices.catalog import find_device
from hwsim.devices.optical.precision import snr_of
from hwsim.devices.optical.work import frame_laser_pj, placed
from hwsim.errors import HwsimError, Infeasible
from hwsim.pipeline import Question, kernel, simulate
from hwsim.workload import find_workload
from hwsim.workload.kernel import build_kernel

MACHINES = ("optical-4k-2mhz", "optical-dmd-20khz", "dlp-6500-bench")
CONV = {"batch": 1, "oc": 64, "ic": 32, "y": 28, "x": 28, "r": 3, "s": 3, "padding": 1}


def run(machine, *settings_, kind="conv2d", **arguments):
    """One kernel on a machine."""
    op = build_kernel(kind, {**(CONV if kind == "conv2d" else {}), **arguments})
    return kernel(op, find_device(machine, settings_))


@pytest.mark.parametrize("name", MACHINES)
def test_machines_answer(name):
    """Each satisfies the protocol and runs a vision transformer with time, energy and precision."""
    device = find_device(name)
    assert isinstance(device, Device)
    assert isinstance(device, Analogue)
    assert device.warnings() == ()
    answer = simulate(find_workload("deit-t"), device)
    assert answer.time_s > 0
    assert answer.energy_j > 0
    assert "patch_embed" in answer.snr_db
    assert "frame" in answer.layouts["patch_embed"]
    assert answer.utilization["host"] < 1


def test_untiled_frames_over_the_frame_rate():
    """The paper's count without tiles: channels x kernels at 2 MHz; with tiles, a frame or two."""
    assert run("optical-4k-2mhz", "tiling=none").time_s == pytest.approx(64 * 32 / 2e6)
    assert run("optical-4k-2mhz").time_s == pytest.approx(0.5e-6)


def test_pseudo_negative_doubles_frames():
    """Two frames a convolution where weights have signs, one where they have none."""
    plain = run("optical-4k-2mhz", "tiling=none").time_s
    assert run("optical-4k-2mhz", "tiling=none", "detection=pseudo_negative").time_s == pytest.approx(2 * plain)
    unsigned = ("tiling=none", "detection=pseudo_negative", "kernels=non_negative")
    assert run("optical-4k-2mhz", *unsigned).time_s == pytest.approx(plain)


def test_signed_inputs_are_two_pictures():
    """Positive and negative parts as images of their own: two pictures, four frames with signed kernels, host sums."""
    tiles, seen = "tiling=none", "detection=pseudo_negative"
    both = placed_on("optical-4k-2mhz", tiles, seen, "inputs=signed")
    plain = placed_on("optical-4k-2mhz", tiles, seen)
    assert both.counts.frames == 2 * plain.counts.frames == 4 * 64 * 32
    assert both.counts.read_pixels == 2 * plain.counts.read_pixels
    assert (both.counts.channel_parts, plain.counts.channel_parts) == (4 * 32, 2 * 32)
    alone = placed_on("optical-4k-2mhz", tiles, seen, "inputs=signed", "kernels=non_negative")
    assert alone.counts.frames == plain.counts.frames
    assert run("optical-4k-2mhz", "tiling=none", "inputs=signed").time_s == pytest.approx(64 * 32 / 2e6)


@pytest.mark.parametrize("detection", ["intensity", "sqrt", "channel_tiled"])
def test_signed_inputs_on_a_machine_that_sees_none(detection):
    """Magnitudes of sums lose the sign of the image: the ways out are named."""
    answer = run("optical-4k-2mhz", f"detection={detection}", "kernels=non_negative", "inputs=signed")
    assert isinstance(answer, Infeasible)
    assert "has negative inputs" in answer.reason
    assert answer.levers == (
        "detection: pseudo_negative (two pictures), field (an interferometer)",
        "inputs: non_negative",
    )


def test_signed_inputs_are_as_exact_as_their_parts():
    """Reads subtracted follow the camera's bits, up to the modulators' eight; no better than a non-negative image."""

    def ratio(bits, inputs):
        changes = ("detection=pseudo_negative", f"camera.bits={bits}", f"inputs={inputs}")
        return snr_of(find_device("optical-4k-2mhz", changes).parameters, (placed_on("optical-4k-2mhz", *changes),))

    assert ratio(12, "signed") > ratio(8, "signed") + 8
    assert ratio(10, "signed") < ratio(10, "non_negative")


def placed_on(machine, *changes):
    """The one job of the layer on a machine."""
    (found,) = placed(find_device(machine, changes).parameters, build_kernel("conv2d", CONV))
    return found


def test_device_limited_names_the_part():
    """The bench waits for its HDMI; with fast modulators for the camera; with a slow read-out for that."""
    assert run("dlp-6500-bench", "tiling=none").bound == "kernel_modulator"
    fast = ("tiling=none", "input.load=0", "kernel.load=0")
    assert run("dlp-6500-bench", *fast).bound == "camera"
    assert run("dlp-6500-bench", *fast, "camera.readout=1e3").bound == "readout"
    assert run("dlp-6500-bench", *fast, "host.link=1 kB/s").bound in ("link_in", "link_out")


def test_signs_on_a_machine_that_sees_none():
    """Negative weights on an intensity camera: the answer names the modes that can carry them."""
    answer = run("dlp-6500-bench", "kernels=signed")
    assert isinstance(answer, Infeasible)
    assert "negative weights" in answer.reason
    assert "pseudo_negative" in answer.levers[0]
    assert "channel_tiled" in answer.levers[0]


def test_channel_tiling_needs_all_channels_in_a_frame():
    """Magnitudes of partial sums do not add: too many channels for the aperture is infeasible."""
    assert not isinstance(run("optical-4k-2mhz", "detection=channel_tiled"), Infeasible)
    answer = run("optical-4k-2mhz", "detection=channel_tiled", "plane.rows=64", "plane.columns=64", y=26, x=26)
    assert isinstance(answer, Infeasible)
    assert answer.demand == 32
    assert "magnitudes" in answer.reason


def test_a_kernel_too_large_says_so():
    """An answer, not a crash."""
    answer = run("optical-4k-2mhz", "plane.rows=16", "plane.columns=16", r=17, s=17, padding=0)
    assert isinstance(answer, Infeasible)
    assert answer.resource == "aperture"


def test_host_memory_bounds():
    """A host that cannot hold the weights is infeasible with terms that add up."""
    answer = simulate(find_workload("deit-t"), find_device("optical-4k-2mhz", ["host.capacity=1 MB"]))
    assert isinstance(answer, Infeasible)
    assert answer.demand == pytest.approx(sum(answer.terms.values()))


def test_a_pass_without_light_takes_the_hosts_time():
    """A softmax alone, in the paper's mode too."""
    assert run("optical-4k-2mhz", kind="softmax", tokens=64, width=64).bound == "host"


def test_wrong_pitch_warns_with_the_right_one():
    """Relative error and the pitch that would be right; in `check` and in an answer's notes."""
    device = find_device("optical-4k-2mhz", ["plane.pitch=1.2e-6"])
    (warning,) = device.warnings()
    assert "+5.3 %" in warning
    assert "1.14 um would be right" in warning
    assert warning in simulate(find_workload("deit-t"), device).notes


@settings(max_examples=20, deadline=None)
@given(
    machine=st.sampled_from(MACHINES[:2]),
    batch=st.integers(1, 64),
    channels=st.integers(1, 128),
    kernels=st.integers(1, 128),
    faster=st.sampled_from(
        ["frame_rate=4e6", "camera.frame_rate=4e6", "camera.readout=1e14", "host.link=1e6", "host.macs=1e15"]
    ),
)
def test_faster_parts_never_slow_down_and_roofs_hold(machine, batch, channels, kernels, faster):
    """More frame rate, read-out or bandwidth is never slower; no time is below a roofline term."""
    arguments = {"batch": batch, "ic": channels, "oc": kernels}
    plain, better = run(machine, **arguments), run(machine, faster, **arguments)
    assert better.time_s <= plain.time_s
    roofs = find_device(machine).roofs
    assert plain.time_s >= plain.macs / max(roofs.macs_per_s.values())
    for level, amount in plain.bytes.items():
        rate = roofs.bytes_per_s[level]
        assert math.isinf(rate) or plain.time_s >= amount / rate


def test_converter_energy_of_a_full_frame():
    """8-bit converters at 4096^2: two planes 119.8 uJ of DACs, 24.8 uJ of ADCs; light 0.62 uJ before losses."""
    lossless = ("light.quantum_efficiency=1", "light.transmission=1", "light.wall_plug=1")
    device = find_device("optical-4k-2mhz", lossless)
    assert frame_laser_pj(device.parameters) == pytest.approx(0.616e6, rel=0.01)
    op = build_kernel("conv2d", {**CONV, "oc": 1, "ic": 1, "y": 4094, "x": 4094, "padding": 0})
    from hwsim.devices.base import PassWork

    energy = device.energy_pj(op, {}, PassWork("inference", 1))
    assert energy["dac"] == pytest.approx(119.8e6, rel=0.002)
    assert energy["adc"] == pytest.approx(24.8e6, rel=0.002)


def test_frame_power_is_power_times_time():
    """Camera 17 W and two modulators of 6.3 W: 29.6 W while the bench runs (its file gives the host none)."""
    device = find_device("dlp-6500-bench")
    assert device.static_power_w() == pytest.approx(29.6)
    answer = run("dlp-6500-bench")
    assert answer.energy_j == pytest.approx(29.6 * answer.time_s, rel=1e-3)


@pytest.mark.parametrize(
    ("setting", "fault"),
    [
        ("plane.rows=10.5", "a whole number"),
        ("camera.bits=8.5", "a whole number"),
        ("plane.superpixel=64", "at most"),
        ("detection=magic", "one of field, intensity, sqrt, pseudo_negative"),
        ("timing=device", "paper"),
        ("offload=[conv1d]", "conv2d"),
        ("inputs=negative", "non_negative"),
    ],
)
def test_bad_values_are_named(setting, fault):
    """Each with its setting and what was expected."""
    small = ["plane.rows=32", "plane.columns=32"] if "superpixel" in setting else []
    with pytest.raises(HwsimError, match="--set device") as caught:
        find_device("optical-4k-2mhz", [*small, setting])
    assert fault in str(caught.value)


def test_modulators_without_a_time_are_refused_where_they_count():
    """device_limited with both times zero would divide by nothing."""
    with pytest.raises(HwsimError, match="modulators without a time"):
        find_device("optical-4k-2mhz", ["input.load=0", "timing=device_limited"])


def ratios(detection):
    """Decibels of a layer at 4 to 12 bits throughout."""
    found = []
    for bits in range(4, 13):
        changes = [f"{part}.bits={bits}" for part in ("input", "kernel", "camera")]
        device = find_device("optical-4k-2mhz", [*changes, f"detection={detection}"])
        found.append(device.snr_db(build_kernel("conv2d", CONV)))
    return found


def test_precision_follows_the_bits():
    """Near 6 dB a bit with all stages alike and shot noise to match; two intensities subtracted lie lower."""
    field, two_frames = ratios("field"), ratios("pseudo_negative")
    assert 5.7 <= float(np.polyfit(range(4, 13), field, 1)[0]) <= 6.5
    assert 4.4 <= float(np.polyfit(range(4, 13), two_frames, 1)[0]) <= 6.3
    assert all(b < a for a, b in zip(field[3:], two_frames[3:], strict=True))


def test_images_share_an_aperture():
    """A batch costs nothing until the aperture is full."""
    device = find_device("optical-4k-2mhz")
    one, many = (simulate(find_workload("deit-t"), device, Question(batch=n)).time_s for n in (1, 2))
    assert many < 2 * one


def test_attention_may_run_in_light():
    """Both products on the aperture where it is offloaded; the softmax stays on the host."""
    shape = dict(phase="bidirectional", batch=1, heads=4, kv_heads=4, q_len=145, kv_len=145, head_dim=64)
    host = run("optical-4k-2mhz", "timing=device_limited", kind="attention", **shape)
    light = run("optical-4k-2mhz", "timing=device_limited", "offload=[attention]", kind="attention", **shape)
    assert host.utilization == {"host": pytest.approx(1.0)}
    assert {"link_in", "link_out", "host"} < set(light.utilization)


def test_check_warns_of_the_pitch(tmp_path, capsys):
    """A file that misses critical sampling has no fault, and a warning on stderr."""
    from hwsim.cli import main

    path = tmp_path / "bench.yaml"
    path.write_text("extends: dlp-6500-bench\nname: bench\nplane:\n  pitch: 8 um\n", encoding="utf-8")
    assert main(["check", str(path)]) == 0
    printed = capsys.readouterr()
    assert "no faults" in " ".join(printed.out.split())
    assert "misses critical sampling" in printed.err
    assert "7.6 um would be right" in printed.err


def test_a_longer_product_is_cut_into_channels():
    """A dot product that outgrows the aperture is several channels, not infeasible."""
    assert not isinstance(
        run("optical-4k-2mhz", "plane.rows=32", "plane.columns=32", kind="gemm", m=4, n=4, k=4096), Infeasible
    )
