"""Curves over frequency: on another number of bins from 0 Hz to Nyquist, or by third octaves."""

from __future__ import annotations

import math

import numpy as np
import torch.nn.functional as F
from torch import Tensor


def at_bins(curve: Tensor, bins: int) -> np.ndarray:
    """A curve (n,) interpolated linearly as it is, in dB say: (bins,) float64."""
    return np.interp(np.linspace(0, 1, bins), np.linspace(0, 1, len(curve)), curve.double().cpu().numpy())


def third_octaves(low_hz: float, high_hz: float) -> np.ndarray:
    """Centres in Hz of the third octaves about 1 kHz within two frequencies: (bands,)."""
    first, last = math.ceil(3 * math.log2(low_hz / 1000)), math.floor(3 * math.log2(high_hz / 1000))
    return 1000 * 2 ** (np.arange(first, last + 1) / 3)


def levels_db(power: np.ndarray, hz: np.ndarray, centres: np.ndarray) -> np.ndarray:
    """Mean power (bins, ...) at hz (bins,) of the third octave around each of the centres, in dB: (bands, ...)."""
    width = 2 ** (1 / 6)
    return np.array([10 * np.log10(power[(hz >= c / width) & (hz < c * width)].mean(axis=0) + 1e-20) for c in centres])


def resample_spectrum(power: Tensor, bins: int) -> Tensor:
    """A power spectrum (n,), interpolated in dB: (bins,)."""
    if len(power) == bins:
        return power
    level = power.double().clamp(min=1e-30).log()[None, None]
    return F.interpolate(level, size=bins, mode="linear", align_corners=True)[0, 0].exp()
