"""What a batch is to make: the jobs of a folder or of a list, and what can be wrong with them."""

from __future__ import annotations

import contextlib
import csv
import functools
import io
import os
import re
import unicodedata
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath

import soundfile

from babe2_fx.audio.kinds import is_recording, sentence_on_others
from babe2_fx.documents import parse_toml
from babe2_fx.errors import UserError
from babe2_fx.files import reason, whole_file
from babe2_fx.settings import NAMES, SettingError
from babe2_fx.texts import read_text

from ..audio.destinations import files_of
from ..audio.writing import WRITABLE
from ..rendering.journal import ENDING
from ..rendering.recipe import Recipe, RecipeError
from .manifest import Manifest

LISTS = (".csv", ".toml")
LARGEST_LIST = 1 << 28  # bytes: a million files
RECIPE_COLUMNS = ("preset", "board", "quality", "target", "target_match", "gain_db")
COLUMNS = ("file", "output", *RECIPE_COLUMNS)


class BatchError(UserError):
    """A mistake in what a batch is to do; the message says where."""


@dataclass(frozen=True)
class Job:
    """One file to make: its name in the output folder, with slashes; the recording; and how."""

    name: str
    source: Path
    recipe: Recipe


def jobs_of_folder(source: str | os.PathLike, folder: str | os.PathLike, recipe: Recipe,
                   ending: str | None = None) -> tuple[list[Job], list[str]]:
    """A job for each recording in a folder and the folders in it, sorted, and sentences on what cannot be read:
    folders, and audio of kinds that are not known here.

    What is a recording, `babe2_fx.audio.kinds` says. Links are followed, each folder once; hidden files, `folder` (the
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
    others = []
    for path in _files_in(source, os.path.realpath(folder), problems):
        if is_recording(path):
            found.append(Job(_result_name(path.relative_to(source), ending), path, recipe))
        else:
            others.append(path)
    if said := sentence_on_others(others, source):
        problems.append(said)
    if not found:
        raise BatchError(problems[0] if problems else f"There are no recordings in {source}.")
    return sorted(found, key=lambda job: job.name), problems


def _files_in(source: Path, but: str, problems: list[str]) -> Iterator[Path]:
    """All files but hidden ones. Links to folders come last, so that what they lead to keeps its own place."""
    seen, links = set(), [source]

    def note(error: OSError):
        problems.append(f"{error.filename} cannot be read: {reason(error)}.")

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
    """The non-empty rows of a list, each with its place for messages."""
    if path.suffix.lower() not in LISTS:
        raise BatchError(f"{path} is neither a folder nor a list; lists end in {' or '.join(LISTS)}.")
    if not path.is_file():
        raise BatchError(f"{path} is not a regular file." if path.exists() else f"There is no list {path}.")
    try:
        if path.stat().st_size > LARGEST_LIST:
            raise BatchError(f"{path} is larger than a list ever is; it is another kind of file.")
        text = _text(path)
        if path.suffix.lower() == ".toml":
            content = parse_toml(text)
            tables = content.get("files")
            if set(content) != {"files"} or not isinstance(tables, list):
                raise BatchError(f"{path} is not a list: it must have a table [[files]] for each file, and nothing "
                                 "else.")
            rows = [(f"file {number}", table) for number, table in enumerate(tables, 1)]
        else:
            head = text.partition("\n")[0]  # spreadsheets put semicolons where the comma is in numbers
            reader = csv.DictReader(io.StringIO(text, newline=""), strict=True, delimiter=max(",;\t", key=head.count))
            twice = [name for name, count in Counter(reader.fieldnames or ()).items() if count > 1]
            if twice:
                raise BatchError(f"{path} has two columns called {twice[0]!r}.")
            rows = [(f"line {reader.line_num}", {key: value for key, value in row.items() if value}) for row in reader]
    except OSError as error:
        raise BatchError(f"{path} cannot be read: {reason(error)}.") from error
    except (csv.Error, RecursionError, ValueError) as error:
        raise BatchError(f"{path} is not a {path.suffix[1:].upper()} file that can be read: {error}.") from error
    for where, row in rows:
        if row:
            yield where, row


def _text(path: Path) -> str:
    """The text of a list. If it is not Unicode, it holds names as the disk has them, or is as Windows writes text."""
    text = read_text(path, LARGEST_LIST)
    try:
        as_on_disk = path.read_bytes().decode("utf-8")
    except UnicodeDecodeError as error:
        as_on_disk = error.object.decode("utf-8", "surrogateescape")
    for line in as_on_disk.splitlines() if as_on_disk != text else ():
        for field in re.split(r"""[,;\t="']""", line):
            if not field.isprintable() and os.path.lexists(path.parent / field.strip()):
                return as_on_disk
    return text


def _job_of_row(base: Path, row: dict, recipe: Recipe, ending: str | None) -> Job:
    if not isinstance(row, dict):
        raise BatchError(f"it must be a table, not {row!r}.")
    if None in row:
        raise BatchError(f"there are more values than columns; the first is {row[None][0]!r}.")
    for name in row:
        if name not in (*COLUMNS, *NAMES):
            from ..boards.plugins import unknown
            raise BatchError(f"{unknown('column', name, COLUMNS)} Any setting can be a column too; `babe2 settings` "
                             "lists them.")
    values = {name: _value(name, value, NAMES.get(name)) for name, value in row.items()}
    if not values.get("file"):
        raise BatchError("it names no file.")
    source = base / values.pop("file")
    # Outside of the list's folder there is no structure to keep.
    inside = Path(os.path.normpath(source))
    inside = inside.relative_to(base) if inside.is_relative_to(base) and ".." not in inside.parts else inside.name
    name = values.pop("output", None) or _result_name(Path(inside), ending)
    if name != PurePosixPath(name).as_posix() or PurePosixPath(name).is_absolute() or Path(name).is_absolute() or (
            ".." in PurePosixPath(name).parts):
        raise BatchError(f"output must be a plain name in the output folder, such as disc1/side_a.flac, not {name!r}.")
    own = {key: value for key, value in values.items() if key in RECIPE_COLUMNS}
    for one, other in (("preset", "board"), ("board", "preset")):
        if one in own and other not in own:
            own[other] = None
    for key in ("target", "board", "preset"):  # files are named relative to the list
        if own.get(key) and (key == "target" or os.path.dirname(own[key])
                             or own[key].lower().endswith((".toml", ".safetensors"))):
            own[key] = str(base / own[key])
    settings = dict(recipe.settings)
    if own.get("board"):  # settings meant for a preset do not apply to this row
        settings = {key: value for key, value in settings.items() if key == "seed" or not recipe.preset}
    settings |= {key: value for key, value in values.items() if key in NAMES}
    return Job(name, source, replace(recipe, settings=tuple(sorted(settings.items())), **own))


def _value(name: str, value, setting) -> object:
    """A value of a list as its column needs it: CSV has only text."""
    is_text = bool(setting.choices) if setting else name not in ("gain_db", "target_match")
    if is_text:
        if not isinstance(value, str) or "\0" in value:
            raise BatchError(f"{name} must be text, not {value!r}.")
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
        BatchError: two would make one file; one would replace a recording, a target or another file that is needed;
            the output folder is not one; a format is unknown. The message names the files.
        UserError: a recipe cannot be used.
    """
    folder = Path(folder)
    if os.path.lexists(folder) and not folder.is_dir():
        raise BatchError(f"{folder} is not a folder; -o needs the name of one.")
    Manifest(folder)  # raises if there is one that cannot be used
    formats, makers, ignores_case = soundfile.available_formats(), {}, functools.cache(_ignores_case)
    for job in jobs:
        output = folder / job.name
        if WRITABLE.get(output.suffix.lower()) not in formats:
            known = ", ".join(ending for ending, kind in WRITABLE.items() if kind in formats)
            raise BatchError(f"{output} cannot be written: {output.suffix or 'no ending'} is not a known format. These "
                             f"work: {known}.")
        real = os.path.realpath(output)
        for key in (real, ("without case", unicodedata.normalize("NFC", real).casefold())):
            other = makers.setdefault(key, job)
            if other is not job and (key is real or ignores_case(folder)):
                raise BatchError(f"{other.source} and {job.source} would both become {output}. Give one of them "
                                 "another name, or an output of its own in a list.")
    needed = [job.source for job in jobs]
    for recipe in dict.fromkeys(job.recipe for job in jobs):
        try:
            needed += recipe.sources(recipe.make())
        except (RecipeError, SettingError) as error:
            first = next(job for job in jobs if job.recipe == recipe)
            raise BatchError(f"{first.source} cannot be rendered as asked: {error}") from error
    inputs = {_identity(file) for source in dict.fromkeys(needed) for file in files_of(source)} - {None}
    for output in (folder / job.name for job in jobs):
        if _identity(output) in inputs:
            raise BatchError(f"{output} is an input and is not written over; choose another output folder.")


def _identity(path: Path) -> tuple | None:
    """A key that is equal for all paths to one file; None if the file does not exist."""
    try:
        stat = path.stat()
    except OSError:
        return None
    return stat.st_dev, stat.st_ino


def _ignores_case(folder: Path) -> bool:
    """Whether names that differ in case are of one file there; the folder need not be there yet."""
    there = Path(os.path.realpath(folder))
    while not there.exists():
        there = there.parent
    try:
        with whole_file(there / "case", trial=True) as part:
            return part.with_name(part.name.upper()).exists()
    except OSError:
        return False
