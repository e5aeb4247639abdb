"""Filters as operators: a known response, a known low-pass, and the breakpoint EQ that is estimated while sampling."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass

import torch
from torch import Tensor

from ..equalizer import FilterStatistics
from ..spectra import apply_response, filter_frequencies
from .base import Fitter, InvertibleOperator, Measurement, OperatorError, Place, check_number


class _Filter(InvertibleOperator):
    """A zero-phase filter, and what is known about the noise after it.

    `response`: linear magnitude (2049,) at `filter_frequencies`. `noise`: as in `Place`.
    """

    diagonal = True
    noise: Tensor | float

    @property
    @abstractmethod
    def response(self) -> Tensor: ...

    def apply(self, x: Tensor) -> Tensor:
        return apply_response(x, self.response)

    def known(self, variance: Tensor | float) -> Tensor:
        power = self.response ** 2
        return power / (power + self.noise / variance + 1e-12)

    def invert(self, residual: Tensor, variance: float) -> Tensor:
        response = self.response
        # Not 0 / 0 where the response is zero and no noise is known: there is nothing to invert.
        return apply_response(residual, response / (response ** 2 + self.noise / variance + 1e-12))


class FixedFilter(_Filter):
    """A known zero-phase filter."""

    def __init__(self, response: Tensor, noise: Tensor | float = 0.0):
        self._response, self.noise = response, noise

    @property
    def response(self) -> Tensor:
        return self._response


class BlindEqualizer(_Filter):
    """The breakpoint EQ of Sec. 3.1, fitted at every step to the denoised estimate (Eq. 13).

    Args:
        fitter: holds the EQ; `equalizer.FilterFit` or `beyond.BandFit`.
    """

    def __init__(self, fitter: Fitter, sample_rate: float, noise: Tensor | float = 0.0):
        self.fitter, self.noise = fitter, noise
        self.frequencies = filter_frequencies(sample_rate)

    @property
    def response(self) -> Tensor:
        return self.fitter.equalizer.response(self.frequencies)

    @torch.no_grad()
    def fit(self, denoised: Tensor, observation: Tensor, sigma: float) -> None:
        self.fitter.step(FilterStatistics.from_signals(denoised, observation, self.fitter.window), sigma)


@dataclass(frozen=True)
class BlindEQ(Measurement):
    """An unknown equalization, found while sampling; the settings say how."""

    name = "blind-eq"

    def at(self, place: Place) -> BlindEqualizer:
        if place.fitter is None:
            raise OperatorError("The operator blind-eq has nothing to fit its EQ: filter_fit = none.", "no-fit")
        return BlindEqualizer(place.fitter, place.sample_rate, place.noise)


@dataclass(frozen=True)
class LowPass(Measurement):
    """A known low-pass: informed bandwidth extension.

    cutoff_hz: where it is 3 dB down, 20 to 96000 · order: of its Butterworth magnitude, 6 dB an octave each, 1 to 100.
    """

    name = "low-pass"
    cutoff_hz: float = 3000.0
    order: int = 8

    def __post_init__(self) -> None:
        check_number(self, "cutoff_hz", 20.0, 96000.0)
        check_number(self, "order", 1, 100)

    def at(self, place: Place) -> FixedFilter:
        hz = filter_frequencies(place.sample_rate)
        return FixedFilter((1 + (hz / self.cutoff_hz) ** (2 * self.order)).rsqrt(), place.noise)
