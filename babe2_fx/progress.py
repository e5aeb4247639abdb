"""Long work as one object: it yields its progress, ends with a value, and is cancelled by closing it."""

from __future__ import annotations

from collections.abc import Callable, Generator
from typing import Any, TypeVar

P = TypeVar("P")
V = TypeVar("V")


class Run(Generator[P, Any, V]):
    """Work in progress: an iterator over its progress reports.

        for now in run:
            print(f"{now.share_done:.0%}")
        result = run.value

    It is a generator that keeps its value: `yield from run` relays the progress and returns the value, and `close`
    cancels the work, which stops where it is and frees what it holds.

    Args:
        steps: a generator that yields progress and returns the value.
    """

    def __init__(self, steps: Generator[P, Any, V]):
        self._steps = steps
        self._value: list[V] = []
        self._cancelled = False

    def send(self, value: Any) -> P:
        """The next progress; `value` is ignored."""
        try:
            return next(self._steps)
        except StopIteration as end:
            if not self._value and not self._cancelled:
                self._value = [end.value]
            raise

    def throw(self, *error: Any) -> P:
        """Raises an error where the work is, as a generator's `throw` does."""
        return self._steps.throw(*error)

    @property
    def value(self) -> V:
        """The result. Raises RuntimeError if the work has not finished."""
        if not self._value:
            raise RuntimeError("This run has not finished, so it has no value yet.")
        return self._value[0]

    def finish(self) -> V:
        """Runs to the end and returns the value."""
        for _ in self:
            pass
        return self.value

    def map(self, change: Callable[[P], P]) -> Run[P, V]:
        """The same run, with each progress report passed through `change`."""
        def changed() -> Generator[P, Any, V]:
            with self:
                for now in self:
                    yield change(now)
                return self.value
        return Run(changed())

    def close(self) -> None:
        """Cancels the rest of the work."""
        self._cancelled = True
        self._steps.close()

    def __enter__(self) -> Run[P, V]:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
