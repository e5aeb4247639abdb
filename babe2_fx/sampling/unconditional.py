"""Draws from a prior alone: what it takes for music when nothing is asked of it."""

from __future__ import annotations

from collections.abc import Generator, Sequence

import torch
from torch import Tensor

from ..settings import Settings
from .posterior import SamplerStep, draw_noise
from .schedule import churn, noise_levels


def free_settings(prior, **changes) -> Settings:
    """The sampler's settings for draws from a prior, at its level: from noise that buries all music, down to none.

    Raises ValueError for an unknown setting or a bad value in `changes`.
    """
    level = prior.sigma_data
    return Settings(steps=36, rho=7.0).replace(**{"sigma_start": 12 * level, "sigma_min": 6e-4 * level} | changes)


@torch.no_grad()
def sample_prior(prior, settings: Settings, generators: Sequence[torch.Generator],
                 length: int | None = None) -> Generator[SamplerStep, None, Tensor]:
    """Draws from the prior by the stochastic sampler of Karras et al. (Algorithm 2), step by step.

    Args:
        prior: has `denoise(x, sigma)` and `band_limit(x)`.
        settings: `steps`, `sigma_start`, `sigma_min`, `rho`, `s_churn` and `order` count.
        generators: one for each draw.
        length: samples; a block of the prior if None.

    Yields a `SamplerStep` after each step; returns (as the generator's value) audio (draws, samples), out of the
    prior's own domain.
    """
    levels = noise_levels(settings.sigma_start, settings.sigma_min, settings.rho, settings.steps).tolist()
    gamma = churn(settings.s_churn, settings.steps)

    def slope(x: Tensor, sigma: float) -> tuple[Tensor, Tensor]:
        denoised = prior.band_limit(prior.denoise(x, torch.tensor(sigma)))
        return (x - denoised) / sigma, denoised

    x = levels[0] * draw_noise(torch.empty(len(generators), length or prior.block_length, device=prior.device),
                               generators)
    for i, (sigma, following) in enumerate(zip(levels, levels[1:])):
        raised = sigma * (1 + gamma)
        if gamma:
            x = x + (raised ** 2 - sigma ** 2) ** 0.5 * draw_noise(x, generators)
        first, denoised = slope(x, raised)
        ahead = x + (following - raised) * first
        if following and settings.order == 2:
            second, denoised = slope(ahead, following)
            ahead = x + (following - raised) * (first + second) / 2
        x = ahead
        yield SamplerStep(i + 1, sigma, denoised)
    return prior.emphasis.undo(x) if prior.emphasis else x
