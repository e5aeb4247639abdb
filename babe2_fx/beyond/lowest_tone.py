"""Where the notes of a recording begin: below its lowest tone there is no music, however loud the rumble.

Music without low notes has lost none, so nothing below is lifted. Off with `ltas_margin = 0`.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

FRAME_S = 0.75  # resolves the semitones of the lowest octaves
HIGHEST_HZ = 500.0  # tones are looked for up to here
TONAL_DB = 6.0  # a band's mean power over its geometric mean; noise has 2.5, seldom 4.5 in the narrowest band
SHARE = 0.1  # of the frames that must be this tonal
MAX_FRAMES = 4000  # spread over a long recording
QUIET_DB = -60.0  # frames this far below the loudest do not count


def lowest_tone_hz(audio: Tensor, sample_rate: float) -> float:
    """The lower edge of the lowest third of an octave that sometimes holds tones, in Hz; 0 if none below 500 Hz does.

    A tone fills few bins of a long frame and leaves the others of its band empty; rumble, thumps and hiss fill them
    all. That does not depend on how much a medium has weakened the band, as long as the tone stands out from the noise.

    Args:
        audio: (..., samples).
    """
    size = 2 ** round(math.log2(FRAME_S * sample_rate))
    hop = size // 2
    if audio.shape[-1] < 4 * size:
        return 0.0
    window = torch.hann_window(size, dtype=audio.dtype, device=audio.device)
    hz = torch.arange(size // 2 + 1) * sample_rate / size
    top = int(torch.searchsorted(hz, HIGHEST_HZ * 2 ** (1 / 6)))
    audio = audio.reshape(-1, audio.shape[-1])
    every = math.ceil(((audio.shape[-1] - size) // hop + 1) * len(audio) / MAX_FRAMES)
    frames = audio.unfold(-1, size, hop * every).reshape(-1, size)
    power = torch.cat([torch.fft.rfft(part * window)[:, :top].abs().square() for part in frames.split(256)])
    level = power.sum(dim=1)
    power = power[level > 10 ** (QUIET_DB / 10) * level.max()].double().cpu()
    if not len(power):
        return 0.0
    power = power.clamp(min=1e-30)
    centre = HIGHEST_HZ
    lowest = 0.0
    while centre > 40.0:  # narrower bands have too few bins to tell
        low, high = (int(torch.searchsorted(hz, centre * 2 ** (side / 6))) for side in (-1, 1))
        band_db = 10 * power[:, low:high].log10()
        band_db = band_db - _slope_db(band_db.mean(dim=0))  # a medium's steep fall is no tone
        tonal_db = 10 * (10 ** (band_db / 10)).mean(dim=1).log10() - band_db.mean(dim=1)
        if tonal_db.quantile(1 - SHARE) > TONAL_DB:
            lowest = centre * 2 ** (-1 / 6)
        centre *= 2 ** (-1 / 3)
    return lowest


def _slope_db(level_db: Tensor) -> Tensor:
    """The straight line through levels (bins,), without its mean."""
    at = torch.arange(len(level_db), dtype=level_db.dtype) - (len(level_db) - 1) / 2
    return at * (at @ level_db) / (at @ at)
