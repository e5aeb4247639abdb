"""How Pedalboard lays out audio: which dimension of an array holds the channels."""

from __future__ import annotations

import numpy as np

from .mapped import plain_audio


class Layout:
    """Turns arrays as Pedalboard takes them into (channels, samples), and results back.

    The smaller dimension holds the channels; in a square array, the same one as in the last array not square.
    """

    def __init__(self) -> None:
        self._last: str | None = None

    def forget(self) -> None:
        """Forgets the last array, as a plugin's `reset` does."""
        self._last = None

    def planar(self, array: np.ndarray) -> tuple[np.ndarray, str]:
        """Audio (channels, samples) float32, which may share the array's memory, and the layout it came in.

        array: (samples,), (channels, samples) or (samples, channels), float32 or float64; it may be read-only, part of
            another array, or of a subclass, which counts for nothing.

        Raises:
            TypeError, RuntimeError: as Pedalboard raises them for what it does not take.
        """
        if not isinstance(array, np.ndarray):
            raise TypeError(f"The audio must be a NumPy array, not {type(array).__name__}.")
        array = np.asarray(array)
        if array.dtype.kind != "f" or array.dtype.itemsize not in (4, 8):
            raise TypeError(f"The audio must be 32-bit or 64-bit floating point, not {array.dtype}.")
        if array.ndim == 1:
            return plain_audio(array[None]), "mono"
        if array.ndim != 2:
            raise RuntimeError(f"The audio must have 1 or 2 dimensions, not {array.ndim}.")
        rows, columns = array.shape
        if rows != columns:
            # The zero of an empty array says nothing; (2, 0) is two channels without samples.
            smaller_first = rows < columns if rows and columns else bool(rows)
            self._last = "planar" if smaller_first else "interleaved"
        elif rows == 1:
            return plain_audio(array), "planar"
        elif self._last is None:
            raise RuntimeError(f"The shape {array.shape} does not say which dimension holds the channels. "
                               "Process an array that is not square first.")
        return plain_audio(array if self._last == "planar" else array.T), self._last


def from_planar(audio: np.ndarray, layout: str) -> np.ndarray:
    """Audio (channels, samples) in a layout that `Layout.planar` gave, float32. Its memory may be shared."""
    audio = np.asarray(audio, dtype=np.float32)
    if layout == "interleaved":
        return np.ascontiguousarray(audio.T)
    return audio[0] if layout == "mono" and len(audio) else audio
