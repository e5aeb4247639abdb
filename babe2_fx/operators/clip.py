"""Clipping: a recorder that could not go beyond a level."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from .base import InvertibleOperator, check_number

MARGIN = 1e-3  # a sample this close to the level was clipped: filters and resampling move it that far


@dataclass(frozen=True)
class Clip(InvertibleOperator):
    """A symmetrical clipper. At rates other than the recording's, resampling rounds its corners.

    threshold_db: the level in dBFS beyond which nothing was recorded, -80 to 0.
    """

    name = "clip"
    domain = "audio"
    threshold_db: float = -6.0

    def __post_init__(self) -> None:
        check_number(self, "threshold_db", -80.0, 0.0)

    def apply(self, x: Tensor) -> Tensor:
        return x.clamp(-self._level, self._level)

    def invert(self, residual: Tensor, variance: float) -> Tensor:
        return residual  # zero where estimate and recording are both clipped: peaks are the prior's

    def settle(self, estimate: Tensor, observation: Tensor) -> Tensor:
        beyond = torch.where(observation < 0, estimate.clamp(max=-self._level), estimate.clamp(min=self._level))
        return torch.where(observation.abs() < (1 - MARGIN) * self._level, observation, beyond)

    @property
    def _level(self) -> float:
        return 10 ** (self.threshold_db / 20)
