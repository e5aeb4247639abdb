"""Long work as generators: each yields its progress, ends with a value, and is cancelled by closing it."""

from __future__ import annotations

from collections.abc import Callable, Generator
from contextlib import closing


def relay(run: Generator, change: Callable) -> Generator:
    """Another generator's progress, each item passed through `change`; has its value."""
    with closing(run):
        while True:
            try:
                now = next(run)
            except StopIteration as end:
                return end.value
            yield change(now)


def finish(run: Generator):
    """Runs a generator to its end; returns its value."""
    while True:
        try:
            next(run)
        except StopIteration as end:
            return end.value
