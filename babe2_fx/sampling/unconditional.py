"""Unconditional draws from a prior: what it takes for music."""

from __future__ import annotations

import dataclasses
from collections.abc import Generator, Sequence
from functools import partial
from typing import Any

import torch
from torch import Tensor

from ..priors import Prior
from ..progress import Run
from ..settings import Solver
from .guidance import Unguided
from .solver import SamplerStep, draw_noise, solve


def free_solver(prior: Prior, **changes: Any) -> Solver:
    """The solver for draws from a prior, at its level: from noise that buries all music, down to none.

    Raises SettingError for a bad value in `changes`, TypeError for a name that the solver does not have.
    """
    level = prior.sigma_data
    return dataclasses.replace(Solver(steps=36, rho=7.0, sigma_start=12 * level, sigma_min=6e-4 * level), **changes)


def sample_prior(prior: Prior, solver: Solver, generators: Sequence[torch.Generator],
                 length: int | None = None) -> Run[SamplerStep, Tensor]:
    """Draws from a prior, step by step.

    Args:
        prior: a denoiser with `block_length`, `device` and `emphasis`.
        generators: one per draw.
        length: samples; a block of the prior if None.

    The run yields a `SamplerStep` after each step; its value is audio (draws, samples), outside the prior's domain.
    """
    def steps() -> Generator[SamplerStep, None, Tensor]:
        silence = torch.zeros(len(generators), length or prior.block_length, device=prior.device)
        x = yield from solve(Unguided(prior), silence, solver, partial(draw_noise, generators=generators))
        return prior.emphasis.undo(x) if prior.emphasis else x
    return Run(steps())
