"""Batches: many recordings, each by its recipe, into one folder; what is finished is not made again."""

from __future__ import annotations

import contextlib
import functools
import os
from collections.abc import Generator, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from babe2_fx.files import Place, reason, write_whole

from ..rendering.journal import FolderJournal
from ..rendering.recipe import facts_key
from ..states import JobState
from .job_list import BatchError, Job
from .manifest import Manifest, described, is_as_written
from .pools import local_pool
from .schedule import LOSSES, Schedule
from .worker import Event, Task, blocks_of, look, reason_of

LOCK = ".babe2-batch.lock"


@dataclass(frozen=True)
class BatchProgress:
    """How far a batch is: the job, its number (from 1) of count, and RUNNING, DONE, AS_BEFORE or FAILED.

    now: while it runs, the render's own `Progress` · rendered: when done, the `Rendered`, without audio if another
    process made it · reason: of a failure, and its code, if it was a UserError. A file may be reported as done when
    others are being rendered already.
    """

    job: Job
    number: int
    count: int
    state: JobState
    now: object = None
    rendered: object = None
    reason: str = ""
    code: str = ""


def run_batch(jobs: list[Job], folder: str | os.PathLike, versions: dict, *, overwrite: bool = False,
              pool=None) -> Generator[BatchProgress, None, None]:
    """Makes the files of checked jobs in `folder`, with a manifest; those that fail do not stop the rest.

    A file is left as it is if its content, its recording's and its recipe are those of the manifest. One that the
    manifest does not know, or that was changed since, is not replaced unless `overwrite`: its job fails.

    Args:
        versions: for the record.
        pool: the workers; None: those of this computer (`local_pool`). It is closed at the end.

    Yields `BatchProgress`. Closing it cancels; the same call goes on from there.

    Raises:
        BatchError: another batch is at work in the folder, or it cannot be made; no worker is left.
        ManifestError: the manifest cannot be written; nothing is rendered without it.
    """
    folder = Path(folder)
    with _alone(folder), Manifest(folder) as manifest:
        batch = _Batch(jobs, folder, manifest, versions, overwrite, pool or local_pool(
            {job.recipe.device for job in jobs}, any(job.recipe.allow_external for job in jobs)))
        yield from batch.run()


class _Batch:
    """A batch at work: brings together what is to be done, who does it, and the record."""

    def __init__(self, jobs: list[Job], folder: Path, manifest: Manifest, versions: dict, overwrite: bool, pool):
        self.jobs, self.folder, self.manifest, self.pool = jobs, folder, manifest, pool
        self._versions, self._overwrite, self._started = versions, overwrite, False
        self._key = functools.lru_cache(1024)(lambda recipe: facts_key(recipe.facts(recipe.make())))

    def run(self) -> Generator[BatchProgress, None, None]:
        pool, jobs = self.pool, self.jobs
        try:
            if not jobs:
                return
            pool.start(self.folder, self.folder / LOCK, jobs[0].source)
            order = range(len(jobs))
            if pool.remote:  # the longest first, so that all end together
                order = sorted(order, key=lambda number: -_bytes(jobs[number]))
            schedule = Schedule(order)
            while not schedule.finished:
                news = []
                for worker in list(pool.free):
                    if worker not in schedule:
                        schedule.add(worker)
                    news += self._give(schedule, worker)
                if not news:
                    for worker, events in pool.wait():
                        if events is None:
                            news += [self._fail(number, f"{LOSSES} workers ended while they had it; it was given up.")
                                     for number in schedule.lost(worker)]
                        for event in events or ():
                            news.append(self._record(event))
                            if event.now:
                                schedule.went_on(event.number, event.now.share_done)
                            if event.state.ended:
                                schedule.done(worker, event.number)
                self.manifest.save()
                yield from filter(None, news)
        finally:
            for event in pool.close():
                self._record(event)

    def _give(self, schedule: Schedule, worker) -> list[BatchProgress]:
        """Gives a free worker what it is to do, and lets it go on. Returns what need not be done after all."""
        tasks, news = [], []
        for number in schedule.give(worker):
            try:
                tasks.append(self._task(number, self.pool.ships(worker)))
            except Exception as error:
                news.append(self._fail(number, reason_of(error), getattr(error, "code", "")))
            else:
                if tasks[-1] is not None:
                    continue
                tasks.pop()
                news.append(self._progress(number, JobState.AS_BEFORE))
            schedule.done(worker, number)
        if schedule.holds(worker):
            self.pool.assign(worker, tasks)
        return news

    def _task(self, number: int, ships: bool) -> Task | None:
        """A job for a worker; None if its file is there already and the worker cannot see that."""
        job = self.jobs[number]
        task = Task(number, job, self.manifest.entry(job.name), self._overwrite)
        if self.pool.remote:
            task = replace(task, key=self._key(job.recipe), job=replace(job, source=Path(os.path.abspath(job.source))))
        if ships:
            given = look(task, self.folder, task.key)
            if given is None:
                return None
            blocks = {file.name: file.read_bytes() for file in blocks_of(self.folder / job.name)}
            task = replace(task, given=given, content=job.source.read_bytes(), blocks=blocks)
        return task

    def _record(self, event: Event) -> BatchProgress | None:
        """Puts on record what a worker reports; returns what there is to say of it."""
        job = self.jobs[event.number]
        if event.state == JobState.UNFINISHED:
            self._start()
            self.manifest.begin(job.name, event.given, event.facts)
            return None
        if event.state == JobState.FAILED:
            return self._fail(event.number, event.reason, event.code)
        made = event.made
        try:  # files from a worker that does not see the folder
            for name, data in event.files.items():
                path = self.folder / name
                path.parent.mkdir(parents=True, exist_ok=True)
                with Place(path) as place:
                    if name == job.name and not self._overwrite and not is_as_written(
                            self.manifest.entry(name), path):
                        place.found = None
                    write_whole(place, lambda part, data=data: part.write_bytes(data))
            if event.state == JobState.DONE and event.files:
                made = described(self.folder / job.name)
                FolderJournal(self.folder / job.name).clear()
        except Exception as error:
            if event.state == JobState.DONE:
                return self._fail(event.number, reason_of(error), getattr(error, "code", ""))
        if event.state == JobState.DONE:
            self.manifest.finish(job.name, made, **event.record)
        return self._progress(event.number, event.state, now=event.now, rendered=event.rendered)

    def _fail(self, number: int, reason: str, code: str = "") -> BatchProgress:
        self._start()
        self.manifest.fail(self.jobs[number].name, self.jobs[number].source, reason)
        return self._progress(number, JobState.FAILED, reason=reason, code=code)

    def _start(self) -> None:
        """The run is recorded once something happens in it."""
        if not self._started:
            self.manifest.start(self._versions)
            self._started = True

    def _progress(self, number: int, state: JobState, **what) -> BatchProgress:
        return BatchProgress(self.jobs[number], number + 1, len(self.jobs), state, **what)


def _bytes(job: Job) -> int:
    with contextlib.suppress(OSError):
        return job.source.stat().st_size
    return 0


@contextlib.contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Keeps other batches out of the folder, which is made. The lock is released when the process ends."""
    from filelock import FileLock, Timeout
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock = FileLock(folder / LOCK, timeout=0)
        lock.acquire()
    except Timeout as error:
        raise BatchError(f"Another batch is at work in {folder}; wait for it, or choose another folder.") from error
    except OSError as error:
        raise BatchError(f"{folder} cannot be written to: {reason(error)}.") from error
    try:
        yield
    finally:
        lock.release()
