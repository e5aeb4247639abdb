"""Changes of the sample rate: the one way of library, training, evaluation and host."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import torch
from torch import Tensor

from .mapped import allocate_like, chunks

CHUNK = 1 << 18  # samples of a row at a time
REACH = 1024  # samples, at the lower rate, after which soxr's filter has died away: -160 dB
FARTHEST = 1 << 20  # from rate to rate, as a ratio of whole numbers whose second is no larger
STEEPEST = 1000  # times as fast, or as slow


def resample(x: Tensor, source_hz: float, target_hz: float) -> Tensor:
    """Audio (..., samples) at another rate in Hz, aligned to the sample and ceil(samples · target / source) long.

    By soxr at its quality VHQ: the passband is flat to 0.91 of the lower Nyquist frequency and 3 dB down at 0.95, and
    what would alias is 157 dB down. Time and memory do not depend on the ratio of the rates, which need not be whole
    numbers. The signal is taken to be silent before and after; it has to be detached, since no gradient comes back.

    Raises ValueError for rates that are not positive numbers, or more than a thousandfold apart.
    """
    if not (0 < source_hz < math.inf and 0 < target_hz < math.inf
            and 1 / STEEPEST <= target_hz / source_hz <= STEEPEST):  # NaN too, with which soxr never ends
        raise ValueError(f"Audio at {source_hz!r} Hz cannot be brought to {target_hz!r} Hz: sample rates must be "
                         f"positive and at most a factor of {STEEPEST} apart.")
    if source_hz == target_hz or x.shape[-1] == 0:
        return x
    import soxr  # late: it takes a moment, and most recordings have their prior's rate
    ratio = (Fraction(source_hz) / Fraction(target_hz)).limit_denominator(FARTHEST)
    source, target = ratio.numerator, ratio.denominator  # this many samples become this many
    margin = source * math.ceil(REACH * max(Fraction(1), ratio) / source)
    result = allocate_like(x, -(-x.shape[-1] * target // source))
    rows = zip(x.reshape(-1, x.shape[-1]), result.view(-1, result.shape[-1]))
    for row, made in rows:  # a row at a time: there may be thousands
        # Parts begin where a sample of one rate meets one of the other: at odd ratios soxr's own clock drifts, from
        # 44,099 Hz by 0.008 samples an hour, by then an error at -32 dB where a recording's highs are kept.
        for part in chunks(len(row), x, result, length=source * max(1, CHUNK // source)):
            start, first = max(part.start - margin, 0), part.start // source * target
            heard = row[start:part.stop + margin].cpu().numpy()
            silence = min(margin, part.stop + margin - len(row))
            if silence > 0:
                heard = np.pad(heard, (0, silence))
            done = soxr.resample(heard, source, target, quality="VHQ")[(part.start - start) // source * target:]
            count = min(-(-(part.stop - part.start) * target // source), len(made) - first)
            made[first:first + count] = torch.from_numpy(done[:count])
    return result
