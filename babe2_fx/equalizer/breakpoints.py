"""The breakpoint EQ of the paper (Sec. 3.1, Eq. 18): its parameters, its response, its projections."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import ArrayLike
from torch import Tensor

OUTER_SLOPE_DB = 80.0  # per octave, beyond the outermost breakpoints; never optimised
MAX_SLOPE_DB = 40.0  # per octave, of the inner slopes
LOWEST_HZ = 11.0
MIN_SPACING_HZ = 1e-3
REFERENCE = 2  # index of f_0 among the five breakpoints

# Nine parameters in one vector: f_-2, f_-1, f_0, f_1, f_2 (Hz), then A_-2, A_-1, A_1, A_2 (dB per octave).
FREQUENCIES, SLOPES = slice(0, 5), slice(5, 9)
INITIAL = np.array([50.0, 500.0, 1000.0, 1500.0, 2000.0, 0.0, 0.0, 0.0, 0.0])  # App. A.4


def _stretches(parameters: np.ndarray, log2_hz: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """For each frequency, the octaves that lie in the reach of each of the six slopes: (6, bins); and the knots.

    Slopes in the order A_-lim, A_-2, A_-1, A_1, A_2, A_lim. As in the published filter, what a slope has gathered at
    its far end is taken at the first bin past the breakpoint, so that on a grid of bins the curve has a step of less
    than a bin's worth there; on a fine grid it is Eq. 18 itself.
    """
    knots = np.log2(parameters[FREQUENCIES])
    past = np.searchsorted(log2_hz, knots)  # first bin at or above each knot
    ends = log2_hz[np.clip(past - [1, 1, 0, 0, 0], 0, len(log2_hz) - 1)]
    octaves = np.zeros((6, len(log2_hz)))
    f2m, f1m, f0, f1, f2 = past
    octaves[0, :f2m] = log2_hz[:f2m] - knots[0]
    octaves[1, :f1m] = log2_hz[:f1m] - knots[1]
    octaves[1, :f2m] = ends[0] - knots[1]
    octaves[2, :f0] = log2_hz[:f0] - knots[2]
    octaves[2, :f1m] = ends[1] - knots[2]
    octaves[3, f0:] = log2_hz[f0:] - knots[2]
    octaves[3, f1:] = ends[3] - knots[2]
    octaves[4, f1:] = log2_hz[f1:] - knots[3]
    octaves[4, f2:] = ends[4] - knots[3]
    octaves[5, f2:] = log2_hz[f2:] - knots[4]
    return octaves, past


def _all_slopes(parameters: np.ndarray, outer_db: float = OUTER_SLOPE_DB) -> np.ndarray:
    return np.concatenate([[outer_db], parameters[SLOPES], [-outer_db]])


def response_db(parameters: np.ndarray, log2_hz: np.ndarray) -> np.ndarray:
    """Eq. 18 in dB at rising frequencies given as log2 of Hz. parameters (9,), log2_hz (bins,) -> (bins,)."""
    level_db: np.ndarray = _all_slopes(parameters) @ _stretches(parameters, log2_hz)[0]
    return level_db


def response_and_gradient(parameters: np.ndarray, log2_hz: np.ndarray,
                          outer_db: float = OUTER_SLOPE_DB) -> tuple[np.ndarray, np.ndarray]:
    """`response_db` (bins,) and its derivatives by the nine parameters and the two outer slopes, (11, bins).

    Moving a breakpoint moves only the slope that starts there: as in the published filter, the bin at which the one
    before ends is a constant to the optimiser.
    """
    octaves, past = _stretches(parameters, log2_hz)
    slopes = _all_slopes(parameters, outer_db)
    gradient = np.zeros((11, len(log2_hz)))
    by_hz = -1 / (parameters[FREQUENCIES] * np.log(2))
    gradient[0, :past[0]] = slopes[0] * by_hz[0]
    gradient[1, :past[1]] = slopes[1] * by_hz[1]
    gradient[2, :past[2]] = slopes[2] * by_hz[2]
    gradient[2, past[2]:] = slopes[3] * by_hz[2]
    gradient[3, past[3]:] = slopes[4] * by_hz[3]
    gradient[4, past[4]:] = slopes[5] * by_hz[4]
    gradient[SLOPES] = octaves[1:5]
    gradient[9], gradient[10] = octaves[0], octaves[5]
    return slopes @ octaves, gradient


def project(parameters: np.ndarray, nyquist_hz: float, lowpass_only: bool = False) -> None:
    """Moves parameters (9,), in place, into the set that Sec. 3.1 allows.

    The reference stays where the optimiser put it and pushes the others away: upwards from it, then downwards.
    With `lowpass_only` (BABE) slopes above the reference are negative and each steeper than the one before, and
    below it the response is flat.
    """
    f = parameters[FREQUENCIES]
    # The ends leave room for those behind, so that the order is strict even where all are pushed to one end.
    room = MIN_SPACING_HZ * np.arange(5)
    f[2] = min(max(f[2], LOWEST_HZ + room[2]), nyquist_hz - room[2])
    for i in (3, 4):
        f[i] = min(max(f[i], f[i - 1] + MIN_SPACING_HZ), nyquist_hz - room[4 - i])
    for i in (1, 0):
        f[i] = max(min(f[i], f[i + 1] - MIN_SPACING_HZ), LOWEST_HZ + room[i])
    a = parameters[SLOPES]
    np.clip(a, -MAX_SLOPE_DB, MAX_SLOPE_DB, out=a)
    if lowpass_only:
        f[:2] = LOWEST_HZ, max(LOWEST_HZ + MIN_SPACING_HZ, min(f[1], f[2] - MIN_SPACING_HZ))
        a[:2] = 0
        a[2] = max(min(a[2], 0), 0.1 - MAX_SLOPE_DB)
        a[3] = min(a[3], a[2] - 0.1)


def collapse_cost(parameters: np.ndarray, nyquist_hz: float, decay: float = 0.1) -> tuple[float, np.ndarray]:
    """Eq. 7 over neighbouring breakpoints and both ends, and its gradient (9,)."""
    points = np.concatenate([[LOWEST_HZ], parameters[FREQUENCIES], [nyquist_hz]])
    gap = np.diff(points)
    cost = np.exp(-decay * np.abs(gap))
    by_gap = -decay * np.sign(gap) * cost
    gradient = np.zeros(9)
    gradient[FREQUENCIES] = by_gap[:-1] - by_gap[1:]
    return float(cost.sum()), gradient


@dataclass(frozen=True)
class BreakpointEQ:
    """A breakpoint EQ as a value: the degradation a medium imposed, 0 dB at the reference.

    breakpoints_hz: five, rising; the middle one is the reference f_0 · slopes_db_per_octave: the four inner ones,
    A_-2, A_-1, A_1, A_2 (positive rises with frequency) · sample_rate: Hz, of the domain it was fitted in.
    """

    breakpoints_hz: tuple[float, ...]
    slopes_db_per_octave: tuple[float, ...]
    sample_rate: float

    @classmethod
    def initial(cls, sample_rate: float) -> "BreakpointEQ":
        """The paper's starting point: flat, with a steep band limit at 2 kHz (App. A.4)."""
        return cls.from_parameters(INITIAL, sample_rate)

    @classmethod
    def from_parameters(cls, parameters: np.ndarray, sample_rate: float) -> "BreakpointEQ":
        return cls(tuple(map(float, parameters[FREQUENCIES])), tuple(map(float, parameters[SLOPES])),
                   float(sample_rate))

    @property
    def parameters(self) -> np.ndarray:
        return np.array([*self.breakpoints_hz, *self.slopes_db_per_octave])

    @property
    def reference_hz(self) -> float:
        return self.breakpoints_hz[REFERENCE]

    def response_db(self, hz: ArrayLike) -> np.ndarray:
        """Response in dB at rising frequencies (n,) in Hz; minus infinity at 0 Hz."""
        hz = np.asarray(hz, dtype=float)
        with np.errstate(divide="ignore"):
            log2_hz = np.log2(hz)
        # Bins do the cutting in the published filter, so the grid must start with one that is a frequency.
        return np.concatenate([np.full((hz <= 0).sum(), -np.inf), response_db(self.parameters, log2_hz[hz > 0])])

    def response(self, hz: ArrayLike) -> Tensor:
        """Linear magnitude at rising frequencies (n,) in Hz, as a float64 tensor; 0 at 0 Hz."""
        return torch.from_numpy(10 ** (self.response_db(hz) / 20))
