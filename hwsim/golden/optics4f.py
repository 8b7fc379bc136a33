"""A 4f optical convolution, field by field: planes, detection, bit depths, noise, misalignment. NumPy's FFT only.

Two lenses one focal length apart from three planes: input (a modulator shows ``x``), Fourier plane (a mask holds
``H = F{k}``), output (a camera). Each lens is a *forward* transform, so the output is the parity-flipped circular
convolution, ``y[-n] = (x * k)[n]`` (Goodman, Introduction to Fourier Optics, chapters 5 and 8).

Glossary
    x        input amplitudes, [..., rows, columns], shown in the corner [0, 0] of a plane
    k        kernel, [..., r, s]; what convolution networks call a kernel is its mirror image (they correlate)
    H        mask in the Fourier plane, complex, as large as the plane
    u        field (complex amplitude) at the camera, already flipped back
    plane    (rows, columns) of the grid; at least x + k - 1 on each axis, or the convolution wraps around
    bits     levels of a modulator or a camera: 2**bits over its full scale

A camera sees |u|^2. How signs get through is the *detection*: ``intensity`` |u|^2; ``sqrt`` |u|; ``pseudo_negative``
two frames with the positive and the negative part of k, whose roots are subtracted (exact where x >= 0); ``field`` u
itself, as an interferometer reads it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

__all__ = [
    "C128",
    "F64",
    "IDEAL",
    "Detection",
    "KernelPlane",
    "Optics",
    "camera_field",
    "convolve",
    "flip",
    "form_4f",
    "kernel_mask",
    "photons_for_bits",
    "quantize_levels",
    "read_out",
    "shift_mask",
    "shot_noise",
    "snr_db",
]

F64: TypeAlias = NDArray[np.float64]
C128: TypeAlias = NDArray[np.complex128]
Detection: TypeAlias = Literal["intensity", "sqrt", "pseudo_negative", "field"]
KernelPlane: TypeAlias = Literal["complex", "amplitude_phase", "amplitude", "phase", "binary"]


@dataclass(frozen=True, slots=True)
class Optics:
    """What keeps a 4f system from being ideal; the defaults are ideal.

    Attributes:
        input_bits: levels of the input modulator; 0 for continuous.
        kernel_bits: levels of the mask (of each part: real and imaginary, or amplitude and phase); 0 for continuous.
        kernel_plane: ``complex`` (real and imaginary part), ``amplitude_phase``, ``amplitude`` (the mask is |H|, on
            which networks are trained), ``phase`` (unit amplitude) or ``binary`` (0 or 1 by the sign of Re H).
        camera_bits: levels of the camera, of what ``camera`` says; 0 for continuous.
        camera: whether levels are even in ``intensity``, as cameras are, or in ``amplitude`` (an ideal root first).
        photons: photons of a full-scale camera pixel; 0 for no shot noise.
        read_electrons: standard deviation of the read noise in electrons (of ``photons`` detected ones).
        shift_pixels: (rows, columns) by which the mask is off its axis, in pixels of the Fourier plane.
    """

    input_bits: int = 0
    kernel_bits: int = 0
    kernel_plane: KernelPlane = "complex"
    camera_bits: int = 0
    camera: Literal["intensity", "amplitude"] = "intensity"
    photons: float = 0.0
    read_electrons: float = 0.0
    shift_pixels: tuple[int, int] = (0, 0)


IDEAL: Final = Optics()


def flip(plane: C128) -> C128:
    """``plane[-n]`` on both last axes: what the second forward transform does to an image."""
    return np.roll(plane[..., ::-1, ::-1], (1, 1), axis=(-2, -1))


def form_4f(x: C128 | F64, mask: C128) -> C128:
    """The field on the camera as it falls there, parity-flipped: ``F{F{x} H}``, scaled so that H = 1 images x.

    Args:
        x: the whole input plane, [..., rows, columns].
        mask: the Fourier plane, of the same shape.
    """
    pixels = x.shape[-2] * x.shape[-1]
    return np.asarray(np.fft.fft2(np.fft.fft2(x) * mask) / pixels, dtype=np.complex128)


def quantize_levels(values: F64, bits: int, top: float, bottom: float = 0.0) -> F64:
    """Values on the nearest of ``2**bits`` even levels from ``bottom`` to ``top``, saturated; 0 bits: as they are."""
    if bits == 0 or top <= bottom:
        return values
    step = (top - bottom) / ((1 << bits) - 1)
    return np.asarray(np.clip(np.rint((values - bottom) / step), 0, (1 << bits) - 1) * step + bottom)


def kernel_mask(k: F64, plane: tuple[int, int], optics: Optics = IDEAL) -> C128:
    """The mask that a kernel becomes: its transform on the plane, as the modulator of the Fourier plane can show it.

    Phases are taken modulo 2 pi on ``2**bits`` levels, so that the last level is one step short of a full turn.
    """
    exact = np.fft.fft2(k, s=plane)
    top = float(np.abs(exact).max())
    bits = optics.kernel_bits
    if optics.kernel_plane == "complex":
        parts = [quantize_levels(part, bits, top, -top) for part in (exact.real, exact.imag)]
        return np.asarray(parts[0] + 1j * parts[1])
    if optics.kernel_plane == "amplitude_phase":
        return np.asarray(quantize_levels(np.abs(exact), bits, top) * np.exp(1j * _phase(exact, bits)))
    if optics.kernel_plane == "amplitude":
        return np.asarray(quantize_levels(np.abs(exact), bits, top), dtype=np.complex128)
    if optics.kernel_plane == "phase":
        return np.asarray(np.exp(1j * _phase(exact, bits)))
    return np.asarray(exact.real > 0, dtype=np.complex128)


def _phase(mask: C128, bits: int) -> F64:
    """Phases on ``2**bits`` levels of a turn."""
    angle = np.angle(mask)
    if bits == 0:
        return np.asarray(angle)
    step = 2 * math.pi / (1 << bits)
    return np.asarray(np.rint(angle / step) % (1 << bits) * step)


def shift_mask(mask: C128, pixels: tuple[int, int]) -> C128:
    """The mask off its axis: a shift by s pixels multiplies the kernel by ``exp(2 pi i s n / rows)``."""
    return np.roll(mask, pixels, axis=(-2, -1))


def convolve(
    x: F64,
    k: F64,
    detection: Detection = "field",
    optics: Optics = IDEAL,
    plane: tuple[int, int] | None = None,
    rng: np.random.Generator | None = None,
) -> F64:
    """What the machine gives for the full convolution of x and k, [..., rows + r - 1, columns + s - 1].

    Args:
        x: amplitudes, [..., rows, columns]; 0 or more wherever the detection takes roots and signs matter.
        k: kernel, [r, s].
        detection: see the module.
        optics: what is not ideal.
        plane: the grid; default the least that does not wrap around. A smaller one wraps.
        rng: noise of the camera; needed where ``optics.photons`` is above 0.
    """
    full = (x.shape[-2] + k.shape[-2] - 1, x.shape[-1] + k.shape[-1] - 1)
    plane = plane or full
    parts = (np.maximum(k, 0.0), np.maximum(-k, 0.0)) if detection == "pseudo_negative" else (k,)
    fields = [camera_field(x, part, plane, optics) for part in parts]
    full_scale = max(float(np.abs(field).max()) for field in fields)
    how: Detection = "sqrt" if detection == "pseudo_negative" else detection
    seen = [read_out(field, how, optics, full_scale, rng) for field in fields]
    result = seen[0] - seen[1] if len(seen) == 2 else seen[0]
    return result[..., : min(full[0], plane[0]), : min(full[1], plane[1])]


def camera_field(x: F64, k: F64, plane: tuple[int, int], optics: Optics) -> C128:
    """The field at the camera, flipped back: x shown in its levels, the mask as its modulator has it, off its axis."""
    shown = quantize_levels(x, optics.input_bits, float(np.abs(x).max()), min(0.0, float(x.min())))
    pad = [(0, 0)] * (x.ndim - 2) + [(0, plane[0] - x.shape[-2]), (0, plane[1] - x.shape[-1])]
    mask = shift_mask(kernel_mask(k, plane, optics), optics.shift_pixels)
    return flip(form_4f(np.pad(shown, pad), mask))


def read_out(
    field: C128, detection: Detection, optics: Optics, full_scale: float, rng: np.random.Generator | None = None
) -> F64:
    """What the camera's numbers are, by the detection.

    Args:
        field: amplitudes at the camera.
        detection: ``field``, ``intensity`` or ``sqrt``.
        optics: bits and noise of the camera.
        full_scale: amplitude of a full-scale pixel.
        rng: source of noise.

    Raises:
        ValueError: noise was asked for without ``rng``, or ``pseudo_negative``, which is two of these.
    """
    if detection == "pseudo_negative":
        raise ValueError("pseudo_negative is two frames: read each with sqrt and subtract")
    if detection == "field":
        return quantize_levels(np.asarray(field.real), optics.camera_bits, full_scale, -full_scale)
    intensity = shot_noise(np.abs(field) ** 2, optics, full_scale**2, rng)
    if optics.camera == "amplitude":
        amplitude = quantize_levels(np.sqrt(np.maximum(intensity, 0.0)), optics.camera_bits, full_scale)
        return amplitude if detection == "sqrt" else np.asarray(amplitude**2)
    counted = np.maximum(quantize_levels(intensity, optics.camera_bits, full_scale**2), 0.0)
    return np.asarray(np.sqrt(counted)) if detection == "sqrt" else counted


def shot_noise(intensity: F64, optics: Optics, full_scale: float, rng: np.random.Generator | None) -> F64:
    """Intensity as counted: Poisson in photons, Gaussian read noise in electrons. The mean is the intensity's own.

    Raises:
        ValueError: there is noise and no ``rng``.
    """
    if optics.photons == 0.0:
        return intensity
    if rng is None:
        raise ValueError("noise needs a random generator: its seed belongs to the caller")
    per_unit = optics.photons / full_scale
    counts = rng.poisson(intensity * per_unit) + rng.normal(0.0, optics.read_electrons, intensity.shape)
    return np.asarray(counts / per_unit)


def photons_for_bits(bits: int) -> float:
    """Photons of a full-scale pixel whose shot noise equals quantisation to ``bits`` levels: ``1.5 * 4**bits``.

    A full-scale sine in N photons has the signal-to-noise ratio N, in ``bits`` levels 1.5 * 4**bits (Bennett 1948).
    """
    return 1.5 * 4.0**bits


def snr_db(exact: F64, seen: F64) -> float:
    """Signal over error in decibels, ``10 log10(sum exact^2 / sum (seen - exact)^2)``; infinite without an error."""
    error = float(np.sum((seen - exact) ** 2))
    return math.inf if error == 0.0 else 10.0 * math.log10(float(np.sum(exact**2)) / error)
