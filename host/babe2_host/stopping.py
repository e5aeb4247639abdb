"""SIGTERM and SIGHUP end a command as Ctrl-C does: tidied up, with what is finished kept, and a word about it."""

from __future__ import annotations

import contextlib
import os
import signal
import stat
import threading
from collections.abc import Iterator

NAMES = ("SIGTERM", "SIGHUP")  # the latter: the terminal was closed. Windows has none


class Stopped(KeyboardInterrupt):
    """Another signal in place of Ctrl-C."""

    def __init__(self, number: int):
        super().__init__(signal.Signals(number).name)
        self.exit_code = 128 + number  # of a command, as a shell would say it


def ours() -> list[int]:
    """The signals that end this process now: not those that it was told to ignore, as `nohup` does."""
    numbers = [getattr(signal, name) for name in NAMES if hasattr(signal, name)]
    return [number for number in numbers if signal.getsignal(number) == signal.SIG_DFL]


@contextlib.contextmanager
def signals_as_ctrl_c() -> Iterator[None]:
    """Within the block these signals raise `Stopped` in the main thread, once: more of them do not disturb the end."""
    taken = ours() if threading.current_thread() is threading.main_thread() else []

    def stop(number, frame):
        for one in taken:
            signal.signal(one, signal.SIG_IGN)
        _speak_to_nobody()
        raise Stopped(number)
    try:
        for number in taken:
            signal.signal(number, stop)
        yield
    finally:
        for number in taken:
            signal.signal(number, signal.SIG_DFL)


def _speak_to_nobody() -> None:
    """Where the terminal is gone, words would only raise errors."""
    for stream in (1, 2):
        with contextlib.suppress(OSError):
            if stat.S_ISCHR(os.fstat(stream).st_mode) and not os.isatty(stream):
                os.dup2(os.open(os.devnull, os.O_WRONLY), stream)
