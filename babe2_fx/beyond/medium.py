"""What a recording says about its medium, before any sampling: its noise, and the response that is to be expected.

The response is that of plain LTAS-EQ (Eq. 9), which blames the medium for every deviation from the reference, or that
of a response model, which knows how recordings differ and how sure it is.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from ..equalizer import Expectation
from ..equalizer.breakpoints import OUTER_SLOPE_DB
from ..priors.response import ResponseEstimate
from ..spectra import (
    FILTER_BINS,
    WINDOW_POWER,
    at_bins,
    deviation_db,
    filter_frequencies,
    ltas,
    ltas_fft_size,
    resample_spectrum,
    smooth_octave,
)
from ..spectra.cells import band_centres_hz
from .digital_limit import digital_limit_hz
from .noise_floor import heard, noise_floor

FAINTEST_DB = -90.0  # no music is looked for that is fainter than this against the loudest band
PASSED_DB = 12.0  # a response this far below its highest point is no longer in the pass band, which lies at 0 dB
BEFORE_WALL = 0.85  # share of a digital limit up to which a response model is believed
WIDEST_HZ = 1000.0  # above it smoothing grows no wider: band limits are steep


@dataclass(frozen=True)
class Medium:
    """A recording's medium, at the filters' bins (2049,), float64.

    response_db: the response to be expected; where no music is heard, that of the nearest bins · heard: bool, where
    music stands out from the noise · most_db: the most that the response can be, even if everything there were music ·
    noise: variance of the stationary noise, 0 where not measured · deviation_db: standard deviation of the response,
    infinite where no music is heard and beyond the bands of the response model; None: there was none · music: whether
    any stands out; if not, everything counts as heard.
    """

    response_db: Tensor
    heard: Tensor
    most_db: Tensor
    noise: Tensor
    deviation_db: Tensor | None = None
    music: bool = True

    @classmethod
    def of(cls, recording: Tensor, reference: Tensor, sample_rate: float, lowest_hz: float = 0.0,
           measure_noise: bool = False, learned: ResponseEstimate | None = None,
           highest_hz: float = math.inf) -> "Medium":
        """From a recording (..., samples) and the LTAS of clean music (bins,), at unit variance.

        Args:
            lowest_hz: below it nothing is known about the music.
            measure_noise: whether to measure the noise, which says nothing about the response.
            learned: what a response model finds. It takes the place of what the long-term spectrum suggests (Eq. 9).
            highest_hz: above it the recording is known to hold nothing, as its sample rate had no room.
        """
        size, hz = ltas_fft_size(sample_rate), filter_frequencies(sample_rate)
        # The kink of mirrored ends would pass for faint highs; plain LTAS-EQ is as published.
        observed = ltas(recording, size, mirrored=not measure_noise)
        share = WIDEST_HZ / (sample_rate / 2) if measure_noise else 1.0
        audible, noise = torch.ones(FILTER_BINS, dtype=torch.bool), torch.zeros(FILTER_BINS, dtype=torch.float64)
        music, limit_hz = True, sample_rate / 2
        if measure_noise:
            smooth = smooth_octave(observed, share=share)
            # What a codec or a resampler leaves above the recording's own limit varies as music does, but is not music.
            limit_hz = min(digital_limit_hz(observed, sample_rate / 2), highest_hz)
            floor = noise_floor(recording, size, math.ceil(limit_hz / (sample_rate / 2) * (len(observed) - 1)))
            floor = floor.clamp(min=10 ** (FAINTEST_DB / 10) * float(smooth.max()))
            audible = torch.from_numpy(at_bins(heard(smooth, floor), FILTER_BINS) > 0.5)
            music = bool(audible.any())
            audible &= (hz >= lowest_hz) & (hz <= limit_hz)
            if not audible.any():  # none stands out, or only below what is known of it
                audible = hz >= lowest_hz
            noise = resample_spectrum(floor.clamp(min=1e-30), FILTER_BINS) / WINDOW_POWER
        if learned is None:
            suggested = deviation_db(observed / recording.var(unbiased=False).double().cpu(), reference, share)
            return cls(from_nearest(suggested, audible), audible, suggested, noise, music=music)
        octaves, bands = np.log2(hz.clamp(min=1.0).numpy()), np.log2(band_centres_hz())
        response = torch.from_numpy(np.interp(octaves, bands, learned.response_db.double().numpy()))
        response = _no_steeper(response - response[response > response.max() - PASSED_DB].mean(), hz)
        doubt = torch.from_numpy(np.interp(octaves, bands, learned.deviation_db.double().numpy(), np.inf, np.inf))
        # A response model has never heard a recording end like this, and takes the wall for the medium's own limit.
        told = audible & (hz < BEFORE_WALL * limit_hz) if limit_hz < sample_rate / 2 else audible
        told = told if told.any() else audible
        doubt[~told] = torch.inf
        return cls(from_nearest(response, told), audible, response, noise, doubt, music)

    def expectation(self, removed: Tensor, sample_rate: float) -> Expectation | None:
        """What a fit is to expect of a learned response, of which `removed` (2049,), linear, has been undone."""
        if self.deviation_db is None or not self.deviation_db.isfinite().any():
            return None
        hz, bins_hz, known = band_centres_hz(), filter_frequencies(sample_rate).numpy(), self.deviation_db.isfinite()
        hz = hz[np.interp(hz, bins_hz, known.numpy()) > 0.5]
        if not len(hz):  # what is heard lies between two bands
            return None
        return Expectation(hz, *(np.interp(hz, bins_hz[known], curve.numpy()[known])
                                 for curve in (self.response_db - 20 * removed.log10(), self.deviation_db)))


def _no_steeper(response_db: Tensor, hz: Tensor) -> Tensor:
    """A response that falls off on either side of its highest point by no more than the outer slopes of Eq. 18."""
    top, octave = int(response_db.argmax()), hz.clamp(min=1.0).log2()
    rise = OUTER_SLOPE_DB * octave
    above = (response_db + rise)[top:].cummax(0).values - rise[top:]
    below = (response_db - rise)[:top + 1].flip(0).cummax(0).values.flip(0) + rise[:top + 1]
    return torch.cat([below[:-1], above])


def from_nearest(curve: Tensor, known: Tensor) -> Tensor:
    """A curve (bins,) as it is in the known bins, and in others as in the nearest of those."""
    bins = np.arange(len(curve))
    return torch.from_numpy(np.interp(bins, bins[known.numpy()], curve.numpy()[known.numpy()]))
