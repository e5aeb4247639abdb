"""Melodies to sing: vocal lines of the music21 corpus, the split between training and held-out ones."""

import time
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

from ..corpus_files import parsed, works
from ..piano.scores import is_held_out as work_is_held_out

# How the names of the works begin, and N to take every Nth of them.
SOURCES = {
    "song": [("verdi/", 1), ("handel/rinaldo/", 1), ("schubert/", 1), ("schumann_robert/opus48", 1),
             ("leadSheet/foster", 1), ("liliuokalani/", 1), ("johnson_j_r/", 1)],
    "madrigal": [("monteverdi/", 1), ("lusitano/", 1), ("josquin/", 2), ("trecento/", 9), ("palestrina/", 60)],
    "chorale": [("bach/bwv", 3)],
    "air": [("oneills1850/0001-0050", 1), ("oneills1850/0101-0200", 1), ("oneills1850/0301-0350", 1),
            ("airdsAirs/book2", 1), ("miscFolk/northumbrian", 1)],
    "aria": [("mozart/k155", 1), ("mozart/k156", 1), ("haydn/opus1no1", 1), ("haydn/opus74", 1),
             ("mozart/k458/movement3", 1), ("beethoven/opus18no1/movement2", 1), ("corelli/", 1)],
}
VOICES_USED = {"song": 1, "madrigal": 3, "chorale": 3, "air": 1, "aria": 1}  # parts from the top


@dataclass(frozen=True)
class Melody:
    """One unaccompanied line. name: "work", or "work#part" for lower parts · kind: a key of SOURCES, or
    "vocalise" · onset, duration (notes,) quarter notes · key (notes,) MIDI."""

    name: str
    kind: str
    onset: np.ndarray
    duration: np.ndarray
    key: np.ndarray


def is_held_out(name):
    """Whether the melody of this name is kept out of the training set: a work's parts all go the same way."""
    return work_is_held_out(name.split("#")[0])


def split_melodies(melodies):
    """{"train": [...], "heldout": [...]}; a held-out work's tune is held out elsewhere too (chorales share tunes)."""

    def openings(melody):
        moves = np.diff(melody.key)
        moves = moves[moves != 0]  # repeated notes come and go with the words
        return {tuple(moves[i : i + 7]) for i in (0, 1) if len(moves) >= i + 7}

    kept_out = set().union(*(openings(m) for m in melodies if is_held_out(m.name)))
    split = {"train": [], "heldout": []}
    for melody in melodies:
        out = is_held_out(melody.name) or openings(melody) & kept_out
        split["heldout" if out else "train"].append(melody)
    return split


def _sources():
    paths = works()
    return [(kind, name, paths[name]) for kind, sources in SOURCES.items() for prefix, step in sources
            for name in sorted(n for n in paths if n.startswith(prefix))[::step]]


def _line(part, kind, name):
    # The upper note of every chord of a part; ties joined, grace notes left out.
    notes = []
    for element in part.stripTies().flatten().notes:
        if "Harmony" in element.classes or element.duration.quarterLength <= 0 or not element.pitches:
            continue
        key, onset = max(p.midi for p in element.pitches), float(element.offset)
        duration = float(element.duration.quarterLength)
        if notes and onset < notes[-1][0] + 1e-3:
            notes[-1] = max(notes[-1], (notes[-1][0], duration, key), key=lambda n: n[2])
        else:
            notes.append((onset, duration, key))
    onset, duration, key = (np.array(column) for column in zip(*notes))
    duration[:-1] = np.minimum(duration[:-1], np.diff(onset))
    return Melody(name, kind, onset, duration, key.astype(int))


def parse_work(path, name, kind):
    """The melodies of one file of the corpus: of each of its tunes, or of its upper parts."""
    from music21 import converter

    stream = converter.parse(path, forceSource=True)
    scores = list(stream.scores) if hasattr(stream, "scores") and len(stream.scores) else [stream]
    melodies = []
    for tune, score in enumerate(scores):
        parts = list(score.parts) if score.hasPartLikeStreams() else [score]
        for number, part in enumerate(parts[: VOICES_USED[kind]]):
            title = name + (f"/{tune}" if len(scores) > 1 else "") + (f"#{number}" if number else "")
            if len(part.flatten().notes) >= 16:
                melodies.append(_line(part, kind, title))
    return melodies


def load_melodies(cache_dir, budget_s=900.0):
    """Melodies of the corpus. Parsed ones are kept as JSON in `cache_dir`; parsing stops after `budget_s` seconds."""
    cache_dir, deadline = Path(cache_dir), time.monotonic() + budget_s
    cache_dir.mkdir(parents=True, exist_ok=True)
    melodies = []
    for kind, name, path in _sources():
        for m in parsed(cache_dir, name, partial(parse_work, path, name, kind), deadline) or []:
            melodies.append(Melody(m["name"], m["kind"], *(np.array(m[k]) for k in ("onset", "duration", "key"))))
    return melodies
