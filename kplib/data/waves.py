"""One-second recordings: decoded, shifted, mixed with background noise, as TensorFlow's example.

Every random choice is drawn from a generator of its own, seeded with the numbers that name it, so
that a recording comes out the same whatever is computed before it.
"""

import io
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from kplib.errors import DataError

Wave = NDArray[np.float32]

SAMPLE_RATE = 16000
SAMPLES = SAMPLE_RATE  # one second


@dataclass(frozen=True)
class Augmentation:
    """What is done to a training clip; the defaults are those of "Hello Edge".

    Parameters
    ----------
    shift_ms : int, default 100
        The clip is moved by up to so many milliseconds either way, uniformly; zeros fill the gap.
    noise_share : float, default 0.8
        Of the clips, those that background noise is added to.
    noise_volume : float, default 0.1
        The noise is multiplied by up to this, uniformly.
    """

    shift_ms: int = 100
    noise_share: float = 0.8
    noise_volume: float = 0.1


def decode(name: str, content: bytes) -> Wave:
    """Decode a mono recording of 16 kHz, Ogg or WAV.

    Parameters
    ----------
    name : str
        For the errors.
    content : bytes
        The file.

    Returns
    -------
    ndarray of float32, shape (samples,)
        Between -1 and 1.

    Raises
    ------
    DataError
        If it is not such a recording.
    """
    import soundfile

    try:
        wave, rate = soundfile.read(io.BytesIO(content), dtype="float32")
    except soundfile.LibsndfileError as error:
        raise DataError(f"{name} cannot be decoded: {error}") from None
    if rate != SAMPLE_RATE or wave.ndim != 1:
        raise DataError(
            f"{name} has {rate} Hz and shape {wave.shape}; {SAMPLE_RATE} Hz mono is needed"
        )
    return wave


def one_second(wave: Wave) -> Wave:
    """Return the first second of a wave, with zeros after its end.

    Examples
    --------
    >>> one_second(np.ones(3, np.float32)).shape, one_second(np.ones(20000, np.float32)).shape
    ((16000,), (16000,))
    """
    return np.pad(wave[:SAMPLES], (0, max(0, SAMPLES - len(wave))))


def augment(
    wave: Wave,
    noises: Mapping[str, Wave],
    rng: np.random.Generator,
    parameters: Augmentation | None = None,
) -> Wave:
    """Return a clip moved in time, and most often with background noise.

    Parameters
    ----------
    wave : ndarray of float32, shape (16000,)
        The clip.
    noises : mapping of str to ndarray
        Background noises, each longer than a second.
    rng : numpy.random.Generator
        Where the choices come from.
    parameters : Augmentation, optional

    Returns
    -------
    ndarray of float32, shape (16000,)
        Cut off at -1 and 1.
    """
    given = Augmentation() if parameters is None else parameters
    most = SAMPLE_RATE * given.shift_ms // 1000
    shift = int(rng.integers(-most, most + 1))
    moved = np.zeros_like(wave)
    if shift >= 0:
        moved[shift:] = wave[: SAMPLES - shift]
    else:
        moved[:shift] = wave[-shift:]
    section = _section(noises, rng)
    noisy, volume = rng.random() < given.noise_share, given.noise_volume * rng.random()
    return np.clip(moved + np.float32(volume if noisy else 0) * section, -1, 1)


def silence(noises: Mapping[str, Wave], rng: np.random.Generator) -> Wave:
    """Return a second of background noise, at a volume that is uniform between 0 and 1.

    Parameters
    ----------
    noises : mapping of str to ndarray
        Background noises, each longer than a second.
    rng : numpy.random.Generator
        Where the choices come from.

    Returns
    -------
    ndarray of float32, shape (16000,)
    """
    section = _section(noises, rng)
    return np.float32(rng.random()) * section


def _section(noises: Mapping[str, Wave], rng: np.random.Generator) -> Wave:
    noise = noises[sorted(noises)[rng.integers(len(noises))]]
    start = rng.integers(len(noise) - SAMPLES + 1)
    return noise[start : start + SAMPLES]
