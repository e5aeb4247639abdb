"""The batch queue: recordings that wait, one way to render them all, and how far they are; the host's batch does it."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

from babe2_fx.errors import UserError
from babe2_host.states import JobState

from .batch_entries import WORDS, BatchOptions, Entry, QueueError, entries_of, jobs_of, lengths_s
from .batch_run import BatchRun, Pace
from .curve import TargetCurve
from .engine import sentence
from .events import Event
from .render import clock
from .tasks import Tasks


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
        self._pace: Pace | None = None
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
        """Puts entries, in their order, before the one at `to`; returns where they are then."""
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
        """Moves entries one place up (-1) or down (1); returns where they are then."""
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
            self.report("The batch is running. Wait until it is done, or cancel it, to change the queue.", True)
        return not self.running

    def report(self, error: Exception | str, is_error: bool = False) -> None:
        """Tells the user something; an exception as a sentence."""
        if isinstance(error, Exception):
            error, is_error = sentence(error), True
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
        self._pace = Pace(lengths_s(entries), run)
        self.rest(self._resting)

        def heard(function):  # of this run alone, on the queue's thread
            return lambda value: self.tasks.call_here(lambda: function(value) if self.run is run else None)
        self.changed()
        run.start(heard(self._progress), heard(self._done), heard(self._failed))
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
        self.run.cancel()
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
            self.run.pause() if resting else self.run.resume()
            if changed:
                self.changed()

    def _progress(self, news: tuple[int, dict]) -> None:
        index, changes = news
        entry = self.entries[index]
        for name, value in changes.items():
            setattr(entry, name, value)
        self._pace.tell(index, entry)
        self.entry_changed(index)

    def _done(self, _) -> None:
        self.run = None
        counts = Counter(entry.state for entry in self.entries)
        said = ", ".join(f"{counts[state]} {WORDS[state].lower()}" for state in WORDS if counts[state])
        self.summary = f"{_files(len(self.entries))}: {said}."
        self.changed()
        record = Path(self.options.folder, "manifest.json")
        self.report(f"The batch is finished. {self.summary} The record is in {record}.", bool(counts[JobState.FAILED]))

    def _failed(self, error: Exception) -> None:
        """What stops all of it: nothing can be made as asked, or nothing can be written."""
        self.cancel()
        self.summary = ""
        self.changed()
        self.report(error)

    # ------------------------------------------------------------------------------------------------ how far

    @property
    def share(self) -> float:
        """How much of all the music is done, 0 to 1."""
        if self.running:
            return self._pace.share
        lengths = lengths_s(self.entries)
        done = sum(length * entry.share for length, entry in zip(lengths, self.entries))
        return done / sum(lengths) if lengths else 0.0

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


def _files(count: int) -> str:
    return f"{count} file{'s' * (count != 1)}"
