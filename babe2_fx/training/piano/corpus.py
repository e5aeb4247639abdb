"""The corpus: minutes of piano, which of the pianos plays each, and a record of how it was made."""

import json
import logging
import time
from dataclasses import replace
from functools import cache, partial
from pathlib import Path

import numpy as np

from . import SAMPLE_RATE, salamander, soundfonts
from . import scores as music
from .arrangement import arrange
from .files import write_flac, write_json
from .performance import Performance, perform
from .rooms import record

log = logging.getLogger(__name__)

KIND_WEIGHT = {"keyboard": 4.0, "ensemble": 1.0, "chorale": 0.6, "tune": 0.8}
# Share of the files that each piano plays, beside those of the others that play.
PIANOS = {
    "salamander": 0.45,
    "musescore-grand": 0.16,
    "musescore-bright": 0.08,
    "musescore-mellow": 0.07,
    "musescore-honkytonk": 0.015,
    "fluid-grand": 0.14,
    "fluid-bright": 0.07,
    "fluid-honkytonk": 0.015,
    "fluid-electric": 0.02,
    "timgm-grand": 0.05,
}


def credit(name):
    """What is to be said of those who made a piano of PIANOS."""
    return salamander.CREDIT if name == "salamander" else soundfonts.PROGRAMS[name].soundfont.credit


def makers(names, cache_dir, soundfont_folders):
    """{name: function of an rng that makes a new instrument of this kind}, for names in PIANOS.

    Fetches Salamander into `cache_dir` where it is chosen. Raises UserError where a part is missing.
    """
    found = {}
    for name in names:
        if name == "salamander":
            samples_dir = salamander.fetch_samples(cache_dir)
            load = cache(partial(salamander.load_samples, samples_dir))
            found[name] = lambda rng, load=load: salamander.SampledPiano(*load(), rng)
        else:
            program = soundfonts.PROGRAMS[name]
            file = soundfonts.find_soundfont(program.soundfont, soundfont_folders)
            found[name] = partial(soundfonts.SoundfontPiano, file, program)
    return found


def render_file(piano, scores, rng, duration_s=60.0):
    """One file's worth of piano: an excerpt of a score, or several short ones after each other.

    Returns (audio (samples,) float32, [names of the scores]). Peak -6 dBFS for loud playing, lower for soft.
    """
    weight = np.array([KIND_WEIGHT[s.kind] for s in scores])
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
        pause_s = rng.uniform(0.3, 1.2) if rng.random() < 0.8 else rng.uniform(1.2, 3.0)  # the room is heard to fade
        length += min(max(last.max(initial=0.0), played.onset_s.max()) + pause_s, duration_s)
    played = Performance(*(np.concatenate([getattr(p, f) for p in pieces]) for f in Performance.__dataclass_fields__))
    microphones = piano.play(played, min(length + 0.5, duration_s), rng)
    audio = record(microphones, piano.sample_rate, rng)
    loudness = np.clip((100 - np.median(played.velocity)) * 0.12, 0, 10)
    audio *= 10 ** (-(6 + loudness) / 20) / np.abs(audio).max()
    return audio, names


def player(number, names):
    """The name of the piano of file `number`: every run of files has the pianos of PIANOS about in their shares."""
    names = [name for name in PIANOS if name in names]
    edges = np.cumsum([PIANOS[name] for name in names])
    place = (number * (np.sqrt(5) - 1) / 2) % 1.0  # the golden ratio's multiples spread evenly
    return names[int(np.searchsorted(edges, place * edges[-1], side="right"))]


def render_corpus(out_dir, hours, seed, makers, scores, heldout_pianos=(), duration_s=60.0, files_per_piano=120):
    """Writes `hours` of piano as FLAC files of `duration_s` into out_dir/train, heldout and unheard.

    One file in twenty is of held-out scores (heldout), and with `heldout_pianos`, which play nothing else, another one
    is of held-out scores on those in turn (unheard): there one sees how a prior does on pianos that it never heard.
    `makers` is {name: function of an rng that makes an instrument}; a new instrument of a kind comes every
    `files_per_piano` files. Existing files are kept, so that a run can be resumed or lengthened. out_dir/index.json
    holds credits, and the seeds, piano and scores of every file.
    """
    out_dir = Path(out_dir)
    held_out = [s for s in scores if music.is_held_out(s.name)]
    split_scores = {"train": [s for s in scores if not music.is_held_out(s.name)], "heldout": held_out}
    if heldout_pianos:
        split_scores["unheard"] = held_out
    if not all(split_scores.values()):
        raise ValueError("the scores must hold some of each split; parse more of them (--parse-budget-s)")
    for split in split_scores:
        (out_dir / split).mkdir(parents=True, exist_ok=True)
    index_file = out_dir / "index.json"
    credits = list(dict.fromkeys([credit(name) for name in makers] + [music.CREDIT]))
    index = {"credits": credits, "sample_rate_hz": SAMPLE_RATE, "seed": seed, "files": {}}
    if index_file.exists():
        index["files"] = json.loads(index_file.read_text())["files"]
    heard = [name for name in makers if name not in heldout_pianos]
    if not heard:
        raise ValueError("all pianos are held out; none is left to train on")
    pianos, begin = {}, time.monotonic()
    count = int(np.ceil(hours * 3600 / duration_s))
    for number in range(count):
        split = {10: "heldout", 15: "unheard" if heldout_pianos else "train"}.get(number % 20, "train")
        name = f"{split}/piano_{number:05d}.flac"
        if (out_dir / name).exists() and name in index["files"]:
            continue
        kind = heldout_pianos[number // 20 % len(heldout_pianos)] if split == "unheard" else player(number, heard)
        piano_seed = [seed, 1, list(PIANOS).index(kind), number // files_per_piano]
        if kind not in pianos or pianos[kind][0] != piano_seed:
            pianos[kind] = piano_seed, makers[kind](np.random.default_rng(piano_seed))
        piano = pianos[kind][1]
        audio, names = render_file(piano, split_scores[split], np.random.default_rng([seed, 0, number]), duration_s)
        write_flac(out_dir / name, audio)
        index["files"][name] = {
            "seed": [seed, 0, number],
            "piano": kind,
            "piano_seed": piano_seed,
            "scores": names,
            "duration_s": round(len(audio) / SAMPLE_RATE, 2),
        }
        write_json(index_file, index)
        log.info("%s %s (%d of %d, %.0f s)", name, kind, number + 1, count, time.monotonic() - begin)
    return index
