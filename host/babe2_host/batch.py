"""Batches: many recordings, each by its recipe, into one folder; what is finished is not made again."""

from __future__ import annotations

import contextlib
import csv
import functools
import io
import logging
import os
import shutil
import sys
import time
import tomllib
import unicodedata
from collections import Counter
from collections.abc import Callable, Generator, Iterator
from contextlib import closing
from dataclasses import dataclass, fields, replace
from pathlib import Path, PurePosixPath
from statistics import median

import soundfile

from babe2_fx.errors import UserError
from babe2_fx.running import relay
from babe2_fx.settings import Settings

from .audio_files import BITS, WRITABLE, read_audio
from .journal import ENDING
from .manifest import Manifest, described
from .recipe import Recipe, RecipeError, sha256

# What the system's own decoders may read (see `read_audio`); their results are FLAC unless a format is chosen.
FOREIGN = (".m4a", ".mp4", ".aac", ".wma", ".aifc", ".opus", ".snd")
LOCK = ".babe2-batch.lock"
LISTS = (".csv", ".toml")
LARGEST_LIST = 1 << 28  # bytes: a million files
RECIPE_COLUMNS = ("preset", "board", "quality", "target", "target_match", "gain_db")
COLUMNS = ("file", "output", *RECIPE_COLUMNS)
RENDERING, DONE, AS_BEFORE, FAILED = "rendering", "done", "as before", "failed"

logger = logging.getLogger(__name__)


class BatchError(UserError):
    """A mistake in what a batch is to do; the message says where."""


@dataclass(frozen=True)
class Job:
    """One file to make: its name in the output folder, with slashes; the recording; and how."""

    name: str
    source: Path
    recipe: Recipe


@dataclass(frozen=True)
class BatchProgress:
    """Where a batch is: the job, its number (from 1) of count, and RENDERING, DONE, AS_BEFORE or FAILED.

    now: while rendering, the render's own `Progress` · rendered: when done, the `Rendered` · reason: of a failure.
    """

    job: Job
    number: int
    count: int
    state: str
    now: object = None
    rendered: object = None
    reason: str = ""


# ----------------------------------------------------------------------------------------------------- the jobs

def jobs_of_folder(source: str | os.PathLike, folder: str | os.PathLike, recipe: Recipe,
                   ending: str | None = None) -> tuple[list[Job], list[str]]:
    """A job for each recording in a folder and the folders in it, sorted, and sentences on what cannot be looked into.

    Recordings are told by their endings. Links are followed, each folder taken once; hidden files, `folder` (the
    output) and unfinished renders are passed over.

    Args:
        ending: of all results, such as ".flac"; None: as each recording's.

    Raises BatchError: it cannot be read, or holds no recordings.
    """
    source, problems, found = Path(source), [], []
    if not source.is_dir():
        raise BatchError(f"{source} is not a folder." if source.exists() else f"There is no folder {source}.")
    if os.path.realpath(source) == os.path.realpath(folder):
        raise BatchError(f"{source} cannot be both where the recordings are and where the results go.")
    for path in _files_in(source, os.path.realpath(folder), problems):
        if path.suffix.lower() in (*WRITABLE, *FOREIGN):
            found.append(Job(_result_name(path.relative_to(source), ending), path, recipe))
    if not found:
        raise BatchError(problems[0] if problems else f"There are no recordings in {source}.")
    return sorted(found, key=lambda job: job.name), problems


def _files_in(source: Path, but: str, problems: list[str]) -> Iterator[Path]:
    """All files but hidden ones. Links to folders come last, so that what they lead to keeps its own place."""
    seen, links = set(), [source]

    def note(error: OSError):
        problems.append(f"{error.filename} cannot be looked into: {(error.strerror or str(error)).lower()}.")

    while links:
        for folder, names, files in os.walk(links.pop(0), onerror=note):
            real = os.path.realpath(folder)
            if real in seen or real == but:
                names.clear()
                continue
            seen.add(real)
            names[:] = sorted(name for name in names if not name.startswith(".") and not name.endswith(ENDING))
            links += [Path(folder, name) for name in names if os.path.islink(os.path.join(folder, name))]
            yield from (Path(folder, name) for name in sorted(files) if not name.startswith("."))


def jobs_of_list(path: str | os.PathLike, recipe: Recipe, ending: str | None = None) -> list[Job]:
    """The jobs of a list: a CSV file with a line of column names, or a TOML file with a table [[files]] for each.

    A row has `file`, relative to the list, and may have `output` (its name in the output folder), `preset` or
    `board`, `quality`, `target`, `target_match`, `gain_db`, and any of the settings, such as `seed` or `xi`. What it
    does not give is as in `recipe`.

    Raises BatchError naming the row.
    """
    path = Path(path)
    jobs = []
    for where, row in _rows(path):
        try:
            jobs.append(_job_of_row(path.parent, row, recipe, ending))
        except UserError as error:
            raise BatchError(f"{path}, {where}: {error}") from error
    if not jobs:
        raise BatchError(f"{path} lists no files.")
    return jobs


def _rows(path: Path) -> Iterator[tuple[str, dict]]:
    """The rows of a list that give something, each with its place for messages."""
    if path.suffix.lower() not in LISTS:
        raise BatchError(f"{path} is neither a folder nor a list; lists end in {' or '.join(LISTS)}.")
    if not path.is_file():
        raise BatchError(f"{path} is not a regular file." if path.exists() else f"There is no list {path}.")
    try:
        if path.stat().st_size > LARGEST_LIST:
            raise BatchError(f"{path} is larger than a list ever is; it is another kind of file.")
        text = path.read_text(encoding="utf-8-sig")
        if path.suffix.lower() == ".toml":
            content = tomllib.loads(text)
            tables = content.get("files")
            if set(content) != {"files"} or not isinstance(tables, list):
                raise BatchError(f"{path} is not a list: it must have a table [[files]] for each file, and nothing "
                                 "else.")
            rows = [(f"file {number}", table) for number, table in enumerate(tables, 1)]
        else:
            head = text.partition("\n")[0]  # spreadsheets put semicolons where the comma is in numbers
            reader = csv.DictReader(io.StringIO(text, newline=""), strict=True,
                                    delimiter=";" if head.count(";") > head.count(",") else ",")
            twice = [name for name, count in Counter(reader.fieldnames or ()).items() if count > 1]
            if twice:
                raise BatchError(f"{path} has two columns called {twice[0]!r}.")
            rows = [(f"line {reader.line_num}", {key: value for key, value in row.items() if value}) for row in reader]
    except OSError as error:
        raise BatchError(f"{path} cannot be read: {(error.strerror or str(error)).lower()}.") from error
    except UserError:
        raise
    except (csv.Error, RecursionError, ValueError) as error:
        raise BatchError(f"{path} is not a {path.suffix[1:].upper()} file that can be read: {error}.") from error
    for where, row in rows:
        if row:
            yield where, row


def _job_of_row(beside: Path, row: dict, recipe: Recipe, ending: str | None) -> Job:
    if not isinstance(row, dict):
        raise BatchError(f"it must be a table, not {row!r}.")
    if None in row:
        raise BatchError(f"there are more values than columns; the first is {row[None][0]!r}.")
    known = {item.name: item for item in fields(Settings)}
    for name in row:
        if name not in (*COLUMNS, *known):
            from .plugins import unknown
            raise BatchError(f"{unknown('column', name, COLUMNS)} Any setting can be a column too; `babe2 settings` "
                             "lists them.")
    values = {name: _value(name, value, known.get(name)) for name, value in row.items()}
    if not values.get("file"):
        raise BatchError("it names no file.")
    source = beside / values.pop("file")
    # Outside of the list's folder there is no structure to keep.
    inside = Path(os.path.normpath(source))
    inside = inside.relative_to(beside) if inside.is_relative_to(beside) and ".." not in inside.parts else inside.name
    name = values.pop("output", None) or _result_name(Path(inside), ending)
    if name != PurePosixPath(name).as_posix() or PurePosixPath(name).is_absolute() or Path(name).is_absolute() or (
            ".." in PurePosixPath(name).parts):
        raise BatchError(f"output must be a plain name in the output folder, such as disc1/side_a.flac, not {name!r}.")
    own = {key: value for key, value in values.items() if key in RECIPE_COLUMNS}
    for one, other in (("preset", "board"), ("board", "preset")):
        if one in own and other not in own:
            own[other] = None
    for key in ("target", "board", "preset"):  # those that are files lie beside the list
        if own.get(key) and (key == "target" or os.path.dirname(own[key])
                             or own[key].lower().endswith((".toml", ".safetensors"))):
            own[key] = str(beside / own[key])
    settings = dict(recipe.settings)
    if own.get("board"):  # what was asked of a preset is not for this row
        settings = {key: value for key, value in settings.items() if key == "seed" or not recipe.preset}
    settings |= {key: value for key, value in values.items() if key in known}
    return Job(name, source, replace(recipe, settings=tuple(sorted(settings.items())), **own))


def _value(name: str, value, setting) -> object:
    """A value of a list as its column needs it: CSV has but texts."""
    is_text = bool(setting.metadata["choices"]) if setting else name not in ("gain_db", "target_match")
    if is_text:
        if not isinstance(value, str) or "\0" in value:
            raise BatchError(f"{name} must be a text, not {value!r}.")
        return value.strip()
    if isinstance(value, str):
        for kind in (int, float):
            with contextlib.suppress(ValueError):
                return kind(value)
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise BatchError(f"{name} must be a number, not {value!r}.")
    return value


def _result_name(path: Path, ending: str | None) -> str:
    if ending is None:
        ending = path.suffix if path.suffix.lower() in WRITABLE else ".flac"
    return path.with_suffix(ending).as_posix()


def check_jobs(jobs: list[Job], folder: str | os.PathLike) -> None:
    """Finds out, before anything is rendered, what is wrong with the jobs by themselves or together.

    Raises:
        BatchError: two would make one file; one would replace an input; the output folder is none; a format is
            unknown. The message names the files.
        UserError: a recipe cannot be used.
    """
    folder = Path(folder)
    if os.path.lexists(folder) and not folder.is_dir():
        raise BatchError(f"{folder} is not a folder; -o needs the name of one.")
    Manifest(folder)  # says what is wrong with one that is there
    formats, makers, inputs = soundfile.available_formats(), {}, {}
    for job in jobs:
        with contextlib.suppress(OSError):
            stat = job.source.stat()
            inputs[stat.st_dev, stat.st_ino] = job.source
    for job in jobs:
        output = folder / job.name
        if WRITABLE.get(output.suffix.lower()) not in formats:
            known = ", ".join(ending for ending, kind in WRITABLE.items() if kind in formats)
            raise BatchError(f"{output} cannot be written: {output.suffix or 'no ending'} is not a known format. These "
                             f"work: {known}.")
        other = makers.setdefault(_one_name(os.path.realpath(output)), job)
        if other is not job:
            raise BatchError(f"{other.source} and {job.source} would both become {output}. Give one of them another "
                             "name, or an output of its own in a list.")
        with contextlib.suppress(OSError):
            stat = output.stat()
            if (stat.st_dev, stat.st_ino) in inputs:
                raise BatchError(f"{output} is an input and is not written over; choose another output folder.")
    for recipe in dict.fromkeys(job.recipe for job in jobs):
        try:
            recipe.make()
        except RecipeError as error:
            first = next(job for job in jobs if job.recipe == recipe)
            raise BatchError(f"{first.source} cannot be rendered as asked: {error}") from error


def _one_name(path: str) -> str:
    """Equal for names that are one file where file systems do not tell upper case from lower."""
    return path if sys.platform == "linux" else unicodedata.normalize("NFC", path).casefold()


# -------------------------------------------------------------------------------------------------- running them

def render_job(job: Job, folder: str | os.PathLike, make: Callable = Recipe.make) -> Generator:
    """Renders one file, going on after the blocks that an earlier run finished. The one piece of work of a batch.

    `make` gives the board of its recipe; whoever renders many keeps the boards.

    Yields `Progress`; its value is the `Rendered`. Raises as `read_audio`, `Recipe.make` and `render`.
    """
    from .render import check_render, render
    output = Path(folder) / job.name
    recording = read_audio(job.source)
    board = make(job.recipe)
    output.parent.mkdir(parents=True, exist_ok=True)
    check_render(recording, output, board, depth=job.recipe.depth)
    effects = board.effects("GenerativeEQ")
    return (yield from render(recording, output, board, depth=job.recipe.depth, resume=True,
                              seed=effects[0].seed if effects else 0))


def run_batch(jobs: list[Job], folder: str | os.PathLike, versions: dict, *,
              overwrite: bool = False) -> Generator[BatchProgress, None, None]:
    """Makes the files of checked jobs in `folder`, with a manifest; goes on after those that fail.

    A file is left as it is if its content, its recording's and its recipe are those of the manifest. One that the
    manifest does not know, or that was changed since, is not replaced unless `overwrite`: its job fails.

    Args:
        versions: for the record.

    Yields `BatchProgress`. Closing it cancels; the same call goes on from there.

    Raises:
        BatchError: another batch is at work in the folder, or it cannot be made.
        ManifestError: the manifest cannot be written; nothing is rendered without it.
    """
    folder = Path(folder)
    make = functools.lru_cache(4)(Recipe.make)  # the same for many files, and a target may be a folder of recordings
    facts = functools.cache(lambda recipe: recipe.facts(make(recipe)))
    with _alone(folder):
        manifest = Manifest(folder)
        started = False
        for number, job in enumerate(jobs, 1):
            tell = functools.partial(BatchProgress, job, number, len(jobs))
            try:
                if not job.source.is_file():
                    raise BatchError(f"{job.source} is not there, or is not a regular file.")
                given, known = described(job.source), facts(job.recipe)
                if manifest.is_done(job.name, given["sha256"], known):
                    yield tell(AS_BEFORE)
                    continue
                if not overwrite and not manifest.may_replace(job.name):
                    raise BatchError(f"{folder / job.name} is there and was not made by this batch, or was changed "
                                     "since. Move it away, or give --overwrite.")
            except Exception as error:
                outcome = error
            else:
                if not started:
                    manifest.start(versions)
                    started = True
                manifest.begin(job.name, given, known)
                try:
                    outcome = yield from relay(render_job(job, folder, make), functools.partial(tell, RENDERING))
                    record = {"duration_s": round(outcome.audio.shape[1] / outcome.sample_rate, 3),
                              "time_taken_s": round(outcome.taken_s, 3), "resumed_blocks": outcome.resumed_blocks,
                              "level_lowered_db": round(outcome.lowered_db, 3), "notes": list(outcome.notes)}
                    made = described(folder / job.name)
                except Exception as error:  # whatever one file leads to, the others are to be done
                    outcome = error
            if isinstance(outcome, Exception):
                reason = _reason(outcome)
                manifest.fail(job.name, job.source, reason)
                yield tell(FAILED, reason=reason)
            else:
                manifest.finish(job.name, made, **record)
                yield tell(DONE, rendered=outcome)


@contextlib.contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Keeps other batches out of the folder, which is made. The lock goes when the process does."""
    from filelock import FileLock, Timeout
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock = FileLock(folder / LOCK, timeout=0)
        lock.acquire()
    except Timeout as error:
        raise BatchError(f"Another batch is at work in {folder}; wait for it, or choose another folder.") from error
    except OSError as error:
        raise BatchError(f"{folder} cannot be written to: {(error.strerror or str(error)).lower()}.") from error
    try:
        yield
    finally:
        lock.release()


def _reason(error: Exception) -> str:
    """Why a file failed, as a sentence."""
    if isinstance(error, UserError):
        return str(error)
    if isinstance(error, OSError):
        return f"{error.filename or 'The system'}: {error.strerror or error}."
    if isinstance(error, MemoryError):
        return "There is not enough memory for this recording."
    logger.debug("A job failed.", exc_info=error)
    return f"{type(error).__name__}: {' '.join(str(error).split())}"


# ----------------------------------------------------------------------------------------------------- estimates

@dataclass(frozen=True)
class Estimate:
    """What is left to do: files, their length in s, seconds of work (None: cannot be told), bytes of the results, and
    the most that lies beside them meanwhile; bytes that are free."""

    files: int
    duration_s: float
    work_s: float | None
    result_bytes: int
    meanwhile_bytes: int
    free_bytes: int


def to_do(jobs: list[Job], folder: str | os.PathLike) -> list[Job]:
    """The jobs whose files are not made yet, or not as asked for now."""
    manifest, facts = Manifest(Path(folder)), functools.cache(lambda recipe: recipe.facts(recipe.make()))

    def is_done(job: Job) -> bool:
        try:
            return manifest.is_done(job.name, sha256(job.source), facts(job.recipe))
        except (OSError, UserError):  # it will fail when its turn comes
            return False
    return [job for job in jobs if not is_done(job)]


def duration_s(job: Job) -> float:
    """Length of a recording by its header; 0 if that cannot be read."""
    try:
        if job.source.is_file():
            return soundfile.info(str(job.source)).duration
    except (soundfile.LibsndfileError, TypeError, OSError):
        pass
    return 0.0


def estimate(jobs: list[Job], folder: str | os.PathLike, trial_s: float = 10.0) -> Estimate:
    """What jobs will take, from the recordings' headers and a trial of each kind of recipe on one recording.

    A trial takes some steps of the real thing, `trial_s` seconds or two steps if those are longer, and writes nothing.
    Compressed formats are taken for as large as without compression, MP3 and Vorbis for as large as the input.
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
        info = soundfile.info(str(job.source))
    except (soundfile.LibsndfileError, TypeError, OSError):
        return 0
    bits = {"16": 16, "24": 24, "float": 32}.get(job.recipe.depth) or BITS.get(
        info.subtype, {"FLOAT": 32, "DOUBLE": 64}.get(info.subtype, 24))
    return round(info.frames * (job.recipe.rate or info.samplerate) / info.samplerate) * info.channels * bits // 8
