"""Whether a recording's spectrum is full enough to tell a medium by: a line-up tone's is not.

Where nothing is played, nothing says what the medium did, and any response would be made up and undone.
"""

from __future__ import annotations

import numpy as np
from torch import Tensor

LOWEST_HZ, BANDS_PER_OCTAVE = 50.0, 12
FAINTEST_DB = -60.0  # below the loudest bin: what is fainter may be a tone's distortion, or its fading in and out
FEWEST_OCTAVES = 2.0  # tones fill up to 1.9 octaves, a single note of a piano 4 or more, recordings of 1903 6


def octaves_filled(power: Tensor, nyquist_hz: float) -> float:
    """How many octaves hold something, as the sum of their twelfths.

    Args:
        power: long-term power spectrum of audio without emphasis, (bins,) from 0 Hz to `nyquist_hz`.
    """
    level_db = 10 * np.log10(np.maximum(power.double().cpu().numpy(), 1e-30))
    bin_hz = nyquist_hz / (len(level_db) - 1)
    edges = LOWEST_HZ * 2 ** (np.arange(int(np.log2(nyquist_hz / LOWEST_HZ) * BANDS_PER_OCTAVE) + 1) / BANDS_PER_OCTAVE)
    first = np.round(edges[:-1] / bin_hz).astype(int)
    last = np.maximum(np.round(edges[1:] / bin_hz).astype(int), first + 1)
    bands_db = np.array([level_db[one:other].max() for one, other in zip(first, last)])
    return float((bands_db > level_db[1:].max() + FAINTEST_DB).sum() / BANDS_PER_OCTAVE)
