"""The correction that undoes a learned response, read from what --eq-out wrote.

It follows the response within the band that the medium let through, where it lies above -`limit_db`. Beyond the band
the original has nothing left to lift: there the correction goes back to 0 dB within an octave, so that what there is
(rumble, hiss) stays as it is. Within the band, a notch deeper than the limit is lifted by the limit.
"""

from __future__ import annotations

import math
import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from babe2_fx.documents import read_json
from babe2_fx.errors import UserError
from babe2_fx.texts import printable

LOWEST_HZ, HIGHEST_HZ = 20.0, 20000.0  # of hearing, and of equalizers' frequencies
ERRORS_FROM_HZ = 50.0  # up to the band's upper edge: where errors are stated
DEEPEST_CUT_DB = -100.0
MOST_RESPONSE_DB = 2000.0  # 80 dB per octave over all of hearing is 800
LARGEST_JSON = 16 << 20  # bytes


class EqExportError(UserError):
    """An export that cannot be made; the message is a sentence that says why."""


@dataclass(frozen=True)
class Correction:
    """What undoes a learned response.

    name: the file it was read from · freqs_hz, response_db: the learned response, over rising frequencies ·
    limit_db: the most it lifts · low_hz, high_hz: the edges of the band within which it follows the
    response · corners_hz: where it is not smooth.
    """

    name: str
    freqs_hz: np.ndarray
    response_db: np.ndarray
    limit_db: float
    low_hz: float
    high_hz: float
    corners_hz: np.ndarray

    def at(self, hz) -> np.ndarray:
        """The correction in dB at frequencies (n,) in Hz; some of them may be 0."""
        hz = np.asarray(hz, dtype=float)
        nearest = np.log2(np.clip(hz, self.low_hz, self.high_hz))
        response_db = np.interp(nearest, np.log2(self.freqs_hz), self.response_db)
        wanted = (-response_db).clip(DEEPEST_CUT_DB, self.limit_db)
        # As far beyond an edge as it is not yet back at 0 dB: half a cosine over an octave.
        octaves = np.log2(np.maximum(hz, 1e-3))
        beyond = np.maximum(octaves - np.log2(self.high_hz), np.log2(self.low_hz) - octaves).clip(0, 1)
        return wanted * (0.5 + 0.5 * np.cos(np.pi * beyond))

    def errors_hz(self, highest_hz: float = np.inf) -> np.ndarray:
        """The frequencies over which errors are stated, 96 an octave at least, up to `highest_hz` at most."""
        high = min(self.high_hz, highest_hz)
        low = min(ERRORS_FROM_HZ, high / 2)
        steps = np.geomspace(low, high, 2 + math.ceil(96 * math.log2(high / low)))
        return np.union1d(steps, self.corners_hz[(self.corners_hz > low) & (self.corners_hz < high)])

    def sentence(self) -> str:
        return (f"Correction of {self.name} from {self.low_hz:.0f} to {self.high_hz:.0f} Hz, by "
                f"{self.limit_db:g} dB at most; beyond, back to 0 dB within an octave.")


def read_correction(source: str | os.PathLike, limit_db: float = 20.0) -> Correction:
    """The correction of a learned equalizer in a JSON file. Raises EqExportError that names file and key."""
    path = Path(source)
    values = _read_json(path)
    hz, db = (_numbers(path, values, key) for key in ("freqs_hz", "response_db"))
    if len(hz) != len(db):
        raise EqExportError(f"{path} has {len(hz)} values in freqs_hz and {len(db)} in response_db; there "
                            "must be as many.")
    if len(hz) < 2:
        raise EqExportError(f"{path} has fewer than two values in freqs_hz.")
    if hz[0] <= 0 or (np.diff(hz) <= 0).any():
        at = int(np.argmax(np.diff(hz) <= 0)) + 1 if hz[0] > 0 else 0
        after = f" after {hz[at - 1]:g} Hz" if at else ""
        raise EqExportError(f"{path}: the frequencies in freqs_hz must be above 0 and rise, but number "
                            f"{at + 1} is {hz[at]:g} Hz{after}.")
    if np.abs(db).max() > MOST_RESPONSE_DB:
        raise EqExportError(f"{path}: response_db holds {db[np.abs(db).argmax()]:g} dB, which no medium's "
                            "response has.")
    kept = db >= -limit_db
    if not kept.any():
        raise EqExportError(f"{path}: response_db lies below {-limit_db:g} dB everywhere, so nothing is left "
                            "to lift; allow a higher limit.")
    before = np.nonzero(kept[1:] != kept[:-1])[0]  # the points after which the response passes the limit
    share = (db[before] + limit_db) / (db[before] - db[before + 1])
    passes = hz[before] * (hz[before + 1] / hz[before]) ** share
    low, high = hz[0] if kept[0] else passes[0], hz[-1] if kept[-1] else passes[-1]
    if high < 2 * LOWEST_HZ or low > HIGHEST_HZ:
        raise EqExportError(f"{path}: the response lies above {-limit_db:g} dB from {low:g} to {high:g} Hz "
                            "alone, where nothing is heard.")
    return Correction(printable(path.name), hz, db, float(limit_db), float(low), float(high), np.union1d(hz, passes))


def _read_json(path: Path) -> dict:
    values = read_json(path, EqExportError, LARGEST_JSON, finite=False)
    if not isinstance(values, dict):
        raise EqExportError(f"{path} is not an equalizer: it holds no keys such as freqs_hz and response_db.")
    return values


def _numbers(path: Path, values: dict, key: str) -> np.ndarray:
    if key not in values:
        raise EqExportError(f"{path} has no {key}; take a file that `babe2 restore --eq-out` wrote.")
    numbers = values[key]
    if not isinstance(numbers, list):
        raise EqExportError(f"{path}: {key} must be a list of numbers.")
    for place, number in enumerate(numbers, 1):
        # Of a whole number of any length, only a comparison never fails.
        if isinstance(number, bool) or not isinstance(number, (int, float)) or not abs(number) < 1e300:
            raise EqExportError(f"{path}: number {place} in {key} is {str(number)[:40]!r}, not a finite "
                                "number.")
    return np.array(numbers, dtype=float)
