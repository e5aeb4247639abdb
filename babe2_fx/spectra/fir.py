"""Zero-phase filters as one long convolution, for curves that a frame-by-frame filter would smear into clicks."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

TAPS = 4097


def zero_phase(x: Tensor, gain_db: Tensor) -> Tensor:
    """x (..., samples) filtered by a gain in dB, (bins,) from 0 Hz to Nyquist; same shape.

    The ends are mirrored: music that is cut off there would else be given a click, and no inverse would take it away.
    """
    taps = _taps(gain_db.detach().double().cpu()).to(x)
    half, chunk = TAPS // 2, 1 << 18  # in chunks, so that memory does not grow with the length twice
    size = chunk + TAPS - 1
    response = torch.fft.rfft(taps, n=size)
    mirror = min(half, x.shape[-1] - 1)
    padded = x.reshape(-1, x.shape[-1])  # which is what can be mirrored
    padded = F.pad(padded, (mirror, mirror), mode="reflect") if mirror > 0 else padded
    padded = F.pad(padded, (half - mirror, half - mirror + (-x.shape[-1]) % chunk)).reshape(*x.shape[:-1], -1)
    pieces = [torch.fft.irfft(torch.fft.rfft(padded[..., start:start + size], n=size) * response, n=size)
              [..., 2 * half:] for start in range(0, x.shape[-1], chunk)]
    return torch.cat(pieces, dim=-1)[..., :x.shape[-1]] if pieces else x.clone()


def _taps(gain_db: Tensor) -> Tensor:
    half = TAPS // 2
    position = torch.linspace(0, 1, half + 1, dtype=torch.float64) * (len(gain_db) - 1)
    low = position.floor().long().clamp(max=len(gain_db) - 2)
    level = torch.lerp(gain_db[low], gain_db[low + 1], position - low)
    impulse = torch.fft.fftshift(torch.fft.irfft(10 ** (level / 20), n=2 * half))
    # Odd length, centred; the window only touches what is already below the curve's own smoothness.
    impulse = torch.cat([impulse, impulse[:1]])
    return impulse * torch.hann_window(TAPS, periodic=False, dtype=torch.float64).sqrt()
