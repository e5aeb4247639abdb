"""The solver: Algorithm 2 of Karras et al. 2022, for any guidance. It is the only loop over noise levels."""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol

import torch
from torch import Tensor

from ..settings import Solver
from .schedule import churn, noise_levels


class Guided(NamedTuple):
    """The score ∇ log p(x | y) at a noise level, and the denoised estimate x̂0; both (batch, samples)."""

    score: Tensor
    denoised: Tensor


class Guidance(Protocol):
    """What guides the solver: the score of noisy signals x (batch, samples) at the noise level sigma."""

    def __call__(self, x: Tensor, sigma: float) -> Guided: ...


@dataclass(frozen=True)
class SamplerStep:
    """One finished step: its number (from 1), the noise level it began at, the denoised estimate (batch, samples)."""

    step: int
    sigma: float
    denoised: Tensor


def draw_noise(like: Tensor, generators: Sequence[torch.Generator]) -> Tensor:
    """White noise of unit variance, (batch, samples); each row from its own generator.

    So a row's noise does not depend on the rest of its batch. Drawn on the CPU: a seed means the same on every device.
    """
    return torch.stack([torch.randn(like.shape[-1], generator=g) for g in generators]).to(like)


@torch.no_grad()
def solve(guidance: Guidance, initial: Tensor, solver: Solver,
          draw: Callable[[Tensor], Tensor]) -> Generator[SamplerStep, None, Tensor]:
    """Follows the score from the first noise level down to none, step by step.

    Args:
        guidance: gives the score; called once per step by Euler, twice by Heun except in the last step.
        initial: (batch, samples), the signal that the first noise is added to (the warm start of Sec. 3.4).
        solver: noise levels (Eq. 16), churn and order.
        draw: white noise of unit variance, of its argument's shape.

    Yields a `SamplerStep` after each step; returns (as the generator's value) the samples, (batch, samples).
    """
    levels = noise_levels(solver.sigma_start, solver.sigma_min, solver.rho, solver.steps).tolist()
    gamma = churn(solver.s_churn, solver.steps)
    x: Tensor = initial + levels[0] * draw(initial)
    for i, (sigma, following) in enumerate(zip(levels, levels[1:])):
        raised = sigma * (1 + gamma)
        if gamma:
            x = x + (raised ** 2 - sigma ** 2) ** 0.5 * draw(x)
        score, denoised = guidance(x, raised)
        slope = -raised * score  # dx/dσ of the probability flow
        ahead = x + (following - raised) * slope
        if following and solver.order == 2:
            score, denoised = guidance(ahead, following)
            ahead = x + (following - raised) * (slope - following * score) / 2
        x = ahead
        yield SamplerStep(i + 1, sigma, denoised)
    return x
