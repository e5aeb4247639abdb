"""Changes of the sample rate."""

from __future__ import annotations

import math

import torchaudio.functional as AF
from torch import Tensor

from .mapped import CHUNK, allocate_like, chunks

KERNEL_WIDTH, ROLLOFF = 64, 0.97  # zero crossings to each side, and the share of Nyquist it keeps


def resample(x: Tensor, source_hz: float, target_hz: float) -> Tensor:
    """Audio (..., samples) at another rate in Hz; the passband reaches 0.97 of the lower Nyquist frequency."""
    if source_hz == target_hz or x.shape[-1] == 0:
        return x
    source, target = int(source_hz), int(target_hz)
    common = math.gcd(source, target)
    source, target = source // common, target // common  # this many samples become this many
    margin = source * (2 + math.ceil(KERNEL_WIDTH / min(source, target) / ROLLOFF))  # as far as the kernel reaches
    result = allocate_like(x, -(-x.shape[-1] * target // source))
    for part in chunks(x.shape[-1], x, result, length=source * max(1, CHUNK // source)):
        start = max(part.start - margin, 0)
        done = AF.resample(x[..., start:part.stop + margin], source, target, lowpass_filter_width=KERNEL_WIDTH,
                           rolloff=ROLLOFF, resampling_method="sinc_interp_kaiser", beta=14.77)
        first, skipped = part.start // source * target, (part.start - start) // source * target
        count = min(-(-(part.stop - part.start) * target // source), result.shape[-1] - first)
        result[..., first:first + count] = done[..., skipped:skipped + count]
    return result
