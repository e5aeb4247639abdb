"""How checkpoints from strangers are refused: the ends of sentences that begin with the file."""

from __future__ import annotations

from ..texts import printable
from .prior import PriorError

LARGEST_SIZE = 2 ** 40  # of anything counted
LONGEST = 120  # letters of a text that are shown


def shown(value: object) -> str:
    """A stranger's value in a message: short, and printable."""
    if isinstance(value, str | Exception):
        text = str(value)
    else:
        plain = value is None or type(value) in (bool, float) or (
            type(value) is int and 0 <= value < LARGEST_SIZE)
        text = repr(value) if plain else "something else"
    return printable(text[:LONGEST]) + ("..." if len(text) > LONGEST else "")


def refused(what: str) -> PriorError:
    """For what no honest checkpoint holds."""
    return PriorError(f"{what} Nothing in it was run. Take the file from its publisher, or ask whoever "
                      "made it for a safetensors file.")


def unusable(what: str) -> PriorError:
    """For files that are something else, or another kind of model."""
    return PriorError(f"{what} Give a .pt file as it was published.")
