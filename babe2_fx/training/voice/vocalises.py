"""Singing exercises in the manner of Vaccai's and Garcia's tutors: what songs have too little of.

Long swelling tones, scales and arpeggios in runs, leaps of an octave, turns: all in a random key.
"""

import numpy as np

from .melodies import Melody

MAJOR = np.array([0, 2, 4, 5, 7, 9, 11])


def _degree(step):
    return int(MAJOR[step % 7] + 12 * (step // 7))


def _pattern(rng):
    """One phrase: [(scale degree from the tonic, quarter notes), ...]."""
    kind = rng.integers(6)
    if kind == 0:  # a long tone, to swell and fade, and its resolution
        return [(int(rng.integers(0, 8)), 8.0), (int(rng.integers(0, 3)), 3.0)]
    if kind == 1:  # up and down the scale in quick notes
        top = int(rng.integers(4, 10))
        return [(i, 0.25) for i in [*range(top), *range(top, 0, -1)]] + [(0, 3.0)]
    if kind == 2:  # an arpeggio with its top note held
        up = [0, 2, 4, 7] + ([9] if rng.random() < 0.4 else [])
        return [(i, 0.5) for i in up[:-1]] + [(up[-1], 3.0)] + [(i, 0.5) for i in up[-2:0:-1]] + [(0, 2.0)]
    if kind == 3:  # leaps, for carrying the tone over
        leap = int(rng.choice([3, 4, 5, 7]))
        return [(0, 2.0), (leap, 2.0), (0, 2.0), (leap, 1.0), (leap - 1, 1.0), (0, 3.0)]
    if kind == 4:  # thirds downwards in running notes
        return [(i + j, 0.25) for i in range(6, -1, -1) for j in (2, 0)] + [(0, 3.0)]
    held = int(rng.integers(2, 6))  # a turn about a held note
    return [(held, 4.0), (held + 1, 0.25), (held, 0.25), (held - 1, 0.25), (held, 0.25), (held - 1, 2.0), (0, 3.0)]


def draw_vocalise(rng, phrases=6):
    """A `Melody` of kind "vocalise"; all have the same name, for none is anybody's tune."""
    onset, duration, key = [], [], []
    now, tonic = 0.0, 60
    for _ in range(phrases):
        tonic += int(rng.integers(-3, 4))
        for step, quarters in _pattern(rng):
            onset.append(now)
            duration.append(quarters)
            key.append(tonic + _degree(step))
            now += quarters
        now += 1.5
    return Melody("vocalise", "vocalise", np.array(onset), np.array(duration), np.array(key))
