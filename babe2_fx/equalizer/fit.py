"""Fitting the breakpoint EQ to an estimate and an observation (Eqs. 8 and 13)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..spectra import filter_frequencies
from .breakpoints import (
    INITIAL,
    MAX_SLOPE_DB,
    OUTER_SLOPE_DB,
    BreakpointEQ,
    collapse_cost,
    project,
    response_and_gradient,
)
from .statistics import FilterStatistics

DB = np.log(10) / 20
TOLERANCE = 0.1  # Hz, or dB per octave: a step ends when no parameter moves further


class FilterCost:
    """Eq. 13 as a function of the nine parameters: the norm of weighted differences of STFT magnitudes.

    Weighted by sqrt(f / Nyquist); the bin at DC, where the filter is zero and the weight too, takes no part.
    """

    def __init__(self, statistics: FilterStatistics, sample_rate: float):
        hz = filter_frequencies(sample_rate).numpy()[1:]
        self.log2_hz = np.log2(hz)
        weight = hz / hz[-1]
        self.sxx, self.sxy = weight * statistics.sxx[1:], weight * statistics.sxy[1:]
        self.syy = float((weight * statistics.syy[1:]).sum())

    def __call__(self, parameters: np.ndarray, outer_db: float = OUTER_SLOPE_DB) -> tuple[float, np.ndarray]:
        """Cost, and its gradient by the nine parameters and the two outer slopes (11,)."""
        level_db, by_parameters = response_and_gradient(parameters, self.log2_hz, outer_db)
        magnitude = np.exp(DB * level_db)
        scaled = magnitude * self.sxx
        cost = np.sqrt(max(self.syy + magnitude @ (scaled - 2 * self.sxy), 0.0))
        if cost == 0:
            return 0.0, np.zeros(11)
        by_db = DB * magnitude * (scaled - self.sxy) / cost
        return float(cost), by_parameters @ by_db


@dataclass(frozen=True)
class Expectation:
    """What is known of a response before any fit: a Gaussian in each band, up to one constant, the music's loudness.

    hz: centres of bands, rising · level_db, deviation_db: mean and standard deviation; (bands,) each.
    """

    hz: np.ndarray
    level_db: np.ndarray
    deviation_db: np.ndarray

    def cost(self, parameters: np.ndarray, outer_db: float = OUTER_SLOPE_DB) -> tuple[float, np.ndarray]:
        """Negative log likelihood of the nine parameters, less a constant, and its gradient as of `FilterCost`."""
        level_db, by_parameters = response_and_gradient(parameters, np.log2(self.hz), outer_db)
        precision = self.deviation_db ** -2.0
        off = level_db - self.level_db
        off -= precision @ off / precision.sum()
        return float(0.5 * precision @ off ** 2), by_parameters @ (precision * off)


class FilterFit:
    """The paper's optimiser: Adam (or plain gradient descent, as in BABE) with projections (Algorithm 1).

    Keeps parameters and momenta from one sampling step to the next.

    Args:
        sample_rate: Hz.
        learning_rate, iterations: of each `step`.
        collapse_weight, collapse_decay: of Eq. 7 in Eq. 8.
        optimizer: "adam" or "sgd".
        lowpass_only: BABE's strictly decaying lowpass.
        expectation: a term that Eq. 8 gains; not in the paper.
    """

    window = "hamming"  # of the statistics, as published

    def __init__(self, sample_rate: float, learning_rate: float = 10.0, iterations: int = 100,
                 collapse_weight: float = 10.0, collapse_decay: float = 0.1, optimizer: str = "adam",
                 lowpass_only: bool = False, expectation: Expectation | None = None):
        self.sample_rate, self.learning_rate, self.iterations = sample_rate, learning_rate, iterations
        self.collapse_weight, self.collapse_decay = collapse_weight, collapse_decay
        self.optimizer, self.lowpass_only, self.expectation = optimizer, lowpass_only, expectation
        self.parameters = INITIAL.copy()
        project(self.parameters, sample_rate / 2, lowpass_only)
        self.momentum, self.power, self.count = np.zeros(9), np.zeros(9), 0
        self.outer_db = MAX_SLOPE_DB  # of the very first iteration; see `step`

    @property
    def equalizer(self) -> BreakpointEQ:
        return BreakpointEQ.from_parameters(self.parameters, self.sample_rate)

    def state(self) -> dict[str, np.ndarray]:
        """Everything carried from one step to the next."""
        return {"parameters": self.parameters, "momentum": self.momentum, "power": self.power,
                "rest": np.array([self.count, self.outer_db], dtype=float)}

    def restore(self, state: dict[str, np.ndarray]) -> None:
        """Continues from what `state` returned."""
        self.parameters, self.momentum, self.power = (state[key].copy() for key in ("parameters", "momentum", "power"))
        self.count, self.outer_db = int(state["rest"][0]), float(state["rest"][1])

    def _update(self, gradient: np.ndarray) -> np.ndarray:
        if self.optimizer == "sgd":
            # Our choice: a gradient per Hz is smaller than one per dB by about this much, and with one step size
            # for both the breakpoints would not move.
            step: np.ndarray = self.learning_rate * gradient * np.repeat([100.0, 1.0], [5, 4])
            return step
        self.count += 1
        self.momentum += 0.1 * (gradient - self.momentum)
        self.power += 0.001 * (gradient ** 2 - self.power)
        step = (self.learning_rate * (self.momentum / (1 - 0.9 ** self.count))
                / (np.sqrt(self.power / (1 - 0.999 ** self.count)) + 1e-8))
        return step

    def step(self, statistics: FilterStatistics, noise_level: float = 0.0) -> None:
        """One fit: moves the breakpoints and slopes by up to `iterations` updates towards these statistics.

        `noise_level` plays no part.
        """
        nyquist, cost = self.sample_rate / 2, FilterCost(statistics, self.sample_rate)
        for _ in range(self.iterations):
            before = self.parameters.copy()
            # As published: the outer slopes start at the limit of the inner ones and reach theirs with the first
            # projection, and their gradient, though not followed, counts when the gradient is clipped to length 1.
            _, gradient = cost(self.parameters, self.outer_db)
            gradient[:9] += self.collapse_weight * collapse_cost(before, nyquist, self.collapse_decay)[1]
            if self.expectation:
                gradient += self.expectation.cost(before, self.outer_db)[1]
            gradient /= max(1.0, np.linalg.norm(gradient) + 1e-6)
            self.parameters -= self._update(gradient[:9])
            project(self.parameters, nyquist, self.lowpass_only)
            self.outer_db = OUTER_SLOPE_DB
            if np.abs(self.parameters - before).max() < TOLERANCE:
                break
