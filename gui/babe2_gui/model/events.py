"""An event: functions that are called when something happens."""

from __future__ import annotations

from collections.abc import Callable


class Event:
    """Call `connect` with a function to hear of it; calling the event calls all of them."""

    def __init__(self):
        self._listeners: list[Callable] = []

    def connect(self, listener: Callable) -> None:
        self._listeners.append(listener)

    def disconnect(self, listener: Callable) -> None:
        self._listeners.remove(listener)

    def __call__(self, *args) -> None:
        for listener in list(self._listeners):
            listener(*args)
