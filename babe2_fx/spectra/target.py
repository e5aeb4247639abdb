"""Target profiles: the spectrum that a restoration should come to."""

from __future__ import annotations

import json
import math
import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile
import torch
from torch import Tensor

from .ltas import ltas, ltas_fft_size, smooth_octave

CURVE_ENDINGS = {".txt", ".csv", ".tsv", ".json"}


class TargetError(ValueError):
    """A target that cannot be read; the message says which file and where."""


@dataclass(frozen=True)
class TargetProfile:
    """A long-term spectrum: level in dB (up to a constant) at rising frequencies in Hz, interpolated over log f."""

    freqs_hz: tuple[float, ...]
    level_db: tuple[float, ...]

    def __post_init__(self):
        hz, db = (tuple(float(v) for v in values) for values in (self.freqs_hz, self.level_db))
        if len(hz) != len(db) or len(hz) < 2:
            raise TargetError(f"A target needs as many levels as frequencies, two at least, not {len(db)} for "
                              f"{len(hz)}.")
        if not all(map(math.isfinite, hz + db)) or hz[0] <= 0 or any(b <= a for a, b in zip(hz, hz[1:])):
            raise TargetError("A target's frequencies must be positive and rising, and all its values finite.")
        object.__setattr__(self, "freqs_hz", hz)
        object.__setattr__(self, "level_db", db)

    def at(self, hz) -> np.ndarray:
        """Level in dB at frequencies (n,) in Hz; held constant beyond the ends."""
        return np.interp(np.log2(np.maximum(hz, 1e-3)), np.log2(self.freqs_hz), self.level_db)

    def to_ltas(self, sample_rate: float, bins: int) -> Tensor:
        """As a power spectrum of a signal of unit variance, from 0 Hz to Nyquist: (bins,) float64.

        Scaled as `ltas`: white noise of unit variance has a level of about 1 (Hann window: mean square over mean).
        """
        power = torch.from_numpy(10 ** (self.at(np.linspace(0, sample_rate / 2, bins)) / 10))
        return power / power.mean() * 0.75

    @classmethod
    def from_audio(cls, audio: np.ndarray, sample_rate: float) -> "TargetProfile":
        """The third-octave LTAS of a recording: audio (channels, samples) or (samples,)."""
        signal = torch.from_numpy(np.ascontiguousarray(audio, dtype=np.float32))
        if not signal.numel() or not signal.isfinite().all() or float(signal.std()) == 0:
            raise TargetError("The target recording is silent or has samples that are not numbers.")
        power = smooth_octave(ltas(signal, ltas_fft_size(sample_rate)))
        hz = np.linspace(0, sample_rate / 2, len(power))[1:]
        return cls(tuple(hz), tuple(10 * np.log10(power.numpy()[1:] + 1e-20)))

    @classmethod
    def from_file(cls, path: str | os.PathLike) -> "TargetProfile":
        """From a curve (two columns of Hz and dB in text or CSV; JSON with `freqs_hz` and `level_db`) or a recording.

        Raises TargetError naming the file, and the line where one is at fault.
        """
        path = Path(path)
        if not path.is_file():
            raise TargetError(f"There is no target file {path}.")
        try:
            if path.suffix.lower() == ".json":
                return _from_json(path)
            if path.suffix.lower() in CURVE_ENDINGS:
                points = sorted(_read_columns(path))
                if len(points) < 2:
                    raise TargetError("it holds fewer than two points")
                return cls(*zip(*points))
            audio, rate = soundfile.read(path, dtype="float32", always_2d=True)
            return cls.from_audio(audio.T, rate)
        except (TargetError, soundfile.LibsndfileError, ValueError, TypeError) as error:
            raise TargetError(f"{path} cannot be used as a target: {error}") from error


def _from_json(path: Path) -> TargetProfile:
    try:
        curve = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise TargetError(f"it is not JSON ({error})") from error
    if not isinstance(curve, dict) or "freqs_hz" not in curve or not {"level_db", "response_db"} & set(curve):
        raise TargetError("it needs the lists freqs_hz and level_db")
    return TargetProfile(tuple(curve["freqs_hz"]), tuple(curve.get("level_db", curve.get("response_db"))))


def _read_columns(path: Path) -> list[tuple[float, float]]:
    points = []
    lines = path.read_text(encoding="utf-8-sig").splitlines()
    for number, line in enumerate(lines, 1):
        line = line.split("#")[0].strip()
        if not line:
            continue
        # With semicolons or tabs between the columns, a comma is a decimal point.
        columns = next((c for c in ";\t" if c in line), None)
        row = line.replace(",", ".").split(columns) if columns else line.replace(",", " ").split()
        try:
            hz, db = float(row[0]), float(row[1])
        except (ValueError, IndexError):
            if not points and number == 1:
                continue  # a heading
            raise TargetError(f"line {number} does not hold a frequency in Hz and a level in dB") from None
        points.append((hz, db))
    return points
