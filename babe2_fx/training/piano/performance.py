"""How a pianist plays a score: tempo, timing, dynamics, articulation and pedal."""

from dataclasses import dataclass, replace

import numpy as np

from . import HIGHEST_KEY, LOWEST_KEY
from .arrangement import is_bottom, is_top

LAST_DAMPED_KEY = 88  # a grand has no dampers above about this key


@dataclass(frozen=True)
class Performance:
    """What the fingers and feet did: parallel arrays (notes,), sorted by onset.

    onset_s, release_s: when the hammer strikes and when the damper falls, seconds (np.inf: never damped) ·
    key: MIDI · velocity: MIDI velocity 1..127, not rounded.
    """

    onset_s: np.ndarray
    release_s: np.ndarray
    key: np.ndarray
    velocity: np.ndarray


def _score_to_seconds(score, bpm, rng, steadiness):
    """Returns a function quarters -> seconds: phrase arcs, a wandering tempo and a ritardando at the end."""
    end = (score.onset + score.duration).max() + 8
    grid = np.arange(0, end + 0.25, 0.25)
    bar = np.interp(grid, score.bars, np.arange(len(score.bars)))
    phrase_bars = rng.choice([4, 8])
    place = (bar / phrase_bars) % 1.0
    arc = np.sin(np.pi * place) - 0.5 - 1.2 * np.clip(place - 0.85, 0, None) / 0.15
    wander = np.interp(bar, np.arange(len(score.bars)), rng.normal(0, 1, len(score.bars)))
    last_bars = np.clip((bar - bar.max() + 2.5) / 2.5, 0, 1)
    factor = np.exp(steadiness * (arc + 0.5 * wander)) * (1 - 0.25 * last_bars * (steadiness > 0.03))
    seconds = np.concatenate([[0], np.cumsum(0.25 * 60 / (bpm * factor[:-1]))])
    return lambda quarters: np.interp(quarters, grid, seconds)


def perform(score, rng, duration_s=60.0, start_bar=0, expressive=True):
    """Plays a score from `start_bar` for at most `duration_s` seconds, as a pianist might.

    Tempo, dynamics, articulation, pedalling and transposition are drawn from `rng` (numpy Generator).
    `expressive=False` plays the score as written: given tempo (or 100), mezzo-forte, no pedal, no transposition.

    Returns a `Performance` whose first note falls at 0.05 s or later.
    """
    if not expressive:
        bpm, onset = score.tempo_bpm or 100.0, score.onset - score.bars[start_bar]
        take = (onset >= 0) & (onset * 60 / bpm < duration_s)
        start = 0.05 + onset[take] * 60 / bpm
        played = Performance(start, start + score.duration[take] * 60 / bpm, score.key[take], np.full(take.sum(), 64.0))
        return _dampers(played, None)

    # Tempo: the score's, or one that is sensible; slowed where the fingers could not follow.
    base = score.tempo_bpm or rng.uniform(66, 126)
    bpm = base * np.exp(rng.uniform(np.log(0.7), np.log(1.4)))
    strikes = np.unique(score.onset)
    rate = 8 / np.maximum(strikes[8:] - strikes[:-8], 1e-3) if len(strikes) > 16 else np.array([1.0])
    bpm = min(bpm, 60 * rng.uniform(8, 13) / np.percentile(rate, 90))
    steadiness = rng.choice([0.02, 0.05, 0.08])
    seconds = _score_to_seconds(score, bpm, rng, steadiness)
    begin_s = seconds(score.bars[start_bar])

    # Dynamics, in MIDI velocity: the piece's level, phrase arcs, a slow drift, voicing, accents, fingers.
    top, bass = is_top(score), is_bottom(score)
    bar = np.interp(score.onset, score.bars, np.arange(len(score.bars)))
    level = rng.uniform(38, 110)
    phrase_bars = rng.choice([2, 4, 8])
    arc = rng.uniform(3, 12) * (np.sin(np.pi * ((bar / phrase_bars) % 1.0)) - 0.5)
    knots = np.arange(0, len(score.bars) + 16, 8)
    drift = np.interp(bar, knots, rng.normal(0, rng.uniform(3, 14), len(knots)))
    on_beat = np.isclose(score.onset, score.bars[np.clip(bar.astype(int), 0, None)], atol=1e-3)
    voicing = np.where(top, rng.uniform(4, 18), np.where(bass, rng.uniform(-4, 6), rng.uniform(-10, 0)))
    velocity = level + arc + drift + voicing + on_beat * rng.uniform(0, 5) + rng.normal(0, 3.5, len(bar))
    velocity = np.clip(velocity, 8, 126)

    # Timing: every finger a little off, the melody a little ahead, chords not quite together, some rolled.
    onset_s = seconds(score.onset) - begin_s
    release_s = seconds(score.onset + score.duration) - begin_s
    onset_s = onset_s + rng.normal(0, rng.uniform(0.004, 0.011), len(onset_s)) - top * rng.uniform(0, 0.02)
    spread = rng.uniform(0, 0.02)
    rolls = rng.uniform(0, 0.08)  # the share of chords that are rolled
    for chord in np.split(np.arange(len(bar)), np.flatnonzero(np.diff(score.onset) > 1e-4) + 1):
        if len(chord) > 2:
            width = rng.uniform(0.06, 0.2) if rng.random() < rolls else spread
            onset_s[chord] += width * (np.argsort(np.argsort(score.key[chord])) / (len(chord) - 1) - 0.5)

    # Articulation: near legato, sometimes detached; never shorter than a key can be.
    detached = rng.random(len(score.bars) + 1)[np.clip(bar.astype(int), 0, None)] < rng.choice([0, 0.1, 0.5])
    held = np.where(detached, rng.uniform(0.35, 0.6), rng.uniform(0.85, 1.03))
    release_s = onset_s + np.maximum((release_s - onset_s) * held, 0.06)

    shift = int(rng.integers(-5, 7))
    key = score.key + shift
    take = (key >= LOWEST_KEY) & (key <= HIGHEST_KEY) & (score.onset >= score.bars[start_bar] - 1e-6)
    take &= onset_s < duration_s - 0.3
    order = np.flatnonzero(take)[np.argsort(onset_s[take], kind="stable")]
    played = Performance(np.maximum(onset_s[order] + 0.05, 0.01), release_s[order] + 0.05, key[order], velocity[order])

    pedal = None
    if rng.random() < 0.7:  # changed with the bar or its half, lifted for a moment after the beat
        changes = score.bars
        if rng.random() < 0.5:
            changes = np.sort(np.concatenate([changes, (changes[1:] + changes[:-1]) / 2]))
        up = seconds(changes) - begin_s + 0.05 + rng.uniform(0, 0.06)
        used = rng.random(len(up)) < rng.choice([1.0, 0.75])
        down = np.where(used, up + rng.uniform(0.08, 0.2), np.inf)
        pedal = (down, np.append(up[1:], np.inf))
    return _dampers(played, pedal)


def _dampers(played, pedal):
    """Releases as heard: held by the pedal ((down_s, up_s) arrays or None), cut by the next strike of the key."""
    release = played.release_s.copy()
    if pedal is not None:
        down, up = pedal
        which = np.searchsorted(up, release)  # the first pedal span that ends after the release
        which = np.clip(which, 0, len(up) - 1)
        release = np.where(down[which] <= release, up[which], release)
    release[played.key > LAST_DAMPED_KEY] = np.inf
    for key in np.unique(played.key):
        of_key = np.flatnonzero(played.key == key)
        release[of_key[:-1]] = np.minimum(release[of_key[:-1]], played.onset_s[of_key[1:]])
    return replace(played, release_s=np.maximum(release, played.onset_s + 0.03))


