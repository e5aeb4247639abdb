"""How loud audio is (ITU-R BS.1770-5), and how high its peaks really are."""

from __future__ import annotations

import math

import numpy as np

CHUNK_S = 30  # bounds memory
BLOCK_S = 0.1  # blocks of 400 ms, overlapping by three quarters, are four of these
SILENCE_LUFS = -120.0


def _k_weighting(sample_rate: float) -> np.ndarray:
    """The standard's two filters for any sample rate, from their analogue prototypes: second-order sections."""
    sections = []
    for hz, q, gain_db in ((1681.974450955533, 0.7071752369554196, 3.999843853973347),
                           (38.13547087602444, 0.5003270373238773, None)):
        k = math.tan(math.pi * hz / sample_rate)
        a0 = 1 + k / q + k * k
        if gain_db is None:
            b = [1.0, -2.0, 1.0]
        else:
            high = 10 ** (gain_db / 20)
            band = high ** 0.4996667741545416
            b = [(high + band * k / q + k * k) / a0, 2 * (k * k - high) / a0, (high - band * k / q + k * k) / a0]
        sections.append([*b, 1.0, 2 * (k * k - 1) / a0, (1 - k / q + k * k) / a0])
    return np.array(sections)


def loudness_lufs(audio: np.ndarray, sample_rate: float) -> float:
    """Integrated loudness of (channels, samples), gated as the standard has it; all channels count alike."""
    from scipy.signal import sosfilt  # takes half a second, which the window need not wait for
    sections, step = _k_weighting(sample_rate), max(1, round(BLOCK_S * sample_rate))
    state = np.zeros((len(sections), len(audio), 2))
    powers, chunk = [], step * round(CHUNK_S / BLOCK_S)
    for start in range(0, audio.shape[1], chunk):
        weighted, state = sosfilt(sections, audio[:, start:start + chunk], zi=state)
        weighted = weighted[:, :weighted.shape[1] // step * step]
        powers.append((weighted ** 2).reshape(len(audio), -1, step).mean(axis=2).sum(axis=0))
    power = np.concatenate(powers) if powers else np.zeros(0)
    if len(power) >= 4:
        power = np.lib.stride_tricks.sliding_window_view(power, 4).mean(axis=1)
    level = -0.691 + 10 * np.log10(power + 1e-20)
    heard = power[level > -70]
    if not len(heard):
        return SILENCE_LUFS
    gate = -0.691 + 10 * np.log10(heard.mean()) - 10
    return float(-0.691 + 10 * np.log10(heard[-0.691 + 10 * np.log10(heard) > gate].mean()))


def true_peak_db(block: np.ndarray) -> np.ndarray:
    """The highest level between the samples, four times oversampled: (channels, samples) -> (channels,) dBTP."""
    if not block.shape[1]:
        return np.full(len(block), SILENCE_LUFS)
    from scipy.signal import resample_poly
    peak = np.abs(resample_poly(block, 4, 1, axis=1)).max(axis=1)
    return 20 * np.log10(np.maximum(peak, 1e-6))
