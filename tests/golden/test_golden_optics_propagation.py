"""Fresnel propagation against transforms, and against LightPipes where it is installed."""

import numpy as np
import pytest

from hwsim.golden.optics_propagation import (
    Geometry,
    chain_4f,
    critical_pitch_m,
    fourier_window_pixels,
    mismatch,
    mismatch_error,
)

WAVELENGTH, FOCAL = 532e-9, 10e-3


def case(pixels):
    """An image and the spectrum of a 5 x 5 kernel on a plane of this many pixels."""
    rng = np.random.default_rng(0)
    x, k = np.zeros((pixels, pixels)), np.zeros((pixels, pixels))
    x[: pixels // 2, : pixels // 2] = rng.random((pixels // 2, pixels // 2))
    k[:5, :5] = rng.normal(size=(5, 5))
    mask = np.fft.fft2(k)
    return x, mask, np.fft.ifft2(np.fft.fft2(x) * mask)


@pytest.mark.parametrize("pixels", [28, 64, 128, 256])
def test_at_critical_pitch_the_chain_is_two_transforms(pixels):
    """Free space, lens, mask, lens, free space equals the convolution to 1e-9."""
    x, mask, exact = case(pixels)
    geometry = Geometry(WAVELENGTH, FOCAL, critical_pitch_m(WAVELENGTH, FOCAL, pixels))
    assert np.abs(np.abs(chain_4f(x, mask, geometry)) - np.abs(exact)).max() < 1e-9


@pytest.mark.parametrize("ratio", [0.9, 0.99, 1.01, 1.1, 2.0])
def test_off_it_the_chain_fails(ratio):
    """A pitch 1 % off already spoils the result; the geometry says by how much it is off."""
    pitch = ratio * critical_pitch_m(WAVELENGTH, FOCAL, 128)
    geometry = Geometry(WAVELENGTH, FOCAL, pitch)
    assert mismatch(geometry, 128) == pytest.approx(ratio - 1)
    assert mismatch_error(geometry, 128) > 0.1
    assert mismatch_error(Geometry(WAVELENGTH, FOCAL, pitch / ratio), 128) < 1e-9


def test_window_of_the_prototype():
    """450 nm, 100 mm and 7.6 um: a Fourier image of 779 x 779 pixels (Hu et al. 2022, section 5.1)."""
    assert round(fourier_window_pixels(Geometry(450e-9, 0.1, 7.6e-6))) == 779


def test_lightpipes_forvard_agrees():
    """An independent propagator (FFT Fresnel) gives the same image at critical pitch, to its seven digits of pi."""
    lightpipes = pytest.importorskip("LightPipes", reason="LightPipes is a development extra")
    pixels = 128
    x, mask, exact = case(pixels)
    pitch = critical_pitch_m(WAVELENGTH, FOCAL, pixels)
    field = lightpipes.Begin(pixels * pitch, WAVELENGTH, pixels)
    field.field = np.fft.fftshift(x).astype(complex)
    for plane in (np.fft.fftshift(mask), np.ones((pixels, pixels))):
        field = lightpipes.Forvard(lightpipes.Lens(lightpipes.Forvard(field, FOCAL), FOCAL), FOCAL)
        field.field = field.field * plane
    seen = np.abs(np.roll(np.fft.ifftshift(field.field)[::-1, ::-1], (1, 1), (0, 1)))
    assert np.abs(seen - np.abs(exact)).max() < 1e-6 * np.abs(exact).max()
