"""Block after block: the end of the restored block before is known in the next one (Eq. 20)."""

from __future__ import annotations

from torch import Tensor


class WithOverlap:
    """Another operator everywhere but in the first `overlap` samples, which are observed as they are.

    The observation holds the restored end of the block before in its first `overlap` samples.
    """

    def __init__(self, inner, overlap: int):
        self.inner, self.overlap = inner, overlap

    def _outside(self, x: Tensor) -> Tensor:
        x = x.clone()
        x[..., :self.overlap] = 0
        return x

    def apply(self, x: Tensor) -> Tensor:
        observed = self.inner.apply(x)
        return observed.slice_scatter(x[..., :self.overlap], dim=-1, end=self.overlap)

    def known(self, variance: Tensor | float) -> Tensor:
        return self.inner.known(variance)  # of what is not restored yet

    def settle(self, estimate: Tensor, observation: Tensor) -> Tensor:
        return estimate.slice_scatter(observation[..., :self.overlap], dim=-1, end=self.overlap)

    def invert(self, residual: Tensor, variance: float) -> Tensor:
        change = self.inner.invert(self._outside(residual), variance)
        return change.slice_scatter(residual[..., :self.overlap], dim=-1, end=self.overlap)

    def fit(self, denoised: Tensor, observation: Tensor, noise_level: float) -> None:
        # What is already restored says nothing of the filter.
        self.inner.fit(self._outside(denoised), self._outside(observation), noise_level)
