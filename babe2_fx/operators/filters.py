"""Filters as operators: a known response, and the breakpoint EQ that is estimated while sampling."""

from __future__ import annotations

import torch
from torch import Tensor

from ..equalizer import BreakpointEQ, FilterStatistics
from ..spectra import apply_response, filter_frequencies


def _regularised_inverse(response: Tensor, residual: Tensor, ratio: float) -> Tensor:
    return apply_response(residual, response / (response ** 2 + ratio))


class FixedFilter:
    """A known zero-phase filter. `response`: linear magnitude (2049,) at `filter_frequencies`."""

    def __init__(self, response: Tensor):
        self.response = response

    def apply(self, x: Tensor) -> Tensor:
        return apply_response(x, self.response)

    def invert(self, residual: Tensor, ratio: float) -> Tensor:
        return _regularised_inverse(self.response, residual, ratio)

    def fit(self, denoised: Tensor, observation: Tensor, noise_level: float) -> None:
        pass


class BlindEqualizer:
    """The breakpoint EQ of Sec. 3.1, fitted at every step to the denoised estimate (Eq. 13).

    Args:
        fitter: keeps the EQ and its optimiser's state from step to step and from block to block; `FilterFit` or
            `GlobalFit`.
    """

    def __init__(self, fitter, sample_rate: float):
        self.fitter = fitter
        self.frequencies = filter_frequencies(sample_rate)

    @property
    def equalizer(self) -> BreakpointEQ:
        return self.fitter.equalizer

    @property
    def response(self) -> Tensor:
        return self.equalizer.response(self.frequencies)

    def apply(self, x: Tensor) -> Tensor:
        return apply_response(x, self.response)

    def invert(self, residual: Tensor, ratio: float) -> Tensor:
        return _regularised_inverse(self.response, residual, ratio)

    @torch.no_grad()
    def fit(self, denoised: Tensor, observation: Tensor, noise_level: float) -> None:
        self.fitter.step(FilterStatistics.from_signals(denoised, observation, self.fitter.window),
                         noise_level)
