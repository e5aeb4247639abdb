"""Zero-phase filters as one long convolution, for curves that a frame-by-frame filter would smear into clicks."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from ..audio.mapped import allocate_like, chunks

TAPS = 4097


def zero_phase(x: Tensor, gain_db: Tensor) -> Tensor:
    """x (..., samples) filtered by a gain in dB, (bins,) from 0 Hz to Nyquist; same shape.

    The ends are mirrored: otherwise music that is cut off there would get a click, which no inverse would remove.
    """
    taps = _taps(gain_db.detach().double().cpu()).to(x)
    half, chunk = TAPS // 2, 1 << 18  # in chunks, so that memory does not grow with the length
    size = chunk + TAPS - 1
    response = torch.fft.rfft(taps, n=size)
    rows, filtered = x.reshape(-1, x.shape[-1]), allocate_like(x)
    results = filtered.view(-1, x.shape[-1])
    for part in chunks(x.shape[-1], x, filtered, length=chunk):
        spectrum = torch.fft.rfft(_mirrored(rows, part.start - half, part.stop + half, half), n=size)
        convolved = torch.fft.irfft(spectrum.mul_(response), n=size)[:, 2 * half:]
        results[:, part] = convolved[:, :part.stop - part.start]
    return filtered


def _mirrored(x: Tensor, start: int, stop: int, most: int) -> Tensor:
    """Samples from `start` to `stop` of (rows, samples), which may lie outside: mirrored up to `most`, then zeros."""
    length = x.shape[-1]
    most = min(most, length - 1)
    left, right = min(max(-start, 0), most), min(max(stop - length, 0), most)
    inside = x[:, max(start, 0):min(stop, length)]
    whole = torch.cat([x[:, 1:left + 1].flip(-1), inside, x[:, length - 1 - right:length - 1].flip(-1)], dim=-1)
    return F.pad(whole, (max(-start, 0) - left, max(stop - length, 0) - right))


def _taps(gain_db: Tensor) -> Tensor:
    half = TAPS // 2
    position = torch.linspace(0, 1, half + 1, dtype=torch.float64) * (len(gain_db) - 1)
    low = position.floor().long().clamp(max=len(gain_db) - 2)
    level = torch.lerp(gain_db[low], gain_db[low + 1], position - low)
    impulse = torch.fft.fftshift(torch.fft.irfft(10 ** (level / 20), n=2 * half))
    # Odd length, centred; the window only touches what is already below the curve's own smoothness.
    impulse = torch.cat([impulse, impulse[:1]])
    return impulse * torch.hann_window(TAPS, periodic=False, dtype=torch.float64).sqrt()
