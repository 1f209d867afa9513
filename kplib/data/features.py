"""Mel-frequency cepstral coefficients (MFCC), as the papers' keyword networks take them.

The chain of "Hello Edge" (Zhang et al., 2017), which is TensorFlow's speech example: frames under
a periodic Hann window, the magnitude of their spectrum, 40 triangles on the mel scale from 20 to
4000 Hz, a logarithm, a cosine transform. SciPy has the transforms, librosa the triangles. Two
things differ from TensorFlow: its triangles are straight in mel, librosa's in Hz; and its zeroth
coefficient is sqrt(2) times the orthonormal one.
"""

from dataclasses import dataclass

import numpy as np
import scipy  # its parts come when they are used: scipy.signal alone takes 0.6 s
from numpy.typing import NDArray

from kplib.errors import ShapeError


@dataclass(frozen=True)
class Mfcc:
    """The parameters of MFCC; the defaults are those of "Hello Edge".

    Parameters
    ----------
    sample_rate : int, default 16000
        In Hz.
    window_ms, stride_ms : int, default 40
        Length and distance of the frames, in milliseconds.
    n_mels : int, default 40
        Triangles on the mel scale.
    fmin, fmax : float, default 20 and 4000
        Where the first begins and the last ends, in Hz.
    n_coefficients : int, default 10
        Of the cosine transform.
    floor : float, default 1e-12
        What a triangle gives at least, so that silence has a logarithm.
    """

    sample_rate: int = 16000
    window_ms: int = 40
    stride_ms: int = 40
    n_mels: int = 40
    fmin: float = 20.0
    fmax: float = 4000.0
    n_coefficients: int = 10
    floor: float = 1e-12

    @property
    def window(self) -> int:
        """Samples in a frame."""
        return self.sample_rate * self.window_ms // 1000

    @property
    def stride(self) -> int:
        """Samples from one frame to the next."""
        return self.sample_rate * self.stride_ms // 1000

    def frames(self, samples: int) -> int:
        """Return how many whole frames there are.

        Examples
        --------
        >>> Mfcc().frames(16000), Mfcc(stride_ms=20).frames(16000)
        (25, 49)
        """
        return max(0, 1 + (samples - self.window) // self.stride)


def mfcc(waves: NDArray[np.float32], parameters: Mfcc | None = None) -> NDArray[np.float32]:
    """Return the cepstral coefficients of waves of one length.

    Parameters
    ----------
    waves : ndarray of float32, shape (N, samples)
        Between -1 and 1.
    parameters : Mfcc, optional

    Returns
    -------
    ndarray of float32, shape (N, frames, n_coefficients)

    Raises
    ------
    ShapeError
        If the waves are shorter than one frame, or are not a matrix.

    Examples
    --------
    >>> mfcc(np.zeros((2, 16000), np.float32)).shape
    (2, 25, 10)
    """
    import librosa  # takes seconds where its compiled parts are not cached

    given = Mfcc() if parameters is None else parameters
    if waves.ndim != 2 or given.frames(waves.shape[1]) == 0:
        raise ShapeError(
            f"waves {waves.shape} must be (N, samples), with at least the {given.window} samples "
            "of one frame"
        )
    n_fft = 1 << (given.window - 1).bit_length()  # the next power of two
    triangles = librosa.filters.mel(
        sr=given.sample_rate,
        n_fft=n_fft,
        n_mels=given.n_mels,
        fmin=given.fmin,
        fmax=given.fmax,
        htk=True,
        norm=None,
    )
    hann = scipy.signal.get_window("hann", given.window).astype(np.float32)
    frames = np.lib.stride_tricks.sliding_window_view(waves, given.window, axis=1)
    magnitudes = np.abs(scipy.fft.rfft(frames[:, :: given.stride] * hann, n_fft))
    log_mel = np.log(np.maximum(magnitudes @ triangles.T, given.floor))
    cepstrum = scipy.fft.dct(log_mel, type=2, norm="ortho")[..., : given.n_coefficients]
    return np.ascontiguousarray(cepstrum, np.float32)
