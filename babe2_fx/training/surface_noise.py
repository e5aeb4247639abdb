"""What grooves and equipment add to music: random floors, rumble, swish, hum and crackle, as power of cells."""

from __future__ import annotations

import numpy as np

from ..spectra.cells import BANDS, HOP, RATE, SIZE, band_centres_hz
from .cell_material import CellMaterial
from .responses import EVERYWHERE, OCTAVE, bumps

# The power of noise in a cell is a mean over its bins, of which the window makes neighbours alike: its distribution is
# a gamma with this shape.
SHAPE = np.clip(band_centres_hz() * (2 ** (1 / 12) - 1) / (RATE / SIZE) / 1.5, 1, None).astype(np.float32)[:, None]
TURN_HZ = 1.3  # of a record at 78 revolutions per minute


def draw_noise(rng: np.random.Generator, count: int, frames: int, grooves: CellMaterial | None) -> np.ndarray:
    """Power of random noise in `count` segments of a recording, (count, 83, frames), where the music's mean is 1.

    grooves: recordings of groove noise, whose texture a quarter of the examples has.
    """
    colour = _power(_floor_db(rng)) * (rng.random() < 0.92) + _power(_rumble_db(rng)) * (rng.random() < 0.15)
    if grooves and rng.random() < 0.25:
        texture_db = grooves.crops(rng, count)
        texture_db -= texture_db.mean((0, 2), keepdims=True) if rng.random() < 0.5 else texture_db.mean()
        texture = _power(texture_db)
    else:
        texture = rng.standard_gamma(SHAPE, (count, BANDS, frames), np.float32) / SHAPE
    noise = colour[:, None] * texture
    if rng.random() < 0.4:
        noise = noise * _power(_swish_db(rng, count, frames))
    if rng.random() < 0.12:
        noise = noise + _hum(rng)[:, None]
    if rng.random() < 0.2:
        noise = noise + _crackle(rng, count, frames)
    return noise.astype(np.float32)


def _power(level_db: np.ndarray) -> np.ndarray:
    return 10 ** (level_db / 10)


def _floor_db(rng: np.random.Generator) -> np.ndarray:
    """Steady noise of any colour, (83,): mostly far below the music, in many old records near it."""
    level_db = -rng.uniform(10, 40) if rng.random() < 0.4 else -rng.uniform(20, 75)
    slope = rng.normal(0, 2) + (rng.normal(-2, 4) if rng.random() < 0.4 else 0)
    return level_db + slope * (OCTAVE - 1) + bumps(rng, 2, EVERYWHERE, (0.3, 1.5), 3.0)


def _rumble_db(rng: np.random.Generator) -> np.ndarray:
    """Noise of the turntable's bearing, (83,), falling above 60 to 150 Hz."""
    corner = np.log2(rng.uniform(0.06, 0.15))
    return -rng.uniform(10, 50) - rng.uniform(6, 24) * np.clip(OCTAVE - corner, 0, None)


def _swish_db(rng: np.random.Generator, count: int, frames: int) -> np.ndarray:
    """How loud noise is in the course of a turn, (count, 1, frames)."""
    turns = TURN_HZ * HOP / RATE * np.arange(frames) + rng.uniform(0, 1, (count, 1, 1))
    return rng.normal() * np.sin(2 * np.pi * turns)


def _hum(rng: np.random.Generator) -> np.ndarray:
    """Power of twelve partials of the mains, (83,)."""
    partials = np.arange(12)
    hz = rng.choice((50, 60)) * (1 + partials)[:, None]
    level_db = -rng.uniform(5, 45) + rng.normal(0, 8, 12) - rng.uniform(0, 2) * partials
    reach = np.maximum(0.06 * hz, 2 * RATE / SIZE)
    return _power(level_db) @ np.clip(1 - np.abs(band_centres_hz() - hz) / reach, 0, None)


def _crackle(rng: np.random.Generator, count: int, frames: int) -> np.ndarray:
    """Power of clicks (count, 83, frames), each of which is heard in the next frame too."""
    clicks = (rng.random((count, 1, frames)) < rng.uniform(0.01, 0.15)) * rng.exponential(1, (count, 1, frames))
    clicks[..., 1:] += 0.5 * clicks[..., :-1]
    return clicks * _power(-rng.uniform(10, 45) + rng.normal(1, 2) * OCTAVE)[:, None]
