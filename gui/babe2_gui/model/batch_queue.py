"""The batch queue: recordings that wait, one way to render them all, and how far they are. The host's batch does it."""

from __future__ import annotations

import hashlib
import os
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from statistics import median

from babe2_fx.errors import UserError
from babe2_host.audio.writing import WRITABLE
from babe2_host.batch.estimate import duration_s
from babe2_host.batch.job_list import FOREIGN, LISTS, Job, check_jobs, jobs_of_folder, jobs_of_list
from babe2_host.batch.run import BatchProgress, run_batch
from babe2_host.console import versions
from babe2_host.rendering.recipe import Recipe
from babe2_host.states import JobState

from .chain import write_curve
from .curve import TargetCurve
from .engine import sentence
from .events import Event
from .render import Gate, RenderState, clock
from .tasks import Tasks

FINISHED = (JobState.DONE, JobState.AS_BEFORE, JobState.FAILED)
WORDS = {JobState.WAITING: "Waiting", JobState.DONE: "Done", JobState.AS_BEFORE: "As before", JobState.FAILED: "Failed"}
UNKNOWN_S = 60.0  # a recording's length where no header says any
# The host's sentences speak to those who gave a command; here the same is done otherwise.
HERE = {"or give --overwrite": "or tick “Replace other files”", "and give the same command again": "and start again",
        "load the board with allow_external=True": "use the command: babe2 batch, with --allow-external"}


class QueueError(UserError):
    """A mistake in what the queue is to do; the message says what to do instead."""


@dataclass(frozen=True)
class BatchOptions:
    """How all of a queue is rendered.

    folder: for the results · preset or board: by its name or file, one of them None · quality, seed: None: the
    board's own · target: a file, or a folder of recordings · drawn: whether the main window's target counts in its
    place · ending, depth: of the results, None: as each recording's · replace: also files that no batch has made.
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
        reason = self.reason.replace(str(self.source), self.source.name)
        return f"{WORDS[self.state]}: {reason}" if reason else WORDS[self.state]

    @property
    def share(self) -> float:
        """How much of it is behind, 0 to 1."""
        return 1.0 if self.state in FINISHED else self.now.share if self.now else 0.0

    def reset(self) -> None:
        self.state, self.now, self.reason, self.notes, self.result = JobState.WAITING, None, "", (), None


class BatchRun:
    """One run of the host's batch, in a thread of its own. After `cancel` nothing is heard of it any more.

    Args:
        make_jobs: gives the checked jobs; it may take its time.
        after: a run that was cancelled and may still be at its last step, in the same folder.
    """

    def __init__(self, make_jobs: Callable[[], list[Job]], folder: str, overwrite: bool,
                 after: "BatchRun | None" = None):
        self.make_jobs, self.folder, self.overwrite, self.after = make_jobs, folder, overwrite, after
        self.gate = Gate()
        self._thread: threading.Thread | None = None

    def start(self, progress: Callable[[BatchProgress], None], done: Callable[[], None],
              failed: Callable[[Exception], None]) -> None:
        """All three are called on the run's thread."""
        def work() -> None:
            try:
                if self._run(progress):
                    done()
            except Exception as error:  # whatever it is, the window must hear of it
                if not self.gate.cancelled:
                    failed(error)
        self._thread = threading.Thread(target=work, daemon=True, name="batch")
        self._thread.start()

    def join(self, timeout_s: float | None = None) -> None:
        if self._thread:
            self._thread.join(timeout_s)

    def _run(self, progress) -> bool:
        """Whether it came to its end."""
        if self.after:
            self.after.join()
            self.after = None
        if self.gate.cancelled:
            return False
        jobs = self.make_jobs()
        if not self.gate.passed():
            return False
        with closing(run_batch(jobs, self.folder, versions(), overwrite=self.overwrite)) as batch:
            for at in batch:
                if self.gate.cancelled:
                    return False
                progress(at)
                del at  # it holds a whole recording's audio
                if not self.gate.passed():
                    return False
        return True


class BatchQueue:
    """The queue and its run. Views listen to its events and call its methods.

    changed: entries, options or whether it runs · entry_changed: the entry at an index · reported: a sentence for the
    user, and whether it is an error.
    """

    def __init__(self, tasks: Tasks):
        self.tasks = tasks
        self.changed, self.entry_changed, self.reported = Event(), Event(), Event()
        self.entries: list[Entry] = []
        self.options = BatchOptions()
        self.looking = 0  # how many searches for recordings are under way
        self.run: BatchRun | None = None
        self.summary = ""  # of the last run
        self._last: BatchRun | None = None
        self._pace: _Pace | None = None
        self._resting = False

    @property
    def running(self) -> bool:
        return self.run is not None

    @property
    def resting(self) -> bool:
        """Whether it waits for the main window."""
        return self.running and self._resting

    # ------------------------------------------------------------------------------------------------ the queue

    def add(self, paths: Iterable[str]) -> None:
        """Recordings, folders of them and lists, looked through in the background."""
        if not self._may_change():
            return
        paths = [os.path.abspath(path) for path in paths]
        if not paths:
            return
        if not self.options.folder:
            self.options = replace(self.options, folder=str(Path(paths[0]).parent / "restored"))
        folder = self.options.folder
        self.looking += 1
        self.changed()

        def work() -> tuple[list[Entry], list[str]]:
            found, problems = [], []
            for path in paths:
                try:
                    entries, said = entries_of(path, folder)
                except (UserError, OSError) as error:
                    problems.append(sentence(error))
                else:
                    found += entries
                    problems += said
            return found, problems

        def done(value) -> None:
            self.looking -= 1
            self._append(*value)
            self.changed()

        def failed(error) -> None:
            self.looking -= 1
            self.changed()
            self.report(error)
        self.tasks.run(work, done, failed)

    def _append(self, found: list[Entry], problems: list[str]) -> None:
        known = {(entry.source, entry.listed) for entry in self.entries}
        new = {(entry.source, entry.listed): entry for entry in found}
        new = [entry for key, entry in new.items() if key not in known]
        self.entries = self.entries + new
        self.summary = ""
        twice = len(found) - len(new)
        if problems:
            more = f" There are {len(problems) - 1} more such problems." if len(problems) > 1 else ""
            self.report(problems[0] + more, True)
        elif twice:
            self.report(f"{_files(twice)} {'was' if twice == 1 else 'were'} in the queue already.")

    def remove(self, indices: Iterable[int]) -> None:
        if self._may_change():
            gone = set(indices)
            self.entries = [entry for index, entry in enumerate(self.entries) if index not in gone]
            self.changed()

    def move(self, indices: Iterable[int], to: int) -> list[int]:
        """Puts entries, in their order, before the one at `to`; where they are then."""
        chosen = set(indices)
        moving = sorted(chosen)
        if not self._may_change():
            return moving
        at = to - sum(index < to for index in moving)
        taken = [self.entries[index] for index in moving]
        left = [entry for index, entry in enumerate(self.entries) if index not in chosen]
        self.entries = left[:at] + taken + left[at:]
        self.changed()
        return list(range(at, at + len(taken)))

    def shift(self, indices: Iterable[int], step: int) -> list[int]:
        """Moves entries one place up (-1) or down (1); where they are then."""
        moving = sorted(set(indices))
        if not moving:
            return []
        to = max(moving[0] - 1, 0) if step < 0 else min(moving[-1] + 2, len(self.entries))
        return self.move(moving, to)

    def set_options(self, **changes) -> None:
        if self._may_change():
            self.options = replace(self.options, **changes)
            self.changed()

    def _may_change(self) -> bool:
        if self.running:
            self.report("The batch is at work. Wait until it is done, or cancel it, to change the queue.", True)
        return not self.running

    def report(self, error: Exception | str, is_error: bool = False) -> None:
        """Tells the user something; an exception as a sentence."""
        if isinstance(error, Exception):
            error, is_error = _here(sentence(error)), True
        self.reported(error, is_error)

    # ------------------------------------------------------------------------------------------------ rendering

    def start(self, drawn: TargetCurve | None = None, device: str = "auto") -> bool:
        """Renders what is not there yet; whether it could begin. drawn: the main window's target, if there is one."""
        if self.running:
            return False
        try:
            self._check(drawn)
        except QueueError as error:
            self.report(error)
            return False
        for entry in self.entries:
            entry.reset()
        entries, options = list(self.entries), self.options
        run = BatchRun(lambda: jobs_of(entries, options, drawn, device), options.folder, options.replace, self._last)
        self.run, self.summary, self._last = run, "", run
        self._pace = _Pace(lengths_s(entries), run.gate)
        self.rest(self._resting)

        def heard(function):  # of this run alone, on the queue's thread
            return lambda *values: self.tasks.call_here(
                lambda: function(*values) if self.run is run else None)
        forward = heard(self._progress)
        self.changed()
        run.start(lambda at: forward(*_plain(at)), heard(self._done), heard(self._failed))
        return True

    def _check(self, drawn: TargetCurve | None) -> None:
        options = self.options
        if self.looking:
            raise QueueError("The recordings are still being looked for. Start when they are all there.")
        if not self.entries:
            raise QueueError("There is nothing to render yet. Add recordings, folders or a list.")
        if not options.folder:
            raise QueueError("Choose a folder for the results.")
        if os.path.lexists(options.folder) and not os.path.isdir(options.folder):
            raise QueueError(f"{options.folder} is a file. Choose a folder for the results.")
        if options.drawn and drawn is None:
            raise QueueError("There is no target of your own in the main window. Draw one there, or choose another "
                             "target here.")

    def cancel(self) -> None:
        """Ends the run at once. What is done is kept; starting again goes on from there."""
        if not self.running:
            return
        self.run.gate.cancel()
        self.run = None
        for entry in self.entries:
            if entry.state == JobState.RUNNING:
                entry.reset()
        done = sum(entry.state in (JobState.DONE, JobState.AS_BEFORE) for entry in self.entries)
        self.summary = f"Cancelled: {done} of {_files(len(self.entries))} done. Start goes on from there."
        self.changed()

    def rest(self, resting: bool) -> None:
        """Holds the run after the step that it is at, for as long as the main window renders; or lets it go on."""
        changed, self._resting = resting != self._resting, resting
        if self.run:
            self.run.gate.pause() if resting else self.run.gate.resume()
            if changed:
                self.changed()

    def _progress(self, index: int, name: str, state: JobState, now: RenderState | None, reason: str,
                  notes: tuple[str, ...]) -> None:
        entry = self.entries[index]
        entry.state, entry.now, entry.reason, entry.notes = state, now, _here(reason), notes
        if state in (JobState.DONE, JobState.AS_BEFORE):
            entry.result = Path(self.options.folder, name)
        self._pace.tell(index, entry)
        self.entry_changed(index)

    def _done(self) -> None:
        self.run = None
        counts = Counter(entry.state for entry in self.entries)
        said = ", ".join(f"{counts[state]} {WORDS[state].lower()}" for state in FINISHED if counts[state])
        self.summary = f"{_files(len(self.entries))}: {said}."
        self.changed()
        self.report(f"The batch is over. {self.summary} The record is in {Path(self.options.folder, 'manifest.json')}.",
                    bool(counts[JobState.FAILED]))

    def _failed(self, error: Exception) -> None:
        """What stops all of it: nothing can be made as asked, or nothing can be written any more."""
        self.cancel()
        self.summary = ""
        self.changed()
        self.report(error)

    # ------------------------------------------------------------------------------------------------ how far

    @property
    def share(self) -> float:
        """How much of all the music is behind, 0 to 1."""
        if self.running:
            return self._pace.share
        lengths = lengths_s(self.entries)
        behind = sum(length * entry.share for length, entry in zip(lengths, self.entries))
        return behind / sum(lengths) if lengths else 0.0

    @property
    def left_s(self) -> float | None:
        """Seconds left of the run; None: not known yet."""
        return self._pace.left_s if self.running else None

    def words(self) -> str:
        """The queue in one line: "2 of 5 files finished · 3:20 left"."""
        if self.looking:
            return "Looking for recordings…"
        if not self.running:
            length_s = sum(entry.length_s for entry in self.entries)
            waiting = f"{_files(len(self.entries))}, {clock(length_s)} of music"
            return self.summary or (waiting if self.entries else "The queue is empty.")
        where = f"{self._pace.finished} of {_files(len(self.entries))} finished"
        if self.resting:
            return f"{where} · waits while the main window restores"
        left_s = self.left_s
        return f"{where} · " + ("preparing…" if left_s is None else f"{clock(left_s)} left")


class _Pace:
    """How far a run is, and the time left by the music that was rendered in it: what was not must not count.

    Several files may be at work at once.
    """

    def __init__(self, lengths: list[float], gate: Gate):
        self.lengths, self.gate, self.started = lengths, gate, time.monotonic()
        self.all_s = sum(lengths)
        self.finished, self._behind_s, self._rendered_s = 0, 0.0, 0.0
        self._at_work: dict[int, float] = {}  # seconds done of each

    def tell(self, index: int, entry: Entry) -> None:
        """An entry has come further."""
        if entry.state == JobState.RUNNING:
            self._at_work[index] = entry.share * self.lengths[index]
            return
        self._at_work.pop(index, None)
        self.finished += 1
        self._behind_s += self.lengths[index]
        self._rendered_s += self.lengths[index] * (entry.state == JobState.DONE)

    @property
    def share(self) -> float:
        """Of all the music."""
        return min((self._behind_s + sum(self._at_work.values())) / self.all_s, 1.0)

    @property
    def left_s(self) -> float | None:
        now_s = sum(self._at_work.values())
        done_s, left_s = self._rendered_s + now_s, max(self.all_s - self._behind_s - now_s, 0.0)
        elapsed_s = time.monotonic() - self.started - self.gate.paused_s
        return elapsed_s * left_s / done_s if done_s > 0 else None


# --------------------------------------------------------------------------------------------- entries and jobs

def entries_of(path: str, folder: str) -> tuple[list[Entry], list[str]]:
    """What a recording, a folder or a list gives, and sentences on what could not be looked into.

    A folder's results go into a folder of its name, as when one is copied.

    Args:
        folder: for the results, which is passed over in folders of recordings.

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
    elif ending in (*WRITABLE, *FOREIGN):
        entries = [Entry(path, path.name if ending in WRITABLE else f"{path.stem}.flac")]
    else:
        raise QueueError(f"{path} is not a recording by its name, nor a list (.csv, .toml). It was not added.")
    for entry in entries:
        entry.length_s = duration_s(Job(entry.name, entry.source, Recipe()))
    return entries, problems


def jobs_of(entries: list[Entry], options: BatchOptions, drawn: TargetCurve | None = None,
            device: str = "auto") -> list[Job]:
    """The host's jobs for entries, checked together. A drawn target is written beside the results. Raises UserError."""
    target = options.target
    if options.drawn and drawn is not None:
        # By its content, so that it is never another's file, and the same batch finds the same.
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
    """Lengths in s; where one is not known, a usual one."""
    known = [entry.length_s for entry in entries if entry.length_s > 0]
    usual = median(known) if known else UNKNOWN_S
    return [entry.length_s or usual for entry in entries]


def _plain(at: BatchProgress) -> tuple:
    """What there is to show of progress, without the audio in it."""
    now = at.now
    return at.number - 1, at.job.name, at.state, now and RenderState.of(now), at.reason, tuple(at.rendered.notes) if at.rendered else ()


def _here(text: str) -> str:
    """A sentence of the host as this window says it."""
    for there, here in HERE.items():
        text = text.replace(there, here)
    return text


def _files(count: int) -> str:
    return f"{count} file{'s' * (count != 1)}"
