"""How exact the optics compute: the field model run on a sample of a layer, and what a wrong pitch costs."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Final

import numpy as np

from hwsim.golden.optics4f import Detection, Optics, camera_field, photons_for_bits, read_out, snr_db
from hwsim.golden.optics_propagation import Geometry, critical_pitch_m, mismatch, mismatch_error

if TYPE_CHECKING:
    from hwsim.devices.optical.parameters import OpticalParameters
    from hwsim.devices.optical.work import Placed
    from hwsim.golden.optics4f import C128, F64

__all__ = ["pitch_warning", "snr_of"]

_PIXELS: Final = 48
_CHANNELS: Final = 16
_REPEATS: Final = 4
_SEED: Final = 20
_TOLERATED: Final = 1e-3


def snr_of(p: OpticalParameters, found: tuple[Placed, ...]) -> float:
    """Signal-to-noise ratio of an op's worst job in decibels.

    A sample with the job's kernel is run through `hwsim.golden.optics4f`: at most 48 x 48 pixels and 16 channels,
    images uniform in [0, 1] (signed ones in [-1, 1]), kernels normal and dark between dilated taps (their magnitudes
    where the machine takes none with signs), four draws of a fixed seed. Levels of the modulators, of the camera and
    its shot noise count (photons as many as its bits need), in the channel tiles of the layout: partial sums are read
    one by one and added.
    """
    optics = Optics(
        input_bits=int(p.input.bits.value),
        kernel_bits=int(p.kernel.bits.value),
        kernel_plane=p.kernel.shows,
        camera_bits=int(p.camera.bits.value),
        photons=photons_for_bits(int(p.camera.bits.value)),
        read_electrons=p.camera.read_noise.value,
    )
    return min(_sampled(p.detection, (p.inputs, p.kernels), optics, *_shape(each)) for each in found)


def _shape(each: Placed) -> tuple[tuple[int, int], tuple[int, int], int, int, int]:
    """(image, kernel, channels, channels in a frame, distance of taps) of the sample of a job."""
    job, tiles = each.job, each.layout.channels
    image = (min(job.image_rows, _PIXELS), min(job.image_columns, _PIXELS))
    kernel = (min(job.rows, image[0]), min(job.columns, image[1]))
    channels = min(job.channels, _CHANNELS)
    return image, kernel, channels, min(channels, tiles[0] * tiles[1]), job.dilation


@lru_cache(maxsize=512)
def _sampled(
    detection: str,
    signs: tuple[str, str],
    optics: Optics,
    image: tuple[int, int],
    kernel: tuple[int, int],
    channels: int,
    together: int,
    dilation: int,
) -> float:
    """The ratio of a sample, all images of its channels against exact sums of the same kind."""
    rng = np.random.default_rng(_SEED)
    inputs, kernels = signs
    plane = (image[0] + kernel[0] - 1, image[1] + kernel[1] - 1)
    taps = np.zeros(kernel)
    taps[::dilation, ::dilation] = 1.0
    exact, seen = [], []
    for _ in range(_REPEATS):
        x = rng.random((channels, *image))
        x = 2.0 * x - 1.0 if inputs == "signed" else x
        k = rng.normal(size=(channels, *kernel)) * taps
        k = np.abs(k) if kernels == "non_negative" else k
        parts = [slice(first, first + together) for first in range(0, channels, together)]
        seen.append(np.sum([_frame(x[part], k[part], plane, detection, optics, rng) for part in parts], axis=0))
        field = np.sum([camera_field(*each, plane, Optics()) for each in zip(x, k, strict=True)], axis=0)
        exact.append(_wanted(np.asarray(field), detection))
    return snr_db(np.array(exact), np.array(seen))


def _wanted(field: C128, detection: str) -> F64:
    """What an ideal machine of this detection gives."""
    if detection == "intensity":
        return np.asarray(np.abs(field) ** 2)
    return np.asarray(np.abs(field) if detection in ("sqrt", "channel_tiled") else field.real)


def _frame(x: F64, k: F64, plane: tuple[int, int], detection: str, optics: Optics, rng: np.random.Generator) -> F64:
    """What is read of channels that share a frame (two frames, and two pictures, where signs take two)."""
    if detection == "pseudo_negative" and float(x.min()) < 0.0:
        parts = (_frame(np.maximum(part, 0.0), k, plane, detection, optics, rng) for part in (x, -x))
        return next(parts) - next(parts)

    def light(part: F64) -> C128:
        fields = [camera_field(*each, plane, optics) for each in zip(x, part, strict=True)]
        return np.asarray(np.sum(fields, axis=0), dtype=np.complex128)

    how: Detection = "field" if detection == "field" else "intensity" if detection == "intensity" else "sqrt"
    if detection != "pseudo_negative":
        field = light(k)
        return read_out(field, how, optics, float(np.abs(field).max()), rng)
    positive, negative = light(np.maximum(k, 0.0)), light(np.maximum(-k, 0.0))
    top = max(float(np.abs(positive).max()), float(np.abs(negative).max()))
    return read_out(positive, how, optics, top, rng) - read_out(negative, how, optics, top, rng)


def pitch_warning(p: OpticalParameters) -> tuple[str, ...]:
    """A warning where pitch, wavelength, focal length and window miss ``pitch^2 * window = wavelength * f``."""
    plane = p.plane
    window = int(plane.window.value)
    geometry = Geometry(plane.wavelength.value, plane.focal_length.value, plane.pitch.value)
    off = mismatch(geometry, window)
    if abs(off) <= _TOLERATED:
        return ()
    right = critical_pitch_m(geometry.wavelength_m, geometry.focal_length_m, window)
    return (
        f"{p.name}: the pitch of {geometry.pitch_m * 1e6:.4g} um misses critical sampling by {100 * off:+.2g} % "
        f"(pitch^2 * window = wavelength * focal length): expect a relative error of about "
        f"{mismatch_error(geometry, window):.2g}; {right * 1e6:.4g} um would be right",
    )
