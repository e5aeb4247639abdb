"""Reads recordings as users have them."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import soundfile

from babe2_fx.audio.mapped import all_finite, allocate, release
from babe2_fx.errors import UserError

from .riff import WaveExtras, read_extras
from .tags import Tags, read_tags

LOWEST_RATE, HIGHEST_RATE = 8000, 192000  # Hz
CHUNK_FRAMES = 1 << 16
WAVES = ("WAV", "WAVEX", "RF64")
# Programs that write to a pipe cannot know the length and put the largest number there (or near it).
UNKNOWN_LENGTH = 0x7FFF0000
# libsndfile takes a chunk that is shorter than it says for what is there, and only notes it in its log.
SHORT_CHUNK = re.compile(r"^\s*(?:data|SSND|Data Size|riff|Riff size)\s*: (\d+) \(should be (\d+)\)", re.M)
MOST_FRAMES_A_BYTE = 8192  # of silence in FLAC; a header that promises more of a file lies
MP3_SLACK = 4 * 1152  # frames by which the length in an MP3's header may differ from what is decoded


class AudioFileError(UserError):
    """A file that cannot be read or written; the message is a sentence that names it."""


@dataclass(frozen=True)
class AudioFile:
    """A recording as read: audio (channels, samples) float32, ±1 · sample_rate in Hz · format and subtype, in
    libsndfile's names · tags · extras: the other chunks of a WAV file · notes: what beside the audio could
    not be read, as sentences."""

    path: Path
    audio: np.ndarray
    sample_rate: int
    format: str
    subtype: str
    tags: Tags = Tags()
    extras: WaveExtras = WaveExtras()
    notes: tuple[str, ...] = ()

    @property
    def channels(self) -> int:
        return self.audio.shape[0]

    @property
    def duration_s(self) -> float:
        return self.audio.shape[1] / self.sample_rate


def read_audio(path: str | os.PathLike) -> AudioFile:
    """Reads a whole recording: what libsndfile reads, else what Pedalboard reads.

    Raises:
        AudioFileError: there is no such file, or it is empty, truncated, not audio, without samples, with
            samples that are not finite, or at a sample rate outside 8 to 192 kHz.
    """
    path = Path(path)
    _check_readable(path)
    try:
        file = soundfile.SoundFile(str(path))
    except (soundfile.LibsndfileError, TypeError) as error:  # TypeError: a headerless file
        recording, strings = _read_with_pedalboard(path, error), {}
    else:
        with file:
            recording, strings = _read_with_libsndfile(path, file), file.copy_metadata()
    _check_samples(recording)
    return _with_what_is_beside(recording, strings)


def _check_readable(path: Path) -> None:
    try:
        if path.is_dir():
            raise AudioFileError(f"{path} is a folder, not a recording.")
        if not path.exists():
            raise AudioFileError(f"There is no file {path}.")
        if not path.is_file():
            raise AudioFileError(f"{path} is not a regular file.")
        if path.stat().st_size == 0:
            raise AudioFileError(f"{path} is empty (0 bytes).")
        with open(path, "rb"):
            pass
    except (OSError, ValueError) as error:  # ValueError: a zero byte in the name
        if isinstance(error, AudioFileError):
            raise
        raise AudioFileError(f"{path} cannot be read: {reason(error)}.") from error


def _read_with_libsndfile(path: Path, file: soundfile.SoundFile) -> AudioFile:
    _check_rate(path, file.samplerate)
    for stated, there in SHORT_CHUNK.findall(file.extra_info):
        if int(there) < int(stated) < UNKNOWN_LENGTH:
            raise _truncated(path, f"its header promises {stated} bytes of audio and {there} are there")
    if file.format == "OGG" and not _ogg_is_whole(path):
        raise _truncated(path, "its last page is not the end of a stream")
    frames, done = file.frames, 0
    if frames > MOST_FRAMES_A_BYTE * path.stat().st_size:  # before room is made for them
        raise _truncated(path, f"its header promises {frames} samples, which {path.stat().st_size} bytes cannot hold")
    audio = allocate(file.channels, frames)
    while done < frames:
        try:
            chunk = file.read(min(CHUNK_FRAMES, frames - done), dtype="float32", always_2d=True)
        except soundfile.LibsndfileError as error:
            raise AudioFileError(f"{path} is damaged or truncated: after {done / file.samplerate:.2f} s of "
                                 f"{frames / file.samplerate:.2f} s it cannot be decoded "
                                 f"({plain(error.error_string)}).") from error
        if not len(chunk):
            break
        audio[:, done:done + len(chunk)] = chunk.T
        done += len(chunk)
        if done % (CHUNK_FRAMES << 8) == 0:
            release(audio)
    if done < frames - (MP3_SLACK if file.format == "MP3" else 0):
        raise _truncated(path, f"its header promises {frames} samples and {done} are there")
    return AudioFile(path, audio[:, :done], file.samplerate, file.format, file.subtype)


def _read_with_pedalboard(path: Path, first_error: Exception) -> AudioFile:
    """For what libsndfile does not know: on macOS and Windows the system's own decoders (AAC, WMA)."""
    from pedalboard.io import AudioFile as Decoder
    try:
        with Decoder(str(path)) as file:
            rate = round(file.samplerate)
            _check_rate(path, rate)
            audio = np.ascontiguousarray(file.read(file.frames), dtype=np.float32)
            expected = file.frames
    except AudioFileError:
        raise
    except (ValueError, RuntimeError, OSError):
        why = plain(first_error.error_string) if isinstance(first_error, soundfile.LibsndfileError) \
            else "it has no header"
        raise AudioFileError(f"{path} is not an audio file that can be read ({why}).") from first_error
    if audio.shape[1] < expected - MP3_SLACK:
        raise _truncated(path, f"its header promises {expected} samples and {audio.shape[1]} are there")
    return AudioFile(path, audio, rate, path.suffix.lstrip(".").upper() or "unknown", "unknown")


def _with_what_is_beside(recording: AudioFile, strings: dict[str, str]) -> AudioFile:
    """The recording with its tags and chunks; those that are damaged are noted, for the music can be read."""
    path, extras, tags, notes = recording.path, None, Tags(), []
    if recording.format in WAVES:
        extras = read_extras(path)
        notes += [f"The chunk {name.strip()} of {path} is damaged or too large and is not carried over."
                  for name in extras.unread]
    try:
        tags = read_tags(path, strings, extras)
    except Exception as error:  # anything may stand where tags should, and no parser is sure of all of it
        notes.append(f"The tags of {path} cannot be read and are not carried over ({one_line(error)}).")
    return replace(recording, tags=tags, extras=extras or WaveExtras(), notes=tuple(notes))


def _check_rate(path: Path, rate: int) -> None:
    if not LOWEST_RATE <= rate <= HIGHEST_RATE:
        raise AudioFileError(f"{path} has a sample rate of {rate} Hz; it must lie from {LOWEST_RATE} to "
                             f"{HIGHEST_RATE} Hz. Resample it first.")


def _check_samples(recording: AudioFile) -> None:
    audio, path = recording.audio, recording.path
    if audio.size == 0:
        raise AudioFileError(f"{path} has a header but no samples.")
    if not all_finite(audio):
        bad = ~np.isfinite(audio)
        first = int(bad.any(axis=0).argmax())
        channel = int(bad[:, first].argmax())
        raise AudioFileError(f"{path} has {int(bad.sum())} of {audio.size} samples that are not finite "
                             f"numbers (NaN or infinite), the first at {first / recording.sample_rate:.3f} s "
                             f"(sample {first}, channel {channel + 1}). Repair it in an audio editor first.")


def _ogg_is_whole(path: Path) -> bool:
    """Whether an Ogg file ends with a complete page that is marked as its stream's last."""
    with open(path, "rb") as file:
        # Two pages of the largest size, 65 307 bytes, at least one of which begins here.
        file.seek(-min(1 << 17, path.stat().st_size), os.SEEK_END)
        end = file.read()
    at = end.rfind(b"OggS")
    if at < 0:
        return True  # not for this check to judge
    page = end[at:]
    if len(page) < 27 or len(page) < 27 + page[26]:
        return False
    return len(page) >= 27 + page[26] + sum(page[27:27 + page[26]]) and bool(page[5] & 4)


def _truncated(path: Path, how: str) -> AudioFileError:
    return AudioFileError(f"{path} is truncated: {how}. Copy it again, or save what is there from an audio "
                          "editor.")


def reason(error: Exception) -> str:
    """What went wrong, as the system says it, to stand inside a sentence."""
    text = getattr(error, "strerror", None) or str(error)
    return text[:1].lower() + text[1:].rstrip(".")


def one_line(error: Exception) -> str:
    """Another library's error, to stand in parentheses."""
    return " ".join(str(error).split())[:100] or type(error).__name__


def plain(text: str) -> str:
    return text.strip().removeprefix("Error :").strip().rstrip(".")
