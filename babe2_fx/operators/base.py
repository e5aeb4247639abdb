"""What a sampler asks of an operator, y = A(x): how a clean signal becomes the observation."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
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
    """Where a batch of blocks stands in a recording, and what is known of the recording.

    starts: the first sample of each row · length: samples of a row · sample_rate: Hz · noise: variance of the
    observation's noise, one number for white noise or (2049,) at the filters' bins · fitter: what moves the EQ where
    that is to be found blindly.
    """

    starts: tuple[int, ...]
    length: int
    sample_rate: float
    noise: Tensor | float = 0.0
    fitter: "Fitter | None" = None


class Fitter(Protocol):
    """What moves a breakpoint EQ; it keeps its state from step to step and from block to block."""

    window: str  # of the statistics

    @property
    def equalizer(self) -> BreakpointEQ: ...

    def step(self, statistics: FilterStatistics, noise_level: float) -> None: ...

    def state(self) -> dict[str, np.ndarray]: ...

    def restore(self, state: dict[str, np.ndarray]) -> None: ...


class Measurement(ABC):
    """What was done to a recording, in the recording's own terms (Hz, seconds); what it is in some blocks, `at` says.

    Attributes:
        name: what it is called in presets, boards and on the command line; empty for those that are not named there.
        domain: which signal it acts on: "audio", or "prior", the flattened signal that a prior may have been trained
            on. Whatever is diagonal in frequency does not care and lives in the latter, where it costs nothing.
    """

    name: ClassVar[str] = ""
    domain: ClassVar[Literal["audio", "prior"]] = "prior"

    @abstractmethod
    def at(self, place: Place) -> "Operator":
        """The operator for the blocks at a place."""

    def hidden(self, place: Place) -> Tensor | None:
        """Which samples it leaves out altogether, bool (rows, samples); None: none. They say nothing of the medium."""
        return None


class Operator(Measurement):
    """A measurement operator at its place. It knows nothing of diffusion; `apply` is all that one must have."""

    @property
    def hides(self) -> bool:
        """Whether it leaves out some times altogether, so that silence there says nothing of the music."""
        return False

    @abstractmethod
    def apply(self, x: Tensor) -> Tensor:
        """The observation that clean signals x (batch, samples) would give, differentiable; same shape."""

    def at(self, place: Place) -> "Operator":
        """Itself: one that is the same everywhere."""
        return self

    def fit(self, denoised: Tensor, observation: Tensor, sigma: float) -> None:
        """Moves its own parameters towards `observation` ≈ apply(`denoised`), both (batch, samples).

        `sigma` is the noise level at which the estimate was made: what lies below it is a guess.
        """


class InvertibleOperator(Operator):
    """An operator that the direct guidance can use, because it has a regularised inverse."""

    @abstractmethod
    def invert(self, residual: Tensor, variance: float) -> Tensor:
        """The least change of a clean signal that explains `residual` = y - A(x), (batch, samples); same shape.

        `variance` is that of the clean signal's uncertainty, white; the operator knows the observation's noise.
        """

    def known(self, variance: Tensor | float) -> Tensor:
        """How far the observation decides the inverse, by frequency: from 0, not at all, to 1, alone; (2049,).

        variance: as of `invert`, or (2049,). The default is 1: whatever is observed is decided.
        """
        return torch.ones(FILTER_BINS, dtype=torch.float64)

    def settle(self, estimate: Tensor, observation: Tensor) -> Tensor:
        """An estimate with what of it is beyond doubt put right, both (batch, samples)."""
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

    @property
    def hides(self) -> bool:
        return any(operator.hides for operator in self.operators)

    def apply(self, x: Tensor) -> Tensor:
        for operator in self.operators:
            x = operator.apply(x)
        return x

    def fit(self, denoised: Tensor, observation: Tensor, sigma: float) -> None:
        for number, operator in enumerate(self.operators):
            # What comes later is taken to commute with this one: exact for filters, near enough for masks.
            operator.fit(Chain(self.operators[number + 1:]).apply(denoised), observation, sigma)
            denoised = operator.apply(denoised)

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
        raise OperatorError(f"The operator {operator.name or type(operator).__name__} has no inverse, so that it needs "
                            "guidance = gradient.", "no-inverse", operator=operator.name)
    return operator


def check_number(measurement: Measurement, parameter: str, low: float, high: float) -> None:
    """Raises OperatorError unless the parameter is a number from `low` to `high`."""
    value = getattr(measurement, parameter)
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not low <= value <= high:
        raise OperatorError(f"{parameter} of the operator {measurement.name} must be a number from {low:g} to "
                            f"{high:g}, not {value!r}.", "bad-parameter", operator=measurement.name,
                            parameter=parameter)
