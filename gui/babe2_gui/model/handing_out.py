"""Takes as files: written for the user, or for another program that is handed one."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

import numpy as np
import platformdirs

from babe2_fx.files import FileError
from babe2_host.audio.recording import Recording
from babe2_host.audio.writing import not_carried, write_audio


def write_take(path: str | os.PathLike, audio: np.ndarray, start: int, like: Recording, depth: str | None = None,
               seed: int = 0) -> list[str]:
    """Writes a take's audio (channels, samples); what the user should know about it, as sentences.

    Args:
        start: the sample of the recording that it begins with; programs that put broadcast waves at their time stamps
            put it there too.
        like: the recording, whose bit depth, tags and chunks it gets.
        depth: "16", "24", "float", or None for the recording's.

    Raises:
        FileError: the path, the format or the disk do not allow it.
    """
    lowered_db = write_audio(path, audio, like.sample_rate, like, depth=depth, seed=seed, start=start)
    said = [f"Wrote {path}."]
    if lowered_db:
        said.append(f"Its peaks did not fit, so all of it was lowered by {lowered_db:.2f} dB; 32-bit float keeps them.")
    return said + list(not_carried(path, audio, like.sample_rate, like, depth=depth, start=start))


def hand_out(audio: np.ndarray, start: int, recording: Recording, seed: int = 0) -> tuple[Path, list[str]]:
    """Writes a take to a WAV file of its own, which other programs may go on reading.

    It lies next to the recording, where it is looked for and backed up; or in the user's folder of music, where
    the recording's folder cannot be written to or is one for temporary files. No file is replaced.

    Returns:
        The file, and what the user should know about it.

    Raises:
        FileError: neither folder can be written to, or the disk is full.
    """
    name = Path(recording.path).stem + " (restored"
    if audio.shape[1] < recording.audio.shape[1]:
        name += f" from {start / recording.sample_rate:.3f} s"
    path, said = _new_file(Path(recording.path).absolute().parent, name)
    try:
        said = write_take(path, audio, start, recording, seed=seed) + said
    except BaseException:
        path.unlink(missing_ok=True)
        raise
    return path, said


def _new_file(beside: Path, name: str) -> tuple[Path, list[str]]:
    """A new, empty file, so that what is written replaces nothing."""
    music, why = Path(platformdirs.user_music_path()) / "BABE-2", "is one for temporary files"
    if not beside.resolve().is_relative_to(Path(tempfile.gettempdir()).resolve()):
        try:
            return _reserved(beside, name), []
        except OSError:
            why = "cannot be written to"
    try:
        music.mkdir(parents=True, exist_ok=True)
        return _reserved(music, name), [f"It is there because the recording's folder {why}."]
    except OSError as error:
        raise FileError(f"The take cannot be written: the recording's folder, {beside}, {why}, and neither "
                             f"can {music} ({error.strerror}). Export it to another folder.") from error


def _reserved(folder: Path, name: str) -> Path:
    number = 1
    while True:
        path = folder / f"{name}{f' {number}' if number > 1 else ''}).wav"
        try:
            with open(path, "xb"):
                return path
        except FileExistsError:
            number += 1
