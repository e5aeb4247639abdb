"""From a melody to what a singer makes of it: key, tempo, breaths, words without meaning, dynamics."""

from dataclasses import dataclass

import numpy as np

from .tract import NEIGHBOURS

LONGEST_NOTE_S = 6.5
LONGEST_PHRASE_S = (4.5, 9.0)
# Consonants of sung Italian and German, roughly by their frequency.
CONSONANTS = {"l": 3, "r": 3, "m": 2, "n": 3, "v": 1, "z": 1, "b": 1, "d": 2, "g": 1, "p": 1.5, "t": 2.5, "k": 1.5,
              "f": 1, "s": 2.5, "sh": 0.7, "": 4}
VOWEL_SHARE = {"a": 0.32, "e": 0.24, "i": 0.18, "o": 0.18, "u": 0.08}


@dataclass(frozen=True)
class Line:
    """Sung notes, parallel (notes,) arrays or lists in the order of time.

    start_s, end_s · key: MIDI · phrase: number of the breath it is sung on · effort: 0 softest to 1 loudest ·
    swell: share by which a note grows and fades again · vowel: (vowel, neighbour, share) · consonant: before
    the note, "" for none · slurred: goes on from the note before in the same syllable · detached: staccato ·
    trill: semitones, 0 for none.
    """

    start_s: np.ndarray
    end_s: np.ndarray
    key: np.ndarray
    phrase: np.ndarray
    effort: np.ndarray
    swell: np.ndarray
    vowel: list
    consonant: list
    slurred: np.ndarray
    detached: np.ndarray
    trill: np.ndarray


def fit_to_range(key, singer, rng):
    """Keys transposed at random to where the singer is at ease; what still lies outside is put into another octave."""
    key = np.asarray(key)
    lowest, highest = singer.lowest, singer.highest
    shifts = np.arange(lowest - key.min(), highest - key.max() + 1)
    ease = lowest + 0.54 * (highest - lowest)
    if len(shifts):
        distance = (np.median(key) + shifts - ease) / 3.5
        weight = np.exp(-0.5 * distance**2) + 1e-9
        return key + rng.choice(shifts, p=weight / weight.sum())
    key = key + int(round(ease - np.median(key)))
    key = np.where(key > highest, key - 12 * np.ceil((key - highest) / 12), key)
    return np.where(key < lowest, key + 12 * np.ceil((lowest - key) / 12), key).astype(int)


def time_notes(melody, singer, rng):
    """Seconds (onset, end) of the notes at a sung tempo: rubato, and high notes held for joy."""
    typical = np.median(melody.duration)
    quickest_s = 0.09 if singer.voice == "soprano" else 0.11
    if melody.kind == "vocalise":
        quarter_s = np.exp(rng.uniform(np.log(0.4), np.log(1.0)))
    else:
        quarter_s = np.exp(rng.uniform(np.log(0.3), np.log(1.0))) / typical
    quarter_s = max(quarter_s, quickest_s / np.percentile(melody.duration, 8))
    length = melody.duration * quarter_s
    place = np.arange(len(length))
    rubato = 0.08 * np.interp(place, place[::4], rng.normal(0, 1, len(place[::4])))
    stretch = np.exp(rubato + rng.normal(0, 0.02, len(place)))
    high = (melody.key >= np.percentile(melody.key, 90)) & (melody.duration >= 1.5 * typical)
    stretch = np.where(high & (rng.random(len(length)) < 0.4), stretch * rng.uniform(1.2, 2.2), stretch)
    length = np.minimum(length * stretch, LONGEST_NOTE_S)
    gap = np.append(melody.onset[1:] - melody.onset[:-1] - melody.duration[:-1], 0.0) * quarter_s
    gap = np.minimum(np.maximum(gap, 0), 1.6)  # nobody waits for the orchestra
    end = np.cumsum(length + gap) - gap
    return end - length, end


def _breaths(start, end, rng):
    """Phrase number of every note, and the notes' times with room made for the breaths between."""
    phrase = np.zeros(len(start), int)
    start, end = start.copy(), end.copy()
    begin, limit, typical = start[0], rng.uniform(*LONGEST_PHRASE_S), np.median(end - start)
    for i in range(1, len(start)):
        rest = start[i] - end[i - 1]
        long_note = end[i - 1] - start[i - 1] > 1.2 * typical
        tired = end[i - 1] - begin > limit and (long_note or end[i - 1] - begin > 1.5 * limit)
        if rest > 0.2 or tired or (long_note and rest > 0.02):
            phrase[i:] += 1
            pause = rng.uniform(0.3, 0.75) - rest
            if pause > 0:  # half is stolen from the note, half from the time
                stolen = min(0.5 * pause, 0.3 * (end[i - 1] - start[i - 1]))
                end[i - 1] -= stolen
                start[i:] += pause - stolen
                end[i:] += pause - stolen
            begin, limit = start[i], rng.uniform(*LONGEST_PHRASE_S)
        elif rest > 0:
            end[i - 1] = start[i]
    return phrase, start, end


def _words(start, end, phrase, singing_only_vowels, rng):
    names, shares = list(VOWEL_SHARE), np.array(list(VOWEL_SHARE.values()))
    consonants, weights = list(CONSONANTS), np.array(list(CONSONANTS.values()), float)
    vowels, sounds, slurred = [], [], np.zeros(len(start), bool)
    melisma = rng.uniform(0.1, 0.5)
    for i in range(len(start)):
        first = i == 0 or phrase[i] != phrase[i - 1]
        short = end[i] - start[i] < 0.17
        if not first and (short or rng.random() < melisma or (singing_only_vowels and rng.random() < 0.93)):
            slurred[i] = True
            vowels.append(vowels[-1])
            sounds.append("")
            continue
        if not (singing_only_vowels and vowels and rng.random() < 0.8):
            vowel = str(rng.choice(names, p=shares))
            vowel = (vowel, str(rng.choice(list(NEIGHBOURS[vowel]))), float(np.abs(rng.normal(0, 0.25))))
        vowels.append(vowel)
        silent = singing_only_vowels and rng.random() < 0.7
        sounds.append("" if silent else str(rng.choice(consonants, p=weights / weights.sum())))
    return vowels, sounds, slurred


def _dynamics(key, start, end, phrase, singer, rng):
    middle = 0.5 * (singer.lowest + singer.highest)
    level = rng.uniform(0.2, 0.8)
    effort, swell = np.empty(len(key)), np.zeros(len(key))
    for number in np.unique(phrase):
        notes = np.flatnonzero(phrase == number)
        place = (start[notes] - start[notes[0]]) / max(end[notes[-1]] - start[notes[0]], 0.1)
        arch = rng.normal(0.12, 0.1) * np.sin(np.pi * place ** rng.uniform(0.6, 1.6))
        effort[notes] = np.clip(level + rng.normal(0, 0.15), 0.12, 0.95) + arch
    effort += 0.018 * (key - middle) + rng.normal(0, 0.04, len(key))
    long = end - start > 1.0
    swell[long] = rng.normal(0.1, 0.15, long.sum())
    messa = (end - start > 2.0) & (rng.random(len(key)) < 0.6)
    swell[messa] = rng.uniform(0.35, 0.7, messa.sum())
    effort[messa] -= 0.6 * swell[messa]
    return np.clip(effort, 0.05, 1.0), swell


def phrase_melody(melody, singer, rng, duration_s, first=0):
    """A `Line`: `melody` from its note number `first`, as this singer would sing it within `duration_s`.

    Raises ValueError where that is too short for a note.
    """
    start, end = time_notes(melody, singer, rng)
    begin = start[first] - 0.7  # time to breathe in
    phrase, start, end = _breaths(start[first:] - begin, end[first:] - begin, rng)
    kept = end < duration_s - 0.5
    phrase, start, end = phrase[kept], start[kept], end[kept]
    if not len(start):
        raise ValueError(f"No note of {melody.name} ends within {duration_s:g} s.")
    key = fit_to_range(melody.key[first:][kept], singer, rng)
    vowel, consonant, slurred = _words(start, end, phrase, melody.kind == "vocalise", rng)
    effort, swell = _dynamics(key, start, end, phrase, singer, rng)
    quick = singer.voice == "soprano"
    staccato_phrases = rng.random(phrase[-1] + 1) < (0.08 if quick else 0.02)
    detached = staccato_phrases[phrase] & (end - start < 0.6) & (end - start > 0.12)
    trilled = (rng.random(len(key)) < (0.06 if quick else 0.01)) & (end - start > 0.7)
    trill = trilled * rng.choice([1, 2], len(key))
    trill = np.where(key + trill > singer.highest, 0, trill)
    return Line(start, end, key, phrase, effort, swell, vowel, consonant, slurred, detached, trill)


def join(lines):
    """One `Line` of several that follow each other, given as [(line, seconds by which it is late), ...]."""
    late = [np.full(len(line.key), seconds) for line, seconds in lines]
    first_phrase = np.cumsum([0] + [line.phrase[-1] + 1 for line, _ in lines])
    columns = {}
    for name in Line.__dataclass_fields__:
        parts = [getattr(line, name) for line, _ in lines]
        if name in ("start_s", "end_s"):
            parts = [part + seconds for part, seconds in zip(parts, late)]
        elif name == "phrase":
            parts = [part + number for part, number in zip(parts, first_phrase)]
        columns[name] = sum(parts, []) if isinstance(parts[0], list) else np.concatenate(parts)
    return Line(**columns)
