"""Target profiles: the spectrum that a restoration should have."""

from __future__ import annotations

import logging
import math
import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from scipy.interpolate import PchipInterpolator
from torch import Tensor

from ..audio.kinds import is_recording, sentence_on_others
from ..audio.mapped import as_tensor
from ..audio.reading import read_audio
from ..errors import UserError
from ..files import reason
from .curve_files import is_curve, read_curve
from .ltas import ltas, ltas_fft_size, smooth_octave

POINTS_PER_OCTAVE = 24  # of curves that are made here
LOWEST_HZ = 10.0

logger = logging.getLogger(__name__)


class TargetError(UserError):
    """A target that cannot be read; the message says which file and where."""


@dataclass(frozen=True)
class TargetProfile:
    """A long-term spectrum: level in dB (up to a constant) at rising frequencies in Hz, interpolated over log f.

    Examples:
        >>> target = TargetProfile.from_points([(100, 0), (1000, -6), (8000, -30)])
        >>> target.at([100, 1000, 20000]).round(3).tolist()
        [0.0, -6.0, -30.0]
    """

    freqs_hz: tuple[float, ...]
    level_db: tuple[float, ...]

    def __post_init__(self):
        hz, db = (tuple(float(v) for v in values) for values in (self.freqs_hz, self.level_db))
        if len(hz) != len(db) or len(hz) < 2:
            raise TargetError(f"A target needs as many levels as frequencies, at least two, not {len(db)} for "
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
    def from_points(cls, points: Iterable[tuple[float, float]]) -> "TargetProfile":
        """A smooth curve through a handful of points (Hz, dB), in any order; it never overshoots them.

        Two or more, at different frequencies. This is what a user draws point by point.
        """
        points = sorted((float(hz), float(db)) for hz, db in points)
        corners = cls(tuple(hz for hz, _ in points), tuple(db for _, db in points))
        octaves = np.log2(corners.freqs_hz)
        steps = np.arange(octaves[0], octaves[-1], 1 / POINTS_PER_OCTAVE)
        fine = np.unique(np.concatenate([steps, octaves]))
        fine = fine[np.append(True, np.diff(fine) > 1e-6)]
        return cls(tuple(2 ** fine), tuple(PchipInterpolator(octaves, corners.level_db)(fine)))

    @classmethod
    def from_prior(cls, prior) -> "TargetProfile":
        """The spectrum of a prior's training music, third-octave smoothed. Raises TargetError if that is not known."""
        try:
            hz, power = prior.spectrum(2049)
        except ValueError as error:
            raise TargetError(f"{error} Choose another target.") from error
        return cls._from_power(hz[1:], smooth_octave(torch.from_numpy(power)).numpy()[1:])

    @classmethod
    def from_audio(cls, audio: np.ndarray, sample_rate: float) -> "TargetProfile":
        """The third-octave LTAS of a recording: audio (channels, samples) or (samples,)."""
        signal = as_tensor(audio)
        if not signal.numel() or not signal.isfinite().all() or float(signal.std()) == 0:
            raise TargetError("The target recording is silent or has samples that are not numbers.")
        power = smooth_octave(ltas(signal / signal.std(), ltas_fft_size(sample_rate), mirrored=False))
        return cls._from_power(np.linspace(0, sample_rate / 2, len(power))[1:], power.numpy()[1:])

    @classmethod
    def from_recordings(cls, paths: Iterable[str | os.PathLike]) -> "TargetProfile":
        """The mean spectrum of several recordings, each at the same level, up to the highest frequency that all have.

        Raises TargetError or FileError, naming the file at fault.
        """
        profiles = [cls.from_file(path) for path in paths]
        if not profiles:
            raise TargetError("A target needs at least one recording.")
        if len(profiles) == 1:
            return profiles[0]
        low, high = max(p.freqs_hz[0] for p in profiles), min(p.freqs_hz[-1] for p in profiles)
        if low >= high:
            raise TargetError("The target recordings have no frequencies in common.")
        hz = np.geomspace(low, high, max(2, round(math.log2(high / low) * POINTS_PER_OCTAVE)))
        return cls._from_power(hz, np.mean([10 ** (profile.at(hz) / 10) for profile in profiles], axis=0))

    @classmethod
    def from_file(cls, path: str | os.PathLike) -> "TargetProfile":
        """From a curve, a recording, or a folder of recordings.

        A curve is two columns of Hz and dB in text or CSV, JSON with `freqs_hz` and `level_db`, or what else
        `curve_files.read_curve` reads. Of a folder, all recordings directly in it count.

        Raises:
            TargetError: a curve cannot be used, or a recording is silent; the message names the file, and the line
                where one is at fault. Its field `why` is the reason alone.
            FileError: a recording cannot be read, as of `read_audio`.
        """
        path = Path(path)
        if os.path.isdir(path):
            files = sorted(p for p in path.iterdir() if p.is_file())
            recordings = [file for file in files if is_recording(file)]
            if others := sentence_on_others(files, path):
                logger.warning(others)
            if not recordings:
                raise TargetError(f"The target folder {path} holds no recordings.")
            return cls.from_recordings(recordings)
        if not os.path.isfile(path):
            raise TargetError(f"There is no target file {path}.", path=path, why="there is no such file.")
        try:
            if is_recording(path) or not is_curve(path):
                recording = read_audio(path)
                for note in recording.notes:
                    logger.warning(note)
                return cls.from_audio(recording.audio, recording.sample_rate)
            return cls(*read_curve(path))
        except (TargetError, ValueError, OSError) as error:
            why = f"{reason(error) if isinstance(error, OSError) else str(error).rstrip('.')}."
            raise TargetError(f"{path} cannot be used as a target: {why}", path=path, why=why) from error

    @classmethod
    def _from_power(cls, hz: np.ndarray, power: np.ndarray) -> "TargetProfile":
        keep = hz >= LOWEST_HZ
        return cls(tuple(hz[keep]), tuple(10 * np.log10(power[keep] + 1e-20)))
