"""The breakpoint EQ fitted as a whole at every step, in decibels over log frequency.

The paper's optimiser follows the loudest bands and starts from wherever the previous step left it. With sufficient
statistics the nine numbers can be fitted as a whole instead, to the level of each twelfth of an octave: a band counts
by its width, not its power, and a few starts guard against bad local optima.
Off with `filter_fit = "adam"`.
"""

from __future__ import annotations

from itertools import combinations

import numpy as np
import torch
from torch import Tensor

from ..equalizer import FilterStatistics
from ..equalizer.breakpoints import LOWEST_HZ, MAX_SLOPE_DB, OUTER_SLOPE_DB, BreakpointEQ
from ..spectra import filter_frequencies
from .medium import Medium, from_nearest

BANDS_PER_OCTAVE = 12
LOW_HZ = 1000.0  # what is missing below may not have been played
MIN_SPACING = 1 / 4  # octaves between breakpoints: the medium's response is smooth (Sec. 3.1)
MAX_TRUST = 0.7  # share of the estimate in what is fitted, the rest being the expected response of unknown deviation
LEVEL_DEVIATION_DB = 6.0  # of the levels of an estimate from what would tell the response; see beyond/README.md
FLOOR_DB = 40.0  # anything this far below the loudest response is noise, and its level says little
ALIKE = 0.6, 0.85  # likeness of magnitudes from chance (independent noise has 0.62) to certainty
LEAK_COHERENCE, LEAK_DB = 0.5, 20.0  # less alike than this and this far down, a band holds its neighbours' leakage
GRID, STARTS = 10, 12  # where breakpoints are first tried, and how many of the best combinations are polished
# Where no band decides: each inner slope is drawn to zero, and the reference, at which the curve has 0 dB, to 1 kHz.
EVEN = 1e-2
HOME = np.array([0.0, 0.0, np.log2(1000.0), 0.0, 0.0, 0.0, 0.0, 0.0, 0.0])
DRAWN = EVEN * np.array([0, 0, 1, 0, 0, 1, 1, 1, 1])


def _curves(parameters: np.ndarray, octave: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Eq. 18 in dB for each row of parameters, and its derivatives with respect to log2 breakpoints and slopes:
    (rows, 9) -> (rows, bands), (rows, 9, bands)."""
    knots, ends = parameters[:, :5], np.full((len(parameters), 1), OUTER_SLOPE_DB)
    slopes = np.concatenate([ends, parameters[:, 5:], -ends], axis=1)
    edges = np.concatenate([np.full_like(ends, -np.inf), knots, np.full_like(ends, np.inf)], axis=1)
    # Octaves of each stretch between the reference and the frequency, negative below the reference.
    reach = (np.clip(octave, edges[:, :-1, None], edges[:, 1:, None])
             - np.clip(knots[:, 2:3], edges[:, :-1], edges[:, 1:])[..., None])
    above, below = octave > knots[..., None], octave < knots[..., None]
    by_knot = np.empty((len(parameters), 5, len(octave)))  # beyond one: the difference of the slopes that meet there
    change = (slopes[:, :-1] - slopes[:, 1:])[..., None]
    by_knot[:, 3:] = change[:, 3:] * above[:, 3:]
    by_knot[:, :2] = -change[:, :2] * below[:, :2]
    by_knot[:, 2] = -np.where(above[:, 2], slopes[:, 3:4], slopes[:, 2:3])
    return np.einsum("rs,rsb->rb", slopes, reach), np.concatenate([by_knot, reach[:, 1:5]], axis=1)


class BandFit:
    """Fits the breakpoint EQ to band levels; the result is one of the starts of the next fit.

    Args:
        sample_rate: Hz.
        lowest_hz: below it the prior knows nothing, and bands do not count.
        expected_db: response in dB (2049,) to believe where the estimate is still below the noise; typically the
            ratio of long-term spectra. None: such bands do not count.
        heard: bool (2049,), where the recording holds more than noise; elsewhere `expected_db` is only an upper bound
            of the response. None: everywhere.
        deviation_db: standard deviation of `expected_db` (2049,). The fit then takes as much from the estimate as its
            precision deserves, and moves no band further than that. None: not known.
    """

    window = "hann"  # of the statistics: levels far apart must not leak into each other

    def __init__(self, sample_rate: float, lowest_hz: float, expected_db: np.ndarray | None = None,
                 heard: np.ndarray | None = None, deviation_db: np.ndarray | None = None):
        self.sample_rate = sample_rate
        hz = filter_frequencies(sample_rate).numpy()
        nyquist = sample_rate / 2
        edges = lowest_hz * 2 ** (np.arange(int(np.log2(nyquist / lowest_hz) * BANDS_PER_OCTAVE) + 1)
                                  / BANDS_PER_OCTAVE)
        self.octave = np.log2(edges[:-1]) + 0.5 / BANDS_PER_OCTAVE
        # Each bin goes to its band; a band narrower than a bin borrows from its neighbours by linear weights.
        centre, width = 2 ** self.octave, edges[1:] - edges[:-1]
        reach = np.maximum(width, hz[1])
        weights = np.clip(1 - np.abs(hz[None] - centre[:, None]) / reach[:, None], 0, None)
        self.to_bands = weights / weights.sum(axis=1, keepdims=True)
        self.limits = np.log2(LOWEST_HZ), np.log2(nyquist)
        self.expected_db = None if expected_db is None else self.to_bands @ expected_db
        self.deviation_db = None if deviation_db is None else self.to_bands @ deviation_db
        self.most_trust: float | np.ndarray = MAX_TRUST
        if self.deviation_db is not None:
            self.most_trust = self.deviation_db ** 2 / (self.deviation_db ** 2 + LEVEL_DEVIATION_DB ** 2)
        self.unheard = np.zeros(len(self.octave), bool) if heard is None else self.to_bands @ heard < 0.5
        grid = np.linspace(np.log2(lowest_hz), np.log2(nyquist), GRID + 1)[:-1]
        self.grid = np.array(list(combinations(grid, 5)))
        # With breakpoints fixed the curve is linear in the slopes: (starts, bands) and (starts, 4, bands).
        self.grid_fixed, by_parameters = _curves(np.pad(self.grid, ((0, 0), (0, 4))), self.octave)
        self.grid_design = by_parameters[:, 5:].copy()
        self.parameters: np.ndarray | None = None
        self.leaked = np.zeros(len(self.octave), bool)

    @classmethod
    def expecting(cls, medium: Medium, removed: Tensor, sample_rate: float, lowest_hz: float,
                  least_db: float) -> "BandFit":
        """A fit that expects what is left of a medium's expected response.

        removed: the response that LTAS-EQ has undone, linear (2049,) · least_db: the lowest response expected below
        `LOW_HZ`. To a long-term spectrum, a recording without low notes looks as if it had lost them; a band limit at
        the top, however, is to be undone.
        """
        expected_db = torch.where(medium.heard, medium.response_db, medium.most_db) - 20 * removed.log10()
        low = filter_frequencies(sample_rate) < LOW_HZ
        expected_db[low] = expected_db[low].clamp(min=least_db)
        deviation_db = None
        if medium.deviation_db is not None and (known := medium.deviation_db.isfinite()).any():
            deviation_db = from_nearest(medium.deviation_db, known).numpy()
        return cls(sample_rate, lowest_hz, expected_db.numpy(), medium.heard.numpy(), deviation_db)

    @property
    def equalizer(self) -> BreakpointEQ:
        if self.parameters is None:
            return BreakpointEQ.initial(self.sample_rate)
        return BreakpointEQ(tuple(map(float, 2 ** self.parameters[:5])), tuple(map(float, self.parameters[5:])),
                            float(self.sample_rate))

    def state(self) -> dict[str, np.ndarray]:
        """All that carries over from one step to the next."""
        return {} if self.parameters is None else {"parameters": self.parameters}

    def restore(self, state: dict[str, np.ndarray]) -> None:
        """Continues from what `state` returned."""
        self.parameters = state["parameters"].copy() if "parameters" in state else None

    def step(self, statistics: FilterStatistics, noise_level: float = 0.0) -> None:
        """One fit: moves the breakpoints and slopes to where they fit best.

        noise_level: standard deviation of the noise that the estimate was denoised from.
        """
        sxx, sxy, syy, noise = (self.to_bands @ s for s in (statistics.sxx, statistics.sxy, statistics.syy,
                                                            np.full_like(statistics.sxx, statistics.noise_power)))
        if not (sxx.max() > 0 and syy.max() > 0):
            return
        level_db = 10 * np.log10((syy + 1e-12 * syy.max()) / (sxx + 1e-12 * sxx.max()))
        # Where magnitudes do not follow each other, what is left is leakage, an upper bound of the response. Only
        # where the level is low as well: elsewhere it is the estimate that is not yet like the recording. With a
        # deviation the expectation holds there too: what lies below a flute's notes is not to be lifted without end.
        unlike = sxy ** 2 < LEAK_COHERENCE * sxx * syy
        self.leaked = unlike & (level_db < self._loudest(level_db) - LEAK_DB) & (self.deviation_db is None)
        noise = noise * noise_level ** 2
        trust = sxx / (sxx + noise) if noise_level else np.ones_like(sxx)
        weight = trust
        if self.expected_db is not None:
            # Estimate and EQ feed each other: the prior may add, unnoticed, what the EQ takes away. A share of the
            # long-term spectra in every band keeps both near the recording. Where magnitudes do not follow each
            # other, the estimate is invented and says nothing.
            alike = (sxy ** 2 / np.maximum(sxx * syy, 1e-300) - ALIKE[0]) / (ALIKE[1] - ALIKE[0])
            trust = self.most_trust * trust * np.clip(alike, 0, 1)
            # It is unknown how loud the music was: the expectation decides the level, both decide the shape.
            seen = trust * ~self.unheard
            if seen.sum() > 0:
                level_db = level_db + (seen * (self.expected_db - level_db)).sum() / seen.sum()
            if self.deviation_db is not None:
                level_db = np.clip(level_db, self.expected_db - self.deviation_db, self.expected_db + self.deviation_db)
            level_db = trust * level_db + (1 - trust) * self.expected_db
            weight = np.ones_like(trust)
            level_db = np.where(self.unheard, self.expected_db, level_db)
        self.leaked |= self.unheard
        self._solve(level_db, weight)

    def _loudest(self, level_db: np.ndarray) -> float:
        """The highest level (bands,) of music; bands where none is heard may hold hiss that is louder than expected."""
        return float(level_db[~self.unheard].max() if not self.unheard.all() else level_db.max())

    def _solve(self, level_db: np.ndarray, weight: np.ndarray) -> None:
        heard = np.where(self.leaked | (level_db < self._loudest(level_db) - FLOOR_DB), 0.0, weight)
        starts = self._best_of_grid(level_db, heard, weight)
        if self.parameters is not None:
            starts = np.concatenate([starts, self.parameters[None]])
        costs, ends = self._polish(starts, level_db, weight, 25)
        self.parameters = ends[costs.argmin()]

    def _best_of_grid(self, level_db: np.ndarray, heard: np.ndarray, weight: np.ndarray) -> np.ndarray:
        """Finds the best slopes for all breakpoints of the grid at once; returns the STARTS best of these starts."""
        weighted = self.grid_design * heard
        normal = weighted @ self.grid_design.transpose(0, 2, 1) + EVEN * np.eye(4)
        right = np.einsum("skb,sb->sk", weighted, level_db - self.grid_fixed)
        slopes = np.linalg.solve(normal, right[..., None])[..., 0].clip(-MAX_SLOPE_DB, MAX_SLOPE_DB)
        curves = self.grid_fixed + np.einsum("sk,skb->sb", slopes, self.grid_design)
        counting = self._counting(curves, level_db, weight)
        starts = np.concatenate([self.grid, slopes], axis=1)
        cost = (counting * (curves - level_db) ** 2).sum(axis=1) + (starts - HOME) ** 2 @ DRAWN
        return starts[np.argsort(cost)[:STARTS]]

    def _project(self, parameters: np.ndarray) -> np.ndarray:
        low, high = self.limits
        knots = np.sort(parameters[:, :5], axis=1)
        for i in range(5):
            knots[:, i] = np.maximum(knots[:, i], low if i == 0 else knots[:, i - 1] + MIN_SPACING)
        for i in reversed(range(5)):
            knots[:, i] = np.minimum(knots[:, i], high if i == 4 else knots[:, i + 1] - MIN_SPACING)
        return np.concatenate([knots, np.clip(parameters[:, 5:], -MAX_SLOPE_DB, MAX_SLOPE_DB)], axis=1)

    def _counting(self, curves: np.ndarray, level_db: np.ndarray, weight: np.ndarray) -> np.ndarray:
        """Weights without the bands at the floor, where noise and leakage hide how far the response really falls."""
        hidden = (self.leaked | (level_db < self._loudest(level_db) - FLOOR_DB)) & (curves < level_db)
        return np.where(hidden, 0.0, weight)

    def _evaluated(self, parameters: np.ndarray, level_db: np.ndarray,
                   weight: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """For each row of parameters: its cost, the derivatives of its curve (rows, 9, bands), the bands' weights
        (rows, bands) and, weighted, their distance from the levels."""
        curves, by_parameters = _curves(parameters, self.octave)
        counting = self._counting(curves, level_db, weight)
        off = counting * (curves - level_db)
        cost = (off * (curves - level_db)).sum(axis=1) + (parameters - HOME) ** 2 @ DRAWN
        return cost, by_parameters, counting, off

    def _polish(self, parameters: np.ndarray, level_db: np.ndarray, weight: np.ndarray,
                iterations: int) -> tuple[np.ndarray, np.ndarray]:
        """Levenberg-Marquardt with projection, from all starts (starts, 9) at once; gives costs and where they end."""
        parameters, damping = self._project(parameters), np.ones(len(parameters))
        known = self._evaluated(parameters, level_db, weight)
        costs = known[0]
        going = np.arange(len(parameters))
        for _ in range(iterations):
            here = parameters[going]
            cost, by_parameters, counting, off = (values[going] for values in known)
            normal = (by_parameters * counting[:, None]) @ by_parameters.transpose(0, 2, 1) + np.diag(DRAWN)
            downhill = -((by_parameters @ off[..., None])[..., 0] + DRAWN * (here - HOME))
            scale = np.einsum("rpp->rp", normal) + 1e-3
            step = np.linalg.solve(normal + (damping[going, None] * scale)[..., None] * np.eye(9), downhill[..., None])
            moved = self._project(here + step[..., 0])
            evaluated = self._evaluated(moved, level_db, weight)
            better = evaluated[0] < cost
            parameters[going[better]] = moved[better]
            for values, new in zip(known, evaluated):
                values[going[better]] = new[better]
            damping[going] *= np.where(better, 0.25, 4.0)
            going = going[np.where(better, cost - evaluated[0] >= 1e-5 * cost, damping[going] <= 1e6)]
            if not len(going):
                break
        return costs, parameters
