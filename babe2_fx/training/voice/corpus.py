"""Files of singing: minutes put together, written as FLAC with a record of each."""

from pathlib import Path

import numpy as np

from ..corpus_files import write_corpus
from . import SAMPLE_RATE
from .gestures import perform
from .melodies import split_melodies
from .phrasing import join, phrase_melody
from .recording import record
from .singer import RANGES, draw_singer
from .synthesis import synthesise
from .vocalises import draw_vocalise

CREDITS = [
    "Singing: synthesised by babe2_fx.training.voice; no recording of a singer is in it.",
    "Melodies: encodings of public-domain music from the corpus of music21 (https://www.music21.org).",
]
KIND_WEIGHT = {"song": 14.0, "aria": 4.0, "madrigal": 0.8, "chorale": 0.5, "air": 1.0}
VOCALISE_SHARE = 0.2
SHORTEST_S = 8.0  # of what a melody is sung in: the longest note and the breath before it find room


def sing_file(voice, melodies, rng, duration_s=60.0):
    """(audio (samples,) float32, names of the melodies): one singer in one room sings one melody after another."""
    if duration_s <= SHORTEST_S:
        raise ValueError(f"A file of {duration_s:g} s is too short for a melody: give it more than {SHORTEST_S:g} s.")
    singer = draw_singer(voice, rng)
    weight = np.array([KIND_WEIGHT[m.kind] for m in melodies])
    lines, names, length = [], [], 0.0
    while duration_s - length > SHORTEST_S:
        if rng.random() < VOCALISE_SHARE:
            melody, first = draw_vocalise(rng), 0
        else:
            melody = melodies[rng.choice(len(melodies), p=weight / weight.sum())]
            first = int(rng.integers(max(len(melody.key) // 2, 1))) if rng.random() < 0.7 else 0
        line = phrase_melody(melody, singer, rng, min(duration_s - length, rng.uniform(15, 60)), first)
        names.append(melody.name)
        lines.append((line, length))
        length += line.end_s[-1] + rng.uniform(0.2, 1.0)
    duration_s = min(length + 0.8, duration_s)
    tracks = perform(join(lines), singer, rng, duration_s)
    audio = record(synthesise(tracks, rng, singer.breath_db), rng)
    # Loud singing fills the scale, soft singing does not.
    loudness = float(np.mean(np.concatenate([line.effort for line, _ in lines])))
    audio *= 10 ** (-(3 + 14 * (1 - loudness) * rng.uniform(0.5, 1)) / 20) / np.abs(audio).max()
    return audio, names


def render_corpus(out_dir, voice, hours, seed, melodies, duration_s=60.0):
    """Writes `hours` of a voice as FLAC files of `duration_s` into out_dir/train and out_dir/heldout (one in twenty).

    No melody of the corpus is sung in both. A run can be resumed or lengthened. out_dir/index.json holds credits,
    seeds and the melodies of every file; CREDITS the credits alone.
    """
    split_of = split_melodies(melodies)
    if not all(split_of.values()):
        raise ValueError("The melodies must hold some of each split; parse more of them (--parse-budget-s).")
    Path(out_dir).mkdir(parents=True, exist_ok=True)
    (Path(out_dir) / "CREDITS").write_text("\n".join(CREDITS) + "\n")

    def split(number):
        return "heldout" if number % 20 == 10 else "train"

    def render(number, name):
        file_seed = [seed, list(RANGES).index(voice), number]
        audio, names = sing_file(voice, split_of[split(number)], np.random.default_rng(file_seed), duration_s)
        return audio, {"seed": file_seed, "melodies": names}

    names = [f"{split(number)}/{voice}_{number:05d}.flac" for number in range(int(np.ceil(hours * 3600 / duration_s)))]
    return write_corpus(out_dir, names, render, SAMPLE_RATE, credits=CREDITS, voice=voice, seed=seed)
