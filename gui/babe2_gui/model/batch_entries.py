"""What is in the batch queue: its entries, how all are rendered, and the host's jobs that are made of both."""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from statistics import median

from babe2_fx.audio.kinds import is_recording
from babe2_fx.errors import UserError
from babe2_host.audio.writing import WRITABLE
from babe2_host.batch.estimate import duration_s
from babe2_host.batch.job_list import LISTS, Job, check_jobs, jobs_of_folder, jobs_of_list
from babe2_host.rendering.recipe import Recipe
from babe2_host.states import JobState

from .chain import write_curve
from .curve import TargetCurve
from .render import RenderState

WORDS = {JobState.WAITING: "Waiting", JobState.DONE: "Done", JobState.AS_BEFORE: "As before", JobState.FAILED: "Failed"}
UNKNOWN_S = 60.0  # a recording's length where no header says any


class QueueError(UserError):
    """A mistake in what the queue is to do; the message says what to do instead."""


@dataclass(frozen=True)
class BatchOptions:
    """How all of a queue is rendered.

    folder: for the results · preset or board: by its name or file, one of them None · quality, seed: None: the
    board's own · target: a file, or a folder of recordings · drawn: whether the main window's target is used
    instead · ending, depth: of the results, None: as each recording's · replace: also files that no batch has made.
    """

    folder: str = ""
    preset: str | None = "piano"
    board: str | None = None
    quality: str | None = "standard"
    seed: int | None = 0
    target: str | None = None
    drawn: bool = False
    ending: str | None = None
    depth: str | None = None
    replace: bool = False

    def recipe(self, target: str | None, device: str) -> Recipe:
        """As the host takes it."""
        settings = () if self.seed is None else (("seed", self.seed),)
        return Recipe(self.preset, self.board, self.quality, target, settings=settings, depth=self.depth,
                      device=device)


@dataclass(eq=False)
class Entry:
    """One file of the queue: the recording, its name among the results, and what became of it.

    listed: the list that it comes from and its place there, whose own columns count · now: while it is rendered ·
    reason: of a failure · notes: of a render · result: the file that was made.
    """

    source: Path
    name: str
    listed: tuple[Path, int] | None = None
    length_s: float = 0.0
    state: JobState = JobState.WAITING
    now: RenderState | None = None
    reason: str = ""
    notes: tuple[str, ...] = ()
    result: Path | None = None

    @property
    def words(self) -> str:
        """Its state for the user, in one line."""
        if self.state == JobState.RUNNING:
            return self.now.words() if self.now else "Preparing…"
        return f"{WORDS[self.state]}: {self.reason}" if self.reason else WORDS[self.state]

    @property
    def share(self) -> float:
        """How much of it is done, 0 to 1."""
        return 1.0 if self.state.ended else self.now.share if self.now else 0.0

    def reset(self) -> None:
        self.state, self.now, self.reason, self.notes, self.result = JobState.WAITING, None, "", (), None


def entries_of(path: str, folder: str) -> tuple[list[Entry], list[str]]:
    """What a recording, a folder or a list gives, and sentences on what could not be read.

    A folder's results go into a folder of its name, as when one is copied.

    Args:
        folder: for the results, which is skipped in folders of recordings.

    Raises UserError.
    """
    path, problems = Path(path), []
    ending = path.suffix.lower()
    if path.is_dir():
        jobs, problems = jobs_of_folder(path, folder, Recipe())
        entries = [Entry(job.source, str(PurePosixPath(path.name, job.name))) for job in jobs]
    elif ending in LISTS:
        entries = [Entry(Path(os.path.normpath(job.source)), job.name, (path, at))
                   for at, job in enumerate(jobs_of_list(path, Recipe()))]
    elif not path.exists():
        raise QueueError(f"There is no file {path}.")
    elif is_recording(path):
        entries = [Entry(path, path.name if ending in WRITABLE else f"{path.stem}.flac")]
    else:
        raise QueueError(f"{path} is not a recording by its name, nor a list (.csv, .toml). It was not added.")
    for entry in entries:
        entry.length_s = duration_s(Job(entry.name, entry.source, Recipe()))
    return entries, problems


def jobs_of(entries: list[Entry], options: BatchOptions, drawn: TargetCurve | None = None,
            device: str = "auto") -> list[Job]:
    """The host's jobs for entries, checked together. A drawn target is written to the results. Raises UserError."""
    target = options.target
    if options.drawn and drawn is not None:
        # Named by its content, so that no other file is replaced, and the same batch finds the same.
        digest = hashlib.sha256(repr(drawn.points).encode()).hexdigest()[:8]
        path = Path(options.folder, f"target-{digest}.csv")
        path.parent.mkdir(parents=True, exist_ok=True)
        write_curve(path, drawn)
        target = str(path)
    recipe = options.recipe(target, device)
    lists = {path: jobs_of_list(path, recipe, options.ending)
             for path in dict.fromkeys(entry.listed[0] for entry in entries if entry.listed)}
    jobs = []
    for entry in entries:
        if entry.listed is None:
            name = PurePosixPath(entry.name)
            jobs.append(Job(str(name.with_suffix(options.ending) if options.ending else name), entry.source, recipe))
            continue
        path, at = entry.listed
        if at >= len(lists[path]) or Path(os.path.normpath(lists[path][at].source)) != entry.source:
            raise QueueError(f"{path} was changed since it was added. Remove its files from the queue, then add it "
                             "again.")
        jobs.append(lists[path][at])
    check_jobs(jobs, options.folder)
    return jobs


def lengths_s(entries: list[Entry]) -> list[float]:
    """Lengths in s; where one is not known, a typical one."""
    known = [entry.length_s for entry in entries if entry.length_s > 0]
    usual = median(known) if known else UNKNOWN_S
    return [entry.length_s or usual for entry in entries]
