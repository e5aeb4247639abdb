"""Preconditioning and noise levels of Karras et al. 2022 ("EDM"), as the paper uses them (Eqs. 15 and 16)."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor


@dataclass(frozen=True)
class Preconditioning:
    """The scalings around the network in Eq. 15, for data of standard deviation `sigma_data`.

    Every method takes noise levels `sigma` of any shape and returns the same shape.
    """

    sigma_data: float

    def c_skip(self, sigma: Tensor) -> Tensor:
        return self.sigma_data ** 2 / (sigma ** 2 + self.sigma_data ** 2)

    def c_out(self, sigma: Tensor) -> Tensor:
        return sigma * self.sigma_data / (sigma ** 2 + self.sigma_data ** 2).sqrt()

    def c_in(self, sigma: Tensor) -> Tensor:
        return 1 / (sigma ** 2 + self.sigma_data ** 2).sqrt()

    def c_noise(self, sigma: Tensor) -> Tensor:
        return sigma.log() / 4

    def loss_weight(self, sigma: Tensor) -> Tensor:
        """λ of Eq. 3: with it the network's own target has unit variance at every level."""
        return 1 / self.c_out(sigma) ** 2


def warped_levels(position: Tensor, sigma_max: float, sigma_min: float, rho: float) -> Tensor:
    """Noise levels at positions 0 (sigma_max) to 1 (sigma_min) of the warped scale of Eq. 16. Same shape."""
    top, bottom = sigma_max ** (1 / rho), sigma_min ** (1 / rho)
    return (top + position * (bottom - top)) ** rho
