"""Watches a folder: every recording that arrives in it is restored into another one, once it is whole."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from babe2_fx.errors import UserError
from babe2_fx.files import reason

from ..batch.job_list import BatchError, Job, jobs_of_folder
from ..console import sentence
from ..states import JobState
from . import Client
from .places import allow
from .records import JobError

SETTLED_S = 3.0  # without a change, after which a file counts as whole
LOOK_S = 1.0


@dataclass(frozen=True)
class Watched:
    """What happened to a recording: the job's state, or PASSED_OVER, and why."""

    job: Job
    state: JobState
    message: str = ""


class FolderWatch:
    """Restores what is dropped into a folder and the folders in it, by the job service.

    A recording is taken once its size and time have not changed for some seconds and it is not empty. One whose
    result is there already is passed over; one that is changed while its result is not there yet, or while it is made,
    is taken again.

    Args:
        source, folder: where recordings come, and where results go, structure kept. Jobs are allowed to use both.
        recipe: as `Client.submit` takes it.
        settled_s: seconds without a change.

    Raises BatchError, PlaceError: a folder cannot be used.
    """

    def __init__(self, source: str | os.PathLike, folder: str | os.PathLike, recipe: dict, ending: str | None = None,
                 settled_s: float = SETTLED_S):
        self.source, self.folder = (Path(os.path.realpath(path)) for path in (source, folder))
        if not self.source.is_dir():
            raise BatchError(f"There is no folder {source}.")
        if self.folder == self.source:
            raise BatchError(f"{source} cannot be both where the recordings are and where the results go.")
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise BatchError(f"{folder} cannot be made: {reason(error)}.") from error
        allow(self.source)
        allow(self.folder)
        if recipe.get("target"):
            allow(recipe["target"])
        self._recipe, self._ending, self._settled_s = recipe, ending, settled_s
        self._client = Client()
        self._seen: dict[Path, tuple[tuple, float]] = {}  # a stamp, and when it was first seen
        self._handled: dict[Path, tuple] = {}  # the stamp with which it was taken or passed over
        self._outdated: set[str] = set()  # jobs whose recording was changed meanwhile
        self._label = f"watch {self.source}"
        self.at_work: dict[str, tuple[Job, dict]] = {}  # by the service's id, with the last record
        for record in self._client.jobs():  # of a watch that was killed
            output = Path(record["output"])
            if record["label"] == self._label and not record["state"].ended and output.is_relative_to(self.folder):
                job = Job(output.relative_to(self.folder).as_posix(), Path(record["input"]), None)
                self.at_work[record["id"]] = job, record

    def look(self) -> Iterator[Watched]:
        """Looks once: takes what is whole, and reports what has ended."""
        for job in self._whole():
            yield from self._take(job)
        for job_id, (job, _) in list(self.at_work.items()):
            try:
                record = self._client.job(job_id)
            except JobError as error:  # somebody has removed it
                record = {"state": JobState.FAILED, "message": str(error)}
            self.at_work[job_id] = job, record
            if record["state"].ended:
                del self.at_work[job_id]
                if record["state"] != JobState.FAILED:  # why one failed stays in its record
                    with contextlib.suppress(UserError):
                        self._client.remove(job_id)
                message = record["message"]
                if job_id in self._outdated:
                    self._outdated.discard(job_id)
                    message = f"{job.source} was changed meanwhile. {message}".strip()
                yield Watched(job, record["state"], message)

    def cancel(self) -> list[Watched]:
        """Cancels all jobs at work, and returns them."""
        cancelled = []
        for job_id, (job, _) in self.at_work.items():
            with contextlib.suppress(UserError):
                self._client.cancel(job_id)
                cancelled.append(Watched(job, JobState.CANCELLED))
        self.at_work.clear()
        return cancelled

    def _whole(self) -> list[Job]:
        """Recordings that have not changed for a while and have not been handled yet."""
        try:
            jobs, _ = jobs_of_folder(self.source, self.folder, None, self._ending)
        except BatchError:  # there are none
            jobs = []
        whole, at = [], time.monotonic()
        for job in jobs:
            try:
                stat = job.source.stat()
            except OSError:
                continue
            stamp = stat.st_size, stat.st_mtime_ns
            known, since = self._seen.get(job.source, (None, at))
            if known != stamp:
                self._seen[job.source] = stamp, at
            elif stat.st_size and at - since >= self._settled_s and self._handled.get(job.source) != stamp:
                whole.append(job)
        here = {job.source for job in jobs}
        self._seen = {source: seen for source, seen in self._seen.items() if source in here}
        return whole

    def _take(self, job: Job) -> Iterator[Watched]:
        output, again = self.folder / job.name, job.source in self._handled
        making = [(job_id, other) for job_id, (other, _) in self.at_work.items() if other.name == job.name]
        if making and making[0][1].source == job.source:
            if again:  # what is being made is made of what it was: it is taken again once that has ended
                with contextlib.suppress(UserError):
                    self._client.cancel(making[0][0])
                    self._outdated.add(making[0][0])
                return
        self._handled[job.source] = self._seen[job.source][0]
        if making:
            if making[0][1].source != job.source:
                yield Watched(job, JobState.PASSED_OVER, f"{output} is being made from {making[0][1].source}.")
        elif os.path.lexists(output):
            yield Watched(job, JobState.PASSED_OVER, f"{output} is there already." + (
                f" It was made before {job.source} was changed; move it away to have it made again." if again else ""))
        else:
            try:
                output.parent.mkdir(parents=True, exist_ok=True)
                record = self._client.submit(job.source, output, label=self._label, **self._recipe)
            except (UserError, OSError) as error:
                yield Watched(job, JobState.FAILED, sentence(error))
            else:
                self.at_work[record["id"]] = job, record


