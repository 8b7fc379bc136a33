"""Fresnel propagation through a 4f system: free space, lens, mask, lens, free space, on one grid of pixels.

At *critical sampling*, ``pitch^2 * pixels = wavelength * focal length``, input and Fourier plane have the same pitch
and the chain equals two discrete transforms to rounding. Off it, the spectrum at the mask is scaled.
Transfer function of free space and lens: Goodman, Introduction to Fourier Optics, sections 4.2 and 5.1.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from hwsim.golden.optics4f import C128, F64, flip

__all__ = ["Geometry", "chain_4f", "critical_pitch_m", "fourier_window_pixels", "mismatch", "mismatch_error"]


@dataclass(frozen=True, slots=True)
class Geometry:
    """A 4f system of two equal lenses.

    Attributes:
        wavelength_m: vacuum wavelength.
        focal_length_m: of both lenses.
        pitch_m: distance of pixels in all planes.
    """

    wavelength_m: float
    focal_length_m: float
    pitch_m: float


def critical_pitch_m(wavelength_m: float, focal_length_m: float, pixels: int) -> float:
    """The pitch at which a window of ``pixels`` is sampled critically: ``sqrt(wavelength * f / pixels)``."""
    return math.sqrt(wavelength_m * focal_length_m / pixels)


def fourier_window_pixels(geometry: Geometry) -> float:
    """Pixels of the Fourier image of a modulator: ``wavelength * f / pitch^2`` (Hu et al. 2022, section 5.1)."""
    return geometry.wavelength_m * geometry.focal_length_m / geometry.pitch_m**2


def mismatch(geometry: Geometry, pixels: int) -> float:
    """Pitch over the critical pitch, less 1; 0 where the sampling is critical."""
    return geometry.pitch_m / critical_pitch_m(geometry.wavelength_m, geometry.focal_length_m, pixels) - 1.0


def chain_4f(x: F64, mask: C128, geometry: Geometry) -> C128:
    """The field at the camera, flipped back, after propagation through both lenses.

    Args:
        x: input plane, square, [pixels, pixels]; its centre is the optical axis.
        mask: Fourier plane as `hwsim.golden.optics4f.kernel_mask` gives it (zero frequency in the corner).
        geometry: lenses and pitch.
    """
    pixels = x.shape[-1]
    free, lens = _free_space(pixels, geometry), _lens(pixels, geometry)

    def propagate(field: C128) -> C128:
        return np.asarray(np.fft.ifft2(np.fft.fft2(field) * free))

    field = propagate(np.fft.fftshift(x).astype(np.complex128))
    field = propagate(field * lens) * np.fft.fftshift(mask)
    field = propagate(propagate(field) * lens)
    return flip(np.fft.ifftshift(field))


def mismatch_error(geometry: Geometry, pixels: int, shown: int = 64) -> float:
    """Relative error (L2, of magnitudes) of a 7 x 7 kernel on a random image at this ratio of pitches.

    The chain is run on a grid of ``shown`` pixels with the same relative mismatch. The error depends on picture and
    grid as well: phases at the rim of the planes go with their extent, so a larger window is mostly worse.
    Magnitudes are compared, as a camera would see them, at their best common scale.
    """
    ratio = 1.0 + mismatch(geometry, pixels)
    pitch = ratio * critical_pitch_m(geometry.wavelength_m, geometry.focal_length_m, shown)
    rng = np.random.default_rng(4)
    x, k = np.zeros((shown, shown)), np.zeros((shown, shown))
    x[: shown // 2, : shown // 2] = rng.random((shown // 2, shown // 2))
    k[:7, :7] = rng.normal(size=(7, 7))
    mask = np.fft.fft2(k)
    exact = np.abs(np.fft.ifft2(np.fft.fft2(x) * mask))
    seen = np.abs(chain_4f(x, mask, Geometry(geometry.wavelength_m, geometry.focal_length_m, pitch)))
    scale = float(np.sum(seen * exact) / np.sum(seen**2))
    return float(np.linalg.norm(scale * seen - exact) / np.linalg.norm(exact))


def _grid(pixels: int, step: float) -> tuple[F64, F64]:
    """Coordinates with zero at index ``pixels // 2``."""
    axis = (np.arange(pixels) - pixels // 2) * step
    rows, columns = np.meshgrid(axis, axis, indexing="ij")
    return rows, columns


def _free_space(pixels: int, geometry: Geometry) -> C128:
    """Transfer function of one focal length, zero frequency in the corner; the constant phase is left out."""
    rows, columns = _grid(pixels, 1.0 / (pixels * geometry.pitch_m))
    phase = -math.pi * geometry.wavelength_m * geometry.focal_length_m * (rows**2 + columns**2)
    return np.asarray(np.fft.ifftshift(np.exp(1j * phase)))


def _lens(pixels: int, geometry: Geometry) -> C128:
    """A thin lens that covers the grid."""
    rows, columns = _grid(pixels, geometry.pitch_m)
    return np.asarray(
        np.exp(-1j * math.pi / (geometry.wavelength_m * geometry.focal_length_m) * (rows**2 + columns**2))
    )
