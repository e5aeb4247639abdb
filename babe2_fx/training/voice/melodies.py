"""Melodies to sing: vocal lines of the music21 corpus, the split between training and held-out ones."""

import json
import logging
import time
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from ..piano.files import write_json
from ..piano.scores import is_held_out as work_is_held_out

log = logging.getLogger(__name__)

# Words below begin the names of the works; the number says to take every how-manieth of them.
SOURCES = {
    "song": [
        ("verdi/", 1),
        ("handel/rinaldo/", 1),
        ("schubert/", 1),
        ("schumann_robert/opus48", 1),
        ("leadSheet/foster", 1),
        ("liliuokalani/", 1),
        ("johnson_j_r/", 1),
    ],
    "madrigal": [
        ("monteverdi/", 1),
        ("lusitano/", 1),
        ("josquin/", 2),
        ("trecento/", 9),
        ("palestrina/", 60),
    ],
    "chorale": [("bach/bwv", 3)],
    "air": [
        ("oneills1850/0001-0050", 1),
        ("oneills1850/0101-0200", 1),
        ("oneills1850/0301-0350", 1),
        ("airdsAirs/book2", 1),
        ("miscFolk/northumbrian", 1),
    ],
    "aria": [
        ("mozart/k155", 1),
        ("mozart/k156", 1),
        ("haydn/opus1no1", 1),
        ("haydn/opus74", 1),
        ("mozart/k458/movement3", 1),
        ("beethoven/opus18no1/movement2", 1),
        ("corelli/", 1),
    ],
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
    """{"train": [...], "heldout": [...]}: a tune that a held-out work shares (chorales do) is held out
    everywhere."""

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


def _works():
    from music21 import corpus

    paths = {}
    for path in corpus.getCorePaths():
        name = "/".join(path.parts[path.parts.index("corpus") + 1 :]).rsplit(".", 1)[0]
        if path.suffix != ".rntxt" and (name not in paths or path.suffix == ".mxl"):
            paths[name] = str(path)
    works = []
    for kind, sources in SOURCES.items():
        for prefix, step in sources:
            works += [
                (kind, name, paths[name]) for name in sorted(n for n in paths if n.startswith(prefix))[::step]
            ]
    return works


def _line(part, kind, name):
    # The upper note of every chord of a part; ties joined, grace notes left out.
    notes = []
    for element in part.stripTies().flatten().notes:
        if "Harmony" in element.classes or element.duration.quarterLength <= 0 or not element.pitches:
            continue
        key, onset = max(p.midi for p in element.pitches), float(element.offset)
        if notes and onset < notes[-1][0] + 1e-3:
            notes[-1] = max(
                notes[-1], (notes[-1][0], float(element.duration.quarterLength), key), key=lambda n: n[2]
            )
        else:
            notes.append((onset, float(element.duration.quarterLength), key))
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
    """Melodies of the corpus; parsed ones are kept as JSON in `cache_dir`, parsing stops after `budget_s`
    seconds."""
    cache_dir = Path(cache_dir)
    cache_dir.mkdir(parents=True, exist_ok=True)
    melodies, begin = [], time.monotonic()
    for kind, name, path in _works():
        file = cache_dir / (name.replace("/", "__") + ".json")
        if not file.exists():
            if time.monotonic() - begin > budget_s:
                log.warning("melodies of %s left out: parsing has used up its %g s", name, budget_s)
                continue
            try:
                found = parse_work(path, name, kind)
            except Exception as error:  # music21 raises anything at all on an odd score
                log.warning("work %s left out: %s: %s", name, type(error).__name__, error)
                found = []
            columns = [
                {k: v.tolist() if isinstance(v, np.ndarray) else v for k, v in asdict(m).items()}
                for m in found
            ]
            write_json(file, columns)
        for m in json.loads(file.read_text()):
            melodies.append(
                Melody(m["name"], m["kind"], *(np.array(m[k]) for k in ("onset", "duration", "key")))
            )
    return melodies
