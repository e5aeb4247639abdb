"""Scores of the music21 corpus as notes, and which of them are never trained on."""

import hashlib
import time
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

from ...documents import read_json
from ..corpus_files import parsed, works, write_json
from . import HIGHEST_KEY, LOWEST_KEY

CREDIT = "Scores: encodings of public-domain music from the corpus of music21 (https://www.music21.org)."


@dataclass(frozen=True)
class Score:
    """Notes of one movement. Times are in quarter notes from its beginning.

    name: "composer/opus/movement" · kind: "keyboard", "ensemble", "chorale" or "tune" · onset, duration (notes,)
    quarters · key (notes,) MIDI · bars (bars,) quarters at which bars begin · tempo_bpm quarters a minute or None.
    """

    name: str
    kind: str
    onset: np.ndarray
    duration: np.ndarray
    key: np.ndarray
    bars: np.ndarray
    tempo_bpm: float | None = None


KEYBOARD = """joplin/maple_leaf_rag chopin/mazurka06-2 mozart/k545/movement1_exposition bach/bwv846 cpebach/h186
schumann_clara/polonaise_op1n1 schumann_clara/polonaise_op1n2 schumann_clara/polonaise_op1n3
schumann_clara/polonaise_op1n4 schumann_clara/opus17/movement3 schumann_robert/opus48no2 schubert/Lindenbaum
beach/prayer_of_a_tired_child liliuokalani/aloha_oe johnson_j_r/lift_every_voice verdi/laDonnaEMobile
handel/rinaldo/Lascia_chio_pianga corelli/opus3no1/1grave""".split()
# Never trained on: the bundled example is made of it. Others are held out by their name's hash.
HELD_OUT = ("mozart/k545/movement1_exposition",)
HELD_OUT_SHARE = 0.05


def is_held_out(name):
    """Whether the score of this name is kept out of the training set (the same answer in every run)."""
    return name in HELD_OUT or int(hashlib.sha1(name.encode()).hexdigest()[:8], 16) / 2**32 < HELD_OUT_SHARE


def corpus_paths():
    """The music21 scores that are used: a list of (name, kind, path), the kinds interleaved.

    Essen folk songs (distributed for non-commercial use) are left out. Quartets, chorales and fiddle tunes
    are played as piano arrangements (see `arrange`).
    """
    found = works()

    def under(*prefixes):
        return sorted(n for n in found if n.startswith(prefixes) and n not in KEYBOARD)

    groups = {
        "keyboard": [n for n in KEYBOARD if n in found],
        "ensemble": under("haydn/", "mozart/", "beethoven/", "schumann_robert/opus41") + under("monteverdi/")[::8],
        "chorale": under("bach/bwv")[::3],
        "tune": under("ryansMammoth/")[::10],
    }
    # Interleaved, so that parsing that stops early leaves a mixture.
    ranked = [((i + 0.5) / len(g), k, n) for k, g in groups.items() for i, n in enumerate(g)]
    ranked = [(-1.0 if k == "keyboard" else r, k, n) for r, k, n in ranked]
    return [(n, k, found[n]) for _, k, n in sorted(ranked)]


def parse_score(path, name, kind):
    """Reads one score file with music21; tied notes are joined, unisons between parts become one note."""
    from music21 import converter, harmony

    stream = converter.parse(path, forceSource=True)
    if stream.hasPartLikeStreams():
        parts = list(stream.parts)
    elif hasattr(stream, "scores") and len(stream.scores):  # an ABC file of several tunes: the first
        parts = list(stream.scores[0].parts)
    else:
        parts = [stream]
    notes = {}  # (onset, key) -> duration
    for part in parts:
        sounding = {}  # key -> (onset, end) of a tied note that goes on
        for element in part.flatten().notes:
            if isinstance(element, harmony.Harmony):
                continue
            for note in element.notes if element.isChord else [element]:
                duration = float(element.duration.quarterLength)
                if not hasattr(note, "pitch") or duration <= 0:  # percussion, grace notes
                    continue
                key, onset = int(note.pitch.midi), float(element.offset)
                tie = note.tie.type if note.tie else None
                start = onset
                if tie in ("stop", "continue") and key in sounding and abs(sounding[key][1] - onset) < 1e-3:
                    start = sounding[key][0]
                if tie in ("start", "continue", "let-ring"):
                    sounding[key] = (start, onset + duration)
                if LOWEST_KEY <= key <= HIGHEST_KEY:
                    at = (round(start, 5), key)
                    notes[at] = max(notes.get(at, 0.0), onset + duration - start)
    if not notes:
        raise ValueError(f"{name}: no notes")
    bars = sorted({round(float(m.offset), 5) for m in parts[0].getElementsByClass("Measure")})
    last = max(o + d for (o, _), d in notes.items())
    if len(bars) < 2:
        bars = list(np.arange(0, last, 4.0))
    marks = [m.getQuarterBPM() for m in stream.flatten().getElementsByClass("MetronomeMark")]
    tempo = next((float(t) for t in marks if t and 30 <= t <= 260), None)
    order = sorted(notes)
    onset, key = np.array(order).T
    return Score(name, kind, onset, np.array([notes[n] for n in order]), key.astype(int), np.array(bars), tempo)


def load_scores(cache_dir, budget_s=300.0):
    """Scores of the music21 corpus as a list of `Score`; parsed ones are kept as JSON in `cache_dir`.

    Parsing stops after `budget_s` seconds; what was parsed before is always returned.
    """
    cache_dir = Path(cache_dir)
    cache_dir.mkdir(parents=True, exist_ok=True)
    listing, deadline = cache_dir / "listing.json", time.monotonic() + budget_s
    if not listing.exists():
        write_json(listing, [(n, k, str(p)) for n, k, p in corpus_paths()])
    scores = []
    for name, kind, path in read_json(listing):
        data = parsed(cache_dir, name, partial(parse_score, path, name, kind), deadline)
        if data and len(data["onset"]) >= 40:
            scores.append(Score(**data | {k: np.array(data[k]) for k in ("onset", "duration", "key", "bars")}))
    return scores
