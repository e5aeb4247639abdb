"""The states of a job, of batches, the service, a watched folder and the app alike."""

from __future__ import annotations

from enum import StrEnum


class JobState(StrEnum):
    """Where a job is. The values stand in manifests and in records that other programs read."""

    WAITING = "waiting"
    RUNNING = "running"
    UNFINISHED = "unfinished"  # as a manifest knows a job that was begun: whether it still runs, a file cannot say
    DONE = "done"
    AS_BEFORE = "as before"  # done by an earlier run, and still as asked
    FAILED = "failed"
    CANCELLED = "cancelled"
    PASSED_OVER = "passed over"  # not taken at all: its result is there

    @property
    def ended(self) -> bool:
        """Whether nothing more happens to it."""
        return self not in (JobState.WAITING, JobState.RUNNING, JobState.UNFINISHED)
