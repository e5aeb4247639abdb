"""What a response model found, in words: band limits, resonances, dips and tilt, each with how sure it is.

Only what stands out from its own doubt is named. The thresholds are calibrated on recordings that were put through
known responses; docs/design.md has the figures.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

STEP = 12  # points an octave on which a response is read; the model's own bands
MOST_FINDINGS = 4
PASSED_DB = 12.0  # what lies this far below the highest point is no longer in the pass band, whose mean is 0 dB
LIMIT_DB = 10.0  # below the pass band: there a band ends
GENTLEST_LIMIT = 9.0  # dB per octave; what falls less steeply is a tilt
CERTAIN_PLACE, LIKELY_PLACE, POSSIBLE_PLACE = 1 / 6, 1 / 4, 1 / 2  # octaves, by which a limit may lie elsewhere
LEAST_DB = 3.0  # of resonances and dips
NARROWEST, WIDEST = 1 / 4, 1.1  # octaves at half their height; wider ones are often corners of the pass band
CERTAIN, LIKELY = 2.0, 1.0  # deviations by which a height or a tilt stands out
LEAST_TILT, LEAST_SPAN = 2.0, 2.0  # dB per octave, and octaves of pass band
PASS_EDGE = STEP // 3  # points next to a limit that say nothing of the tilt: there the fall has begun
UNCHANGED_DB = 2.0  # a response that never leaves ± this counts as flat
WORDS = ("possible", "likely", "certain")


@dataclass(frozen=True)
class Finding:
    """One feature of a response.

    kind: "upper limit", "lower limit", "resonance", "dip" or "tilt" · hz: where; for a tilt, the middle of the octaves
    over which it was measured · db: how far the response falls beyond a limit; height above, or depth below, the
    neighbourhood; for a tilt, dB per octave, negative if darker · certainty: 2 certain, 1 likely, 0 possible ·
    words: "upper band limit at 4.3 kHz, certain".
    """

    kind: str
    hz: float
    db: float
    certainty: int
    words: str

    @classmethod
    def of(cls, kind: str, hz: float, db: float, certainty: int, what: str) -> "Finding":
        return cls(kind, hz, db, certainty, f"{what}, {WORDS[certainty]}")


@dataclass(frozen=True)
class _Read:
    """A response relative to its pass band, and its deviation, in dB at points an octave / 12 apart."""

    hz: np.ndarray
    db: np.ndarray
    deviation_db: np.ndarray


def findings(hz: np.ndarray, response_db: np.ndarray, deviation_db: np.ndarray) -> tuple[Finding, ...]:
    """The features of a response that stand out from its doubt, the most important first, four at most.

    Args:
        hz: rising frequencies above 0, (n,).
        response_db: the response there, (n,); its level does not matter.
        deviation_db: its standard deviation, (n,); not finite where nothing is known, and nothing is said.

    Examples:
        >>> hz = np.geomspace(50, 10000, 200)
        >>> fall = -30 * np.log2(hz / 4000).clip(0)
        >>> [found.words for found in findings(hz, fall, np.full(200, 1.0))]
        ['upper band limit at 5.1 kHz, certain']
    """
    read = _read(hz, response_db, deviation_db)
    if read is None:
        return ()
    limits = {kind: limit for kind in ("lower limit", "upper limit") if (limit := _limit(read, kind))}
    found = [*limits.values(), *_humps(read, 1), *_humps(read, -1), *_tilt(read, limits)]
    return tuple(sorted(found, key=lambda one: (-one.certainty, -abs(one.db)))[:MOST_FINDINGS])


def findings_note(hz: np.ndarray, response_db: np.ndarray, deviation_db: np.ndarray,
                  undone_db: np.ndarray) -> str | None:
    """`findings` as a note for the user, or None where nothing is known of the response.

    Arguments as there · undone_db: the response that the restoration undid in the end, (n,).
    """
    read, undone = _read(hz, response_db, deviation_db), _read(hz, undone_db, deviation_db)
    if read is None or undone is None:
        return None
    found = findings(hz, response_db, deviation_db)
    if found:
        said = "; ".join(one.words for one in found)
        return f"{said[0].upper()}{said[1:]}."
    if np.abs(read.db).max() <= UNCHANGED_DB:
        left = np.abs(undone.db).max() <= UNCHANGED_DB
        return f"No response of a medium stands out{', and none was undone' if left else ''}."
    return (f"A response of up to {np.abs(read.db).max():.0f} dB was found, but nothing in it stands out clearly "
            "enough to be named.")


def _read(hz: np.ndarray, response_db: np.ndarray, deviation_db: np.ndarray) -> _Read | None:
    """The response from the lowest to the highest frequency at which it is known; None: less than an octave."""
    known = np.isfinite(deviation_db) & (hz > 0)
    if not known.any() or (span := np.log2(hz[known][-1] / hz[known][0])) < 1:
        return None
    octaves = np.log2(hz[known][0]) + np.arange(int(STEP * span) + 1) / STEP
    level_db, doubt_db = (np.interp(octaves, np.log2(hz[known]), values[known])
                          for values in (response_db, deviation_db))
    return _Read(2 ** octaves, level_db - level_db[level_db > level_db.max() - PASSED_DB].mean(), doubt_db)


def _limit(read: _Read, kind: str) -> Finding | None:
    """Where the response falls below the pass band for good: the surer, the less its doubt moves that place."""
    way = 1 if kind == "upper limit" else -1
    hz, db, doubt = read.hz[::way], read.db[::way], read.deviation_db[::way]

    def last(curve: np.ndarray) -> int:
        return int(np.flatnonzero(curve >= -LIMIT_DB).max(initial=0))
    edge = last(db)
    if edge + 1 >= len(db):
        return None
    before, beyond = max(edge - STEP // 2, 0), min(edge + STEP // 2 + 1, len(db) - 1)
    astray = (last(db + doubt) - last(db - doubt)) / (2 * STEP)
    if (db[before] - db[beyond]) * STEP / (beyond - before) < GENTLEST_LIMIT or astray > POSSIBLE_PLACE:
        return None
    at_hz = 2 ** np.interp(LIMIT_DB, -db[edge:edge + 2], np.log2(hz[edge:edge + 2]))
    fall = float(-db[edge + 1:edge + 1 + STEP].min())
    certainty = (astray <= LIKELY_PLACE) + (astray <= CERTAIN_PLACE)
    # Lows that are lost are harder to tell from lows that were not played: their place is only ever about right.
    at = f"{'at' if way > 0 and certainty == 2 else 'near'} {_hz_words(at_hz)}"
    return Finding.of(kind, float(at_hz), fall, certainty, f"{kind.split()[0]} band limit {at}")


def _humps(read: _Read, sign: int) -> list[Finding]:
    """Resonances (sign 1) and dips (-1) in the pass band, by how far they rise from the ground within an octave."""
    db, found = sign * read.db, []
    for top in range(1, len(db) - 1):
        if read.db[top] < -LIMIT_DB or db[top] < db[top - 1] or db[top] <= db[top + 1]:
            continue
        before, after = _ground(db, top, -1), _ground(db, top, 1)
        height = float(db[top] - max(db[before], db[after]))
        low = db < db[top] - height / 2
        width = sum(np.flatnonzero(side).min(initial=len(db)) for side in (low[top:], low[top::-1])) / STEP
        square = read.deviation_db ** 2
        doubts = height / np.sqrt((square[top] + (square[before] + square[after]) / 2) / 2)
        if height >= LEAST_DB and doubts >= LIKELY and NARROWEST <= width <= WIDEST:
            kind = "resonance" if sign > 0 else "dip"
            found.append(Finding.of(kind, float(read.hz[top]), height, 1 + int(doubts >= CERTAIN),
                                    f"a {kind} near {_hz_words(read.hz[top])} of about {height:.0f} dB"))
    return found


def _ground(db: np.ndarray, top: int, way: int) -> int:
    """The lowest point within an octave on one side of a top, before the ground rises above it."""
    points = np.arange(top + way, np.clip(top + way * (STEP + 1), -1, len(db)), way)
    higher = np.flatnonzero(db[points] > db[top])
    points = points[:higher[0]] if len(higher) else points
    return int(points[db[points].argmin()]) if len(points) else top


def _tilt(read: _Read, limits: dict[str, Finding]) -> list[Finding]:
    """How the pass band leans, by the straight line through it."""
    lower, upper = limits.get("lower limit"), limits.get("upper limit")
    inside = np.ones(len(read.hz), bool)
    if lower:
        inside &= np.log2(read.hz / lower.hz) > PASS_EDGE / STEP
    if upper:
        inside &= np.log2(upper.hz / read.hz) > PASS_EDGE / STEP
    hz, db, doubt = (values[inside] for values in (read.hz, read.db, read.deviation_db))
    span = len(hz) / STEP
    if span < LEAST_SPAN:
        return []
    slope = float(np.polyfit(np.log2(hz), db, 1)[0])
    # Errors go together over about an octave: so many of them are independent.
    doubts = abs(slope) / (doubt.mean() * np.sqrt(12 / span) / span)
    if abs(slope) < LEAST_TILT or doubts < LIKELY:
        return []
    what = (f"about {abs(slope):.0f} dB per octave {'darker' if slope < 0 else 'brighter'} from {_hz_words(hz[0])} to "
            f"{_hz_words(hz[-1])}")
    return [Finding.of("tilt", float(np.sqrt(hz[0] * hz[-1])), slope, 1 + int(doubts >= CERTAIN), what)]


def _hz_words(hz: float) -> str:
    """To two digits, which is all that such places are known to: "4.3 kHz", "170 Hz"."""
    rounded = float(f"{hz:.2g}")
    return f"{rounded / 1000:g} kHz" if rounded >= 1000 else f"{rounded:.0f} Hz"
