"""Plugins and offline effects for tests of boards, and what such tests compare."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from pedalboard import Convolution

from babe2_host.boards.plugins import parameter_names


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


def unusual(kind, room_wav):
    """A plugin of a class of Pedalboard with no parameter at its default."""
    plugin = Convolution(str(room_wav)) if kind is Convolution else kind()
    for name in parameter_names(kind):
        now = getattr(plugin, name)
        if isinstance(now, bool):
            values = [not now]
        elif isinstance(now, float):
            values = [0.9 * now + 0.0123, 1.1 * now + 0.123]
        else:
            values = [list(type(now).__members__.values())[3]]
        for value in values:
            try:
                setattr(plugin, name, value)
                break
            except ValueError:
                continue
        assert getattr(plugin, name) != now
    return plugin


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
