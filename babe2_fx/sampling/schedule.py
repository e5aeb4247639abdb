"""Noise levels of the sampler (Eq. 16) and its stochasticity."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from ..priors import warped_levels


def noise_levels(sigma_start: float, sigma_min: float, rho: float, steps: int) -> Tensor:
    """The T levels of Eq. 16 from sigma_start to sigma_min, then 0: (steps + 1,) float32."""
    levels = warped_levels(torch.arange(steps) / (steps - 1), sigma_start, sigma_min, rho)
    return torch.cat([levels, torch.zeros(1)])


def churn(s_churn: float, steps: int) -> float:
    """γ of Karras et al., Algorithm 2: the fraction by which a level is raised before each step."""
    return min(s_churn / (steps + 1), math.sqrt(2) - 1)
