"""Signals that pairs of channels are made of; levels are relative to the music's, all are (samples,) float64."""

from functools import lru_cache

import numpy as np
from scipy import signal


@lru_cache(maxsize=8)
def music(seed: int = 0, duration_s: float = 6.0, rate: int = 22050) -> np.ndarray:
    """Struck notes with falling partials at their own times, -20 dB."""
    rng, time_s = np.random.default_rng(seed), np.arange(round(rate * duration_s)) / rate
    audio = np.zeros_like(time_s)
    for onset_s in np.sort(rng.uniform(-0.5, duration_s, round(5 * duration_s))):
        pitch_hz, since_s = 440 * 2 ** (rng.integers(-24, 18) / 12), time_s - onset_s
        for partial in range(1, 12):
            hz = pitch_hz * partial * np.sqrt(1 + 4e-4 * partial ** 2)  # a string is a little stiff
            if hz < min(0.45 * rate, 6000):
                fall = np.exp(-since_s.clip(0) * (2 + partial / 2)) * (since_s >= 0) / partial
                audio += rng.uniform(0.5, 1) * fall * np.sin(2 * np.pi * hz * since_s + rng.uniform(0, 6))
    return 0.1 * audio / audio.std()


def _scaled(x: np.ndarray, like: np.ndarray, level_db: float) -> np.ndarray:
    return x * (like.std() / x.std() * 10 ** (level_db / 20))


def noise(like: np.ndarray, level_db: float, seed: int) -> np.ndarray:
    return _scaled(np.random.default_rng(seed).normal(size=len(like)), like, level_db)


def crackle(like: np.ndarray, level_db: float, seed: int) -> np.ndarray:
    """Forty clicks a second of very different strength (at 22.05 kHz)."""
    rng, clicks = np.random.default_rng(seed), np.zeros(len(like))
    at = rng.integers(0, len(like), len(like) * 40 // 22050)
    clicks[at] = rng.normal(size=len(at)) * rng.exponential(size=len(at))
    return _scaled(signal.lfilter([1], [1, -0.7], clicks), like, level_db)


def hum(like: np.ndarray, level_db: float, hz: float = 50, rate: int = 22050) -> np.ndarray:
    time_s = np.arange(len(like)) / rate
    return _scaled(sum(np.sin(2 * np.pi * hz * k * time_s) / k ** 2 for k in (1, 2, 3)), like, level_db)


def late(x: np.ndarray, samples: float) -> np.ndarray:
    """x delayed by a number of samples, whole or not, zeros coming first."""
    size = 1 << (len(x) + 4096).bit_length()
    turn = np.exp(-2j * np.pi * np.fft.rfftfreq(size) * samples)
    return np.fft.irfft(np.fft.rfft(x, size) * turn, size)[:len(x)]


def reverb(x: np.ndarray, level_db: float, seed: int, rate: int = 22050) -> np.ndarray:
    tail = np.random.default_rng(seed).normal(size=rate) * np.exp(-np.arange(rate) / rate * 10)
    tail[:rate // 100] = 0
    return _scaled(signal.fftconvolve(x, tail)[:len(x)], x, level_db)
