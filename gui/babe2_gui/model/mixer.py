"""What is heard: several versions of one recording on one clock, switched without a gap."""

from __future__ import annotations

import threading
from dataclasses import dataclass

import numpy as np

FADE_S = 0.005  # of a switch between versions: long enough not to click


@dataclass(frozen=True)
class Source:
    """A version: audio (channels, samples), the sample of the recording that it begins with, and its gain."""

    audio: np.ndarray
    start: int = 0
    gain: float = 1.0


class Mixer:
    """Versions by name; `read` gives the next samples of the chosen one. Safe to use from several threads.

    Where a version does not reach, the first one, the original, is heard.
    """

    def __init__(self, original: Source, sample_rate: int):
        self.sample_rate = sample_rate
        self.channels, self.samples = original.audio.shape
        self._lock = threading.Lock()
        self._sources = {"original": original}
        self._name, self._fading_from, self._faded = "original", None, 0
        self._position, self._loop = 0, None

    @property
    def position(self) -> int:
        return self._position

    @property
    def name(self) -> str:
        return self._name

    @property
    def names(self) -> set[str]:
        return set(self._sources)

    def source(self, name: str) -> Source | None:
        return self._sources.get(name)

    def seek(self, sample: int) -> None:
        with self._lock:
            self._position = min(max(int(sample), 0), self.samples)

    def set_source(self, name: str, source: Source | None) -> None:
        """Adds, replaces or (None) removes a version; what was heard of it is faded out."""
        with self._lock:
            if name == self._name:
                self._fading_from, self._faded = self._sources.get(name), 0
            if source is not None:
                self._sources[name] = source
            else:
                self._sources.pop(name, None)
                if self._name == name:
                    self._name = "original"

    def choose(self, name: str) -> None:
        """Hears another version from the next sample on."""
        with self._lock:
            if name != self._name and name in self._sources:
                self._fading_from, self._faded = self._sources.get(self._name), 0
                self._name = name

    def set_loop(self, span: tuple[int, int] | None) -> None:
        """From and to, in samples; None: on to the end."""
        with self._lock:
            self._loop = span if span and span[1] - span[0] > 1 else None

    @property
    def loop(self) -> tuple[int, int] | None:
        return self._loop

    def read(self, count: int) -> np.ndarray:
        """The next `count` samples, (channels, count) float32; fewer at the end, none after it."""
        with self._lock:
            parts, left = [], count
            while left:
                begin, end = self._loop or (0, self.samples)
                if self._loop and not begin <= self._position < end:
                    self._position = begin
                stop = min(self._position + left, end)
                if stop <= self._position:
                    break
                parts.append(self._piece(self._position, stop))
                left -= stop - self._position
                self._position = stop
            return np.concatenate(parts, axis=1) if parts else np.zeros((self.channels, 0), np.float32)

    def _piece(self, begin: int, end: int) -> np.ndarray:
        piece = self._version(self._sources[self._name], begin, end)
        if self._fading_from is not None:
            fade = max(1, round(FADE_S * self.sample_rate))
            count = min(fade - self._faded, end - begin)
            rise = ((self._faded + 1 + np.arange(count)) / fade).astype(np.float32)
            before = self._version(self._fading_from, begin, begin + count)
            piece[:, :count] = piece[:, :count] * rise + before * (1 - rise)
            self._faded += count
            if self._faded >= fade:
                self._fading_from = None
        return piece

    def _version(self, source: Source, begin: int, end: int) -> np.ndarray:
        original = self._sources["original"]
        piece = original.audio[:, begin:end] * np.float32(original.gain)
        low, high = max(begin, source.start), min(end, source.start + source.audio.shape[1])
        if source is not original and high > low:
            piece[:, low - begin:high - begin] = (source.audio[:, low - source.start:high - source.start]
                                                  * np.float32(source.gain))
        return piece
