"""The last step towards a target: a smooth, gain-limited, zero-phase equalizer on what was restored."""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor

from .curves import levels_db, third_octaves
from .fir import zero_phase
from .ltas import ltas
from .target import TargetProfile

LIMIT_DB = 24.0  # what is further from the target than this is simply missing
TAPER_DB = 70.0  # below the target's peak: so far down it asks for silence, and is followed no further
BINS = 2049  # of the gain's curve
ROUNDS = 3  # the spectrum's frames overlap, so one correction by bands leaves a remainder


def third_octave_levels_db(audio: Tensor, sample_rate: float) -> tuple[np.ndarray, np.ndarray]:
    """Centre frequencies in Hz from 50 Hz to 0.95 Nyquist, and mean power in dB of each third octave, both (bands,)."""
    size = 2 ** math.ceil(math.log2(sample_rate / 5))  # 5 Hz a bin: the lowest bands have several
    power = ltas(audio, size, mirrored=False).numpy()
    hz = np.linspace(0, sample_rate / 2, len(power))
    centres = third_octaves(50, 0.95 * sample_rate / 2)
    return centres, levels_db(power, hz, centres)


def match_target(audio: Tensor, sample_rate: float, target: TargetProfile, amount: float = 1.0,
                 highest_hz: float | None = None) -> Tensor:
    """Audio (channels, samples) with its LTAS pulled towards `target`; same shape and same power.

    Args:
        amount: 0 (not at all) to 1 (all the way).
        highest_hz: where the audio's content ends; the gain is held constant beyond. Default: Nyquist.
    """
    norm = torch.linalg.vector_norm(audio)  # without a second array, as `square` would need
    if not amount or not float(norm) > 0:
        return audio
    for _ in range(ROUNDS):
        centres, level_db = third_octave_levels_db(audio, sample_rate)
        wanted_db = target.at(centres)
        counts = wanted_db > wanted_db.max() - TAPER_DB
        counts &= centres < (highest_hz or sample_rate / 2) * 0.95
        gain_db = wanted_db - level_db
        gain_db -= np.median(gain_db[counts])
        held = np.interp(np.log2(centres), np.log2(centres[counts]), gain_db[counts])
        held = np.clip(amount * held, -LIMIT_DB, LIMIT_DB)
        bins_hz = np.linspace(0, sample_rate / 2, BINS)
        curve_db = np.interp(np.log2(np.maximum(bins_hz, 1.0)), np.log2(centres), held)
        audio = zero_phase(audio, torch.from_numpy(curve_db))
        if amount < 1:  # part of the way is gone only once
            break
    return audio.mul_(norm / torch.linalg.vector_norm(audio).clamp(min=1e-15))
