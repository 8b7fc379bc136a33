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


@pytest.mark.parametrize(("ratio", "error"), [(0.9, 0.751), (0.99, 0.587), (1.01, 0.576), (1.1, 0.824), (2.0, 0.985)])
def test_off_it_the_chain_fails(ratio, error):
    """A pitch 1 % off already spoils the result; the geometry says how far off it is, the sample what that costs."""
    pitch = ratio * critical_pitch_m(WAVELENGTH, FOCAL, 128)
    geometry = Geometry(WAVELENGTH, FOCAL, pitch)
    assert mismatch(geometry, 128) == pytest.approx(ratio - 1)
    assert mismatch_error(geometry, 128) == pytest.approx(error, abs=2e-3)
    assert mismatch_error(Geometry(WAVELENGTH, FOCAL, pitch / ratio), 128) < 1e-9


def test_window_of_the_prototype():
    """450 nm, 100 mm and 7.6 um: a Fourier image of 779 x 779 pixels (Hu et al. 2022, section 5.1)."""
    assert round(fourier_window_pixels(Geometry(450e-9, 0.1, 7.6e-6))) == 779


def test_the_error_grows_with_the_window():
    """One per cent off is 0.2 on 32 pixels and 0.65 on 256: phases at the rim of the planes go with their extent."""
    geometry = Geometry(WAVELENGTH, FOCAL, 1.01 * critical_pitch_m(WAVELENGTH, FOCAL, 128))
    errors = [mismatch_error(geometry, 128, shown) for shown in (16, 32, 48, 256)]
    assert errors == sorted(errors)
    assert errors[1:] == pytest.approx([0.202, 0.439, 0.644], abs=2e-3)


def by_lightpipes(x, mask, geometry):
    """Magnitudes at the camera by an independent propagator (FFT Fresnel)."""
    lightpipes = pytest.importorskip("LightPipes", reason="LightPipes is a development extra")
    pixels = x.shape[0]
    field = lightpipes.Begin(pixels * geometry.pitch_m, WAVELENGTH, pixels)
    field.field = np.fft.fftshift(x).astype(complex)
    for plane in (np.fft.fftshift(mask), np.ones((pixels, pixels))):
        field = lightpipes.Forvard(lightpipes.Lens(lightpipes.Forvard(field, FOCAL), FOCAL), FOCAL)
        field.field = field.field * plane
    return np.abs(np.roll(np.fft.ifftshift(field.field)[::-1, ::-1], (1, 1), (0, 1)))


def test_lightpipes_forvard_agrees():
    """The same image at critical pitch, to its seven digits of pi."""
    x, mask, exact = case(128)
    seen = by_lightpipes(x, mask, Geometry(WAVELENGTH, FOCAL, critical_pitch_m(WAVELENGTH, FOCAL, 128)))
    assert np.abs(seen - np.abs(exact)).max() < 1e-6 * np.abs(exact).max()


@pytest.mark.parametrize("ratio", [0.9, 0.99, 1.01, 1.1])
def test_lightpipes_forvard_agrees_off_pitch(ratio):
    """What a wrong pitch makes of an image is the same in both, to a thousandth of its norm."""
    x, mask, _ = case(128)
    geometry = Geometry(WAVELENGTH, FOCAL, ratio * critical_pitch_m(WAVELENGTH, FOCAL, 128))
    seen, mine = by_lightpipes(x, mask, geometry), np.abs(chain_4f(x, mask, geometry))
    assert np.linalg.norm(seen - mine) < 1e-3 * np.linalg.norm(mine)
