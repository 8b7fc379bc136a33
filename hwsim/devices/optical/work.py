"""What an op takes: frames, loads and pixels in light, operations and bytes on the host; time and energy of both."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from hwsim.devices.optical.jobs import Job, jobs_of
from hwsim.devices.optical.layout import Counts, Layout, best_layout, counts, given_layout
from hwsim.errors import Infeasible
from hwsim.golden.optics4f import photons_for_bits

if TYPE_CHECKING:
    from hwsim.devices.optical.parameters import OpticalParameters
    from hwsim.mapping.forms import FrameForm, LayoutForm
    from hwsim.workload.op import Op

__all__ = ["Placed", "conversion_pj", "frame_laser_pj", "host_work", "optical_energy_pj", "part_seconds", "placed"]

PLANCK: Final = 6.62607015e-34
LIGHT_M_PER_S: Final = 299_792_458.0
_SIGNED: Final = "pseudo_negative (two frames), channel_tiled (all channels in a frame), field (an interferometer)"


@dataclass(frozen=True, slots=True)
class Placed:
    """A job on the aperture."""

    job: Job
    layout: Layout
    counts: Counts


def placed(p: OpticalParameters, op: Op, given: LayoutForm | None = None) -> tuple[Placed, ...] | Infeasible:
    """The jobs of an op with their best layouts; empty for an op of the host; or why the optics cannot carry it.

    Args:
        p: the machine.
        op: the op.
        given: layouts to take instead of the best.
    """
    if op.kind not in p.offload:
        return ()
    least = min(p.image_rows, p.image_columns)
    jobs = jobs_of(op, (least + 1) // 2 if p.guard == "full" else least)
    if p.detection in ("intensity", "sqrt") and p.kernels == "signed":
        reason = f"{p.name} sees {p.detection} only, and {op.name} has negative weights"
        levers = (f"detection: {_SIGNED}", "kernels: non_negative, for a network trained without signs")
        return Infeasible("detection", 1, 0, "signs", reason, {op.name: 1}, levers)
    if p.inputs == "signed" and p.detection not in ("pseudo_negative", "field"):
        reason = f"{p.name} sees {p.detection} only, and {op.name} has negative inputs"
        levers = ("detection: pseudo_negative (two pictures), field (an interferometer)", "inputs: non_negative")
        return Infeasible("detection", 1, 0, "signs", reason, {op.name: 1}, levers)
    frames: tuple[FrameForm | None, ...] = (None,) * len(jobs) if given is None else given.frames
    if len(frames) != len(jobs):
        reason = f"the mapping of {op.name} has {len(frames)} layouts, and it runs as {len(jobs)} jobs"
        return Infeasible(
            "layouts", len(jobs), len(frames), "jobs", reason, {op.name: len(jobs)}, ("one for each job",)
        )
    found = []
    for job, frame in zip(jobs, frames, strict=True):
        each = _shown(p, job, frame)
        if isinstance(each, Infeasible):
            return each
        found.append(each)
    return _sums_in_light(p, op, tuple(found))


def _shown(p: OpticalParameters, job: Job, frame: FrameForm | None) -> Placed | Infeasible:
    """A job with its layout; parts of signed images are images of their own, that the host subtracts."""
    job = replace(job, images=job.images * p.pictures)
    layout = best_layout(p, job) if frame is None else given_layout(p, job, frame)
    if isinstance(layout, Infeasible):
        return layout
    found = counts(job, layout, p.signs)
    return Placed(job, layout, replace(found, channel_parts=found.channel_parts * p.pictures))


def _sums_in_light(p: OpticalParameters, op: Op, found: tuple[Placed, ...]) -> tuple[Placed, ...] | Infeasible:
    """Magnitudes of partial sums do not add up: channel tiling needs every channel in one frame."""
    if p.detection != "channel_tiled":
        return found
    for each in found:
        held = each.layout.channels[0] * each.layout.channels[1]
        if held < each.job.channels:
            rows, columns = each.layout.block
            reason = (
                f"channel tiling reads magnitudes, so all {each.job.channels} channels of {op.name} must share a frame"
            )
            terms = {f"channels of {rows}x{columns} pixels": float(each.job.channels)}
            levers = (
                "detection: pseudo_negative",
                "tiling: channels or best",
                "a larger aperture (plane.rows, .columns)",
            )
            return Infeasible("aperture", each.job.channels, held, "tiles", reason, terms, levers)
    return found


def part_seconds(p: OpticalParameters, each: Counts) -> dict[str, float]:
    """Seconds for which a job keeps each part of the optics busy; the longest is its time.

    ``paper``: frames over the frame rate. ``device_limited``: pictures and masks loaded and settled, frames exposed,
    pixels read.
    """
    if p.timing == "paper":
        return {"frames": each.frames / p.frame_rate.value}
    return {
        "input_modulator": each.input_loads * p.input.picture_s,
        "kernel_modulator": each.kernel_loads * p.kernel.picture_s,
        "camera": each.frames * p.camera.frame_s,
        "readout": each.read_pixels / p.camera.readout.value,
    }


@dataclass(frozen=True, slots=True)
class HostWork:
    """What the host does: multiply-accumulates, other operations, bytes of its memory."""

    macs: float
    ops: float
    bytes: float

    def seconds(self, p: OpticalParameters) -> float:
        """Its time: arithmetic and memory overlap."""
        return max(self.macs / p.host.macs.value + self.ops / p.host.ops.value, self.bytes / p.host.bandwidth.value)


def host_work(op: Op, found: tuple[Placed, ...]) -> HostWork:
    """The whole op, or what light leaves: partial sums to add, softmax and biases."""
    if not found:
        return HostWork(float(op.macs), float(op.other_ops), float(sum(op.bytes_by_role.values())))
    adds = sum(each.counts.read_pixels * (1 - 1 / each.counts.channel_parts) for each in found)
    return HostWork(0.0, adds + op.other_ops, 0.0)


def link_bytes(p: OpticalParameters, op: Op, found: tuple[Placed, ...]) -> tuple[float, float]:
    """Bytes to the modulators (operands once) and from the camera (every pixel read)."""
    roles = op.bytes_by_role
    per_pixel = -(-int(p.camera.bits.value) // 8)
    inward = float(sum(amount for role, amount in roles.items() if role != "output"))
    return inward, float(sum(each.counts.read_pixels for each in found) * per_pixel)


# --- energy ----------------------------------------------------------------------------------------------------------


def conversion_pj(p: OpticalParameters, modulator_bits: float) -> tuple[float, float]:
    """(DAC, ADC) energy of one conversion: the ADC goes with its bits (SAR), the DAC with 2^bits / bits."""
    dac = p.converters.dac.value * (2.0**modulator_bits / modulator_bits) / (2.0**8 / 8.0)
    return dac, p.converters.adc.value * p.camera.bits.value / 8.0


def frame_laser_pj(p: OpticalParameters) -> float:
    """Electrical energy of the light of one frame: every pixel at full scale with the photons that its bits need.

    ``1.5 * 4^bits`` photons at the camera (`hwsim.golden.optics4f.photons_for_bits`) over quantum efficiency,
    transmission and wall-plug efficiency.
    """
    photon_j = PLANCK * LIGHT_M_PER_S / p.plane.wavelength.value
    loss = p.light.quantum_efficiency.value * p.light.transmission.value * p.light.wall_plug.value
    pixels = p.plane.rows.value * p.plane.columns.value
    return pixels * photons_for_bits(int(p.camera.bits.value)) * photon_j / loss * 1e12


def optical_energy_pj(p: OpticalParameters, op: Op, found: tuple[Placed, ...]) -> Mapping[str, float]:
    """Dynamic energy of one op by component; in the ``frame_power`` form the optics' power is static instead."""
    host = host_work(op, found)
    energy = {
        "host": host.macs * p.host.mac.value + host.ops * p.host.op.value,
        "host_memory": host.bytes * p.host.dram.value,
    }
    if p.energy == "frame_power" or not found:
        return energy
    pixels = p.plane.rows.value * p.plane.columns.value
    input_dac, adc = conversion_pj(p, p.input.bits.value)
    kernel_dac, _ = conversion_pj(p, p.kernel.bits.value)
    for each in (one.counts for one in found):
        loads = each.input_loads * input_dac + each.kernel_loads * kernel_dac
        energy["dac"] = energy.get("dac", 0.0) + pixels * loads
        energy["adc"] = energy.get("adc", 0.0) + each.read_pixels * adc
        energy["laser"] = energy.get("laser", 0.0) + each.frames * frame_laser_pj(p)
    return energy
