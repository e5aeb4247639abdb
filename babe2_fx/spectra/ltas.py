"""Long-term average spectra, and the equalizer made from them (Sec. 3.4)."""

from __future__ import annotations

from functools import lru_cache

import torch
import torch.nn.functional as F
from torch import Tensor

from ..audio.mapped import chunks
from .curves import resample_spectrum
from .stft import FILTER_BINS

WINDOW_POWER = 0.75  # mean square over mean of a Hann window: the level of white noise of unit variance in `ltas`
CHUNK_FRAMES = 2048  # keeps memory constant in the length of a recording


def ltas_fft_size(sample_rate: float) -> int:
    """The paper's window: 2048 samples at 22.05 kHz, 4096 at 44.1 kHz."""
    return 2048 if sample_rate <= 32000 else 4096


def ltas(audio: Tensor, fft_size: int, mirrored: bool = True) -> Tensor:
    """Power spectrum averaged over frames and all leading dimensions: (..., samples) -> (fft_size // 2 + 1,) float64.

    Hann window, hop a quarter, scaled by 1 / sqrt(sum of the window). Audio shorter than one window is zero-padded.

    mirrored: whether centred frames see the ends mirrored, as published. The kink there spreads over all frequencies:
    in an excerpt it adds some -55 dB to every band. Where that matters, take whole frames only.
    """
    audio = audio.reshape(-1, audio.shape[-1])
    if audio.shape[-1] < fft_size:
        audio = F.pad(audio, (0, fft_size - audio.shape[-1]))
    window = torch.hann_window(fft_size, dtype=audio.dtype, device=audio.device)
    hop, beyond = fft_size // 4, fft_size // 2 if mirrored else 0
    frames = (audio.shape[-1] + 2 * beyond - fft_size) // hop + 1
    total = torch.zeros(fft_size // 2 + 1, dtype=torch.float64)
    for part in chunks(frames, audio, length=CHUNK_FRAMES):
        first, last = part.start * hop - beyond, (part.stop - 1) * hop + fft_size - beyond
        piece = audio[:, first:last]
        if first < 0 or last > audio.shape[-1]:
            at = torch.arange(first, last, device=audio.device).abs()
            piece = audio[:, torch.minimum(at, 2 * (audio.shape[-1] - 1) - at)]
        spectrum = torch.stft(piece, fft_size, hop, window=window, center=False, return_complex=True)
        total += spectrum.abs().square().double().sum(dim=(0, 2)).cpu()
    return total / (frames * audio.shape[0]) / window.double().sum().cpu()


@lru_cache(maxsize=8)
def _octave_weights(bins: int, share: float) -> Tensor:
    bin = torch.arange(bins, dtype=torch.float64)
    width = (bin.clamp(max=share * bins) / (3 * torch.pi)).clamp(min=1e-6)
    weights = torch.exp(-0.5 * ((bin[None] - bin[:, None]) / width[:, None]) ** 2)
    return weights / weights.sum(dim=1, keepdim=True)


def smooth_octave(power: Tensor, share: float = 1.0) -> Tensor:
    """A power spectrum (bins,) from 0 Hz to Nyquist, smoothed by a Gaussian of a third of an octave. Same shape.

    Beyond the first `share` (0 to 1) of the bins the Gaussian grows no wider, so that steep band limits stay steep.
    """
    return (_octave_weights(len(power), share) @ power.double().cpu()).to(power)


def ltas_response(observed: Tensor, reference: Tensor, floor_db: float = -20.0) -> Tensor:
    """H_LTAS (Eq. 9) as linear magnitude on the filters' bins: (2049,) float64.

    observed, reference: power spectra (any number of bins each) of signals of unit variance. Both are smoothed to
    third octaves; the ratio is limited below at `floor_db`, so that its inverse does not lift what is not there.
    """
    return 10 ** (deviation_db(observed, reference).clamp(min=floor_db) / 20)


def deviation_db(observed: Tensor, reference: Tensor, share: float = 1.0) -> Tensor:
    """Ratio of two smoothed power spectra (any number of bins each), on the filters' bins: (2049,) dB.

    Third octaves; `share` as in `smooth_octave`.
    """
    observed, reference = (resample_spectrum(smooth_octave(p.double(), share=share), FILTER_BINS)
                           for p in (observed, reference))
    return 10 * torch.log10(observed.clamp(min=1e-30) / reference.clamp(min=1e-30))


def ltas_distance_db(restored: Tensor, reference: Tensor) -> float:
    """Eq. 14: distance in dB of two power spectra (bins,) of the same kind."""
    return float(10 * torch.log10(((restored - reference).abs() / reference.clamp(min=1e-30)).mean() + 1e-30))
