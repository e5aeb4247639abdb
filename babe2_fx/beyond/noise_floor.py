"""The noise of a recording, from the recording alone: what remains when the music pauses or leaves a gap.

It says nothing about the response and is not lifted. Off with `recording_noise = "ignored"`.
"""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor

QUANTILE = 0.1  # share of a band's cells (bins by frames) taken to hold noise alone
HEARD_DB = 6.0  # music counts as heard in a band whose level is this far above its noise
PAUSE_DB = -100.0  # frames this far below the loudest are digital silence and say nothing about the medium
MAX_FRAMES = 20000  # spread over a long recording; enough for any quantile


def noise_floor(audio: Tensor, fft_size: int, end: int | None = None) -> Tensor:
    """Power spectrum of the stationary noise, on the scale of `ltas`: (..., samples) -> (fft_size // 2 + 1,) float64,
    the mean of the channels.

    end: bins from this one on hold nothing of the recording, noise included, and do not count; None: all count.

    In each third of an octave, the level that a tenth of the spectrogram's cells stay below. Noise power is
    exponentially distributed, so this quantile of noise alone gives its mean; music, which decays and has gaps between
    its partials, hardly affects it. Exact for stationary noise; where music leaves no gap, the estimate is the
    quietest music, well below its mean.
    """
    audio = audio.reshape(-1, audio.shape[-1])
    hop = fft_size // 2
    frames = (audio.shape[-1] - fft_size) // hop + 1
    if frames < 4:
        return torch.zeros(fft_size // 2 + 1, dtype=torch.float64)
    window = torch.hann_window(fft_size, dtype=audio.dtype, device=audio.device)
    every = math.ceil(frames * len(audio) / MAX_FRAMES)
    pieces = audio.unfold(-1, fft_size, hop * every)  # (channels, frames, fft_size)
    spectra = torch.cat([torch.fft.rfft(piece * window).abs().square() for piece in pieces.split(1024, dim=1)], dim=1)
    power = (spectra / window.sum()).double().cpu().numpy()
    level = power.sum(axis=2)
    told = level > 10 ** (PAUSE_DB / 10) * level.max()
    bins = np.arange(fft_size // 2 + 1)
    centres = 2 ** np.arange(1, math.log2(len(bins) - 1), 1 / 3)
    # Of each channel by itself: the cells of a quiet one would all lie below the noise of a loud one.
    floors = np.mean([_floors(one[which, :end], centres) if which.sum() >= 4 else np.zeros(len(centres))
                      for one, which in zip(power, told)], axis=0)
    if not floors.any():
        return torch.zeros(len(bins), dtype=torch.float64)
    level_db = 10 * np.log10(np.maximum(floors, 1e-30))
    return torch.from_numpy(10 ** (np.interp(np.log2(np.maximum(bins, 1)), np.log2(centres), level_db) / 10))


def _floors(power: np.ndarray, centres: np.ndarray) -> np.ndarray:
    """The noise of one channel (frames, bins) in each third of an octave, about bins that need not be whole."""
    width, floors = 2 ** (1 / 6), []
    for centre in centres:
        low = min(math.ceil(centre / width), int(centre), power.shape[1] - 1)
        cells = power[:, low:max(math.ceil(centre * width), low + 1)]
        floors.append(np.quantile(cells, QUANTILE) / -math.log1p(-QUANTILE))
    return np.array(floors)


def heard(observed: Tensor, noise: Tensor) -> Tensor:
    """Where music stands out from the noise: bool (bins,). Both power spectra (bins,), `observed` smoothed."""
    return observed > noise * 10 ** (HEARD_DB / 10)
