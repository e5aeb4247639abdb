"""Recordings as users have them: the audio, and all that a result should carry over from them."""

from __future__ import annotations

import os
from dataclasses import dataclass, replace

from babe2_fx.audio.reading import AudioFile, open_audio, read_audio
from babe2_fx.texts import listed

from .carrying import called, carried
from .changes import Change, sentences
from .chunks import KINDS, Extras, read_extras
from .tags import Tags, read_tags


@dataclass(frozen=True)
class Recording(AudioFile):
    """A recording as read, with its tags · extras: its other chunks · notes: also what besides the audio could not be
    read, as sentences."""

    tags: Tags = Tags()
    extras: Extras = Extras()


def read_recording(path: str | os.PathLike) -> Recording:
    """Reads a recording with its tags and chunks. Damaged ones are noted, not refused: the music can still be read.

    Raises FileError and RoomError as `read_audio`.
    """
    audio, extras, tags = read_audio(path), Extras(), Tags()
    notes = list(audio.notes)
    if audio.format in KINDS:
        extras = read_extras(audio.path, KINDS[audio.format])
        if extras.unread:
            notes.append(f"{path} has parts that are damaged or too large and are not carried over: "
                         f"{listed(called(name) for name in extras.unread)}.")
    elif audio.format != "OGG":
        notes.append(f"What {path} holds besides its audio is not read, apart from a few texts.")
    try:
        tags = read_tags(audio.path, audio.format, _strings(audio), extras)
    except Exception as error:  # tags may hold anything, and no parser copes with all of it
        notes.append(f"The tags of {path} cannot be read and are not carried over ({one_line(error)}).")
    return Recording(**vars(audio) | {"notes": tuple(notes)}, tags=tags, extras=extras)


def raised(recording: Recording, sample_rate: int) -> Recording:
    """A recording at a higher rate in Hz, with room for highs that it lacks itself, and with what it carries."""
    import torch

    from babe2_fx.audio.resampling import resample  # imports torch, hence only here
    audio = resample(torch.from_numpy(recording.audio), recording.sample_rate, sample_rate).numpy()
    change = Change((recording.sample_rate, sample_rate), (recording.audio.shape[1], audio.shape[1]),
                    (recording.channels,) * 2, (recording.subtype,) * 2)
    extras, lost = carried(recording.extras, recording.format, change)
    said = (f"{recording.path} is at {recording.sample_rate} Hz. It was brought to {sample_rate} Hz, to make room for "
            "restored highs.")
    notes = (*recording.notes, said, *sentences(recording.path, "the result", lost))
    return replace(recording, audio=audio, sample_rate=sample_rate, extras=extras, notes=notes)


def _strings(audio: AudioFile) -> dict[str, str]:
    """The tags that libsndfile finds; none in a file that it does not read."""
    if audio.subtype == "unknown":
        return {}
    with open_audio(audio.path) as file:
        return file.copy_metadata()


def one_line(error: Exception) -> str:
    """Another library's error, to stand in parentheses."""
    return " ".join(str(error).split())[:100] or type(error).__name__
