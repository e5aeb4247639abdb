"""Where a recording ends by digital means: at an earlier sample rate, a codec's cutoff, or a brick-wall filter.

No medium of old falls off like that, and what a resampler or a codec leaves above varies as music does without being
music. It counts as missing. Off with `recording_noise = "ignored"`.
"""

from __future__ import annotations

import numpy as np
from torch import Tensor

LOWEST_HZ = 1000.0  # nobody limits music below, and single partials may look like a wall there
HIGHEST = 0.88  # share of Nyquist up to which a wall may begin: above, every resampler has its own
WALL_DB, WIDTH = 30.0, 0.08  # a fall by this much within this share of the frequency: 270 dB per octave
REACH_HZ = 300.0  # below the wall, over which the median is taken: a single partial is no edge of a band
BEGUN_DB = 6.0  # the band ends where so much is lost


def digital_limit_hz(power: Tensor, nyquist_hz: float) -> float:
    """Up to where a recording goes, in Hz: to its lowest wall, or to Nyquist if it has none.

    Args:
        power: its long-term power spectrum, (bins,) from 0 Hz to `nyquist_hz`.
    """
    level_db = 10 * np.log10(np.maximum(power.double().cpu().numpy(), 1e-30))
    bin_hz = nyquist_hz / (len(level_db) - 1)
    highest_above = np.maximum.accumulate(level_db[::-1])[::-1]
    reach = max(round(REACH_HZ / bin_hz), 1)
    starts = np.arange(max(round(LOWEST_HZ / bin_hz), reach), int(HIGHEST * (len(level_db) - 1)))
    if not len(starts):
        return nyquist_hz
    below = np.array([np.median(level_db[start - reach:start]) for start in starts])
    fall = below - highest_above[(starts * (1 + WIDTH)).astype(int) + 1]
    if fall.max() < WALL_DB:
        return nyquist_hz
    first = int((fall >= WALL_DB).argmax())  # the lowest wall, and the steepest place of it
    steepest = first + int(fall[first:first + max(int(starts[first] * WIDTH), 1)].argmax())
    lost = level_db[starts[steepest]:] < below[steepest] - BEGUN_DB
    return float((starts[steepest] + int(lost.argmax())) * bin_hz)
