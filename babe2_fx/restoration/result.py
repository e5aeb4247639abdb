"""What a restoration reports on its way, and its result."""

from __future__ import annotations

import json
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor

from ..audio.resampling import resample
from ..beyond import Medium
from ..equalizer import BreakpointEQ
from ..priors import Prior
from ..settings import Settings
from ..spectra import filter_frequencies, ltas, ltas_fft_size, resample_spectrum, smooth_octave
from .findings import findings_note

MAX_EQ_HZ_POINTS = 400


@dataclass(frozen=True)
class Progress:
    """Where a run is: block and step (from 1), their totals, noise level, the current EQ, the share done (0 to 1).

    denoised: the current estimate, (batch, samples), in the prior's domain · removed: the response that LTAS-EQ
    undid beforehand, linear magnitude (2049,) at `filter_frequencies`; with the EQ it is the whole learned response ·
    deviation_db: how far that may be wrong, (2049,), as `Medium` has it; None: not known.
    """

    block: int
    blocks: int
    step: int
    steps: int
    sigma: float
    equalizer: BreakpointEQ | None
    share_done: float
    denoised: Tensor | None = field(default=None, repr=False, compare=False)
    removed: Tensor | None = field(default=None, repr=False, compare=False)
    deviation_db: Tensor | None = field(default=None, repr=False, compare=False)


@dataclass(frozen=True)
class RestorationResult:
    """A restored recording and what was learned about it.

    audio: (channels, samples) float32, at the input's rate and length · equalizer: the breakpoint EQ, or None ·
    frequencies_hz, response_db: the whole learned response of the degradation, LTAS-EQ included, 0 dB at the
    reference · ltas_hz with input_, restored_, reference_ltas_db: third-octave spectra, aligned between 300 Hz and
    3 kHz · notes: what was decided about this recording, as sentences · parts: the results of channels that were
    restored as recordings of their own; everything else here, except the audio, is then the first channel's ·
    deviation_db: standard deviation of the learned response at `frequencies_hz`, as the response model claims it; NaN
    where nothing is known, because no music is heard or the model has no bands. None: no model was asked · found: what
    the model found, the last of the notes; None: nothing is known.
    """

    audio: np.ndarray
    sample_rate: float
    equalizer: BreakpointEQ | None
    frequencies_hz: np.ndarray
    response_db: np.ndarray
    reference_hz: float
    ltas_hz: np.ndarray
    input_ltas_db: np.ndarray
    restored_ltas_db: np.ndarray
    reference_ltas_db: np.ndarray
    settings: Settings
    notes: tuple[str, ...]
    parts: tuple["RestorationResult", ...] = ()
    deviation_db: np.ndarray | None = None
    found: str | None = None

    @classmethod
    def of(cls, audio: np.ndarray, restored: np.ndarray, sample_rate: float, prior: Prior, settings: Settings,
           notes: list[str], reference: Tensor, equalizer: BreakpointEQ | None = None,
           response: Tensor | None = None, medium: Medium | None = None) -> "RestorationResult":
        """Measures what was restored, and says in a note what was found of the medium.

        Args:
            audio, restored: before and after, (channels, samples).
            reference: the LTAS aimed at, (bins,), in the prior's domain.
            response: what was undone in addition to the EQ, linear magnitude (2049,); None: nothing.
            medium: what a response model told of the medium; None: nothing.
        """
        hz = np.geomspace(20, prior.sample_rate / 2, MAX_EQ_HZ_POINTS)
        level_db = np.zeros_like(hz)
        if response is not None:
            bins_hz = filter_frequencies(prior.sample_rate).numpy()
            level_db = np.interp(hz, bins_hz, 20 * np.log10(np.maximum(response.numpy(), 1e-6)))
        reference_hz = equalizer.reference_hz if equalizer else 1000.0
        if equalizer:
            level_db = level_db + equalizer.response_db(hz)
        level_db = np.maximum(level_db - np.interp(reference_hz, hz, level_db), -120.0)
        doubt_db, found = None, None
        if medium is not None and medium.deviation_db is not None:
            doubt_db = deviation_at(hz, medium.deviation_db, prior.sample_rate)
            # The doubt is the model's: what it found is told, not what the breakpoints made of it beyond its reach.
            told_db = np.interp(hz, filter_frequencies(prior.sample_rate).numpy(), medium.response_db.numpy())
            found = findings_note(hz, told_db, doubt_db, level_db)
        size = ltas_fft_size(prior.sample_rate)
        bins_hz = np.linspace(0, prior.sample_rate / 2, size // 2 + 1)
        power = [smooth_octave(ltas(resample(torch.from_numpy(x), sample_rate, prior.sample_rate), size,
                                    mirrored=False)) for x in (audio, restored)]
        plain = resample_spectrum(reference.double(), len(bins_hz))
        if prior.emphasis:
            plain = plain / torch.from_numpy(prior.emphasis.power(len(bins_hz)))
        before, after, aimed_at = (_aligned_db(p.numpy(), bins_hz) for p in (*power, smooth_octave(plain)))
        return cls(restored, sample_rate, equalizer, hz, level_db, float(reference_hz), bins_hz[1:], before, after,
                   aimed_at, settings, (*notes, found) if found else tuple(notes), deviation_db=doubt_db, found=found)

    def eq_export(self) -> dict:
        """The learned EQ as plain values for JSON; null for a deviation that is not known, and for all of them."""
        eq = self.equalizer
        return {"freqs_hz": [round(float(f), 3) for f in self.frequencies_hz],
                "response_db": [round(float(v), 3) for v in self.response_db],
                "deviation_db": deviation_export(self.deviation_db),
                "breakpoints_hz": list(eq.breakpoints_hz) if eq else None,
                "slopes_db_per_octave": list(eq.slopes_db_per_octave) if eq else None,
                "reference_hz": self.reference_hz}

    def eq_json(self) -> str:
        return json.dumps(self.eq_export(), indent=1)


def deviation_at(hz: np.ndarray, deviation_db: Tensor, sample_rate: float) -> np.ndarray:
    """The deviation of a response (2049,) in dB at other frequencies (n,); NaN where it is not known."""
    bins_hz = filter_frequencies(sample_rate).numpy()
    values = deviation_db.double().cpu().numpy()
    # Between a bin where it is known and one where it is not, it is not.
    return np.interp(hz, bins_hz, np.where(np.isfinite(values), values, np.nan), np.nan, np.nan)


def deviation_export(deviation_db: np.ndarray | None) -> list[float | None] | None:
    """A deviation (n,) for JSON, which has no NaN: null instead."""
    if deviation_db is None:
        return None
    return [round(float(value), 3) if np.isfinite(value) else None for value in deviation_db]


def _aligned_db(power: np.ndarray, hz: np.ndarray) -> np.ndarray:
    level_db = 10 * np.log10(np.maximum(power, 1e-16))
    return (level_db - level_db[(hz >= 300) & (hz <= 3000)].mean())[1:]
