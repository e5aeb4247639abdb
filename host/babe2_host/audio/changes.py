"""How a result differs from its recording, and what is therefore not carried over to it."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

from babe2_fx.texts import listed

# Why something is left behind, as a sentence has it in parentheses.
OLD_SAMPLES = "valid only for the original samples"
LENGTH = "tied to the original length or sample rate"
CHANNELS = "tied to the original channels"
UNKNOWN = "unknown to this program"
NOT_CONVERTED = "cannot be converted"


@dataclass(frozen=True)
class Change:
    """Of each pair the recording's value is the first, the result's the second.

    rates: Hz · frames: samples per channel · channels · subtypes, in libsndfile's names · start: the sample of the
    recording that the result begins with.
    """

    rates: tuple[int, int]
    frames: tuple[int, int]
    channels: tuple[int, int]
    subtypes: tuple[str, str]
    start: int = 0

    @property
    def ratio(self) -> Fraction:
        return Fraction(self.rates[1], self.rates[0])

    @property
    def resampled(self) -> bool:
        return self.rates[0] != self.rates[1]

    @property
    def remixed(self) -> bool:
        return self.channels[0] != self.channels[1]

    @property
    def whole(self) -> bool:
        """Whether the result is all of the recording: as long, to the sample."""
        return not self.start and abs(self.frames[0] * self.ratio - self.frames[1]) < 1

    @property
    def same_format(self) -> bool:
        """Whether the result has as many samples as the recording, of the same kind and at the same rate."""
        return self.whole and not self.resampled and not self.remixed and self.subtypes[0] == self.subtypes[1]

    def converted(self, samples: int) -> int:
        """A place or length in samples, at the new rate: the nearest sample."""
        return (2 * samples * self.ratio.numerator + self.ratio.denominator) // (2 * self.ratio.denominator)


@dataclass(frozen=True)
class Lost:
    """Something that is not carried: what, in words, and why, one of the reasons above or another like them."""

    what: str
    why: str


class UntrueError(ValueError):
    """A chunk that is not true of the result and cannot be made so; the message is the reason."""


def sentences(source: object, path: object, lost: list[Lost]) -> list[str]:
    """One for each reason, for the user: what is not carried over from the file `source` to the file `path`."""
    said = []
    for why in dict.fromkeys(one.why for one in lost):
        said.append(f"Not carried over from {source} to {path} ({why}): "
                    f"{listed(one.what for one in lost if one.why == why)}.")
    return said
