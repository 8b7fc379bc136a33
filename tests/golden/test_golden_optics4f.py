"""The 4f field model: against direct convolution, Parseval, published slopes, and its own counter-examples."""

import math

import numpy as np
import pytest

from hwsim.golden.optics4f import (
    Optics,
    convolve,
    flip,
    form_4f,
    kernel_mask,
    photons_for_bits,
    read_out,
    shift_mask,
    shot_noise,
    snr_db,
)

BITS = range(3, 13)


def direct(x, k):
    """Full convolution by its definition, without a transform."""
    out = np.zeros((x.shape[0] + k.shape[0] - 1, x.shape[1] + k.shape[1] - 1))
    for row in range(k.shape[0]):
        for column in range(k.shape[1]):
            out[row : row + x.shape[0], column : column + x.shape[1]] += k[row, column] * x
    return out


def sample(seed=0, signed=True, image=122, kernel=7):
    """A non-negative image and a kernel."""
    rng = np.random.default_rng(seed)
    return rng.random((image, image)), rng.normal(size=(kernel, kernel)) if signed else rng.random((kernel, kernel))


def slope(of):
    """(decibels per bit, decibels at 8 bits) of a signal-to-noise ratio by bits."""
    return float(np.polyfit(list(BITS), [of(bits) for bits in BITS], 1)[0]), of(8)


def test_a_delta_images_upside_down():
    """A one-pixel kernel gives the input, mirrored through the origin, as two forward transforms do."""
    x = np.random.default_rng(1).random((9, 12))
    delta = np.zeros((9, 12))
    delta[0, 0] = 1.0
    seen = form_4f(x, kernel_mask(delta, (9, 12)))
    assert np.allclose(seen, flip(x.astype(complex)), atol=1e-12)
    assert seen[1, 2] == pytest.approx(x[-1, -2])


@pytest.mark.parametrize(("rows", "kernel"), [(8, 3), (13, 5), (6, 6)])
def test_padded_is_linear_and_unpadded_circular(rows, kernel):
    """On a large enough plane the result is the linear convolution; on a smaller one it wraps around."""
    x, k = sample(2, True, rows, kernel)
    exact = direct(x, k)
    assert np.abs(convolve(x, k) - exact).max() < 1e-12
    wrapped = np.zeros((rows, rows))
    for row, column in np.ndindex(exact.shape):
        wrapped[row % rows, column % rows] += exact[row, column]
    assert np.abs(convolve(x, k, plane=(rows, rows)) - wrapped).max() < 1e-12


def test_parseval():
    """Energy is the same in the input and Fourier plane, and at the camera behind an open mask."""
    x = sample(3, image=32)[0]
    spectrum = np.fft.fft2(x)
    assert np.sum(np.abs(spectrum) ** 2) / x.size == pytest.approx(np.sum(x**2), rel=1e-12)
    assert np.sum(np.abs(form_4f(x, np.ones_like(spectrum))) ** 2) == pytest.approx(np.sum(x**2), rel=1e-12)


def test_detections():
    """Intensity is the square and the root its magnitude; pseudo-negative recovers the signs exactly where x >= 0."""
    x, k = sample(4, image=24)
    exact = direct(x, k)
    assert np.abs(convolve(x, k, "intensity") - exact**2).max() < 1e-11
    assert np.abs(convolve(x, k, "sqrt") - np.abs(exact)).max() < 1e-12
    assert np.abs(convolve(x, k, "pseudo_negative") - exact).max() < 1e-12


def test_what_does_not_carry_signs():
    """The root of one frame loses them, and intensities subtracted without roots are no convolution."""
    x, k = sample(4, image=24)
    exact = direct(x, k)
    assert np.linalg.norm(convolve(x, k, "sqrt") - exact) > 0.3 * np.linalg.norm(exact)
    raw = convolve(x, np.maximum(k, 0), "intensity") - convolve(x, np.maximum(-k, 0), "intensity")
    assert np.abs(raw - exact).max() > 5.0


@pytest.mark.parametrize(
    ("optics", "lowest", "highest", "at_8"),
    [
        ("input_bits", 5.7, 6.5, 68),
        ("kernel_bits", 5.7, 6.5, 50.5),
        ("amplitude_phase", 5.7, 6.5, 50),
        ("camera_amplitude", 5.7, 6.5, 55.3),
    ],
)
def test_linear_stages_gain_six_decibels_a_bit(optics, lowest, highest, at_8):
    """Input, mask and an amplitude camera: about 6.02 dB a bit; levels near those of the measured trend."""
    x, k = sample(0, signed=False)
    exact = np.abs(convolve(x, k))

    def ratio(bits):
        chosen = {
            "input_bits": Optics(input_bits=bits),
            "kernel_bits": Optics(kernel_bits=bits),
            "amplitude_phase": Optics(kernel_bits=bits, kernel_plane="amplitude_phase"),
            "camera_amplitude": Optics(camera_bits=bits, camera="amplitude"),
        }[optics]
        return snr_db(exact, convolve(x, k, "sqrt", chosen))

    gain, level = slope(ratio)
    assert lowest <= gain <= highest
    assert level == pytest.approx(at_8, abs=6)


def test_roots_of_a_quantised_intensity_gain_less():
    """5.2 to 6.0 dB a bit where the kernel has no signs; two frames subtracted, 4.4 to 5.2 and near 31 dB at 8 bits."""
    x, k = sample(0, signed=False)
    gain, _ = slope(lambda bits: snr_db(convolve(x, k), convolve(x, k, "sqrt", Optics(camera_bits=bits))))
    assert 5.2 <= gain <= 6.0
    x, k = sample(0)
    gain, level = slope(
        lambda bits: snr_db(convolve(x, k), convolve(x, k, "pseudo_negative", Optics(camera_bits=bits)))
    )
    assert 4.4 <= gain <= 5.2
    assert level == pytest.approx(31, abs=2)


@pytest.mark.parametrize("bits", [6, 8, 10])
def test_accumulation_in_light_is_worth_two_bits(bits):
    """64 channels summed before the camera, against 64 pseudo-negative partial sums added up: 9 to 17 dB better."""
    rng = np.random.default_rng(5)
    operands = [(rng.random((24, 24)), rng.normal(size=(3, 3))) for _ in range(64)]
    exact = np.sum([convolve(x, k) for x, k in operands], axis=0)
    optics = Optics(camera_bits=bits)
    partial = np.sum([convolve(x, k, "pseudo_negative", optics) for x, k in operands], axis=0)
    light = read_out(exact.astype(complex), "field", optics, float(np.abs(exact).max()))
    assert 8 < snr_db(exact, light) - snr_db(exact, partial) < 18


def test_shot_noise_has_the_right_mean_and_ratio():
    """Unbiased (not doubled), and the intensity's ratio is 10 log10(sum I^2 / sum I) in photons."""
    rng = np.random.default_rng(6)
    intensity = rng.random((200, 200))
    for photons in (10.0, 1e3, 1e5):
        seen = shot_noise(intensity, Optics(photons=photons), 1.0, rng)
        assert seen.mean() == pytest.approx(intensity.mean(), rel=0.02)
        expected = 10 * math.log10(np.sum((photons * intensity) ** 2) / np.sum(photons * intensity))
        assert snr_db(intensity, seen) == pytest.approx(expected, abs=0.2)


def test_read_noise_adds_its_variance():
    """Gaussian in electrons, on top of Poisson."""
    rng = np.random.default_rng(7)
    dark = np.zeros((300, 300))
    seen = shot_noise(dark, Optics(photons=1000.0, read_electrons=5.0), 1.0, rng)
    assert seen.std() * 1000.0 == pytest.approx(5.0, rel=0.02)


def test_noise_needs_a_generator():
    """No hidden seed; and a pseudo-negative reading is two frames."""
    with pytest.raises(ValueError, match="random generator"):
        convolve(*sample(8, image=8), "sqrt", Optics(photons=100.0))
    with pytest.raises(ValueError, match="two frames"):
        read_out(np.ones((2, 2), dtype=complex), "pseudo_negative", Optics(), 1.0)


@pytest.mark.parametrize(("kernel", "errors"), [(7, (0.005, 0.019, 0.075, 0.282)), (31, (0.083, 0.305, 0.871, 0.924))])
def test_misalignment_grows_with_shift_and_kernel(kernel, errors):
    """A mask off by s pixels multiplies the kernel by a phase ramp: relative errors of the measured table."""
    x, k = sample(0, False, 128 - kernel + 1, kernel)
    exact = convolve(x, k, "sqrt", plane=(128, 128))
    found = []
    for pixels in (1, 2, 4, 8):
        seen = convolve(x, k, "sqrt", Optics(shift_pixels=(0, pixels)), plane=(128, 128))
        found.append(float(np.linalg.norm(seen - exact) / np.linalg.norm(exact)))
    assert found == pytest.approx(errors, rel=0.12, abs=0.003)
    assert found == sorted(found)


def test_a_shifted_mask_is_a_phase_ramp_on_the_kernel():
    """exp(2 pi i s n / N) of the shift theorem."""
    k = np.zeros((16, 16))
    k[:5, :5] = sample(1, kernel=5)[1]
    ramp = np.exp(2j * np.pi * 3 * np.arange(16) / 16)
    assert np.allclose(shift_mask(np.fft.fft2(k), (0, 3)), np.fft.fft2(k * ramp), atol=1e-10)


def test_masks_show_what_their_modulator_can():
    """Amplitude masks are real, phase masks have unit amplitude on 2^b angles, binary masks are 0 or 1."""
    k = sample(9, kernel=5)[1]
    exact = np.fft.fft2(k, s=(16, 16))
    amplitude = kernel_mask(k, (16, 16), Optics(kernel_plane="amplitude"))
    assert np.allclose(amplitude, np.abs(exact))
    phase = kernel_mask(k, (16, 16), Optics(kernel_plane="phase", kernel_bits=3))
    turns = np.angle(phase) / (2 * np.pi) * 8
    assert np.allclose(np.abs(phase), 1.0)
    assert np.allclose(turns, np.rint(turns), atol=1e-9)
    binary = kernel_mask(k, (16, 16), Optics(kernel_plane="binary"))
    assert np.array_equal(binary.real, (exact.real > 0).astype(float))


def test_photons_for_bits():
    """1.5 * 4^b: 384, 6144 and 98304 photons at 4, 6 and 8 bits."""
    assert [photons_for_bits(bits) for bits in (4, 6, 8)] == [384, 6144, 98304]


def test_snr_of_nothing_lost_is_infinite():
    """And of an error as large as the signal 0 dB."""
    x = np.ones((3, 3))
    assert snr_db(x, x) == math.inf
    assert snr_db(x, 0 * x) == pytest.approx(0.0)
