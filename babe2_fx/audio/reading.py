"""The reader of recordings, for library, training, command and app: it refuses damaged files and says why."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile

from ..files import FileError, reason
from .mapped import all_finite, allocate, release

LOWEST_RATE, HIGHEST_RATE = 8000, 192000  # Hz
CHUNK_FRAMES = 1 << 16
# Programs that write to a pipe cannot know the length and write the largest number, or nearly.
UNKNOWN_LENGTH = 0x7FFF0000
# libsndfile accepts a chunk that is shorter than stated and only notes it in its log.
SHORT_CHUNK = re.compile(r"^\s*(?:data|SSND|Data Size|riff|Riff size)\s*: (\d+) \(should be (\d+)\)", re.M)
MOST_FRAMES_A_BYTE = 8192  # silence in FLAC; a header that promises more is wrong
MP3_SLACK = 4 * 1152  # frames by which an MP3 header's length may differ from what is decoded


@dataclass(frozen=True)
class AudioFile:
    """A recording as read: audio (channels, samples) float32, ±1, in a file of its own if large (see
    `mapped.allocate`) · sample_rate in Hz · format and subtype, in libsndfile's names."""

    path: Path
    audio: np.ndarray
    sample_rate: int
    format: str
    subtype: str

    @property
    def channels(self) -> int:
        return self.audio.shape[0]

    @property
    def duration_s(self) -> float:
        return self.audio.shape[1] / self.sample_rate


def read_audio(path: str | os.PathLike) -> AudioFile:
    """Reads a whole recording, with libsndfile or else with Pedalboard.

    Raises:
        FileError: there is no such file, or it is empty, truncated, not audio, without samples, with samples that
            are not finite, or at a sample rate outside 8 to 192 kHz.
        RoomError: neither the memory nor the folder for temporary files has room for it.
    """
    path = Path(path)
    _check_readable(path)
    try:
        file = soundfile.SoundFile(str(path))
    except (soundfile.LibsndfileError, TypeError) as error:  # TypeError: a headerless file
        recording = _read_with_pedalboard(path, error)
    else:
        with file:
            recording = _read_with_libsndfile(path, file)
    _check_samples(recording)
    return recording


def _check_readable(path: Path) -> None:
    try:
        if path.is_dir():
            raise FileError(f"{path} is a folder, not a recording.", "folder", path=path)
        if not path.exists():
            raise FileError(f"There is no file {path}.", "missing", path=path)
        if not path.is_file():
            raise FileError(f"{path} is not a regular file.", "not-a-file", path=path)
        if path.stat().st_size == 0:
            raise FileError(f"{path} is empty (0 bytes).", "empty", path=path)
        with open(path, "rb"):
            pass
    except (OSError, ValueError) as error:  # ValueError: a zero byte in the name
        raise FileError(f"{path} cannot be read: {reason(error)}.", "not-readable", path=path) from error


def _read_with_libsndfile(path: Path, file: soundfile.SoundFile) -> AudioFile:
    _check_rate(path, file.samplerate)
    for stated, there in SHORT_CHUNK.findall(file.extra_info):
        if int(there) < int(stated) < UNKNOWN_LENGTH:
            raise _truncated(path, f"its header promises {stated} bytes of audio but only {there} are there")
    if file.format == "OGG" and not _ogg_is_whole(path):
        raise _truncated(path, "its last page is not the end of a stream")
    frames, done = file.frames, 0
    if frames > MOST_FRAMES_A_BYTE * path.stat().st_size:  # before they are allocated
        raise _truncated(path, f"its header promises {frames} samples, which {path.stat().st_size} bytes cannot hold")
    audio = allocate(file.channels, frames)
    file.seekable = lambda: False  # or soundfile seeks after each chunk, and MP3 decoders leave a gap
    while done < frames:
        try:
            chunk = file.read(min(CHUNK_FRAMES, frames - done), dtype="float32", always_2d=True)
        except soundfile.LibsndfileError as error:
            raise FileError(f"{path} is damaged or truncated: after {done / file.samplerate:.2f} s of "
                            f"{frames / file.samplerate:.2f} s it cannot be decoded ({plain(error.error_string)}).",
                            "damaged", path=path) from error
        if not len(chunk):
            break
        audio[:, done:done + len(chunk)] = chunk.T
        done += len(chunk)
        if done % (CHUNK_FRAMES << 8) == 0:
            release(audio)
    if done < frames - (MP3_SLACK if file.format == "MP3" else 0):
        raise _truncated(path, f"its header promises {frames} samples but only {done} are there")
    return AudioFile(path, audio[:, :done], file.samplerate, file.format, file.subtype)


def _read_with_pedalboard(path: Path, first_error: Exception) -> AudioFile:
    """Reads what libsndfile cannot: on macOS and Windows with the system's own decoders (AAC, WMA)."""
    from pedalboard.io import AudioFile as Decoder
    try:
        with Decoder(str(path)) as file:
            rate = round(file.samplerate)
            _check_rate(path, rate)
            audio = np.ascontiguousarray(file.read(file.frames), dtype=np.float32)
            expected = file.frames
    except FileError:
        raise
    except (ValueError, RuntimeError, OSError):
        why = plain(first_error.error_string) if isinstance(first_error, soundfile.LibsndfileError) \
            else "it has no header"
        raise FileError(f"{path} is not an audio file that can be read ({why}).", "not-audio", path=path) \
            from first_error
    if audio.shape[1] < expected - MP3_SLACK:
        raise _truncated(path, f"its header promises {expected} samples but only {audio.shape[1]} are there")
    return AudioFile(path, audio, rate, path.suffix.lstrip(".").upper() or "unknown", "unknown")


def _check_rate(path: Path, rate: int) -> None:
    if not LOWEST_RATE <= rate <= HIGHEST_RATE:
        raise FileError(f"{path} has a sample rate of {rate} Hz; it must lie from {LOWEST_RATE} to {HIGHEST_RATE} Hz. "
                        "Resample it first.", "sample-rate", path=path, sample_rate=rate)


def _check_samples(recording: AudioFile) -> None:
    audio, path = recording.audio, recording.path
    if audio.size == 0:
        raise FileError(f"{path} has a header but no samples.", "no-samples", path=path)
    if not all_finite(audio):
        bad = ~np.isfinite(audio)
        first = int(bad.any(axis=0).argmax())
        channel = int(bad[:, first].argmax())
        raise FileError(f"{path} has {int(bad.sum())} of {audio.size} samples that are not finite numbers (NaN or "
                        f"infinite), the first at {first / recording.sample_rate:.3f} s (sample {first}, channel "
                        f"{channel + 1}). Repair it in an audio editor first.", "not-finite", path=path)


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


def _truncated(path: Path, how: str) -> FileError:
    return FileError(f"{path} is truncated: {how}. Copy it again, or save what is there from an audio editor.",
                     "truncated", path=path)


def plain(text: str) -> str:
    """libsndfile's words for an error, for use inside a sentence."""
    return text.strip().removeprefix("Error :").strip().rstrip(".")
