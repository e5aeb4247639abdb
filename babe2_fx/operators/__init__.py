"""Measurement operators: what was done to the clean signal, y = H(x). They know nothing of diffusion."""

from .base import Operator
from .filters import BlindEqualizer, FixedFilter
from .overlap import WithOverlap

__all__ = ["BlindEqualizer", "FixedFilter", "Operator", "WithOverlap"]
