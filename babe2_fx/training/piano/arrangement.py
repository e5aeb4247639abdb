"""Scores for other forces arranged for the piano."""

from dataclasses import replace

import numpy as np

from . import HIGHEST_KEY, LOWEST_KEY


def _with_notes(score, onset, duration, key):
    """`score` with these notes as well; a note that begins where another of the key does is dropped."""
    onset = np.concatenate([score.onset, np.asarray(onset, float)])
    duration = np.concatenate([score.duration, np.asarray(duration, float)])
    key = np.concatenate([score.key, np.asarray(key, int)])
    _, keep = np.unique(np.stack([np.round(onset, 4), key]), axis=1, return_index=True)
    keep = keep[(key[keep] >= LOWEST_KEY) & (key[keep] <= HIGHEST_KEY)]
    return replace(score, onset=onset[keep], duration=duration[keep], key=key[keep])


def is_top(score):
    """Marks the notes (notes,) bool that are the highest of those sounding at their onset: the melody."""
    end = score.onset + score.duration
    return np.array([k >= score.key[(score.onset <= o + 1e-6) & (end > o + 1e-6)].max()
                     for o, k in zip(score.onset, score.key)])


def is_bottom(score):
    """Marks the notes (notes,) bool that are the lowest of those sounding at their onset: the bass."""
    return is_top(replace(score, key=-score.key))


def _bar_chords(score):
    """The triad (bars, 3) of pitch classes that fits each bar's notes best, root first."""
    weight = np.zeros((len(score.bars), 12))
    bar = np.clip(np.searchsorted(score.bars, score.onset + 1e-6) - 1, 0, None)
    np.add.at(weight, (bar, score.key % 12), score.duration)
    triads = [[r, (r + third) % 12, (r + 7) % 12] for r in range(12) for third in (4, 3)]
    members = np.zeros((24, 12))
    for row, triad in zip(members, triads, strict=True):
        row[triad] = 1
    # The whole piece votes too, so that bars that could be anything get a chord of its key; roots count more.
    fit = (weight + 0.15 * weight.mean(0)) @ (members + 0.2 * np.eye(12)[[t[0] for t in triads]]).T
    return np.array(triads)[fit.argmax(1)]


def accompany(score, rng):
    """Puts a left hand under a melody: stride ("oom-pah"), waltz, broken chords or held chords."""
    chords = _bar_chords(score)
    style = rng.choice(["stride", "broken", "held"], p=[0.5, 0.35, 0.15])
    bass_octave = rng.integers(28, 36)
    notes = []
    for bar, (begin, end) in enumerate(zip(score.bars[:-1], score.bars[1:], strict=True)):
        root, third, fifth = chords[bar]
        bass = bass_octave + (root - bass_octave) % 12
        low_fifth = bass_octave + (fifth - bass_octave) % 12
        chord = [50 + (c - 50) % 12 for c in (root, third, fifth)]
        beats = 3 if abs((end - begin) / 3 - round((end - begin) / 3)) < 1e-3 and end - begin < 4 else 4
        step = (end - begin) / beats
        if end - begin < 1:  # an upbeat
            continue
        if style == "held":
            notes += [(begin, end - begin, k) for k in [bass, bass + 12, *chord]]
        for beat in range(beats):
            at = begin + beat * step
            if style == "stride":
                if beat == 0 or (beat == 2 and beats == 4):
                    low = bass if beat == 0 else low_fifth
                    notes += [(at, step, low), (at, step, low + 12)]
                else:
                    notes += [(at, step * 0.6, k) for k in chord]
            elif style == "broken":
                pair = (bass, chord[0]) if beat == 0 else (chord[beat % 2], chord[2])
                notes += [(at + i * step / 2, step / 2, k) for i, k in enumerate(pair)]
    return _with_notes(score, *np.array(notes).T) if notes else score


def break_chords(score, rng):
    """Turns sustained harmony into running figures under the unchanged top voice."""
    top = is_top(score)
    end = score.onset + score.duration
    step = float(rng.choice([0.25, 0.5]))
    order = [[0, 1, 2, 1], [0, 2, 1, 2], [0, 1, 2, 3], [2, 1, 0, 1]][rng.integers(4)]
    notes = []
    for beat in np.arange(0, end.max(), 1.0):
        sounding = np.unique(score.key[~top & (score.onset <= beat + 1e-6) & (end > beat + 1e-6)])
        if len(sounding):
            figure = [sounding[min(i, len(sounding) - 1)] for i in order]
            notes += [(beat + i * step, step, figure[i % 4]) for i in range(int(1 / step))]
    kept = replace(score, onset=score.onset[top], duration=score.duration[top], key=score.key[top])
    return _with_notes(kept, *np.array(notes).T) if notes else score


def arrange(score, rng):
    """A random piano arrangement of the score, as its kind allows; keyboard music is left as it is.

    Doublings and figures spread ensemble music, which keeps to four middle octaves, over the whole keyboard.
    """
    if score.kind == "keyboard":
        return score
    if score.kind == "tune":
        if rng.random() < 0.85:
            score = accompany(score, rng)
    elif score.kind == "chorale" and rng.random() < 0.5:
        score = break_chords(score, rng)
    bass, top = is_bottom(score), is_top(score)
    if score.kind != "tune" and rng.random() < 0.4:
        score = _with_notes(score, score.onset[bass], score.duration[bass], score.key[bass] - 12)
        top = is_top(score)
    if rng.random() < 0.3:
        score = _with_notes(score, score.onset[top], score.duration[top], score.key[top] + 12)
    return score


