"""The bounds of every result, whatever made it: how loud it may be, as a whole, in each band, and at its peaks.

A sampler or a fit that goes astray can be 80 dB too loud, which endangers ears and loudspeakers. None of this touches a
restoration that went well.
"""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from ..audio.mapped import CHUNK, allocate_like, chunks
from ..spectra import ltas, zero_phase
from ..spectra.curves import levels_db, third_octaves

MOST_BAND_DB = 12.0  # above the louder of input and reference, in a third of an octave
MOST_LEVEL_DB = 3.0  # above the input's
MOST_PEAK_DB = 6.0  # above the input's, once both are equally loud
MOST_ROUNDS = 8  # of lowering peaks
WORTH_SAYING_DB = 6.0  # a band that was lowered by less is not mentioned
LIMITER_S = 0.005  # to either side of a peak that is lowered
LOWEST_HZ, BINS_A_HZ = 80.0, 0.2  # narrower bands have too few bins
Spectrum = tuple[np.ndarray, np.ndarray]


def bounded(restored: Tensor, recording: Tensor, sample_rate: float, aimed: Spectrum | None = None,
            is_whole: bool = True) -> tuple[Tensor, list[str]]:
    """A result within its bounds, and sentences for the user of what had to be lowered; none of one that is.

    Args:
        restored, recording: (channels, samples) each, at `sample_rate` Hz.
        aimed: of the music aimed at, frequencies in Hz and power there, (n,) each, at any level; None: not known.
        is_whole: whether the recording has all its stretches and peaks; if not, there is no bound but that of bands.
    """
    notes: dict[object, str] = {}
    for bound in (_peaks, _bands, _level, _peaks) if is_whole else (_bands,):  # a peak would fill all bands
        restored, note = bound(restored, recording, sample_rate, aimed)
        if note:
            notes.setdefault(bound, note)  # what is lowered twice is said once
    return restored, list(notes.values())


def _bands(restored: Tensor, recording: Tensor, sample_rate: float, aimed: Spectrum | None) -> tuple[Tensor, str]:
    size = 2 ** round(np.log2(BINS_A_HZ * sample_rate))
    hz = np.linspace(0, sample_rate / 2, size // 2 + 1)
    centres = third_octaves(LOWEST_HZ, sample_rate / 2 * 0.89)
    if not len(centres):
        return restored, ""
    before, after = (ltas(x, size, mirrored=False).numpy() for x in (recording, restored))
    most_db = levels_db(before, hz, centres)
    if aimed is not None:
        power = np.interp(hz, *aimed, right=0.0)
        most_db = np.maximum(most_db, levels_db(power * (before[power > 0].sum() / power.sum()), hz, centres))
    cut_db = np.minimum(most_db + MOST_BAND_DB - levels_db(after, hz, centres), 0.0)
    if not cut_db.any():
        return restored, ""
    gain_db = np.interp(np.log2(np.maximum(hz, 1.0)), np.log2(centres), cut_db)
    first, last = centres[cut_db < 0][[0, -1]]
    restored = zero_phase(restored, torch.from_numpy(gain_db))
    where = f"Around {first:.0f} Hz" if first == last else f"Between {first:.0f} and {last:.0f} Hz"
    return restored, "" if cut_db.min() > -WORTH_SAYING_DB else (
        f"{where} the result was up to {-cut_db.min():.0f} dB louder than music can be; "
        "it was lowered there. Listen closely before you keep it.")


def _level(restored: Tensor, recording: Tensor, sample_rate: float, aimed: Spectrum | None) -> tuple[Tensor, str]:
    before, after = _power(recording), _power(restored)
    excess_db = 10 * np.log10(max(after, 1e-30) / max(before, 1e-30)) - MOST_LEVEL_DB
    if excess_db <= 0 or after < 1e-14:
        return restored, ""
    return restored.mul_(10 ** (-excess_db / 20)), (
        f"The result was {excess_db + MOST_LEVEL_DB:.0f} dB louder than the recording; it was lowered by "
        f"{excess_db:.0f} dB.")


def _peaks(restored: Tensor, recording: Tensor, sample_rate: float, aimed: Spectrum | None) -> tuple[Tensor, str]:
    """Lowers single peaks smoothly, about each of them."""
    excess, first = 1.0, -1
    before, most = _power(recording), _peak(recording) * 10 ** (MOST_PEAK_DB / 20)
    for _ in range(MOST_ROUNDS if before else 0):  # a peak that adds to the loudness allows itself too much
        allowed = most * (_power(restored) / before) ** 0.5
        highest = _peak(restored)
        if highest <= allowed:
            break
        excess = max(excess, highest / allowed)
        restored, at = _limited(restored, allowed, max(round(LIMITER_S * sample_rate), 1))
        first = at if first < 0 else first
    return restored, "" if first < 0 else (
        f"At equal loudness, peaks of the result were up to {20 * np.log10(excess) + MOST_PEAK_DB:.0f} dB above the "
        f"recording's, the first at {first / sample_rate:.2f} s; they were lowered.")


def _limited(audio: Tensor, most: float, reach: int) -> tuple[Tensor, int]:
    """Audio (channels, samples) whose peaks are at most `most`, and the sample where the first of them began."""
    window = torch.hann_window(2 * reach + 1, periodic=False)
    window = (window / window.sum())[None, None]
    samples, done, first = audio.shape[-1], allocate_like(audio), -1
    for part in chunks(samples, audio, done, length=CHUNK):
        begin, end = max(part.start - 2 * reach, 0), min(part.stop + 2 * reach, samples)
        over = (audio[:, begin:end].abs().amax(dim=0) / most).clamp(min=1.0).log2()
        if first < 0 and over.any():
            first = begin + int((over > 0).nonzero()[0])
        # The largest excess within reach, smoothed within reach: at each peak all of it is left.
        widest = F.max_pool1d(over[None], 2 * reach + 1, 1, reach)[None]
        smooth = F.conv1d(F.pad(widest, (reach, reach), mode="replicate"), window)[0, 0]
        done[:, part] = audio[:, part] * torch.exp2(-smooth[part.start - begin:part.stop - begin])
    return done, first


def _power(audio: Tensor) -> float:
    """Variance of audio (channels, samples), about each channel's mean: an offset is neither heard nor restored."""
    total, offset = 0.0, audio.mean(dim=-1, keepdim=True)
    for part in chunks(audio.shape[-1], audio):
        total += float((audio[:, part] - offset).double().square().sum())
    return total / max(audio.numel(), 1)


def _peak(audio: Tensor) -> float:
    """The largest magnitude of audio (channels, samples) about each channel's mean."""
    offset = audio.mean(dim=-1, keepdim=True)
    return max(float((audio[:, part] - offset).abs().max()) for part in chunks(audio.shape[-1], audio))
