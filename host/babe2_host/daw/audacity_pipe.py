"""Talks to a running Audacity through its module mod-script-pipe: a line with a command out, its answer back."""

from __future__ import annotations

import json
import os
import queue
import re
import sys
import threading
import time

from babe2_fx.errors import UserError

CONNECT_S = 5.0  # Audacity makes new pipes after every client, which takes it a moment
ANSWER_S = 30.0
LONG_S = 1800.0  # for what reads or writes the samples of a whole track
LONGEST_LINE = 1000  # bytes; Audacity takes what is longer for two commands
END = re.compile(rb"\nBatchCommand finished: [^\n]*\n\r?\n$")
FAILED = "BatchCommand finished: Failed!"


class AudacityError(UserError):
    """Audacity cannot be reached or refuses; the message says what to do."""


class Audacity:
    """A connection to the Audacity that is running; it is closed at the end of a `with` block.

    There can be one at a time. Raises AudacityError if there is no Audacity, or its module is off.
    """

    def __init__(self, connect_s: float = CONNECT_S):
        self._answers: queue.Queue[bytes] = queue.Queue()  # what was read; an empty piece is the end
        self._to, source = _connect(connect_s)
        self._reading = threading.Thread(target=self._read, args=(source,), daemon=True)  # a read has no timeout
        self._reading.start()

    def __enter__(self) -> Audacity:
        return self

    def __exit__(self, *exception) -> None:
        self._to.close()
        self._reading.join(CONNECT_S)  # until Audacity closes its end: who connects earlier gets no answers

    def do(self, command: str, timeout_s: float = ANSWER_S, may_fail: bool = False) -> str:
        """Runs a command; returns the answer. Raises AudacityError if it fails or nothing comes."""
        line = command.encode("utf-8", "surrogateescape")
        if len(line) > LONGEST_LINE:
            raise AudacityError(f"Audacity takes no command as long as {command[:60]}...: the folder of jobs has too "
                                "long a path. The environment variable BABE2_DATA can name another.")
        try:
            self._to.write(line + (b"\r\n\0" if sys.platform == "win32" else b"\n"))
        except OSError as error:
            raise AudacityError("Audacity was closed.") from error
        answer = self._answer(command, timeout_s)
        if FAILED in answer and not may_fail:
            reason = answer.replace(FAILED, "").strip() or "it gives no reason"
            raise AudacityError(f"Audacity could not carry out {command}: {reason}.")
        return re.sub(r"\nBatchCommand finished: [^\n]*\n+\Z", "", answer).strip()

    def info(self, kind: str) -> list:
        """What Audacity reports of its Tracks, Clips, Envelopes or Labels."""
        answer = self.do(f"GetInfo: Type={kind} Format=JSON")
        try:
            return json.loads(re.sub(r'\\(?!["\\])', r"\\\\", answer), strict=False)
        except (ValueError, RecursionError) as error:
            raise AudacityError(f"Audacity's answer about its {kind.lower()} cannot be understood ({error}). Names "
                                "of tracks with special characters can cause that.") from error

    def _answer(self, command: str, timeout_s: float) -> str:
        until, answer = time.monotonic() + timeout_s, b""
        while not END.search(answer):
            try:
                piece = self._answers.get(timeout=max(0.0, until - time.monotonic()))
            except queue.Empty:
                raise AudacityError(f"Audacity did not answer to {command.split(':')[0]} within {timeout_s:.0f} "
                                    "seconds. It may still be starting, or show a dialog: close that, and try "
                                    "again.") from None
            if not piece:
                raise AudacityError("Audacity was closed.")
            answer += piece
        return answer.decode("utf-8", "replace")

    def _read(self, source) -> None:
        try:
            with open(source, "rb", buffering=0) as pipe:
                while piece := pipe.read(65536):
                    self._answers.put(piece)
        except OSError:
            pass
        self._answers.put(b"")


def quoted(text: str) -> str:
    """A string as a value in an Audacity command, and as a Nyquist literal."""
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def pipe_paths() -> tuple[str, str]:
    """The pipes to and from Audacity."""
    if sys.platform == "win32":
        return r"\\.\pipe\ToSrvPipe", r"\\.\pipe\FromSrvPipe"
    return tuple(f"/tmp/audacity_script_pipe.{way}.{os.getuid()}" for way in ("to", "from"))


def _connect(timeout_s: float):
    """The open pipe to Audacity, and the path of the one from it."""
    to, source = pipe_paths()
    until = time.monotonic() + timeout_s
    while True:
        try:
            if sys.platform == "win32":
                return open(to, "wb", buffering=0), source
            # A pipe that an ended Audacity left behind has no reader, and would be waited for forever.
            descriptor = os.open(to, os.O_WRONLY | os.O_NONBLOCK)
            os.set_blocking(descriptor, True)
            return os.fdopen(descriptor, "wb", buffering=0), source
        except OSError as error:
            if time.monotonic() > until:
                raise AudacityError(
                    "Audacity cannot be reached. Start it; if it is running, its module mod-script-pipe is not "
                    "enabled (`babe2 daw install audacity` says how), or another program is connected to it."
                ) from error
            time.sleep(0.1)
