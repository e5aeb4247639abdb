"""Where a line sounds: attacks and releases, consonants, the breath in the tone and between the phrases."""

import numpy as np
from scipy.ndimage import gaussian_filter1d

from . import FRAME_RATE
from .pitch import frame_at, slope, wander
from .synthesis import Burst

# A consonant: its length in s; what is left of the voice during it (linear); the tract's first three formants
# in Hz; its noise as (dB against the voice, centre Hz, octaves), or None; whether the noise is a
# plosive's at the consonant's end.
SHAPES = {
    "l": (0.065, 0.45, (340, 1150, 2650), None, False),
    "r": (0.030, 0.20, (420, 1350, 2200), None, False),
    "m": (0.080, 0.30, (260, 1050, 2200), None, False),
    "n": (0.070, 0.30, (270, 1450, 2400), None, False),
    "v": (0.070, 0.30, (300, 1000, 2350), (-40, 4500, 1.3), False),
    "z": (0.080, 0.25, (300, 1550, 2500), (-32, 6800, 0.5), False),
    "b": (0.060, 0.05, (280, 900, 2200), (-36, 900, 1.0), True),
    "d": (0.055, 0.05, (280, 1650, 2600), (-34, 3800, 0.8), True),
    "g": (0.060, 0.05, (280, 1900, 2300), (-34, 1900, 0.5), True),
    "p": (0.085, 0.0, (280, 900, 2200), (-30, 1000, 1.1), True),
    "t": (0.080, 0.0, (280, 1650, 2600), (-26, 4200, 0.8), True),
    "k": (0.085, 0.0, (280, 1900, 2300), (-27, 2100, 0.5), True),
    "f": (0.100, 0.0, (300, 1000, 2350), (-36, 5000, 1.3), False),
    "s": (0.115, 0.0, (300, 1550, 2500), (-27, 6800, 0.45), False),
    "sh": (0.115, 0.0, (300, 1750, 2450), (-25, 3300, 0.5), False),
}
NASALS = "mn"


def articulate(line, singer, rng, frames, effort):
    """(voice, breath, bursts, spoken) of a line: voice and breath (frames,) linear, the consonants' `Burst`s, and
    where the consonants are, as (first frame, frame after the last, name)."""
    start, end = frame_at(line.start_s), frame_at(line.end_s)
    voice, breath = np.zeros(frames), np.zeros(frames)
    bursts, spoken = [], []
    last = len(line.key) - 1
    loud = 10 ** ((line.effort - 0.6) * 12 / 20)  # consonants follow the dynamics by half
    for i in range(len(line.key)):
        begins = i == 0 or line.phrase[i] != line.phrase[i - 1] or line.detached[i - 1]
        ends = i == last or line.phrase[i + 1] != line.phrase[i] or line.detached[i]
        stop = end[i]
        if line.detached[i]:
            stop = start[i] + int(rng.uniform(0.45, 0.65) * (end[i] - start[i]))
        note = np.ones(max(stop - start[i], 8))
        if begins:
            attack = min(frame_at(singer.attack_s * rng.uniform(0.7, 1.8)), len(note) // 2)
            note[:attack] *= slope(attack) ** 1.5
        if ends:
            release = min(frame_at(rng.uniform(0.06, 0.2)), len(note) // 2)
            note[len(note) - release :] *= (1 - slope(release)) ** 1.5
        room = voice[start[i] : start[i] + len(note)]
        room[:] = note[: len(room)]
        if line.consonant[i]:
            spoken.append(_speak(line, i, begins, start, voice, breath, bursts, loud[i], rng))
        if begins and (i == 0 or line.phrase[i] != line.phrase[i - 1]):
            pause = line.start_s[i] - (line.end_s[i - 1] if i else 0.0)
            _breathe_in(breath, line.start_s[i], pause, rng)
    voice = gaussian_filter1d(voice, 0.006 * FRAME_RATE)
    voice[voice < 1e-3] = 0
    # The noise grows with loudness, but more slowly; it is strongest where the folds begin or stop swinging.
    loudness = 10 ** (0.7 * (effort - 1) * singer.range_db / 20)
    edges = np.abs(np.gradient(gaussian_filter1d(voice, 0.02 * FRAME_RATE))) * FRAME_RATE / 14
    return voice, 0.5 * breath + loudness * (np.sqrt(voice) + 0.8 * edges), bursts, spoken


def _speak(line, i, begins, start, voice, breath, bursts, loud, rng):
    name = line.consonant[i]
    length_s, left, _, noise, plosive = SHAPES[name]
    length_s *= rng.uniform(0.75, 1.35)
    if not begins:
        length_s = min(length_s, 0.4 * (line.end_s[i - 1] - line.start_s[i - 1]))
    n = max(frame_at(length_s), 6)
    begin = max(start[i] - n, 0)
    taps = int(rng.integers(2, 4)) if name == "r" and rng.random() < 0.25 else 1
    dip = np.full(start[i] - begin, left)
    if taps > 1:
        swings = np.cos(2 * np.pi * taps * np.linspace(0, 1, len(dip)) + np.pi / 3)
        dip = 0.5 * (1 + left) + 0.5 * (1 - left) * swings
    if begins:  # nothing sounded before: a voiced consonant sounds by itself, for a shorter time
        voice[begin : start[i]] = dip * np.clip(np.arange(len(dip)) / max(0.5 * len(dip), 1), 0, 1)
        voice[start[i] : start[i] + n // 2] = np.maximum(voice[start[i] : start[i] + n // 2], left)
    else:
        voice[begin : start[i]] *= dip
    if noise:
        level_db, centre_hz, octaves = noise
        level = loud * 10 ** ((level_db + rng.normal(0, 3.5)) / 20)
        centre_hz *= np.exp(rng.normal(0, 0.08))
        duration_s = rng.uniform(0.010, 0.03) if plosive else 1.1 * length_s
        begin_s = line.start_s[i] - (0.004 if plosive else length_s)
        bursts.append(Burst(begin_s, duration_s, level, centre_hz, octaves, plosive))
    if plosive and left == 0 and rng.random() < 0.7:  # a little breath between the release and the voice
        late = frame_at(rng.uniform(0.008, 0.03))
        voice[start[i] : start[i] + late] = 0
        breath[start[i] : start[i] + late] += 0.6
    return begin, start[i], name


def _breathe_in(breath, onset_s, pause_s, rng):
    if pause_s < 0.25 or rng.random() < 0.25:  # many breaths are not heard
        return
    end = frame_at(onset_s - rng.uniform(0.05, 0.12))
    n = frame_at(min(rng.uniform(0.15, 0.6), pause_s - 0.12))
    n = min(n, end)
    shape = np.sin(np.pi * np.linspace(0, 1, n) ** rng.uniform(0.8, 1.8)) ** 1.5
    breath[end - n : end] += rng.uniform(0.1, 0.9) * shape * (1 + 0.1 * wander(rng, n, 20.0)).clip(0.3)
