"""Work in a thread of its own, step by step."""

from __future__ import annotations

import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Generator

from babe2_fx.progress import Run


class Work(ABC):
    """Work that can be paused between its steps and cancelled at once: a subclass's `steps`, in a thread of their own.

    After `cancel` nothing more is heard of it; its thread ends after the step that it is at.
    """

    def __init__(self, name: str):
        self.name = name
        self._open, self._cancelled = threading.Event(), threading.Event()
        self._open.set()
        self._paused_at: float | None = None
        self._thread: threading.Thread | None = None
        self.paused_s = 0.0  # in all the pauses that are over

    @abstractmethod
    def steps(self) -> Generator:
        """Yields progress after each step and returns what came of it."""

    def start(self, progress: Callable[[object], None], done: Callable[[object], None],
              failed: Callable[[Exception], None]) -> None:
        """All three are called on the work's own thread."""
        def work() -> None:
            try:
                with Run(self.steps()) as run:
                    if not self.passed():
                        return
                    for now in run:
                        if not self.cancelled:
                            progress(now)
                        del now  # what it holds may be large
                        if not self.passed():
                            return
                    done(run.value)
            except Exception as error:  # whatever it is, the window must hear of it
                if not self.cancelled:
                    failed(error)
        self._thread = threading.Thread(target=work, daemon=True, name=self.name)
        self._thread.start()

    def join(self, timeout_s: float | None = None) -> None:
        if self._thread:
            self._thread.join(timeout_s)

    def pause(self) -> None:
        if self._paused_at is None:
            self._paused_at = time.monotonic()
            self._open.clear()

    def resume(self) -> None:
        if self._paused_at is not None:
            self.paused_s += time.monotonic() - self._paused_at
            self._paused_at = None
            self._open.set()

    def cancel(self) -> None:
        self._cancelled.set()
        self._open.set()

    @property
    def paused(self) -> bool:
        return self._paused_at is not None

    @property
    def cancelled(self) -> bool:
        return self._cancelled.is_set()

    def passed(self) -> bool:
        """Waits while it is paused; whether to go on."""
        self._open.wait()
        return not self.cancelled
