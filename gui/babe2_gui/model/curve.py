"""A target as the user draws it: points over log frequency, and everything that can be done to them."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np

LOWEST_HZ, HIGHEST_HZ = 20.0, 24000.0
LOWEST_DB, HIGHEST_DB = -150.0, 60.0
SPACING = 2 ** (1 / 96)  # neighbouring points are this far apart at least
TOLERANCE_DB = 0.4  # by which a curve of few points may differ from the one it stands for
PIVOT_HZ = 1000.0  # a change of slope leaves the curve where it is on this frequency's side
ALIGNED_HZ = (300.0, 3000.0)  # levels are relative, and spectra are compared where all have music

Point = tuple[float, float]


@dataclass(frozen=True)
class TargetCurve:
    """points: (Hz, dB), rising; a smooth curve runs through them that does not overshoot, level beyond the ends ·
    origin: where it came from, in words."""

    points: tuple[Point, ...]
    origin: str = "drawn"

    def __post_init__(self):
        points = tuple((float(hz), float(db)) for hz, db in self.points)
        if len(points) < 2:
            raise ValueError("A target needs at least two points.")
        flat = [value for point in points for value in point]
        if not all(map(math.isfinite, flat)) or points[0][0] <= 0 or any(b[0] <= a[0]
                                                                         for a, b in zip(points, points[1:])):
            raise ValueError("A target's frequencies must be positive and rising, and all its values finite.")
        object.__setattr__(self, "points", points)

    @classmethod
    def from_spectrum(cls, hz: np.ndarray, db: np.ndarray, origin: str) -> "TargetCurve":
        """Few points for a spectrum of many, 0 dB on average from 300 Hz to 3 kHz."""
        hz, db = np.asarray(hz, float), np.asarray(db, float)
        inside = (hz >= LOWEST_HZ) & (hz <= HIGHEST_HZ)
        grid = np.geomspace(max(hz[inside][0], LOWEST_HZ), min(hz[inside][-1], HIGHEST_HZ), 240)
        level = np.interp(np.log2(grid), np.log2(hz[inside]), db[inside])
        level = np.clip(level - _aligned_level(hz, db), LOWEST_DB, HIGHEST_DB)
        return cls(_simplified(grid, level, TOLERANCE_DB), origin)

    @property
    def hz(self) -> np.ndarray:
        return np.array([hz for hz, _ in self.points])

    @property
    def db(self) -> np.ndarray:
        return np.array([db for _, db in self.points])

    def at(self, hz) -> np.ndarray:
        """Level in dB at frequencies in Hz."""
        octaves = np.log2(self.hz)
        from scipy.interpolate import (
            PchipInterpolator,  # takes half a second, which the window need not wait for
        )
        return PchipInterpolator(octaves, self.db)(np.clip(np.log2(np.maximum(hz, 1e-3)), octaves[0], octaves[-1]))

    def slope_after(self, index: int) -> float | None:
        """dB per octave from a point to the next; None for the last."""
        if not 0 <= index < len(self.points) - 1:
            return None
        (hz, db), (next_hz, next_db) = self.points[index:index + 2]
        return (next_db - db) / math.log2(next_hz / hz)

    # ----------------------------------------------------------------------------------------------- editing

    def moved(self, index: int, hz: float, db: float) -> "TargetCurve":
        """One point elsewhere; it stays between its neighbours."""
        low = self.points[index - 1][0] * SPACING if index else LOWEST_HZ
        high = self.points[index + 1][0] / SPACING if index < len(self.points) - 1 else HIGHEST_HZ
        point = (min(max(hz, low), max(low, high)), min(max(db, LOWEST_DB), HIGHEST_DB))
        return replace(self, points=(*self.points[:index], point, *self.points[index + 1:]))

    def with_point(self, hz: float, db: float) -> tuple["TargetCurve", int]:
        """One point more, and its index; a point that is there already is moved instead."""
        hz = min(max(hz, LOWEST_HZ), HIGHEST_HZ)
        near = int(np.argmin(np.abs(np.log2(self.hz / hz))))
        if max(self.points[near][0], hz) / min(self.points[near][0], hz) < SPACING:
            return self.moved(near, self.points[near][0], db), near
        points = sorted([*self.points, (hz, min(max(db, LOWEST_DB), HIGHEST_DB))])
        return replace(self, points=tuple(points)), [p[0] for p in points].index(hz)

    def without(self, indices: set[int]) -> "TargetCurve":
        """Fewer points. Raises ValueError where fewer than two would be left."""
        left = tuple(point for index, point in enumerate(self.points) if index not in indices)
        if len(left) < 2:
            raise ValueError("A target needs two points; these cannot be deleted.")
        return replace(self, points=left)

    def drawn(self, path: list[Point]) -> "TargetCurve":
        """The curve along a line drawn by hand, (Hz, dB) in any order; elsewhere as it was."""
        if len(path) < 2:
            return self
        by_hz = {}
        for hz, db in path:  # drawn back and forth: the last counts
            by_hz[round(math.log2(min(max(hz, LOWEST_HZ), HIGHEST_HZ)) * 48)] = min(max(db, LOWEST_DB), HIGHEST_DB)
        steps = np.array(sorted(by_hz))
        if len(steps) < 2:
            return self
        hz, db = 2.0 ** (steps / 48), np.array([by_hz[step] for step in steps])
        new = _simplified(hz, db, TOLERANCE_DB)
        kept = [p for p in self.points if p[0] * SPACING < new[0][0] or p[0] / SPACING > new[-1][0]]
        return replace(self, points=tuple(sorted([*kept, *new])))

    def steeper(self, hz: float, db_per_octave: float) -> "TargetCurve":
        """Another slope between the points around `hz`; what lies beyond, seen from 1 kHz, moves along."""
        index = int(np.clip(np.searchsorted(self.hz, hz) - 1, 0, len(self.points) - 2))
        (low, _), (high, _) = self.points[index:index + 2]
        change = db_per_octave * math.log2(high / low)
        upwards = math.sqrt(low * high) >= PIVOT_HZ
        moving = range(index + 1, len(self.points)) if upwards else range(index + 1)
        return self.shifted(change if upwards else -change, set(moving))

    def shifted(self, db: float, indices: set[int] | None = None) -> "TargetCurve":
        """Points (all, where none are named) by some dB."""
        return replace(self, points=tuple(
            (hz, min(max(level + db, LOWEST_DB), HIGHEST_DB)) if indices is None or index in indices else (hz, level)
            for index, (hz, level) in enumerate(self.points)))

    def smoothed(self, octaves: float = 1 / 3) -> "TargetCurve":
        """Averaged by a Gaussian over log frequency, with as few points as that then needs."""
        first, last = np.log2(self.hz[[0, -1]])
        step = 1 / 48
        grid = np.arange(first, last + step / 2, step)
        reach = int(3 * octaves / step)
        weights = np.exp(-0.5 * (np.arange(-reach, reach + 1) * step / octaves) ** 2)
        level = np.pad(self.at(2 ** grid), reach, mode="edge")
        level = np.convolve(level, weights / weights.sum(), mode="valid")
        return replace(self, points=_simplified(2 ** grid, level, TOLERANCE_DB))

    def profile(self):
        """As the engine takes it: a `TargetProfile`."""
        from babe2_fx import TargetProfile
        return TargetProfile.from_points(self.points)


def aligned(hz: np.ndarray, db: np.ndarray) -> np.ndarray:
    """Levels with 0 dB for the average from 300 Hz to 3 kHz."""
    return np.asarray(db) - _aligned_level(np.asarray(hz), np.asarray(db))


def _aligned_level(hz: np.ndarray, db: np.ndarray) -> float:
    within = np.linspace(*ALIGNED_HZ, 300)
    return float(np.interp(np.log2(within), np.log2(np.maximum(hz, 1e-3)), db).mean())


def _simplified(hz: np.ndarray, db: np.ndarray, tolerance_db: float) -> tuple[Point, ...]:
    """The fewest of the points (Ramer, Douglas and Peucker) whose lines stay within the tolerance of all."""
    octave, keep, open_ranges = np.log2(hz), {0, len(hz) - 1}, [(0, len(hz) - 1)]
    while open_ranges:
        a, b = open_ranges.pop()
        line = np.interp(octave[a:b + 1], octave[[a, b]], db[[a, b]])
        off = np.abs(db[a:b + 1] - line)
        worst = a + int(off.argmax())
        if off.max() > tolerance_db and a < worst < b:
            keep.add(worst)
            open_ranges += [(a, worst), (worst, b)]
    return tuple((float(hz[i]), float(db[i])) for i in sorted(keep))
