"""What media do to spectra: random frequency responses like those of horns, early electric recording, equalizers.

After the literature, as far as it gives figures:

- acoustic horns: 100 to 2500 Hz (Library of Congress, "Acoustical Recording"; 168 to 2000 Hz elsewhere); resonances of
  the horn of 6 dB and more, an octave or less apart, peaks of diaphragm and needle, a fall above 3 to 5 kHz (Copeland,
  Manual of Analogue Sound Restoration Techniques, ch. 12); a sound box is a band-pass with three modes (Weege et al.,
  DAGA 2018)
- electric recording: 50 to 6000 Hz (Western Electric, 1925; Maxfield & Harrison 1926), mild bumps
- cutting curves: constant amplitude below a turnover of 200 to 800 Hz, treble lifted by up to 16 dB at 10 kHz (Powell,
  ARSC Journal 1988; IASA TC-04; RIAA: 3180, 318 and 75 µs)
- breakpoint equalizers: as in the paper's Sec. 3.3, with random slopes, and wider ones
"""

from __future__ import annotations

import numpy as np

from ..spectra.cells import band_centres_hz

OCTAVE = np.log2(band_centres_hz() / 1000)  # of each band, about 1 kHz
REFERENCE = int(np.argmin(np.abs(OCTAVE)))  # the band in which responses are 0 dB
EVERYWHERE = -3.5, 3.3  # octaves that hold all bands
WIDTH_OF_DEVIATION = 2.355  # width of a Gaussian at half its height, in standard deviations


def draw_response(rng: np.random.Generator) -> np.ndarray:
    """Gain of a random medium in dB, 0 dB at 1 kHz, (83,); in one of ten cases it is 0 everywhere."""
    kind = rng.choice(len(FAMILIES) + 1, p=(*FAMILIES.values(), 1 - sum(FAMILIES.values())))
    if kind == len(FAMILIES):
        return np.zeros(len(OCTAVE), np.float32)
    response_db = list(FAMILIES)[kind](rng)
    if rng.random() < 0.5:
        response_db = response_db + rng.normal(0, 2) * OCTAVE
    if rng.random() < 0.4:
        response_db = response_db + bumps(rng, 5, EVERYWHERE, (0.1, 0.6), 2.5)
    return (response_db - response_db[REFERENCE]).astype(np.float32)


def breakpoints(rng: np.random.Generator) -> np.ndarray:
    """Straight lines over octaves between five breakpoints, falling steeply outside of them."""
    middle = rng.uniform(np.log2(0.5), np.log2(1.5))
    up = middle + np.cumsum(rng.uniform((0.4, 0.4), (1.5, 1.4)))
    down = middle - np.cumsum(rng.uniform((0.6, 0.8), (1.6, 2.1)))
    ends = np.concatenate([[-20.0], down[::-1], [middle], up, [20.0]])
    inner = rng.normal(0, 6, 4) if rng.random() < 0.3 else rng.uniform((2, -4, -10, -24), (16, 8, 6, -5))
    slopes = np.concatenate([[rng.uniform(20, 80)], inner, [-rng.uniform(30, 80)]])  # dB per octave
    return np.interp(OCTAVE, ends, np.concatenate([[0.0], np.cumsum(slopes * np.diff(ends))]))


def horn(rng: np.random.Generator) -> np.ndarray:
    """A band between steep edges, with resonances; in four of ten cases they are narrow ripples of 4 to 9 dB."""
    low, high, edges_db = _band(rng, (0.1, 0.4), (2.0, 5.5), (8, 32), (20, 70))
    centres = rng.uniform(low, high, 6)
    if rng.random() < 0.4:
        deviations, least_db, most_db, positive = rng.uniform(0.2, 0.6, 6) / WIDTH_OF_DEVIATION, 4.0, 9.0, 0.5
    else:
        deviations, least_db, most_db, positive = 2 ** rng.uniform(np.log2(0.1), np.log2(0.55), 6), 1.5, 8.0, 0.6
    heights = rng.uniform(least_db, most_db, 6) * rng.choice((1, -1), 6, p=(positive, 1 - positive))
    return edges_db + _gaussians(centres, deviations, heights * (rng.random(6) < 0.7))


def electric(rng: np.random.Generator) -> np.ndarray:
    """A wider band with mild bumps, at times with a cutting curve."""
    edges_db = _band(rng, (0.03, 0.16), (4.0, 9.0), (6, 30), (12, 60))[2]
    curve_db = cutting(rng) if rng.random() < 0.3 else 0.0
    return edges_db + bumps(rng, 4, (-3.5, 3.0), (0.15, 0.7), 2.0) + curve_db


def cutting(rng: np.random.Generator) -> np.ndarray:
    """A cutting curve: left as cut, undone though there was none, or undone by another one's inverse."""
    how = rng.random()
    if how < 0.5:
        return _curve(rng)
    return -_curve(rng) if how < 0.7 else _curve(rng) - _curve(rng)


def plain(rng: np.random.Generator) -> np.ndarray:
    """A tilt and broad shelves without limits to the band, of tone controls, rooms and microphones."""
    return rng.normal(0, 3) * OCTAVE + bumps(rng, 2, (-3.0, 3.0), (0.6, 1.6), 5.0)


FAMILIES = {breakpoints: 0.31, horn: 0.31, electric: 0.14, cutting: 0.07, plain: 0.07}  # and their shares


def bumps(rng: np.random.Generator, count: int, place: tuple[float, float], deviation: tuple[float, float],
          height_db: float) -> np.ndarray:
    """Up to `count` Gaussian bumps in dB, (83,): where, and how wide (ranges in octaves); deviation of their height."""
    heights = rng.normal(0, height_db, count) * (rng.random(count) < 0.75)
    return _gaussians(rng.uniform(*place, count), rng.uniform(*deviation, count), heights)


def _gaussians(centres: np.ndarray, deviations: np.ndarray, heights: np.ndarray) -> np.ndarray:
    return heights @ np.exp(-0.5 * ((OCTAVE - centres[:, None]) / deviations[:, None]) ** 2)


def _band(rng: np.random.Generator, low_khz: tuple[float, float], high_khz: tuple[float, float],
          low_slope: tuple[float, float], high_slope: tuple[float, float]) -> tuple[float, float, np.ndarray]:
    """Edges of a band in octaves, and its gain (83,) with slopes in dB per octave that set in softly."""
    low, high = (rng.uniform(*np.log2(edge)) for edge in (low_khz, high_khz))
    softness = rng.uniform(0.08, 0.35)
    below, above = (softness * np.logaddexp(0, beyond / softness) for beyond in (low - OCTAVE, OCTAVE - high))
    return low, high, -rng.uniform(*low_slope) * below - rng.uniform(*high_slope) * above


def _curve(rng: np.random.Generator) -> np.ndarray:
    """A cutting curve from its corners: bass turnover, bass shelf, and in half of the cases lifted treble."""
    turnover, shelf, treble = (2 ** rng.uniform(*np.log2(khz)) for khz in ((0.2, 0.8), (0.03, 0.06), (1.6, 7.0)))
    square = 4 ** OCTAVE
    curve_db = 10 * np.log10((square + shelf ** 2) / (square + turnover ** 2))
    return curve_db + 10 * np.log10(1 + square / treble ** 2) if rng.random() < 0.5 else curve_db
