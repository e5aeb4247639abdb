"""The corpus: minutes of piano, which of the pianos plays each, and a record of how it was made."""

from dataclasses import replace
from functools import cache, partial

import numpy as np

from ..corpus_files import write_corpus
from . import SAMPLE_RATE, salamander, soundfonts
from . import scores as music
from .arrangement import arrange
from .performance import Performance, perform
from .rooms import record

KIND_WEIGHT = {"keyboard": 4.0, "ensemble": 1.0, "chorale": 0.6, "tune": 0.8}
# How often each piano plays, relative to the others that play.
PIANOS = {
    "salamander": 0.45, "musescore-grand": 0.16, "musescore-bright": 0.08, "musescore-mellow": 0.07,
    "musescore-honkytonk": 0.015, "fluid-grand": 0.14, "fluid-bright": 0.07, "fluid-honkytonk": 0.015,
    "fluid-electric": 0.02, "timgm-grand": 0.05}


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

    One file in twenty is of held-out scores (heldout). With `heldout_pianos`, which play nothing else, another one in
    twenty is of held-out scores on each of those in turn (unheard), to see how a prior does on pianos that it never
    heard. `makers` is {name: function of an rng that makes an instrument}; every `files_per_piano` files a new
    instrument of a kind is made. A run can be resumed or lengthened. out_dir/index.json holds credits, and the seeds,
    piano and scores of every file.
    """
    held_out = [s for s in scores if music.is_held_out(s.name)]
    split_scores = {"train": [s for s in scores if not music.is_held_out(s.name)], "heldout": held_out}
    if heldout_pianos:
        split_scores["unheard"] = held_out
    if not all(split_scores.values()):
        raise ValueError("the scores must hold some of each split; parse more of them (--parse-budget-s)")
    heard = [name for name in makers if name not in heldout_pianos]
    if not heard:
        raise ValueError("all pianos are held out; none is left to train on")
    pianos = {}

    def split(number):
        return {10: "heldout", 15: "unheard" if heldout_pianos else "train"}.get(number % 20, "train")

    def render(number, name):
        if split(number) == "unheard":
            kind = heldout_pianos[number // 20 % len(heldout_pianos)]
        else:
            kind = player(number, heard)
        piano_seed = [seed, 1, list(PIANOS).index(kind), number // files_per_piano]
        if kind not in pianos or pianos[kind][0] != piano_seed:
            pianos[kind] = piano_seed, makers[kind](np.random.default_rng(piano_seed))
        file_seed = [seed, 0, number]
        audio, names = render_file(pianos[kind][1], split_scores[split(number)], np.random.default_rng(file_seed),
                                   duration_s)
        return audio, {"seed": file_seed, "piano": kind, "piano_seed": piano_seed, "scores": names}

    names = [f"{split(number)}/piano_{number:05d}.flac" for number in range(int(np.ceil(hours * 3600 / duration_s)))]
    credits = list(dict.fromkeys([credit(name) for name in makers] + [music.CREDIT]))
    return write_corpus(out_dir, names, render, SAMPLE_RATE, credits=credits, seed=seed)
