"""What a level model is trained on: clean levels, and what a medium would have left of them.

All of it in decibels on the cells of `spectra.cells`, where a response is an offset and a crop costs next to nothing.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from torch import Tensor

from ..priors.levels import NO_NOISE_DB, Levels
from ..spectra.cells import BANDS, FINE, RATE, SIZE, band_centres_hz, fine_centres_hz

FRAMES = 65  # of a crop, 3 s
QUIETEST_DB, LOUDEST_DB = -80.0, 50.0  # of any cell, relative to the mean power of the known ones
KNOWN_WEIGHT = 0.15  # there the model learns to tell music from noise and to undo what is left of the medium
LIMIT_OCTAVE = np.log2(1.5), np.log2(7.0)  # where band limits lie, in octaves about 1 kHz
CUT_OCTAVE = np.log2(0.09), np.log2(0.35)  # and low cuts
BAND_OCTAVE, OCTAVE = np.log2(band_centres_hz() / 1000), np.log2(fine_centres_hz() / 1000)
# The power of noise in a cell is a mean over its bins, of which the window makes neighbours alike: its distribution is
# a gamma with this shape.
NOISE_SHAPE = np.clip(fine_centres_hz() * (2 ** (1 / 36) - 1) / (RATE / SIZE) / 1.5, 1, None)[:, None]


class LevelExample(NamedTuple):
    """What a `LevelModel` is given, level_db (249, frames), known and noise_db (83, frames), and what it is to find,
    target_db (249, frames); float32, relative to the mean power of the known cells."""

    level_db: np.ndarray
    known: np.ndarray
    noise_db: np.ndarray
    target_db: np.ndarray


def level_example(clean_db: np.ndarray, rng: np.random.Generator) -> LevelExample:
    """Clean levels (249, frames) as a random medium leaves them.

    First the music gets another instrument's and microphone's colour. The medium then takes everything above a band
    limit and, in some examples, below a low cut. Of what it did to the rest, an equalizer has left a tilt, bumps and
    a droop towards both edges. Most examples have stationary noise.
    """
    clean_db = clean_db + _bumps(rng, tilt_db=1.0, count=2, bump_db=2.0)[:, None]
    limit = rng.uniform(*LIMIT_OCTAVE)
    cut = rng.uniform(*CUT_OCTAVE) if rng.random() < 0.3 else BAND_OCTAVE[0]
    heard = (BAND_OCTAVE < limit) & (BAND_OCTAVE >= cut)
    level_db = clean_db
    if rng.random() < 0.85:
        left = _bumps(rng, tilt_db=1.0, count=3, bump_db=2.0)
        left -= _droop(rng, OCTAVE - limit, 0.7) + _droop(rng, cut - OCTAVE, 0.5)
        level_db = clean_db + left[:, None]
    level_db, target_db = (np.clip(x - _mean_db(x, heard), QUIETEST_DB, LOUDEST_DB) for x in (level_db, clean_db))
    noise_db = np.full(len(OCTAVE), NO_NOISE_DB)
    if rng.random() < 0.7:
        noise_db = -rng.uniform(15, 70) + rng.normal(0, 2) * OCTAVE
        noise = 10 ** (noise_db[:, None] / 10) * rng.gamma(NOISE_SHAPE, 1 / NOISE_SHAPE, level_db.shape)
        level_db = 10 * np.log10(10 ** (level_db / 10) + noise)
    per_band = np.ones((1, level_db.shape[1]))
    noise_db = np.maximum(noise_db[1::FINE // BANDS], NO_NOISE_DB)
    return LevelExample(*(np.ascontiguousarray(x, dtype=np.float32) for x in (
        level_db, heard[:, None] * per_band, noise_db[:, None] * per_band, target_db)))


def _bumps(rng: np.random.Generator, tilt_db: float, count: int, bump_db: float) -> np.ndarray:
    """A smooth response in dB, (249,): a tilt per octave and Gaussian bumps, with these standard deviations."""
    curve = rng.normal(0, tilt_db) * OCTAVE
    for _ in range(count):
        centre, width, height = rng.uniform(-3.3, 3.2), rng.uniform(0.2, 1.0), rng.normal(0, bump_db)
        curve = curve + height * np.exp(-0.5 * ((OCTAVE - centre) / width) ** 2)
    return curve


def _droop(rng: np.random.Generator, beyond: np.ndarray, chance: float) -> np.ndarray:
    """A fall in dB (249,) that begins before an edge, `beyond` which each cell lies by so many octaves."""
    depth_db = rng.exponential(5.0) if rng.random() < chance else 0.0
    return depth_db * np.clip(beyond / rng.uniform(0.15, 1.0) + 1, 0, 2)


def _mean_db(level_db: np.ndarray, heard: np.ndarray) -> float:
    """Level of the mean power over the cells of the bands that are heard (83,)."""
    return float(10 * np.log10((10 ** (level_db[np.repeat(heard, FINE // BANDS)] / 10)).mean()))


def level_loss(found: Levels, known: Tensor, target_db: Tensor) -> Tensor:
    """Negative logarithm of the Laplace likelihood, mean over the cells; known ones count `KNOWN_WEIGHT`.

    found: of a `LevelModel` · known (batch, 83, frames), target_db (batch, 249, frames): as in `LevelExample`.
    """
    weight = (1 - (1 - KNOWN_WEIGHT) * known).repeat_interleave(FINE // BANDS, 1)
    off = (found.mean - target_db).abs() * math.sqrt(2) * (-found.log_variance / 2).exp()
    return (weight * (off + found.log_variance / 2)).sum() / weight.sum()
