"""Measurement operators: what was done to the clean signal, y = A(x). They know nothing about diffusion."""

from .base import (
    Chain,
    Fitter,
    Identity,
    InvertibleOperator,
    Measurement,
    Operator,
    OperatorError,
    Place,
    invertible,
)
from .clip import Clip
from .filters import BlindEQ, BlindEqualizer, FixedFilter, LowPass
from .mask import Masked, TimeMask
from .registry import OPERATORS, as_operators, make_operator, operator_values

__all__ = ["OPERATORS", "BlindEQ", "BlindEqualizer", "Chain", "Clip", "FixedFilter", "Fitter", "Identity",
           "InvertibleOperator", "LowPass", "Masked", "Measurement", "Operator", "OperatorError", "Place", "TimeMask",
           "as_operators", "invertible", "make_operator", "operator_values"]
