"""Where work that takes time is done. The window hands a session threads; scripts and tests do it at once."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol


class Tasks(Protocol):
    """Does work elsewhere and reports on the thread that asked for it."""

    def run(self, work: Callable[[], object], done: Callable[[object], None],
            failed: Callable[[Exception], None]) -> None:
        """Calls `work`, then `done` with what it returned or `failed` with what it raised."""

    def call_here(self, function: Callable[[], None]) -> None:
        """Has `function` called on the thread that owns the session; from any thread."""


class InlineTasks:
    """Everything at once, on the calling thread."""

    def run(self, work, done, failed) -> None:
        try:
            value = work()
        except Exception as error:
            failed(error)
        else:
            done(value)

    def call_here(self, function) -> None:
        function()
