"""Training material: a folder of audio, held in memory in a prior's domain, cut into random blocks."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import soundfile
import torch
from torch import Tensor

from ..priors import Emphasis
from ..spectra import smooth_octave


def read_mono(path: Path, sample_rate: int) -> Tensor:
    """A file as float32 (samples,). Raises ValueError if its rate is not `sample_rate` (Hz)."""
    audio, rate = soundfile.read(path, dtype="float32", always_2d=True)
    if rate != sample_rate:
        raise ValueError(f"{path} is at {rate} Hz; the material for this prior must be at {sample_rate} Hz.")
    return torch.from_numpy(audio.mean(axis=1))


def power_spectrum(recordings: list[Tensor], fft_size: int) -> Tensor:
    """Mean power spectrum (fft_size // 2 + 1,) over recordings of unit variance; for the emphasis and the LTAS.

    Scaled as the LTAS of the paper (Sec. 3.4): Hann window, hop a quarter, 1 / sqrt(sum of the window).
    """
    window = torch.hann_window(fft_size)
    total = torch.zeros(fft_size // 2 + 1, dtype=torch.float64)
    for audio in recordings:
        spectrum = torch.stft(audio / audio.std(), fft_size, fft_size // 4, window=window, center=False,
                              return_complex=True)
        total += spectrum.abs().square().mean(-1).double() / window.sum()
    return (total / len(recordings)).float()


def spectral_spread_db(recordings: list[Tensor], fft_size: int) -> Tensor:
    """Standard deviation in dB of the recordings' third-octave spectra, (fft_size // 2 + 1,).

    Each is first aligned by its mean level over log frequency, for loudness is no property of a recording's spectrum.
    """
    levels = torch.stack([10 * smooth_octave(power_spectrum([audio], fft_size)).clamp(min=1e-20).log10()
                          for audio in recordings]).double()
    weight = 1 / torch.arange(1, levels.shape[1], dtype=torch.float64)
    mean = (levels[:, 1:] @ weight) / weight.sum()
    return (levels - mean[:, None]).std(dim=0, unbiased=False).float()


def flattening(power: Tensor, sample_rate: int, share: float, lowest_hz: float) -> Tensor:
    """Gain in dB (bins,) that takes away `share` (0 to 1) of a power spectrum's slope in dB.

    Smoothed over about an octave, so that the filter is short and follows the instrument class and no instrument.
    Constant below `lowest_hz`, where the prior hears nothing.
    """
    bins = len(power)
    hz = torch.linspace(0, sample_rate / 2, bins)
    level = 10 * torch.log10(power.clamp(min=1e-20))
    octave = torch.log2(hz.clamp(min=lowest_hz))
    # Weights by 1/f, so that an octave counts the same wherever it lies.
    weights = torch.exp(-0.5 * ((octave[:, None] - octave[None]) / 0.35) ** 2) / hz.clamp(min=lowest_hz)[None]
    weights[:, hz < lowest_hz] = 0
    return -share * (weights @ level) / weights.sum(1)


class Material:
    """Recordings brought to the prior's level and domain.

    Args:
        files: audio files at the prior's rate.
        sigma_data: standard deviation to which each recording is brought in the prior's domain.
    """

    def __init__(self, files: list[Path], sample_rate: int, sigma_data: float, emphasis: Emphasis | None):
        self.recordings = []
        for file in files:
            audio = read_mono(file, sample_rate)
            audio = emphasis.apply(audio) if emphasis else audio
            # Half precision: hours of material stay in memory, its rounding lies 60 dB under the signal at all times.
            self.recordings.append((audio * (sigma_data / audio.std())).half())
        self.lengths = np.array([len(r) for r in self.recordings], dtype=float)

    def batch(self, count: int, length: int, gain_db: float, rng: np.random.Generator) -> Tensor:
        """Random blocks (count, length), each with a random gain of standard deviation `gain_db`."""
        blocks = []
        for index in rng.choice(len(self.recordings), count, p=self.lengths / self.lengths.sum()):
            recording = self.recordings[index]
            start = rng.integers(0, max(len(recording) - length, 0) + 1)
            block = recording[start:start + length].float()
            block = torch.nn.functional.pad(block, (0, length - len(block)))
            sign = rng.choice((-1.0, 1.0))  # polarity carries no meaning
            blocks.append(block * float(sign * 10 ** (rng.normal(0, gain_db) / 20)))
        return torch.stack(blocks)
