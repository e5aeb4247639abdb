"""What a response model is trained on: clean levels as a medium leaves them, and what that medium did.

All of it in decibels on the cells of `spectra.cells`, where a response is an offset and a crop costs next to nothing.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
import torch
from scipy.signal import lfilter
from torch import Tensor

from ..priors.response import HIGHEST_DB, LOWEST_DB, Response
from ..spectra.cells import BANDS
from .cell_material import CellMaterial
from .responses import OCTAVE, bumps, draw_response
from .surface_noise import draw_noise

LEAST_DB = -60.0  # of what a medium leaves no more is asked
LOST_DB = -45.0  # bands of which less is left count as much as
LOST_WEIGHT = 0.1
MOST_BANDS = 5  # by which music is moved up or down


class ResponseExample(NamedTuple):
    """What a `ResponseModel` is given, level_db (segments, 83, 64), relative to the mean power of all, and what it is
    to find, response_db (83,), 0 dB at 1 kHz; float32."""

    level_db: np.ndarray
    response_db: np.ndarray


def response_example(material: CellMaterial, count: int, rng: np.random.Generator,
                     recording: int | None = None) -> ResponseExample:
    """`count` segments of a recording as a random medium leaves them.

    The model must not learn recordings by heart, so the music is first varied: accompanied by another recording, moved
    to another pitch and body, put into a room, and given another colour of its own, which is not to be found.

    recording: its number in the material; None: a random one.
    """
    power = _power(material.crops(rng, count, recording))
    if rng.random() < 0.25:
        other = _power(material.crops(rng, count))
        power = power / power.mean() + _power(-rng.uniform(2, 22)) * other / other.mean()
    if rng.random() < 0.45:
        power = moved(power, int(rng.integers(-MOST_BANDS, MOST_BANDS + 1)))
    if rng.random() < 0.25:
        kept = rng.uniform(0.3, 0.9)  # of the sound in the room, from one frame to the next
        power = power + _power(-rng.uniform(0, 20)) * lfilter([1 - kept], [1, -kept], power)
    # Singers differ more than pianos do; sizes from one range serve both without a word on what is in the data.
    size = 2 ** rng.uniform(np.log2(0.4), np.log2(2.7))
    own_db = size * (rng.normal() * OCTAVE + bumps(rng, 4, (-3.6, 3.4), (0.25, 1.1), 1.9))
    response_db = draw_response(rng)
    power = power * _power(own_db + response_db)[:, None]
    power = power / (power.mean() + 1e-20) + draw_noise(rng, count, power.shape[-1], material.noise)
    level_db = np.clip(10 * np.log10(power / (power.mean() + 1e-20) + 1e-9), LOWEST_DB, HIGHEST_DB)
    return ResponseExample(level_db.astype(np.float32), np.maximum(response_db, LEAST_DB))


def moved(power: np.ndarray, bands: int) -> np.ndarray:
    """Power (..., 83, frames) moved up by so many bands; what comes in is like the edge, and falls above the top."""
    source = np.arange(BANDS) - bands
    falling = _power(-np.clip(source - (BANDS - 1), 0, None))
    return power[..., np.clip(source, 0, BANDS - 1), :] * falling[:, None]


def _power(level_db):
    return 10 ** (level_db / 10)


def response_loss(found: Response, response_db: Tensor) -> Tensor:
    """Negative logarithm of the Laplace likelihood, mean over bands; what a medium took away counts `LOST_WEIGHT`.

    found: of a `ResponseModel` · response_db (batch, 83): as in `ResponseExample`. The music's loudness is unknown, so
    the mean of the errors, weighted by the claimed precision, is taken out.
    """
    counts = torch.where(response_db > LOST_DB, 1.0, LOST_WEIGHT)
    weight, error = counts * (-found.log_variance).exp(), response_db - found.mean
    error = error - (weight * error).sum(-1, keepdim=True) / weight.sum(-1, keepdim=True)
    off = error.abs() * math.sqrt(2) * (-found.log_variance / 2).exp()
    return (counts * (off + found.log_variance / 2)).mean()
