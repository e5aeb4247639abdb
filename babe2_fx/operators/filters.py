"""Filters as operators: a known response, and the breakpoint EQ that is estimated while sampling."""

from __future__ import annotations

import torch
from torch import Tensor

from ..equalizer import BreakpointEQ, FilterStatistics
from ..spectra import apply_response, filter_frequencies


class _Filter:
    """A zero-phase filter, and what is known of the noise behind it.

    `response`: linear magnitude (2049,) at `filter_frequencies`. `noise`: variance of the observation's noise, one
    number for white noise or (2049,).
    """

    response: Tensor
    noise: Tensor | float

    def apply(self, x: Tensor) -> Tensor:
        return apply_response(x, self.response)

    def known(self, variance: Tensor | float) -> Tensor:
        power = self.response ** 2
        return power / (power + self.noise / variance + 1e-12)

    def settle(self, estimate: Tensor, observation: Tensor) -> Tensor:
        return estimate

    def invert(self, residual: Tensor, variance: float) -> Tensor:
        response = self.response
        # Where the response is nothing and no noise is known, nothing can be inverted: not 0 / 0.
        return apply_response(residual, response / (response ** 2 + self.noise / variance + 1e-12))


class FixedFilter(_Filter):
    """A known zero-phase filter."""

    def __init__(self, response: Tensor, noise: Tensor | float = 0.0):
        self.response, self.noise = response, noise

    def fit(self, denoised: Tensor, observation: Tensor, noise_level: float) -> None:
        pass


class BlindEqualizer(_Filter):
    """The breakpoint EQ of Sec. 3.1, fitted at every step to the denoised estimate (Eq. 13).

    Args:
        fitter: keeps the EQ and its optimiser's state from step to step and from block to block; `FilterFit` or
            `GlobalFit`.
    """

    def __init__(self, fitter, sample_rate: float, noise: Tensor | float = 0.0):
        self.fitter, self.noise = fitter, noise
        self.frequencies = filter_frequencies(sample_rate)

    @property
    def equalizer(self) -> BreakpointEQ:
        return self.fitter.equalizer

    @property
    def response(self) -> Tensor:
        return self.equalizer.response(self.frequencies)

    @torch.no_grad()
    def fit(self, denoised: Tensor, observation: Tensor, noise_level: float) -> None:
        self.fitter.step(FilterStatistics.from_signals(denoised, observation, self.fitter.window),
                         noise_level)
