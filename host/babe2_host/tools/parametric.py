"""A curve as the few bands of a parametric equalizer, the biquads that other programs have."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from scipy.optimize import least_squares

from .correction import HIGHEST_HZ, LOWEST_HZ, Correction

TRIALS = 3  # places to try a band at, and bands to try elsewhere


@dataclass(frozen=True)
class Band:
    """One band of a parametric equalizer, as Equalizer APO names them: PK, a bell; LSC and HSC, shelves with
    the frequency in the middle of their slopes."""

    kind: str
    hz: float
    gain_db: float
    q: float

    def text(self, number: int) -> str:
        return f"Filter {number}: ON {self.kind} Fc {self.hz:g} Hz Gain {self.gain_db:g} dB Q {self.q:g}"


def fit_bands(correction: Correction, sample_rate: int, count: int) -> list[Band]:
    """Bands, in order of frequency, whose sum comes close to the correction: least squares over octaves.

    One band after another is put where the sum is farthest off, and all are refitted each time. Then bands
    that do little are put elsewhere, or bells at the ends made shelves, as long as that helps.
    """
    highest_hz = min(HIGHEST_HZ, 0.45 * sample_rate)
    hz = np.geomspace(LOWEST_HZ, highest_hz, 24 * 10)
    wanted, stated = correction.at(hz), correction.errors_hz(highest_hz)
    # What lies beyond matters less than where the error is stated, but must not run away.
    weights = np.where((hz >= stated[0]) & (hz <= stated[-1]), 1.0, 0.3)

    def errors(bands: list[Band]) -> np.ndarray:
        return (bands_db(bands, hz, sample_rate) - wanted) * weights

    def cost(bands: list[Band]) -> float:
        return float(np.square(errors(bands)).sum())

    def fitted(bands: list[Band]) -> list[Band]:
        return _fitted(bands, errors, (hz[0], hz[-1]), correction.limit_db + 10)

    def with_another(bands: list[Band]) -> list[Band]:
        starts = [[*bands, band] for band in _bands_for(hz, -errors(bands))[:TRIALS]]
        return min(map(fitted, starts), key=cost)

    bands: list[Band] = []
    for _ in range(count):
        bands = with_another(bands)
    for _ in range(count):
        without = sorted((bands[:i] + bands[i + 1:] for i in range(count)), key=cost)[:TRIALS]
        moved = min([*map(with_another, without), *map(fitted, _with_shelves(bands))], key=cost)
        if cost(moved) > 0.99 * cost(bands):
            break
        bands = moved
    rounded = [Band(b.kind, float(f"{b.hz:.4g}"), round(b.gain_db, 2) + 0.0, round(b.q, 3)) for b in bands]
    return sorted(rounded, key=lambda band: band.hz)


def _bands_for(hz: np.ndarray, missing_db: np.ndarray) -> list[Band]:
    """A band for each hump or hollow of what is missing, the largest first: a shelf where one goes on to an
    end."""
    humps = np.split(np.arange(len(hz)), 1 + np.nonzero(np.diff(np.sign(missing_db)))[0])
    bands = []
    for hump in sorted(humps, key=lambda at: -np.abs(missing_db[at]).sum()):
        top = hump[np.abs(missing_db[hump]).argmax()]
        high = hump[np.abs(missing_db[hump]) >= abs(missing_db[top]) / 2]
        left, right = high[0], high[-1]
        octaves = max(0.1, math.log2(hz[right] / hz[left]))
        if right == len(hz) - 1 and left > 0:
            kind, at, q = "HSC", left, 0.7
        elif left == 0:
            kind, at, q = "LSC", right, 0.7
        else:
            kind, at, q = "PK", top, 2 ** (octaves / 2) / (2 ** octaves - 1)
        bands.append(Band(kind, float(hz[at]), float(missing_db[top]), q))
    return bands


def _with_shelves(bands: list[Band]) -> list[list[Band]]:
    """The bands with the lowest, and with the highest, as a shelf in the place of a bell."""
    low, high = (key(range(len(bands)), key=lambda i: bands[i].hz) for key in (min, max))
    return [[*bands[:i], replace(bands[i], kind=kind, q=0.7), *bands[i + 1:]]
            for i, kind in ((low, "LSC"), (high, "HSC")) if bands[i].kind == "PK"]


def _fitted(bands: list[Band], errors: Callable[[list[Band]], np.ndarray], range_hz: tuple[float, float],
            most_db: float) -> list[Band]:
    """The bands nearby for which the squares of `errors` are least. No gain exceeds `most_db`: where
    neighbours may pull against each other, a little more precision costs a lot of gain."""
    kinds = [band.kind for band in bands]
    low = np.array([[math.log2(range_hz[0]), -most_db, math.log2(0.2)]] * len(bands))
    # Q is 8 at most, and 1 for a shelf: above that it overshoots, and few equalizers have it.
    high = np.array([[math.log2(range_hz[1]), most_db, 3 if kind == "PK" else 0] for kind in kinds])
    start = np.array([[math.log2(band.hz), band.gain_db, math.log2(band.q)] for band in bands])

    def as_bands(values: np.ndarray) -> list[Band]:
        return [Band(kind, 2.0 ** f, float(gain), 2.0 ** q)
                for kind, (f, gain, q) in zip(kinds, values.reshape(-1, 3))]

    fit = least_squares(lambda values: errors(as_bands(values)), start.clip(low + 1e-6, high - 1e-6).ravel(),
                        bounds=(low.ravel(), high.ravel()), x_scale=np.tile([0.3, 3.0, 0.5], len(bands)),
                        max_nfev=60)
    return as_bands(fit.x)


def bands_db(bands: list[Band], hz: np.ndarray, sample_rate: float) -> np.ndarray:
    """The response in dB of bands in series, at frequencies (n,) in Hz."""
    total, cosine = np.zeros(len(hz)), np.cos(2 * np.pi * hz / sample_rate)
    for band in bands:
        b, a = coefficients(band, sample_rate)
        total += 10 * np.log10(_power(b, cosine) / _power(a, cosine))
    return total


def _power(c, cosine: np.ndarray) -> np.ndarray:
    """|c0 + c1 z^-1 + c2 z^-2|^2 on the unit circle."""
    return (c[0] - c[2]) ** 2 + c[1] ** 2 + 2 * cosine * (c[1] * (c[0] + c[2]) + 2 * cosine * c[0] * c[2])


def coefficients(band: Band, sample_rate: float) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """(b0, b1, b2) and (a0, a1, a2) of a band's biquad (R. Bristow-Johnson, Audio EQ Cookbook)."""
    amp = 10 ** (band.gain_db / 40)
    angle = 2 * math.pi * band.hz / sample_rate
    cos, alpha = math.cos(angle), math.sin(angle) / (2 * band.q)
    if band.kind == "PK":
        return ((1 + alpha * amp, -2 * cos, 1 - alpha * amp), (1 + alpha / amp, -2 * cos, 1 - alpha / amp))
    root = 2 * math.sqrt(amp) * alpha
    sign = 1 if band.kind == "LSC" else -1  # a high shelf is a low one, mirrored at half of Nyquist
    up, down = amp + 1, amp - 1
    return ((amp * (up - sign * down * cos + root), 2 * sign * amp * (down - sign * up * cos),
             amp * (up - sign * down * cos - root)),
            (up + sign * down * cos + root, -2 * sign * (down + sign * up * cos),
             up + sign * down * cos - root))
