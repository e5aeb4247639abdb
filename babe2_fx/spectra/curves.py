"""Curves over frequency, from 0 Hz to Nyquist, on another number of bins."""

from __future__ import annotations

import numpy as np
import torch.nn.functional as F
from torch import Tensor


def at_bins(curve: Tensor, bins: int) -> np.ndarray:
    """A curve (n,) interpolated linearly as it is, in dB say: (bins,) float64."""
    return np.interp(np.linspace(0, 1, bins), np.linspace(0, 1, len(curve)), curve.double().cpu().numpy())


def resample_spectrum(power: Tensor, bins: int) -> Tensor:
    """A power spectrum (n,), interpolated in dB: (bins,)."""
    if len(power) == bins:
        return power
    level = power.double().clamp(min=1e-30).log()[None, None]
    return F.interpolate(level, size=bins, mode="linear", align_corners=True)[0, 0].exp()
