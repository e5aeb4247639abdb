"""Does the jobs, one after the other, in a thread of the service, where priors stay loaded."""

from __future__ import annotations

import contextlib
import logging
import os
import threading
import time
from dataclasses import replace
from pathlib import Path

from babe2_fx.files import Place

from ..states import JobState
from .holding import Held, check_place, held
from .places import allowed_folders
from .records import JobError, JobRecord, delete_record, now, read_records, save_record

ATTEMPTS = 3  # services that a job may crash before it is given up
REPORTS_S = 0.25  # between two records of how far a job is
MOST_JOBS = 1000  # unfinished at one time

logger = logging.getLogger(__name__)


class Runner:
    """The jobs of a folder, and the thread that does them. What others left unfinished goes on.

    Its methods may be called from any thread and return at once.
    """

    def __init__(self, folder: Path):
        self._folder = folder
        self._changed = threading.Condition()
        self._records = {record.id: record for record in read_records(folder)}
        for record in self._records.values():
            if record.state == JobState.RUNNING:
                self._set(record, state=JobState.WAITING)
        self._cancelled: set[str] = set()
        self._stopping = False
        self._thread = threading.Thread(target=self._work, name="jobs", daemon=True)

    def start(self) -> None:
        self._thread.start()

    @property
    def busy(self) -> bool:
        with self._changed:
            return any(not record.state.ended for record in self._records.values())

    def submit(self, record: JobRecord) -> JobRecord:
        """Takes a checked job. A recording that lies in the jobs' own folder becomes part of the job.

        Raises JobError: there are too many, or another is to make the same file. OSError: its folder cannot be made.
        """
        with self._changed:
            if sum(not other.state.ended for other in self._records.values()) >= MOST_JOBS:
                raise JobError(f"There are {MOST_JOBS} unfinished jobs already; wait for some, or cancel them.")
            if any(other.output == record.output and not other.state.ended for other in self._records.values()):
                raise JobError(f"Another job is to make {record.output}; give this one another output.")
            (self._folder / record.id).mkdir(mode=0o700)
            source = Path(record.input)
            if source.parent == Path(os.path.realpath(self._folder)):
                taken = self._folder / record.id / f"input{source.suffix}"
                os.replace(source, taken)
                record = replace(record, input=os.path.realpath(taken))
            self._set(record)
            self._changed.notify_all()
        return record

    def cancel(self, job_id: str) -> JobRecord:
        """Cancels a job; one that has ended stays as it is. Raises JobError if there is none."""
        with self._changed:
            record = self._get(job_id)
            if record.state == JobState.WAITING:
                record = self._end(record, JobState.CANCELLED, "")
                _forget_blocks(record)
            elif record.state == JobState.RUNNING:
                self._cancelled.add(job_id)
        return record

    def remove(self, job_id: str) -> JobRecord:
        """Forgets an ended job and deletes its folder. Raises JobError."""
        with self._changed:
            record = self._get(job_id)
            if not record.state.ended:
                raise JobError(f"Job {job_id} is {record.state}; cancel it first.")
            delete_record(self._folder, record)
            del self._records[job_id]
        return record

    def stop(self) -> None:
        """Ends the thread. The job at work waits for the next service; its finished blocks are kept."""
        with self._changed:
            self._stopping = True
            self._changed.notify_all()
        if self._thread.is_alive():
            self._thread.join()

    # -------------------------------------------------------------------------------------------------- the thread

    def _work(self) -> None:
        while record := self._next():
            try:
                self._do(record)
            except Exception as error:  # one failure must not stop the others
                logger.info("Job %s failed.", record.id, exc_info=error)
                from ..batch.worker import reason_of
                _forget_blocks(record)
                self._end(self._records[record.id], JobState.FAILED, reason_of(error))

    def _next(self) -> JobRecord | None:
        """The oldest job that waits, once there is one; None when the service stops."""
        with self._changed:
            while not self._stopping:
                waiting = [record for record in self._records.values() if record.state == JobState.WAITING]
                if waiting:
                    record = min(waiting, key=lambda record: record.created)
                    return self._set(record, state=JobState.RUNNING, attempts=record.attempts + 1, message="begins")
                self._changed.wait()
        return None

    def _do(self, record: JobRecord) -> None:
        if record.attempts > ATTEMPTS:
            raise JobError(f"The service ended {ATTEMPTS} times while it was at this job, which was given up.")
        from ..batch import worker  # imports torch, which takes seconds: so late, but before the checks
        allowed = [self._folder, *allowed_folders()]
        check_place(record.output, allowed)  # and from here on its folder is opened without following a link
        if os.path.lexists(record.output) and record.attempts == 1:  # else it may be the job's own, or is not replaced
            raise JobError(f"{record.output} has appeared in the meantime, and jobs overwrite nothing.")
        with held(record, allowed) as its:
            try:
                self._render(record, its)
            except Exception as error:
                raise JobError(its.told(worker.reason_of(error))) from error

    def _render(self, record: JobRecord, its: Held) -> None:
        from ..batch.job_list import Job
        from ..batch.worker import render_job
        run = render_job(Job(record.output, Path(its.record.input), its.record.recipe()), "", follow=False,
                         replaces=lambda: False)
        clock = _Clock()
        with run:
            for step in run:
                if self._stopping or record.id in self._cancelled:
                    break
                if clock.due():
                    message = f"block {step.block} of {step.blocks}, step {step.step} of {step.steps}"
                    record = self._set(record, share_done=round(step.share_done, 4), message=message,
                                       left_s=clock.left_s(step.share_done))
            else:
                self._end(record, JobState.DONE, its.told(" ".join(run.value.notes)), share_done=1.0)
                return
        if record.id in self._cancelled:
            _forget_blocks(record)
            self._end(record, JobState.CANCELLED, "")
        else:
            self._set(record, state=JobState.WAITING, attempts=record.attempts - 1, left_s=None)

    # ------------------------------------------------------------------------------------------------- the records

    def _get(self, job_id: str) -> JobRecord:
        if not isinstance(job_id, str) or job_id not in self._records:
            raise JobError("There is no such job; `babe2 jobs list` shows those there are.")
        return self._records[job_id]

    def _end(self, record: JobRecord, state: JobState, message: str, **changes) -> JobRecord:
        with self._changed:
            self._cancelled.discard(record.id)
            return self._set(record, state=state, message=message, left_s=None, ended=now(), **changes)

    def _set(self, record: JobRecord, **changes) -> JobRecord:
        record = replace(record, **changes)
        with self._changed:
            self._records[record.id] = record
            try:
                save_record(self._folder, record)
            except (OSError, ValueError) as error:  # a full disk must not end the job; the next may be written again
                logger.warning("The record of job %s could not be written: %s", record.id, error)
        return record


def _forget_blocks(record: JobRecord) -> None:
    """Deletes the finished blocks of a job that does not go on."""
    from ..rendering.journal import FolderJournal
    with contextlib.suppress(OSError, ValueError), Place(record.output, follow=False) as place:
        FolderJournal(place).clear()


class _Clock:
    """When to report, and how long a job will take; loading, which comes before its first step, does not count."""

    def __init__(self):
        self._reported = self._began = None

    def due(self) -> bool:
        time_s = time.monotonic()
        if self._reported is not None and time_s - self._reported < REPORTS_S:
            return False
        self._reported = time_s
        return True

    def left_s(self, share: float) -> float | None:
        if self._began is None:
            self._began = time.monotonic(), share
        began_s, at = self._began
        return round((time.monotonic() - began_s) / (share - at) * (1 - share), 1) if share > at else None
