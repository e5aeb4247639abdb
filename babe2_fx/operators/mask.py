"""Time masks: what is observed differently at some times, or not at all (inpainting)."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from .base import Identity, InvertibleOperator, Measurement, Operator, OperatorError, Place, invertible


class Masked(InvertibleOperator):
    """One operator where a mask is set, another elsewhere.

    The overlap of blocks (Eq. 20) is one: its first samples are observed as they are, the rest through H. A gap,
    where nothing is observed, is another.

    Args:
        mask: bool, (samples,) or (batch, samples).
        inside: the operator where the mask is set; None: nothing is observed there.
        outside: the operator elsewhere. It sees the whole signal.
    """

    def __init__(self, mask: Tensor, inside: Operator | None, outside: Operator):
        self.mask, self.inside, self.outside = mask, inside, outside

    def _pieced(self, inside: Tensor, outside: Tensor) -> Tensor:
        return torch.where(self.mask.to(outside.device), inside, outside)

    def apply(self, x: Tensor) -> Tensor:
        return self._pieced(self.inside.apply(x) if self.inside else x.new_zeros(()), self.outside.apply(x))

    def invert(self, residual: Tensor, variance: float) -> Tensor:
        outside = invertible(self.outside).invert(self._pieced(residual.new_zeros(()), residual), variance)
        return self._pieced(invertible(self.inside).invert(residual, variance), outside) if self.inside else outside

    def known(self, variance: Tensor | float) -> Tensor:
        return invertible(self.outside).known(variance)  # of the part not restored yet

    def settle(self, estimate: Tensor, observation: Tensor) -> Tensor:
        inside = invertible(self.inside).settle(estimate, observation) if self.inside else estimate
        return self._pieced(inside, invertible(self.outside).settle(estimate, observation))

    def fit(self, denoised: Tensor, observation: Tensor, sigma: float) -> None:
        # What is already restored, or was never observed, says nothing about the operator outside.
        silence = denoised.new_zeros(())
        self.outside.fit(self._pieced(silence, denoised), self._pieced(silence, observation), sigma)


@dataclass(frozen=True)
class TimeMask(Measurement):
    """Gaps that the recording says nothing about: dropouts, skips, clicks that were cut out.

    gaps_s: start and end of each in seconds, as pairs or as a string ("1.5-1.7, 3-3.25").
    """

    name = "time-mask"
    domain = "audio"
    gaps_s: str | Sequence[tuple[float, float]] = ()

    def __post_init__(self) -> None:
        pairs = [gap.split("-") for gap in self.gaps_s.split(",")] if isinstance(self.gaps_s, str) else self.gaps_s
        gaps: tuple[tuple[float, float], ...] = ()
        with contextlib.suppress(TypeError, ValueError):
            gaps = tuple((float(begin), float(end)) for begin, end in pairs)
        if not gaps or not all(0 <= begin < end < float("inf") for begin, end in gaps):
            raise OperatorError("gaps_s of the operator time-mask must be pairs of a start and a later end in seconds, "
                                f"as in 1.5-1.7, not {self.gaps_s!r}.", "bad-parameter", operator=self.name,
                                parameter="gaps_s")
        object.__setattr__(self, "gaps_s", gaps)

    def hidden(self, sample_rate: float) -> list[tuple[int, int]]:
        return [(round(float(gap[0]) * sample_rate), round(float(gap[1]) * sample_rate)) for gap in self.gaps_s]

    def at(self, place: Place) -> Masked:
        mask = torch.zeros(len(place.starts), place.length, dtype=torch.bool)
        for row, start in zip(mask, place.starts):
            for begin, end in self.hidden(place.sample_rate):
                row[max(begin - start, 0):max(end - start, 0)] = True
        return Masked(mask, None, Identity())
