"""What a sampler asks of an operator, y = A(x): how a clean signal becomes the observation."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from numbers import Real
from typing import ClassVar, Literal, Protocol

import numpy as np
import torch
from torch import Tensor

from ..equalizer import BreakpointEQ, FilterStatistics
from ..errors import UserError
from ..spectra import FILTER_BINS


class OperatorError(UserError, ValueError):
    """An operator that does not exist or cannot do what is asked of it; the message says which and why."""


@dataclass(frozen=True)
class Place:
    """Where a batch of blocks is in a recording, and what is known about the recording.

    starts: the first sample of each row · length: samples of a row · sample_rate: Hz · noise: variance of the
    observation's noise, one number for white noise or (2049,) at the filters' bins · fitter: what moves the EQ if it
    has to be found blindly.
    """

    starts: tuple[int, ...]
    length: int
    sample_rate: float
    noise: Tensor | float = 0.0
    fitter: "Fitter | None" = None


class Fitter(Protocol):
    """What moves a breakpoint EQ; its state carries over from step to step and from block to block."""

    window: str  # of the statistics

    @property
    def equalizer(self) -> BreakpointEQ: ...

    def step(self, statistics: FilterStatistics, noise_level: float) -> None: ...

    def state(self) -> dict[str, np.ndarray]: ...

    def restore(self, state: dict[str, np.ndarray]) -> None: ...


class Measurement(ABC):
    """What was done to a recording, in the recording's own terms (Hz, seconds); `at` applies it to particular blocks.

    Attributes:
        name: its name in presets, boards and on the command line; empty if it has none there.
        domain: the signal it acts on: "audio", or "prior", the flattened signal that a prior may have been trained on.
            Anything diagonal in frequency works on either and belongs in the latter, where it costs nothing.
    """

    name: ClassVar[str] = ""
    domain: ClassVar[Literal["audio", "prior"]] = "prior"

    @abstractmethod
    def at(self, place: Place) -> "Operator":
        """The operator for the blocks at a place."""

    def hidden(self, sample_rate: float) -> list[tuple[int, int]]:
        """Stretches that it leaves out altogether: first sample, and first one after, at a rate in Hz.

        What a recording holds there is of no consequence, and silence there says nothing about the music.
        """
        return []


class Operator(Measurement):
    """A measurement operator at its place. It knows nothing of diffusion; `apply` is all that one must have.

    Attributes:
        diagonal: whether it is diagonal in frequency, as a filter is.
    """

    diagonal: ClassVar[bool] = False

    @abstractmethod
    def apply(self, x: Tensor) -> Tensor:
        """The observation that clean signals x (batch, samples) would give, differentiable; same shape."""

    def at(self, place: Place) -> "Operator":
        """Itself: it is the same everywhere."""
        return self

    def fit(self, denoised: Tensor, observation: Tensor, sigma: float) -> None:
        """Moves its own parameters towards `observation` ≈ apply(`denoised`), both (batch, samples).

        `sigma` is the noise level at which the estimate was made: anything below it is a guess.
        """


class InvertibleOperator(Operator):
    """An operator with a regularised inverse, as the direct guidance needs."""

    @abstractmethod
    def invert(self, residual: Tensor, variance: float) -> Tensor:
        """The smallest change to a clean signal that explains `residual` = y - A(x), (batch, samples); same shape.

        `variance` is that of the clean signal's uncertainty, white; the operator knows the observation's noise.
        """

    def known(self, variance: Tensor | float) -> Tensor:
        """How far the observation decides the inverse at each frequency, (2049,): from 0, not at all, to 1, alone.

        variance: as in `invert`, or (2049,). The default is 1: whatever is observed is decided.
        """
        return torch.ones(FILTER_BINS, dtype=torch.float64)

    def settle(self, estimate: Tensor, observation: Tensor) -> Tensor:
        """The estimate, corrected where the observation leaves no doubt; both (batch, samples)."""
        return estimate


class Identity(InvertibleOperator):
    """The observation is the signal itself, without noise."""

    def apply(self, x: Tensor) -> Tensor:
        return x

    def invert(self, residual: Tensor, variance: float) -> Tensor:
        return residual

    def settle(self, estimate: Tensor, observation: Tensor) -> Tensor:
        return observation


class Chain(InvertibleOperator):
    """Operators one after the other, the first acting on the clean signal: y = A_n(... A_1(x))."""

    def __init__(self, operators: Sequence[Operator]):
        self.operators = tuple(operators)

    def apply(self, x: Tensor) -> Tensor:
        for operator in self.operators:
            x = operator.apply(x)
        return x

    def fit(self, denoised: Tensor, observation: Tensor, sigma: float) -> None:
        for number, operator in enumerate(self.operators):
            later, alone = Chain(self.operators[number + 1:]), operator.apply(denoised)
            if all(other.diagonal for other in later.operators):  # and so commute with this one, if that is too
                operator.fit(later.apply(denoised), observation, sigma)
            else:  # the estimate stands in for what later ones took away from what this one alone would have given
                operator.fit(denoised, observation + alone - later.apply(alone), sigma)
            denoised = alone

    def invert(self, residual: Tensor, variance: float) -> Tensor:
        for operator in reversed(self.operators):
            residual = invertible(operator).invert(residual, variance)
        return residual

    def known(self, variance: Tensor | float) -> Tensor:
        result = super().known(variance)
        for operator in self.operators:
            result = result * invertible(operator).known(variance).cpu()
        return result


def invertible(operator: Operator) -> InvertibleOperator:
    """The operator itself. Raises OperatorError if it has no inverse."""
    if not isinstance(operator, InvertibleOperator):
        raise OperatorError(f"The operator {operator.name or type(operator).__name__} has no inverse, so it needs "
                            "guidance = gradient.", "no-inverse", operator=operator.name)
    return operator


def check_number(measurement: Measurement, parameter: str, low: float, high: float) -> None:
    """Raises OperatorError unless the parameter is a number from `low` to `high`."""
    value = getattr(measurement, parameter)
    number = isinstance(value, Real) and not isinstance(value, bool)
    if not number or not low <= value <= high:
        raise OperatorError(f"{parameter} of the operator {measurement.name} must be a number from {low:g} to "
                            f"{high:g}, not {value!r}.", "bad-parameter", operator=measurement.name,
                            parameter=parameter)
