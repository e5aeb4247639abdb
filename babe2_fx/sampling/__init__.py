"""Sampling from the posterior of clean music given an observation."""

from .completion import Completion
from .posterior import SamplerStep, draw_noise, sample_posterior
from .schedule import churn, noise_levels

__all__ = ["Completion", "SamplerStep", "churn", "draw_noise", "noise_levels", "sample_posterior"]
