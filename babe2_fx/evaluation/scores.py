"""Scores of one recording: its spectrum against a reference set's, and all of it against the clean original."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import torch
from scipy.signal import stft
from torch import Tensor

from ..spectra import ltas, ltas_distance_db, ltas_fft_size, smooth_octave
from ..spectra.curves import levels_db, third_octaves

RATE = 22050  # Hz, at which full-reference scores are taken
FRAME, HOP = 2048, 512
BANDS = ((100, 1000), (1000, 4000), (4000, 8000), (8000, 10500))  # Hz, of the log-spectral distance
LEVELLED_HZ = (300, 3000)  # where restored and clean are set to one level
LOWEST_HZ = 86.0  # below, priors know nothing and rumble decides
FLOOR_DB = 70.0  # below the loudest cell of the original, nothing is heard
DEEPEST_DB = -40.0  # where a medium passes less, what was learned about it does not matter


# --------------------------------------------------------------------------------- against a reference set

def recording_ltas(audio: np.ndarray, sample_rate: float) -> Tensor:
    """Third-octave LTAS of audio (samples,) at unit variance: (bins,) float64, from 0 Hz to Nyquist."""
    signal = torch.from_numpy(np.array(audio, dtype=np.float64))
    signal = (signal - signal.mean()) / signal.std()
    return smooth_octave(ltas(signal, ltas_fft_size(sample_rate)))


def mean_ltas(spectra: Iterable[Tensor]) -> Tensor:
    """The LTAS of a set of recordings, all with the same weight: (bins,)."""
    return torch.stack(list(spectra)).mean(dim=0)


def reference_distance_db(restored: Tensor, reference: Tensor, sample_rate: float) -> float:
    """Eq. 14 of two LTAS (bins,), from 86 Hz to 0.95 of Nyquist, where resampling affects neither."""
    hz = torch.linspace(0, sample_rate / 2, len(restored))
    band = (hz > LOWEST_HZ) & (hz <= 0.95 * sample_rate / 2)
    return ltas_distance_db(restored[band], reference[band])


# --------------------------------------------------------------------------------- against the clean original

def full_reference_scores(clean: np.ndarray, restored: np.ndarray) -> dict:
    """Scores of a restoration (samples,) against its clean original (samples,), both mono at 22.05 kHz.

    The restoration is first set to the original's level between 300 Hz and 3 kHz; the longer one is cut.

    Returns:
        ltas_error_db: RMS over third octaves from 100 Hz to 10 kHz of the difference of the long-term spectra ·
        ltas_distance_db: Eq. 14 from 86 Hz on, bins 80 dB below the loudest counting as that · lsd_db: by range of
        Hz, the log-spectral distance, mean over frames, of third octaves by 23 ms (what is invented cannot match bin
        by bin).
    """
    length = min(len(clean), len(restored))
    original, result = (np.abs(stft(x[:length], RATE, nperseg=FRAME, noverlap=FRAME - HOP)[2]) ** 2
                        for x in (clean, restored))
    hz = np.fft.rfftfreq(FRAME, 1 / RATE)
    middle = (hz >= LEVELLED_HZ[0]) & (hz <= LEVELLED_HZ[1])
    result = result * (original[middle].sum() / max(result[middle].sum(), 1e-20))
    centres = third_octaves(100, 10000)

    spectrum, other = original.mean(axis=1), result.mean(axis=1)
    level, other_level = (levels_db(power, hz, centres) for power in (spectrum, other))
    audible = hz > LOWEST_HZ
    relative = np.abs(other - spectrum)[audible] / spectrum[audible].clip(min=spectrum.max() * 1e-8)

    cells, other_cells = levels_db(original, hz, centres), levels_db(result, hz, centres)
    floor = cells.max() - FLOOR_DB
    apart = cells.clip(min=floor) - other_cells.clip(min=floor)

    def lsd_db(low_hz: float, high_hz: float) -> float:
        return float(np.sqrt(np.mean(apart[(centres >= low_hz) & (centres < high_hz)] ** 2, axis=0)).mean())

    return {"ltas_error_db": _rms(level - other_level),
            "ltas_distance_db": float(10 * np.log10(relative.mean() + 1e-12)),
            "lsd_db": {f"{low}-{high}": lsd_db(low, high) for low, high in BANDS}}


def filter_error_db(true: dict, learned: dict) -> float:
    """RMS difference in dB of two responses over third octaves from 100 Hz to 5 kHz, both 0 dB at 1 kHz.

    Nothing counts where the true one is below -40 dB; the learned one counts as -60 dB at the lowest.

    Args:
        true, learned: `freqs_hz` and `response_db`, interpolated over log f.
    """
    centres = third_octaves(100, 5000)
    curves = []
    for curve in (true, learned):
        hz, level_db = np.array(curve["freqs_hz"], float), np.array(curve["response_db"], float)
        octaves, level_db = np.log2(hz[hz > 0]), level_db[hz > 0]
        curves.append(np.interp(np.log2(centres), octaves, level_db) - np.interp(np.log2(1000.0), octaves, level_db))
    passed = curves[0] > DEEPEST_DB
    return _rms((curves[0] - curves[1].clip(min=-60))[passed])


def _rms(values: np.ndarray) -> float:
    return float(np.sqrt(np.mean(values ** 2)))
