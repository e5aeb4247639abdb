"""The second decoder, Pedalboard's, for what libsndfile does not know: AAC and WMA, by the system's own decoders.

It runs in a process of its own that may take only so much time, memory and channels, and is ended if it hangs: a file
from a stranger must not stop a batch, nor keep Ctrl-C waiting.
"""

from __future__ import annotations

import contextlib
import json
import os
import struct
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from ..files import FileError

DECODER = Path(__file__).with_name("foreign_decoder.py")
STALLED_S = 30.0  # without a block of audio, after which it hangs
MOST_MEMORY = 1 << 31  # bytes, besides what it has when it begins
BYTES_A_SECOND = 20_000  # of a file; the slowest decoders take several times that


class NotDecodedError(FileError):
    """The second decoder has not read a file; the sentence says why."""


@contextlib.contextmanager
def foreign(path: Path) -> Iterator[tuple[dict, Iterator[np.ndarray]]]:
    """What a file is (rate in Hz, channels, samples as its header promises them) and its audio, in blocks
    (channels, samples) float32.

    Raises NotDecodedError, also while the audio is read.
    """
    seconds = 60 + path.stat().st_size // BYTES_A_SECOND
    process = subprocess.Popen(
        [sys.executable, "-P", str(DECODER), os.fsencode(path).hex(), str(seconds), str(MOST_MEMORY)],
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
        creationflags=getattr(subprocess, "CREATE_NO_WINDOW", 0))
    answer = _Answer(path, process)
    try:
        about = json.loads(answer.take(struct.unpack("<I", answer.take(4))[0]))
        if "error" in about:
            raise NotDecodedError(f"{path} is not an audio file that can be read ({about['error']}).", "not-audio",
                                  path=path)
        yield about, answer.blocks(about["channels"])
    finally:
        answer.close()


class _Answer:
    """What the process writes, read while a watchdog waits."""

    def __init__(self, path: Path, process: subprocess.Popen):
        self._path, self._process, self._hangs = path, process, False
        self._out: Any = process.stdout

    def take(self, count: int) -> bytes:
        watchdog = threading.Timer(STALLED_S, self._end)
        watchdog.start()
        try:
            data = self._out.read(count)
        finally:
            watchdog.cancel()
            watchdog.join()
        if len(data) < count:
            why = f"its decoder did nothing for {STALLED_S:.0f} s" if self._hangs else \
                "its decoder failed, or took more time or memory than a recording needs"
            raise NotDecodedError(f"{self._path} cannot be read: {why}. Convert it to WAV with another program.",
                                  "not-decoded", path=self._path)
        return data

    def blocks(self, channels: int) -> Iterator[np.ndarray]:
        while samples := struct.unpack("<I", self.take(4))[0]:
            yield np.frombuffer(self.take(4 * channels * samples), np.float32).reshape(channels, samples)

    def close(self) -> None:
        self._process.kill()
        self._out.close()
        self._process.wait()

    def _end(self) -> None:
        self._hangs = True
        self._process.kill()
