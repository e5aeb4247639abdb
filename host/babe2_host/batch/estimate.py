"""What a batch will take, in time and disk space, before it starts."""

from __future__ import annotations

import contextlib
import functools
import os
import shutil
import time
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from babe2_fx.audio import reading
from babe2_fx.audio.reading import open_audio, read_audio, samples_of
from babe2_fx.errors import UserError

from ..audio.writing import BITS
from ..rendering.recipe import Recipe, facts_key, sha256
from .job_list import Job
from .manifest import Manifest, is_made


@dataclass(frozen=True)
class Estimate:
    """What is left to do: files, their length in s, seconds of work (None: unknown), bytes of the results, and
    the most that lies next to them meanwhile; bytes that are free."""

    files: int
    duration_s: float
    work_s: float | None
    result_bytes: int
    meanwhile_bytes: int
    free_bytes: int


def to_do(jobs: list[Job], folder: str | os.PathLike) -> list[Job]:
    """The jobs whose files are not made yet, or not as asked for now."""
    manifest, key = Manifest(Path(folder)), functools.cache(lambda recipe: facts_key(recipe.facts(recipe.make())))

    def is_done(job: Job) -> bool:
        try:
            return is_made(manifest.entry(job.name), Path(folder) / job.name, sha256(job.source), key(job.recipe))
        except (OSError, UserError):  # it will fail when its turn comes
            return False
    return [job for job in jobs if not is_done(job)]


def duration_s(job: Job) -> float:
    """Length of a recording by its header; 0 if that cannot be read."""
    return reading.duration_s(job.source)


def estimate(jobs: list[Job], folder: str | os.PathLike, trial_s: float = 10.0) -> Estimate:
    """What jobs will take, from the recordings' headers and a trial of each kind of recipe on one recording.

    A trial takes some steps of the real thing, `trial_s` seconds or two steps if those are longer, and writes nothing.
    Losslessly compressed formats are counted as uncompressed, MP3 and Vorbis as large as the input.
    """
    lengths = [duration_s(job) for job in jobs]
    sizes = [_result_bytes(job) for job in jobs]
    kinds: dict[Recipe, list[tuple[Job, float]]] = {}
    for job, length in zip(jobs, lengths):
        kinds.setdefault(job.recipe.work(), []).append((job, length))
    work_s: float | None = 0.0
    for group in kinds.values():
        middle = median(length for _, length in group)
        tried = None
        for job, _ in sorted(group, key=lambda pair: abs(pair[1] - middle))[:3]:
            with contextlib.suppress(UserError, OSError, RuntimeError, ValueError):
                tried = _trial(job, trial_s)
                break
        if tried is None or work_s is None:
            work_s = None
            continue
        per_s, at_least_s = tried
        work_s += sum(max(length * per_s, at_least_s) for _, length in group)
    there = Path(os.path.realpath(folder))
    while not there.exists():
        there = there.parent
    # Of one file at a time: its blocks as floats, and its output before it takes its place.
    return Estimate(len(jobs), sum(lengths), work_s, sum(sizes), 3 * max(sizes, default=0),
                    shutil.disk_usage(there).free)


def _trial(job: Job, trial_s: float) -> tuple[float, float]:
    """Seconds of work for a second of audio, and for the shortest recording."""
    recording = read_audio(job.source)
    audio = recording.audio[:, :60 * recording.sample_rate]
    length_s, board = audio.shape[1] / recording.sample_rate, job.recipe.make()
    started, seen, blocks = time.monotonic(), [], 1
    with closing(board.run(audio, recording.sample_rate)) as run:
        for now in run:
            seen.append((time.monotonic(), now.share_done))
            blocks = now.blocks
            if len(seen) > 1 and seen[-1][0] - seen[0][0] > trial_s:
                break
    if len(seen) > 1 and seen[-1][1] > seen[0][1]:  # without the loading of the prior, which is done once
        whole_s = (seen[-1][0] - seen[0][0]) / (seen[-1][1] - seen[0][1])
    else:
        whole_s = time.monotonic() - started
    return whole_s / length_s, whole_s / blocks


def _result_bytes(job: Job) -> int:
    ending = Path(job.name).suffix.lower()
    try:
        if ending in (".mp3", ".ogg"):
            return job.source.stat().st_size
        samples, channels, rate = samples_of(job.source)
        with open_audio(job.source) as file:
            subtype = file.subtype
    except (UserError, OSError):
        return 0
    bits = {"16": 16, "24": 24, "float": 32}.get(job.recipe.depth) or BITS.get(
        subtype, {"FLOAT": 32, "DOUBLE": 64}.get(subtype, 24))
    return round(samples * (job.recipe.rate or rate) / rate) * channels * bits // 8
