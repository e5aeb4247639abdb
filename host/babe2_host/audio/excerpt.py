"""Cuts a part out of an audio file, exact to the sample."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import soundfile

from babe2_fx.audio.reading import open_audio, read_passage
from babe2_fx.files import FileError, whole_file

CHUNK = 1 << 16  # samples


def cut(source: Path, first: int, samples: int, path: Path) -> None:
    """Writes samples `first` to `first + samples` of a file as floating-point WAV; silence where the file has none.

    Raises FileError: it cannot be read, or not with sample accuracy.
    """
    with open_audio(source) as file:
        if file.format == "MP3":  # programs differ in how much of its beginning they skip
            raise FileError(f"{source} is an MP3, and programs disagree on where the samples of those begin. "
                            "Convert it to WAV first.")
    audio, rate = read_passage(source, first, samples)
    try:
        with whole_file(path) as temporary, soundfile.SoundFile(
                temporary, "w", rate, len(audio), "FLOAT", format="WAV") as part:
            for start in range(0, samples, CHUNK):
                block = audio[:, start:start + CHUNK].T
                part.write(np.pad(block, ((0, min(CHUNK, samples - start) - len(block)), (0, 0))))
    except (OSError, RuntimeError) as error:
        raise FileError(f"{path} cannot be written: {error}.") from error
