"""Guidance as in the paper: through the network (Algorithm 1; Eqs. 4, 5 and 17), or none at all."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

import torch
from torch import Tensor

from ..operators import Operator
from .solver import Guided


class Denoiser(Protocol):
    """The prior as the sampler sees it: x̂0 = D(x, σ) of noisy signals x (batch, samples), same shape (Eq. 15)."""

    def __call__(self, x: Tensor, sigma: float) -> Tensor: ...


class GradientGuidance:
    """The posterior score of Eq. 4, its likelihood guided through the network.

    One call is the body of Algorithm 1's loop except its last line, which is the solver's.

    Args:
        denoiser: D.
        operator: H, fitted at every call.
        y: the observation, (batch, samples).
        xi: ξ', the step size.
        gamma: γ, the level of the noise added to the observation (Sec. 3.3).
        draw: white noise of unit variance, of its argument's shape.
    """

    def __init__(self, denoiser: Denoiser, operator: Operator, y: Tensor, xi: float, gamma: float,
                 draw: Callable[[Tensor], Tensor]):
        self.denoiser, self.operator, self.y, self.xi, self.gamma, self.draw = denoiser, operator, y, xi, gamma, draw

    @torch.enable_grad()
    def __call__(self, x: Tensor, sigma: float) -> Guided:
        x = x.detach().requires_grad_()
        x0 = self.denoiser(x, sigma)
        estimate = x0.detach()
        self.operator.fit(estimate, self.y, sigma)
        y = self.y + self.gamma * self.draw(estimate) if self.gamma else self.y
        # Half the squared norm, summed over the batch: rows do not mix, so each gets its own gradient.
        cost = (y - self.operator.apply(x0)).square().sum() / 2
        gradient, = torch.autograd.grad(cost, x)
        # Eq. 17: a step of fixed length relative to the noise level, whatever the cost's scale.
        length = gradient.norm(dim=-1, keepdim=True) / gradient.shape[-1] ** 0.5
        g = -self.xi / (length + 1e-6) / sigma * gradient
        s = (estimate - x.detach()) / sigma ** 2
        return Guided(s + g, estimate)


class Unguided:
    """The prior's own score: draws are what the denoiser takes for music, unconditionally."""

    def __init__(self, denoiser: Denoiser):
        self.denoiser = denoiser

    def __call__(self, x: Tensor, sigma: float) -> Guided:
        x0 = self.denoiser(x, sigma)
        return Guided((x0 - x) / sigma ** 2, x0)
