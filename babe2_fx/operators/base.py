"""What a sampler asks of an operator."""

from __future__ import annotations

from typing import Protocol

from torch import Tensor


class Operator(Protocol):
    def apply(self, x: Tensor) -> Tensor:
        """The observation that a clean signal x (batch, samples) would give, differentiable; same shape."""

    def fit(self, denoised: Tensor, observation: Tensor, noise_level: float) -> None:
        """Moves the operator's own parameters towards `observation` ≈ apply(`denoised`), both (batch, samples).

        `noise_level` is that at which the estimate was made: what lies below it is a guess. Does nothing where
        there is nothing to fit.
        """

    def known(self, variance: Tensor | float) -> Tensor:
        """How far the observation decides the inverse, by frequency: from 0, not at all, to 1, alone; (2049,).

        variance: as of `invert`, or (2049,).
        """

    def settle(self, estimate: Tensor, observation: Tensor) -> Tensor:
        """An estimate with what of it is beyond doubt put right, both (batch, samples)."""

    def invert(self, residual: Tensor, variance: float) -> Tensor:
        """The regularised inverse: the least change of a clean signal that explains `residual` (batch, samples).

        `variance` is that of the clean signal's uncertainty, white; the operator knows the observation's noise.
        """
