"""The posterior sampler (Algorithm 1 of the paper, with the second-order stochastic sampler of Karras et al.)."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from .schedule import churn, noise_levels


@dataclass(frozen=True)
class SamplerStep:
    """One finished step: its number (from 1), the noise level it began at, the denoised estimate (batch, samples)."""

    step: int
    sigma: float
    denoised: Tensor


def draw_noise(like: Tensor, generators: Sequence[torch.Generator]) -> Tensor:
    """White noise of unit variance, (batch, samples); each row from its own generator.

    A row's noise then does not depend on what else is in its batch. Drawn on the CPU, so that a seed means the same
    on every device.
    """
    return torch.stack([torch.randn(like.shape[-1], generator=g) for g in generators]).to(like)


def _gradient_score(prior, operator, observation: Tensor, x: Tensor, sigma: float, settings,
                    generators: Sequence[torch.Generator]) -> tuple[Tensor, Tensor]:
    """The posterior score (Eq. 4) with guidance through the network, and the denoised estimate; (batch, samples)."""
    with torch.enable_grad():
        x = x.detach().requires_grad_()
        denoised = prior.band_limit(prior.denoise(x, torch.tensor(sigma)))
        estimate = denoised.detach()
        operator.fit(estimate, observation, sigma)
        noisy = observation
        if settings.noise_regularization:
            noisy = observation + settings.noise_regularization * draw_noise(estimate, generators)
        # Half the squared norm, as a sum over the batch: rows do not mix, each gradient is its row's own.
        cost = (operator.apply(denoised) - noisy).square().sum() / 2
        gradient, = torch.autograd.grad(cost, x)
    # Eq. 17: a step of fixed length relative to the noise level, whatever the cost's scale.
    length = gradient.norm(dim=-1, keepdim=True) / gradient.shape[-1] ** 0.5
    guidance = settings.xi / (length + 1e-6) / sigma * gradient
    return (estimate - x.detach()) / sigma ** 2 - guidance, estimate


@torch.no_grad()
def _direct_score(prior, operator, observation: Tensor, x: Tensor, sigma: float, completion=None,
                  heard=None) -> tuple[Tensor, Tensor]:
    """The posterior score with the estimate corrected in closed form, and the corrected estimate; (batch, samples).

    As ΠGDM (Song et al. 2023) but without the network's Jacobian: given the estimate's own uncertainty, that of
    Gaussian data of variance sigma_data² seen at this noise level, and the observation's noise, the operator's
    regularised inverse is the exact posterior mean. Late in the run the estimate is trusted over what then counts as
    noise in the recording. A completion does the same for each spot of time and frequency, by the music in it.
    """
    denoised = estimate = prior.band_limit(prior.denoise(x, torch.tensor(sigma)))
    operator.fit(estimate, observation, sigma)
    uncertainty = sigma ** 2 * prior.sigma_data ** 2 / (sigma ** 2 + prior.sigma_data ** 2)
    if completion:
        uncertainty = completion.variance
    estimate = estimate + operator.invert(observation - operator.apply(estimate), uncertainty)
    estimate = prior.band_limit(estimate)
    if completion:
        estimate = completion(denoised, estimate, operator, heard, sigma)
        estimate = operator.settle(estimate, observation)
    return (estimate - x) / sigma ** 2, estimate


def sample_posterior(prior, operator, observation: Tensor, initial: Tensor, settings,
                     generators: Sequence[torch.Generator], completion=None) -> Generator[SamplerStep, None, Tensor]:
    """Draws clean signals given observations of them, step by step.

    Args:
        prior: has `denoise(x, sigma)` and `band_limit(x)`.
        operator: how a clean signal becomes the observation; fitted at every evaluation.
        observation: (batch, samples), in the prior's domain.
        initial: (batch, samples), the signal that the first noise is added to (the warm start of Sec. 3.4).
        settings: `Settings`, of which those of the sampler and of the guidance count.
        generators: one for each row of the batch.
        completion: a `Completion` for what the observation does not decide, for the direct guidance; None: what the
            denoiser says of it.

    Yields a `SamplerStep` after each step; returns (as the generator's value) the samples, (batch, samples).
    """
    def score(x: Tensor, sigma: float) -> tuple[Tensor, Tensor]:
        if settings.guidance == "direct":
            return _direct_score(prior, operator, observation, x, sigma, completion, heard)
        return _gradient_score(prior, operator, observation, x, sigma, settings, generators)

    heard = completion.heard(observation) if completion else None
    levels = noise_levels(settings.sigma_start, settings.sigma_min, settings.rho, settings.steps).tolist()
    gamma = churn(settings.s_churn, settings.steps)
    x = initial + levels[0] * draw_noise(initial, generators)
    for i, (sigma, following) in enumerate(zip(levels, levels[1:])):
        raised = sigma * (1 + gamma)
        if gamma:
            x = x + (raised ** 2 - sigma ** 2) ** 0.5 * draw_noise(x, generators)
        first, denoised = score(x, raised)
        slope = -raised * first
        ahead = x + (following - raised) * slope
        if following and settings.order == 2:
            second, denoised = score(ahead, following)
            ahead = x + (following - raised) * (slope - following * second) / 2
        x = ahead
        yield SamplerStep(i + 1, sigma, denoised)
    return x
