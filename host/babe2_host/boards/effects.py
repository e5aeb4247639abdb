"""Offline effects for boards besides GenerativeEQ; like it, each needs the whole recording."""

from __future__ import annotations

from dataclasses import dataclass, field, fields

import numpy as np

from babe2_fx.attributes import SettledAttributes
from babe2_fx.audio.pedalboard_layout import Layout, from_planar

SHORTEST = 4096  # samples that the spectral gate needs
QUIET_S = 0.5  # of the stretch that is taken for noise alone


@dataclass
class _Whole(SettledAttributes):
    """What offline effects have in common: Pedalboard's call, and parameters that are numbers in a range."""

    is_effect = True
    is_instrument = False
    only_reads = True  # what it is given

    def __post_init__(self):
        self._layout = Layout()

    def __setattr__(self, name, value):
        for item in fields(self):
            if item.name == name:
                low, high, kind = item.metadata["low"], item.metadata["high"], type(item.default)
                fits = isinstance(value, bool) == (kind is bool) and isinstance(value, (int, float))
                if not fits or not low <= value <= high:
                    allowed = "True or False" if kind is bool else f"from {low:g} to {high:g}"
                    raise ValueError(f"{name} must be {allowed}, not {value!r}.")
                value = kind(value)
        super().__setattr__(name, value)

    def __getstate__(self):
        return vars(self) | {"_layout": Layout()}  # which a copy remembers for itself

    def process(self, input_array: np.ndarray, sample_rate: float, buffer_size: int = 8192,
                reset: bool = True) -> np.ndarray:
        """Audio in any of Pedalboard's shapes -> float32 of the same shape; `buffer_size` has no effect.

        Raises ValueError with `reset=False`: it needs the whole recording at once.
        """
        if not reset:
            raise ValueError(f"{type(self).__name__} needs the whole recording at once and cannot be streamed with "
                             "reset=False.")
        audio, layout = self._layout.planar(input_array)
        return from_planar(self._whole(audio, float(sample_rate)) if audio.any() else audio.copy(), layout)

    __call__ = process

    def reset(self) -> None:
        """Forgets the layout of the last array."""
        self._layout.forget()


def _number(default, low, high):
    return field(default=default, metadata={"low": low, "high": high})


@dataclass
class SpectralGate(_Whole):
    """Removes noise from a recording: spectral gating by the package `noisereduce`.

    Args:
        reduction: share of the noise that is removed, 0 to 1.
        stationary: whether the noise is constant, as in the quietest half second; else it is tracked.

    Examples:
        >>> SpectralGate(reduction=0.5)(np.zeros((2, 44100), dtype=np.float32), 44100).shape
        (2, 44100)
    """

    reduction: float = _number(0.8, 0.0, 1.0)
    stationary: bool = _number(True, 0, 1)

    def _whole(self, audio: np.ndarray, sample_rate: float) -> np.ndarray:
        from noisereduce import reduce_noise  # which imports matplotlib
        samples = audio.shape[1]
        padded = np.pad(audio, ((0, 0), (0, max(0, SHORTEST - samples))))
        for channel in padded:  # each has noise of its own
            if channel.any():
                noise = _quietest(channel, int(QUIET_S * sample_rate)) if self.stationary else None
                channel[:] = reduce_noise(y=channel, sr=int(sample_rate), y_noise=noise, prop_decrease=self.reduction,
                                          stationary=self.stationary)
        return padded[:, :samples]


def _quietest(channel: np.ndarray, length: int) -> np.ndarray:
    """The quietest stretch of this length (samples,) of a channel, which is assumed to be noise alone.

    Not digital silence, which was put there later.
    """
    length = min(max(length, SHORTEST), len(channel))
    starts = np.arange(0, len(channel) - length + 1, max(1, length // 4))
    total = np.concatenate([[0.0], np.cumsum(channel.astype(np.float64) ** 2)])
    dead = np.concatenate([[0], np.cumsum(channel == 0)])
    usable = dead[starts + length] - dead[starts] < length // 2
    power = np.where(usable, total[starts + length] - total[starts], np.inf)
    start = starts[int(power.argmin())]
    return channel[start:start + length]


@dataclass
class PeakNormalize(_Whole):
    """Brings a recording's highest peak, of all channels, to a level.

    Args:
        peak_db: dB below full scale, -60 to 0.
    """

    peak_db: float = _number(-1.0, -60.0, 0.0)

    def _whole(self, audio: np.ndarray, sample_rate: float) -> np.ndarray:
        return audio * np.float32(10 ** (self.peak_db / 20) / np.abs(audio).max())
