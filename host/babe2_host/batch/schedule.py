"""Which worker makes which file: a value that knows nothing of files, processes or time."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterable

LOSSES = 3  # workers that a job may cost without making progress; then it is given up, as the likely cause


class Schedule:
    """Hands out jobs to workers, each once, and again those of a worker that was lost.

    A worker is given one job more than it is working on, so that it can read ahead, unless the others could start all
    that are left at once. Jobs of a lost worker come first, each alone, so that one that crashes its workers does not
    take others with it.

    Args:
        jobs: in the order in which they are to be begun.
        ahead: how many jobs more a worker is given.
    """

    def __init__(self, jobs: Iterable[int], ahead: int = 1):
        self._waiting, self._suspects = deque(jobs), deque()
        self._ahead, self._losses = ahead, Counter()
        self._furthest: dict[int, float] = {}
        self._held: dict = {}
        self._left = len(self._waiting)

    def add(self, worker) -> None:
        """A worker that is free."""
        self._held[worker] = []

    def give(self, worker) -> list[int]:
        """The jobs that a worker is to do after those it has."""
        held, given = self._held[worker], []
        if self._suspects and not held:
            given.append(self._suspects.popleft())
        elif not any(self._losses[job] for job in held):
            while self._waiting and (not held and not given or (
                    len(held) + len(given) <= self._ahead and len(self._waiting) >= len(self._held))):
                given.append(self._waiting.popleft())
        held += given
        return given

    def holds(self, worker) -> bool:
        """Whether a worker has anything to do."""
        return bool(self._held[worker])

    def done(self, worker, job: int) -> None:
        """A job is over, made or failed."""
        self._held[worker].remove(job)
        self._furthest.pop(job, None)
        self._left -= 1

    def went_on(self, job: int, share: float) -> None:
        """How much of a job is done. One that gets further than before is not what ended its workers."""
        if share > self._furthest.get(job, 0.0):
            self._furthest[job] = share
            self._losses.pop(job, None)

    def lost(self, worker) -> list[int]:
        """A worker is gone; what it had is to be done by others. Returns the jobs that are given up."""
        given_up = []
        for job in self._held.pop(worker):
            self._losses[job] += 1
            (given_up if self._losses[job] >= LOSSES else self._suspects).append(job)
        self._left -= len(given_up)
        return given_up

    def __contains__(self, worker) -> bool:
        return worker in self._held

    @property
    def finished(self) -> bool:
        return not self._left
