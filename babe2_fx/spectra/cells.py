"""Levels on a grid of time and log frequency, the *cells* in which the learned models of level and response see music.

Frames of 186 ms every 46 ms; bands of a twelfth of an octave from 86 Hz to 9.8 kHz, and of a third of that. The grid
is that of 22.05 kHz; other rates are resampled to it first.
"""

from __future__ import annotations

from functools import cache

import numpy as np
import torch
from torch import Tensor

RATE = 22050  # Hz
SIZE, HOP = 4096, 1024  # samples of a frame, and from one to the next
BANDS = 83  # of a twelfth of an octave
FINE = 3 * BANDS  # of a 36th; the middle one of a twelfth's three has its centre
LOWEST_HZ = RATE / 256
WINDOW_ENERGY = 3 * SIZE / 8  # of a periodic Hann window: the power of white noise of unit variance in every bin
PIECE = 256  # frames that are transformed at once


def band_centres_hz() -> np.ndarray:
    """Centres of the twelfths of an octave, (83,)."""
    return LOWEST_HZ * 2 ** (np.arange(BANDS) / 12)


def fine_centres_hz() -> np.ndarray:
    """Centres of the 36ths of an octave, (249,)."""
    return LOWEST_HZ * 2 ** ((np.arange(FINE) - 1) / 36)


def frame_centres(count: int) -> np.ndarray:
    """The sample in the middle of each frame, (count,)."""
    return SIZE // 2 + HOP * np.arange(count)


def cells(audio: Tensor, fine: bool = True) -> Tensor:
    """Mean power of each cell, relative to white noise of unit variance.

    Args:
        audio: (..., samples) at 22.05 kHz; less than one frame is padded with silence.
        fine: 36ths of an octave instead of twelfths.

    Returns:
        (..., 249 or 83, frames) float32; frame n is centred at sample 2048 + 1024 n, and only whole frames count.
    """
    audio = torch.nn.functional.pad(audio, (0, max(0, SIZE - audio.shape[-1])))
    window, to_bands = torch.hann_window(SIZE, device=audio.device), _triangles(fine).to(audio.device)
    frames = audio.unfold(-1, SIZE, HOP)
    found = [(torch.fft.rfft(part * window).abs().square() @ to_bands).transpose(-1, -2)
             for part in frames.split(PIECE, dim=-2)]
    return torch.cat(found, dim=-1) / WINDOW_ENERGY


@cache
def _triangles(fine: bool) -> Tensor:
    """Weights from bins to bands, (2049, bands): triangles that reach to the neighbouring centres, or bins."""
    hz = np.arange(SIZE // 2 + 1) * RATE / SIZE
    centres = fine_centres_hz() if fine else band_centres_hz()
    reach = np.maximum(centres * (2 ** (1 / (36 if fine else 12)) - 1), hz[1])
    weights = np.clip(1 - np.abs(hz[:, None] - centres) / reach, 0, None)
    return torch.from_numpy((weights / weights.sum(axis=0)).astype(np.float32))
