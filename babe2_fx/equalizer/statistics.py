"""All that the filter's cost needs to know of two signals.

The magnitudes do not change while the filter is fitted and the filter depends on frequency alone, so that Eq. 13
is a sum over bins of three numbers each, whatever the length of the signals, their number, or that of iterations.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from torch import Tensor

from ..spectra.stft import FILTER_HOP, analyse, filter_window


@dataclass(frozen=True)
class FilterStatistics:
    """Σ|X|², Σ|X||Y|, Σ|Y|² over frames and batch, float64 (2049,) each; x is the estimate, y the observation.

    `noise_power` is what white noise of unit variance of the same length would give in each bin of Σ|X|².
    """

    sxx: np.ndarray
    sxy: np.ndarray
    syy: np.ndarray
    noise_power: float = 0.0

    @classmethod
    def from_signals(cls, x: Tensor, y: Tensor, window: str = "hamming") -> "FilterStatistics":
        """x, y: (..., samples); `window` as in `analyse`. All leading dimensions share one filter and add up."""
        # White noise in a frame: its variance times the window's power.
        noise_power = float(filter_window(x, window).square().sum()) * x.numel() / FILTER_HOP
        x, y = analyse(x, window).abs(), analyse(y, window).abs()
        other = tuple(d for d in range(x.ndim) if d != x.ndim - 2)
        sxx, sxy, syy = (product.sum(dim=other).double().cpu().numpy() for product in (x * x, x * y, y * y))
        return cls(sxx, sxy, syy, noise_power)

    def __add__(self, other: "FilterStatistics") -> "FilterStatistics":
        return FilterStatistics(self.sxx + other.sxx, self.sxy + other.sxy, self.syy + other.syy,
                                self.noise_power + other.noise_power)
