"""The level that clean music has in each cell of time and frequency, as far as a recording lets one tell.

A prior's `LevelModel` says it from the bands that the recording decides; here it is asked, in the prior's domain and
on its constant-Q transform.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from ..priors import Prior
from ..priors.levels import NO_NOISE_DB
from ..spectra.cells import RATE, band_centres_hz, cells, fine_centres_hz, frame_centres

DECIDED = 0.5  # share of the observation in a band's estimate from which on the band counts as known
NO_NOISE = NO_NOISE_DB + 5  # dB; noise fainter than this counts as no noise at all


class LocalLevels:
    """Asks a prior's level model about blocks of one length.

    Args:
        prior: with `levels`, at 22.05 kHz.
        samples: of a block.
    """

    def __init__(self, prior: Prior, samples: int):
        assert prior.levels is not None
        self.model = prior.levels
        cqt = prior.network.transform(samples)
        self._fine_hz, self._bands_hz = fine_centres_hz(), band_centres_hz()
        emphasis_db = np.zeros(2) if prior.emphasis is None else 10 * np.log10(prior.emphasis.power(2049))
        self._emphasis_db = torch.from_numpy(_at(emphasis_db, self._fine_hz)).float()[:, None]
        self._lowest_hz = prior.lowest_hz
        count = cells(torch.zeros(samples)).shape[-1]
        centres = frame_centres(count)
        # Level in dB at each band and frame of an octave: weights over the fine cells, then over the frames.
        self._weights = [(_interpolation(np.log2(octave_hz.numpy()), np.log2(self._fine_hz)).T,
                          _smoothing(np.arange(frames) * samples / frames, centres, samples / frames))
                         for octave_hz, frames in zip(cqt.centre_hz, cqt.frames)]

    @torch.no_grad()
    def __call__(self, estimate: Tensor, decided: Tensor, noise: Tensor) -> list[Tensor] | None:
        """Variance of clean music, relative to white noise of unit variance in the same band, per octave.

        Args:
            estimate: of the clean signal, noise included, (batch, samples).
            decided: how far the recording decides each frequency, (2049,).
            noise: variance of the noise in the estimate, (2049,).

        Returns:
            (batch, bands, frames) for each octave, lowest first; None if no band is known.
        """
        known = torch.from_numpy((_at(decided.cpu().numpy(), self._bands_hz) > DECIDED)
                                 & (self._bands_hz > self._lowest_hz))
        if not known.any():
            return None
        level_db = 10 * (cells(estimate.float()).cpu() + 1e-20).log10() - self._emphasis_db
        fine_known = known.repeat_interleave(len(self._fine_hz) // len(known))
        mean_db = 10 * (10 ** (level_db[:, fine_known] / 10)).mean(dim=(1, 2), keepdim=True).log10()
        noise_db = 10 * torch.from_numpy(_at(noise.clamp(min=1e-20).log10().cpu().numpy(), self._bands_hz)).float()
        noise_db = noise_db[:, None] - self._emphasis_db[1::3] - mean_db
        noise_db = torch.where(known[:, None], noise_db, noise_db[:, known].mean(1, keepdim=True))
        noise_db = torch.where(noise_db < NO_NOISE, NO_NOISE_DB, noise_db)
        frames = level_db.shape[-1]
        shape = len(estimate), len(known), frames
        found = self.model((level_db - mean_db).clamp(-80, 50), known[:, None].float().expand(shape),
                           noise_db.expand(shape))
        # The middle of what is likely, not the mean power: where little is known, rather too quiet than too loud.
        expected = found.mean + mean_db + self._emphasis_db
        return [(10 ** ((bands @ expected @ times) / 10)).to(estimate) for bands, times in self._weights]


def _at(curve: np.ndarray, hz: np.ndarray) -> np.ndarray:
    """A curve over the bins from 0 Hz to half of 22.05 kHz, at these frequencies."""
    return np.interp(hz, np.linspace(0, RATE / 2, len(curve)), curve)


def _interpolation(at: np.ndarray, nodes: np.ndarray) -> Tensor:
    """Weights (nodes, places) of linear interpolation from ascending, even nodes; beyond them the outermost counts."""
    place = np.clip((at - nodes[0]) / (nodes[1] - nodes[0]), 0, len(nodes) - 1)
    return torch.from_numpy(np.clip(1 - np.abs(place - np.arange(len(nodes))[:, None]), 0, None)).float()


def _smoothing(at: np.ndarray, nodes: np.ndarray, spacing: float) -> Tensor:
    """Weights (nodes, places) of means under triangles as wide as the wider of the two spacings."""
    if len(nodes) == 1:
        return torch.ones(1, len(at))
    reach = max(spacing, nodes[1] - nodes[0])
    weights = np.clip(1 - np.abs(np.clip(at, nodes[0], nodes[-1]) - nodes[:, None]) / reach, 0, None)
    return torch.from_numpy(weights / weights.sum(axis=0)).float()
