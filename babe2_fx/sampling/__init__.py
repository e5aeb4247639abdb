"""Sampling: a solver that follows a guidance from noise to music. The guidance is the paper's or from `beyond`."""

from .guidance import Denoiser, GradientGuidance, Unguided
from .schedule import churn, noise_levels
from .solver import Guidance, Guided, SamplerStep, draw_noise, solve
from .unconditional import free_solver, sample_prior

__all__ = ["Denoiser", "GradientGuidance", "Guidance", "Guided", "SamplerStep", "Unguided", "churn", "draw_noise",
           "free_solver", "noise_levels", "sample_prior", "solve"]
