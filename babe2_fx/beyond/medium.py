"""What a recording's long-term spectrum says about its medium, before any sampling.

Recordings differ among themselves, so not every deviation from the reference is the medium's. Plain LTAS-EQ with
`ltas_margin = 0` and `recording_noise = "ignored"`.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

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
from .lowest_tone import lowest_tone_hz
from .noise_floor import heard, noise_floor

MOST_LIFT_DB = 5.0  # resonances of a medium rise no higher over the width of an octave; a brighter instrument does
EDGE_DB = 10.0  # a fall by this much in a third of an octave is a band limit
OTHER_SPREAD_DB = 4.0  # by which recordings of instruments other than the prior's differ
FAINTEST_DB = -90.0  # no music is looked for that is fainter than this against the loudest band
PASSED_DB = 12.0  # a response this far below its highest point is no longer in the pass band, which lies at 0 dB
WIDEST_HZ = 1000.0  # above it smoothing grows no wider: band limits are steep


@dataclass(frozen=True)
class Medium:
    """A recording's medium, at the filters' bins (2049,), float64.

    response_db: the response that the recording's LTAS suggests, or a response model; that of the nearest bins where no
    music is heard and, with a margin, below the lowest tone · heard: bool, where music stands out from the noise ·
    most_db: the most that the response can be, even if everything there were music; or what a response model finds ·
    noise: variance of the stationary noise, 0 where not measured · learned: whether there was a response model ·
    deviation_db: standard deviation of its response, infinite where no music is heard and beyond its bands; None: there
    was no model.
    """

    response_db: Tensor
    heard: Tensor
    most_db: Tensor
    noise: Tensor
    learned: bool = False
    deviation_db: Tensor | None = None

    @classmethod
    def of(cls, recording: Tensor, reference: Tensor, sample_rate: float, lowest_hz: float = 0.0,
           measure_noise: bool = False, margin_db: Tensor | None = None,
           learned: ResponseEstimate | None = None) -> "Medium":
        """From a recording (..., samples) and the LTAS of clean music (bins,), at unit variance.

        With no noise measured and no margin, the response is that of LTAS-EQ (Eq. 9).

        Args:
            lowest_hz: below it nothing is known about the music.
            measure_noise: whether to measure the noise, which says nothing about the response.
            margin_db: how far the spectra of music differ among themselves, (bins,); that much of any deviation counts
                as the music's own. Deviations are then relative to their median over log frequency, because it is
                unknown how loud the music was. None: every deviation is the medium's.
            learned: what a response model finds. Its response takes the place of what the long-term spectrum suggests.
        """
        size = ltas_fft_size(sample_rate)
        # The kink of mirrored ends would pass for faint highs; plain LTAS-EQ is as published.
        observed = ltas(recording, size, mirrored=not measure_noise and margin_db is None)
        share = 1.0 if margin_db is None else WIDEST_HZ / (sample_rate / 2)
        deviation = deviation_db(observed / recording.var(unbiased=False).double().cpu(), reference, share)
        audible, noise = torch.ones(FILTER_BINS, dtype=torch.bool), torch.zeros(FILTER_BINS, dtype=torch.float64)
        if measure_noise:
            smooth = smooth_octave(observed, share=share)
            # What a codec or a resampler leaves above the recording's own limit varies as music does, but is not music.
            floor = noise_floor(recording, size).clamp(min=10 ** (FAINTEST_DB / 10) * float(smooth.max()))
            above = heard(smooth, floor)
            audible = torch.from_numpy(at_bins(above, FILTER_BINS) > 0.5)
            audible &= filter_frequencies(sample_rate) >= lowest_hz
            noise = resample_spectrum(floor.clamp(min=1e-30), FILTER_BINS) / WINDOW_POWER
        response = deviation
        if learned is not None:
            octaves = np.log2(filter_frequencies(sample_rate).clamp(min=1.0).numpy())
            bands = np.log2(band_centres_hz())
            response = torch.from_numpy(np.interp(octaves, bands, learned.response_db.double().numpy()))
            response = response - response[response > response.max() - PASSED_DB].mean()
            doubt = torch.from_numpy(np.interp(octaves, bands, learned.deviation_db.double().numpy(), np.inf, np.inf))
            doubt[~audible] = torch.inf
            return cls(_from_nearest(response, audible), audible, response, noise, learned=True, deviation_db=doubt)
        if margin_db is not None:
            deviation = deviation - _median_over_octaves(deviation, audible)
            margin = torch.from_numpy(at_bins(margin_db, FILTER_BINS))
            response = (deviation - deviation.clamp(-margin, margin)).clamp(max=MOST_LIFT_DB)
            hz = filter_frequencies(sample_rate)
            lowest = int(torch.searchsorted(hz, lowest_tone_hz(recording, sample_rate)))
            response[:lowest] = response[lowest]  # music without low notes has not lost any
            edge = _band_limit(deviation, audible, hz)
            if edge is not None:  # no music falls so steeply: beyond, all of the fall is the medium's
                response[edge:] = response[edge] + deviation[edge:] - deviation[edge]
        return cls(_from_nearest(response, audible), audible, deviation, noise)


def _from_nearest(curve: Tensor, known: Tensor) -> Tensor:
    """A curve (bins,) as it is in the known bins, and in others as in the nearest of those."""
    bins = np.arange(len(curve))
    return torch.from_numpy(np.interp(bins, bins[known.numpy()], curve.numpy()[known.numpy()]))


def margin_db(margin: float, spread_db: Tensor | None) -> Tensor | None:
    """How far music's own spectrum may be from the reference, in dB, (bins,); None: not at all.

    margin: in standard deviations · spread_db: standard deviation of the spectra of the training recordings, (bins,).
    """
    if not margin:
        return None
    spread_db = torch.zeros(1025) if spread_db is None else spread_db
    return margin * (spread_db.double() ** 2 + OTHER_SPREAD_DB ** 2).sqrt()


def _band_limit(deviation: Tensor, audible: Tensor, hz: Tensor) -> int | None:
    """The lowest bin from which levels (bins,) fall by `EDGE_DB` within a third of an octave, never to come back."""
    level = deviation.where(audible, torch.tensor(-torch.inf, dtype=deviation.dtype))
    highest_beyond = level.flip(0).cummax(0).values.flip(0)
    beyond = torch.searchsorted(hz, hz * 2 ** (1 / 3)).clamp(max=len(hz) - 1)
    falls = audible & audible[beyond] & (hz > WIDEST_HZ) & (level - highest_beyond[beyond] > EDGE_DB)
    return int(falls.nonzero()[0]) if falls.any() else None


def _median_over_octaves(level_db: Tensor, among: Tensor) -> Tensor:
    """The median of levels (bins,) over the bins chosen by `among` except DC; each octave counts the same."""
    bins = torch.arange(len(level_db))
    bins = bins[among & (bins > 0)]
    order = bins[level_db[bins].argsort()]
    weight = (1 / order.double()).cumsum(0)
    return level_db[order[torch.searchsorted(weight, weight[-1] / 2)]]
