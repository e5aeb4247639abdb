"""Offline effects for tests of boards, and what such tests compare."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np


@dataclass
class Halve:
    """A stand-in for an effect that has to hear the whole recording."""

    amount: float = 0.5
    words: str = ""
    on: bool = True
    more: object = None
    is_effect: ClassVar = True
    resets: ClassVar = 0

    def process(self, input_array, sample_rate, buffer_size, reset):
        if not reset:
            raise ValueError("Halve needs it all at once.")
        return input_array * np.float32(self.amount)

    def reset(self):
        Halve.resets += 1


class Instrument(Halve):
    is_effect = False


def noise(*shape, dtype=np.float32, seed=0):
    return (0.3 * np.random.default_rng(seed).standard_normal(shape)).astype(dtype)


def assert_same(one, other):
    assert one.dtype == other.dtype == np.float32
    assert one.shape == other.shape
    assert one.tobytes() == other.tobytes()


def outcome(call):
    """What a call returns, or the kind of its error."""
    try:
        result = call()
    except Exception as error:
        return type(error)
    return (result.shape, result.tobytes()) if isinstance(result, np.ndarray) else result
