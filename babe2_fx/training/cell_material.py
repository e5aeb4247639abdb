"""Recordings as levels of cells (`spectra.cells`), from which crops are read."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch

from ..spectra.cells import HOP, RATE, SIZE, cells
from .config import TrainingError
from .material import Recording

SILENT_DB = -25.0  # crops whose loudest cell is further below the recording's peak say nothing
EXCERPT = 1024  # frames (48 s) from which half of the times all crops of a recording come, as in an excerpt of it


class CellMaterial:
    """Recordings as levels of cells, crop by crop. Half precision, so an hour takes 40 MB of memory (fine ones).

    Args:
        recordings: of the cache, at 22.05 kHz.
        balance: as in `CellConfig`.
        data: the folder that they are from.
        frames: of a crop; recordings with fewer are left out.
        fine: 36ths of an octave instead of twelfths.
        noise: recordings of groove noise in the same cells, for who needs them.

    Raises:
        TrainingError: there is not one crop.
    """

    def __init__(self, recordings: list[Recording], balance: str, data: Path, frames: int, fine: bool,
                 noise: CellMaterial | None = None):
        self.frames, self.noise = frames, noise
        self.levels, weights, folders = [], [], []
        for recording in recordings:
            if recording.samples >= SIZE + (frames - 1) * HOP:
                self.levels.append(_levels_db(recording, fine))
                weights.append(float(recording.samples))
                folders.append(recording.name.rpartition("/")[0])
        if not self.levels:
            raise TrainingError(f"{data} holds no recording of at least {(SIZE + frames * HOP) / RATE:.0f} s; music "
                                "needs one to train on and another to measure the error on.")
        chances = np.array(weights)
        if balance == "folders":
            for folder in set(folders):
                of_it = np.array([other == folder for other in folders])
                chances[of_it] /= chances[of_it].sum()
        self.chances = chances / chances.sum()

    def crops(self, rng: np.random.Generator, count: int = 1, recording: int | None = None) -> np.ndarray:
        """Clean levels in dB (count, bands, frames) of random moments of a recording, not all silent if possible.

        recording: its number; None: a random one.
        """
        for _ in range(100):
            levels = self.levels[rng.choice(len(self.levels), p=self.chances) if recording is None else recording]
            places = levels.shape[1] - self.frames + 1
            first, reach = 0, places
            if count > 1 and rng.random() < 0.5:
                reach = min(EXCERPT, places)
                first = rng.integers(places - reach + 1)
            starts = first + rng.integers(reach, size=count)
            crops = np.stack([levels[:, start:start + self.frames] for start in starts]).astype(np.float32)
            if crops.max() > SILENT_DB:
                break
        return crops


def _levels_db(recording: Recording, fine: bool) -> np.ndarray:
    """Levels (bands, frames) in dB, relative to the loudest cell, float16."""
    samples = np.memmap(recording.file, np.float16, "r")
    power = cells(torch.from_numpy(np.asarray(samples, np.float32)), fine)
    return (10 * (power / power.max().clamp(min=1e-20) + 1e-10).log10()).half().numpy()
