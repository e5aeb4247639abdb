"""Recordings as users have them: the audio, and all that a result should carry over from them."""

from __future__ import annotations

import os
from dataclasses import dataclass

from babe2_fx.audio.reading import AudioFile, open_audio, read_audio

from .riff import WAVES, WaveExtras, read_extras
from .tags import Tags, read_tags


@dataclass(frozen=True)
class Recording(AudioFile):
    """A recording as read, with its tags · extras: the other chunks of a WAV file · notes: what besides the audio
    could not be read too, as sentences."""

    tags: Tags = Tags()
    extras: WaveExtras = WaveExtras()


def read_recording(path: str | os.PathLike) -> Recording:
    """Reads a recording with its tags and chunks. Damaged ones are noted, not refused: the music can still be read.

    Raises FileError and RoomError as `read_audio`.
    """
    audio, extras, tags = read_audio(path), None, Tags()
    notes = list(audio.notes)
    if audio.format in WAVES:
        extras = read_extras(audio.path)
        notes += [f"The chunk {name.strip()} of {path} is damaged or too large and is not carried over."
                  for name in extras.unread]
    try:
        tags = read_tags(audio.path, _strings(audio), extras)
    except Exception as error:  # tags may hold anything, and no parser copes with all of it
        notes.append(f"The tags of {path} cannot be read and are not carried over ({one_line(error)}).")
    return Recording(**vars(audio) | {"notes": tuple(notes)}, tags=tags, extras=extras or WaveExtras())


def _strings(audio: AudioFile) -> dict[str, str]:
    """The tags that libsndfile finds; none in a file that it does not read."""
    if audio.subtype == "unknown":
        return {}
    with open_audio(audio.path) as file:
        return file.copy_metadata()


def one_line(error: Exception) -> str:
    """Another library's error, to stand in parentheses."""
    return " ".join(str(error).split())[:100] or type(error).__name__
