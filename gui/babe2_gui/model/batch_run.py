"""One run of the queue: the host's batch in a thread of its own, and how far it is."""

from __future__ import annotations

import time
from collections.abc import Callable, Generator
from contextlib import closing
from pathlib import Path

from babe2_host.batch.job_list import Job
from babe2_host.batch.run import BatchProgress, run_batch
from babe2_host.console import versions
from babe2_host.states import JobState

from .batch_entries import Entry
from .render import RenderState
from .work import Work

# What to do about a failure, by its code; a command has another way.
WAYS_OUT = {"not-replaced": " Move it away, or tick “Replace other files”."}


class BatchRun(Work):
    """One run of the host's batch, whose progress is the index of an entry and what is new of it.

    Args:
        make_jobs: gives the checked jobs; it may take its time.
        after: a run that was cancelled and may still be at its last step, in the same folder.
    """

    def __init__(self, make_jobs: Callable[[], list[Job]], folder: str, overwrite: bool,
                 after: "BatchRun | None" = None):
        super().__init__("batch")
        self.make_jobs, self.folder, self.overwrite, self.after = make_jobs, folder, overwrite, after

    def steps(self) -> Generator[tuple[int, dict], None, None]:
        if self.after:
            self.after.join()
            self.after = None
        jobs = self.make_jobs() if self.passed() else []
        if not self.passed():
            return
        with closing(run_batch(jobs, self.folder, versions(), overwrite=self.overwrite)) as batch:
            for at in batch:
                news = at.number - 1, _news(at, self.folder)
                del at  # it holds a whole recording's audio
                yield news


def _news(at: BatchProgress, folder: str) -> dict:
    """What progress tells of an entry, without the audio in it."""
    result = Path(folder, at.job.name) if at.state in (JobState.DONE, JobState.AS_BEFORE) else None
    notes = tuple(at.rendered.notes) if at.rendered else ()
    return {"state": at.state, "now": at.now and RenderState.of(at.now), "notes": notes, "result": result,
            "reason": at.reason + WAYS_OUT.get(at.code, "")}


class Pace:
    """How far a run is, and the time left, judged by the music rendered in it: files that were not must not count.

    Several files may be at work at once.
    """

    def __init__(self, lengths: list[float], work: Work):
        self.lengths, self.work, self.started = lengths, work, time.monotonic()
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
        elapsed_s = time.monotonic() - self.started - self.work.paused_s
        return elapsed_s * left_s / done_s if done_s > 0 else None
