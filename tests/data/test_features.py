"""MFCC against the definition, written from scratch; the waves they are taken from."""

import io
import math

import numpy as np
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal

from kplib.data import waves
from kplib.data.features import Mfcc, mfcc
from kplib.data.waves import Augmentation
from kplib.errors import DataError, ShapeError


def mel(hertz):
    return 1127 * math.log(1 + hertz / 700)


def definition(wave, p, n_fft):
    """One loop a line of the definition, in float64: no FFT, no matrix of filters."""
    corners = np.linspace(mel(p.fmin), mel(p.fmax), p.n_mels + 2)
    corners = 700 * (np.exp(corners / 1127) - 1)
    t, k = np.arange(p.window), np.arange(n_fft // 2 + 1)
    waves = np.exp(-2j * np.pi * np.outer(k, t) / n_fft)
    result = []
    for start in range(0, len(wave) - p.window + 1, p.stride):
        hann = 0.5 - 0.5 * np.cos(2 * np.pi * t / p.window)
        magnitude = abs(waves @ (wave[start : start + p.window].astype(float) * hann))
        logs = []
        for left, middle, right in zip(corners, corners[1:], corners[2:], strict=False):
            total = 0.0
            for bin_, value in enumerate(magnitude):
                hertz = bin_ * p.sample_rate / n_fft
                rising, falling = (
                    (hertz - left) / (middle - left),
                    (right - hertz) / (right - middle),
                )
                total += max(0.0, min(rising, falling)) * value
            logs.append(math.log(max(total, p.floor)))
        result.append(
            [
                math.sqrt((1 if i == 0 else 2) / p.n_mels)
                * sum(v * math.cos(math.pi * i * (j + 0.5) / p.n_mels) for j, v in enumerate(logs))
                for i in range(p.n_coefficients)
            ]
        )
    return np.array(result)


@pytest.mark.parametrize(
    ("parameters", "samples", "n_fft"),
    [
        (Mfcc(), 1930, 1024),  # three frames, and ten samples too many
        (Mfcc(stride_ms=20), 1300, 1024),
        (Mfcc(window_ms=32, stride_ms=7, n_mels=23, n_coefficients=13), 700, 512),
        (Mfcc(sample_rate=8000, fmin=100, fmax=3500), 320, 512),
    ],
)
def test_mfcc_is_the_definition(parameters, samples, n_fft):
    rng = np.random.default_rng(samples)
    x = rng.uniform(-1, 1, (2, samples)).astype(np.float32)
    x[1] *= 1e-4
    found = mfcc(x, parameters)
    assert found.dtype == np.float32
    for row, wave in zip(found, x, strict=True):
        assert_allclose(row, definition(wave, parameters, n_fft), rtol=1e-4, atol=2e-4)


def test_the_defaults_are_those_of_hello_edge():
    p = Mfcc()
    assert (p.window, p.stride, p.frames(16000), p.n_coefficients) == (640, 640, 25, 10)
    assert (p.n_mels, p.fmin, p.fmax) == (40, 20, 4000)


def test_silence_has_finite_features():
    found = mfcc(np.zeros((1, 16000), np.float32))
    assert_allclose(found[..., 0], math.sqrt(40) * math.log(1e-12), rtol=1e-5)
    assert_allclose(found[..., 1:], 0, atol=1e-4)


@given(st.integers(1, 5), st.integers(640, 3000), st.integers(0, 2**32))
@settings(max_examples=30, deadline=None)
def test_a_row_does_not_depend_on_the_others(n, samples, seed):
    x = np.random.default_rng(seed).uniform(-1, 1, (n, samples)).astype(np.float32)
    together = mfcc(x)
    assert together.shape == (n, Mfcc().frames(samples), 10)
    for i in range(n):
        assert_allclose(mfcc(x[i : i + 1])[0], together[i], atol=1e-3)


@pytest.mark.parametrize("shape", [(16000,), (2, 639), (1, 2, 16000)])
def test_other_shapes_are_refused(shape):
    with pytest.raises(ShapeError, match="640 samples of one frame"):
        mfcc(np.zeros(shape, np.float32))


# Waves --------------------------------------------------------------------------------------------


def recording(wave, rate=16000, form="WAV", subtype="PCM_16"):
    file = io.BytesIO()
    soundfile.write(file, wave, rate, format=form, subtype=subtype)
    return file.getvalue()


def tone(samples=16000, hertz=440, volume=0.5):
    t = np.arange(samples) / 16000
    return (volume * np.sin(2 * np.pi * hertz * t)).astype(np.float32)


@pytest.mark.parametrize(
    ("form", "subtype", "tolerance"),
    [("WAV", "PCM_16", 1e-4), ("OGG", "OPUS", 0.1), ("OGG", "VORBIS", 0.1)],
)
def test_recordings_are_decoded(form, subtype, tolerance):
    wave = waves.decode("a", recording(tone(15000), form=form, subtype=subtype))
    assert wave.dtype == np.float32
    assert wave.shape == (15000,)
    assert abs(wave[2000:-2000] - tone(15000)[2000:-2000]).max() < tolerance


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"not a recording", r"a\.wav cannot be decoded"),
        (recording(tone(), rate=8000), r"a\.wav has 8000 Hz"),
        (recording(np.zeros((100, 2))), r"shape \(100, 2\)"),
    ],
)
def test_other_recordings_are_refused(content, message):
    with pytest.raises(DataError, match=message):
        waves.decode("a.wav", content)


@pytest.mark.parametrize("samples", [0, 1, 15999, 16000, 16001, 40000])
def test_a_second_is_cut_or_filled(samples):
    wave = np.arange(1, samples + 1, dtype=np.float32)
    found = waves.one_second(wave)
    assert found.shape == (16000,)
    assert_array_equal(found[:samples], wave[:16000])
    assert not found[samples:].any()


NOISES = {"low": np.full(30000, 0.5, np.float32), "high": np.full(16000, 1, np.float32)}


def test_a_clip_moves_by_at_most_a_tenth_of_a_second():
    wave = np.zeros(16000, np.float32)
    wave[8000] = 1
    shifts = []
    for seed in range(300):
        rng = np.random.default_rng(seed)
        moved = waves.augment(wave, NOISES, rng, Augmentation(noise_share=0))
        (at,) = np.flatnonzero(moved)
        shifts.append(at - 8000)
    assert -1600 <= min(shifts) < -1400
    assert 1400 < max(shifts) <= 1600
    assert abs(np.mean(shifts)) < 200


def test_noise_is_added_to_four_clips_in_five_at_most_at_a_tenth():
    silent = np.zeros(16000, np.float32)
    noises = {"one": np.ones(20000, np.float32)}
    peaks = np.array(
        [waves.augment(silent, noises, np.random.default_rng(seed)).max() for seed in range(1000)]
    )
    assert 0.76 < (peaks > 0).mean() < 0.84
    assert 0.095 < peaks.max() <= 0.1
    assert 0.045 < np.median(peaks[peaks > 0]) < 0.055


def test_what_is_too_loud_is_cut_off():
    loud = waves.augment(tone(volume=1), NOISES, np.random.default_rng(5), Augmentation(0, 1, 5))
    assert loud.max() == 1
    assert loud.min() >= -1


def test_silence_is_noise_of_any_volume():
    peaks = [waves.silence(NOISES, np.random.default_rng(seed)).max() for seed in range(300)]
    assert min(peaks) < 0.05
    assert 0.9 < max(peaks) <= 1
    assert waves.silence(NOISES, np.random.default_rng(0)).shape == (16000,)
