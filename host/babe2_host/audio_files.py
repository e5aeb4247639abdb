"""Reads recordings as users have them, and writes files that appear whole or not at all."""

from __future__ import annotations

import contextlib
import io
import os
import re
import secrets
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile

LOWEST_RATE, HIGHEST_RATE = 8000, 192000  # Hz
CHUNK_FRAMES = 1 << 16  # a large Vorbis file written in one call overflows libsndfile's stack
WRITABLE = {".wav": "WAV", ".flac": "FLAC", ".aiff": "AIFF", ".aif": "AIFF", ".ogg": "OGG", ".mp3": "MP3",
            ".w64": "W64", ".rf64": "RF64", ".caf": "CAF", ".au": "AU"}
FLOATS = ("FLOAT", "DOUBLE")
# Subtypes to try when the format lacks the input's own, best match first. Eight-bit and companded recordings
# get 16 bits: their own noise would bury what was restored. What has no bit depth (MP3, Vorbis) gets 24.
INSTEAD = {"DOUBLE": ("FLOAT", "PCM_24", "PCM_16"), "FLOAT": ("PCM_24", "PCM_16"),
           "PCM_32": ("PCM_24", "PCM_16"), "PCM_24": ("PCM_32", "PCM_16"), "PCM_16": ("PCM_24",),
           "PCM_S8": ("PCM_16",), "PCM_U8": ("PCM_16",), "ULAW": ("PCM_16",), "ALAW": ("PCM_16",)}
NARROW = ("PCM_S8", "PCM_U8", "ULAW", "ALAW")
# Programs that write to a pipe cannot know the length and put the largest number there (or near it).
UNKNOWN_LENGTH = 0x7FFF0000
# libsndfile takes a chunk that is shorter than it says for what is there, and only notes it in its log.
SHORT_CHUNK = re.compile(r"^\s*(?:data|SSND|Data Size|riff|Riff size)\s*: (\d+) \(should be (\d+)\)", re.M)
MP3_SLACK = 4 * 1152  # frames by which the length in an MP3's header may differ from what is decoded


class AudioFileError(ValueError):
    """A file that cannot be read or written; the message is a sentence that names it."""


@dataclass(frozen=True)
class AudioFile:
    """A recording as read: audio (channels, samples) float32, ±1 · sample_rate in Hz · format and subtype, in
    libsndfile's names."""

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


# ---------------------------------------------------------------------------------------------------- reading

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
        recording = _read_with_pedalboard(path, error)
    else:
        with file:
            recording = _read_with_libsndfile(path, file)
    _check_samples(recording)
    return recording


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
        raise AudioFileError(f"{path} cannot be read: {_reason(error)}.") from error


def _read_with_libsndfile(path: Path, file: soundfile.SoundFile) -> AudioFile:
    _check_rate(path, file.samplerate)
    for stated, there in SHORT_CHUNK.findall(file.extra_info):
        if int(there) < int(stated) < UNKNOWN_LENGTH:
            raise _truncated(path, f"its header promises {stated} bytes of audio and {there} are there")
    if file.format == "OGG" and not _ogg_is_whole(path):
        raise _truncated(path, "its last page is not the end of a stream")
    frames, done = file.frames, 0
    audio = np.empty((file.channels, frames), dtype=np.float32)
    while done < frames:
        try:
            chunk = file.read(min(CHUNK_FRAMES, frames - done), dtype="float32", always_2d=True)
        except soundfile.LibsndfileError as error:
            raise AudioFileError(f"{path} is damaged or truncated: after {done / file.samplerate:.2f} s of "
                                 f"{frames / file.samplerate:.2f} s it cannot be decoded "
                                 f"({_plain(error.error_string)}).") from error
        if not len(chunk):
            break
        audio[:, done:done + len(chunk)] = chunk.T
        done += len(chunk)
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
        why = _plain(first_error.error_string) if isinstance(first_error, soundfile.LibsndfileError) \
            else "it has no header"
        raise AudioFileError(f"{path} is not an audio file that can be read ({why}).") from first_error
    if audio.shape[1] < expected - MP3_SLACK:
        raise _truncated(path, f"its header promises {expected} samples and {audio.shape[1]} are there")
    return AudioFile(path, audio, rate, path.suffix.lstrip(".").upper() or "unknown", "unknown")


def _check_rate(path: Path, rate: int) -> None:
    if not LOWEST_RATE <= rate <= HIGHEST_RATE:
        raise AudioFileError(f"{path} has a sample rate of {rate} Hz; it must lie from {LOWEST_RATE} to "
                             f"{HIGHEST_RATE} Hz. Resample it first.")


def _check_samples(recording: AudioFile) -> None:
    audio, path = recording.audio, recording.path
    if audio.size == 0:
        raise AudioFileError(f"{path} has a header but no samples.")
    finite = np.isfinite(audio)
    if not finite.all():
        bad = ~finite
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


# ---------------------------------------------------------------------------------------------------- writing

def check_destination(path: str | os.PathLike, *sources: str | os.PathLike) -> Path:
    """The file that writing to `path` would make or replace (links followed), known to be writable.

    Args:
        sources: the user's own files, which must never be written to.

    Raises:
        AudioFileError: the folder is missing or cannot be written to, or the path is one of `sources`, a
            folder, a device or a pipe.
    """
    path = Path(path)
    try:
        real = Path(os.path.realpath(path))
        for source in sources:
            if real.exists() and Path(source).exists() and os.path.samefile(real, source):
                raise AudioFileError(f"{path} is an input and is not written over; give the output another "
                                     "name.")
        if real.is_dir():
            raise AudioFileError(f"{path} is a folder; give a file name in it.")
        if real.exists() and not real.is_file():
            raise AudioFileError(f"{path} is not a regular file and cannot be replaced.")
        if real.parent.exists() and not real.parent.is_dir():
            raise AudioFileError(f"{path} cannot be written: {path.parent} is a file, not a folder.")
        if not real.parent.is_dir():
            raise AudioFileError(f"{path} cannot be written: there is no folder {path.parent}.")
        with whole_file(real) as temporary:  # permissions alone do not tell (read-only disks, quotas, root)
            temporary.write_bytes(b"\0")
            raise _Rehearsed
    except _Rehearsed:
        return real
    except (OSError, ValueError) as error:
        if isinstance(error, AudioFileError):
            raise
        raise AudioFileError(f"{path} cannot be written: {_reason(error)}.") from error


class _Rehearsed(Exception):
    """Ends a trial: what was written is thrown away."""


@contextlib.contextmanager
def whole_file(path: Path) -> Iterator[Path]:
    """A temporary file beside `path` that takes its place when the block ends well, and else vanishes.

    Raises OSError as the file system does.
    """
    temporary = path.parent / f".babe2-{secrets.token_hex(6)}.part"
    try:
        with open(temporary, "xb"):  # not mkstemp: the file is to have the permissions of any new file
            pass
        yield temporary
        with open(temporary, "rb+") as file:
            os.fsync(file.fileno())  # some file systems only now say that the disk is full
        os.replace(temporary, path)
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink()


def write_whole(path: str | os.PathLike, write: Callable[[Path], object]) -> None:
    """Has `write(temporary path)` make a file, then puts it at `path`. Raises AudioFileError."""
    try:
        with whole_file(Path(os.path.realpath(path))) as temporary:
            write(temporary)
    except OSError as error:
        raise AudioFileError(f"{path} could not be written: {_reason(error)}.") from error


def check_audio_output(path: str | os.PathLike, like: AudioFile, *sources: str | os.PathLike) -> None:
    """Finds out before a long render whether its result can be written to `path`, by writing the input once.

    That tells of all at once (folder, format, channels, rate, room on the disk). Nothing is left behind.

    Raises:
        AudioFileError: as `check_destination`, and for formats that cannot be written or cannot hold this.
    """
    real = check_destination(path, like.path, *sources)
    file_format, subtype = _format_for(path, like)
    try:
        with whole_file(real) as temporary:
            _write_samples(temporary, like.audio, like.sample_rate, file_format, subtype)
            raise _Rehearsed
    except _Rehearsed:
        return
    except soundfile.LibsndfileError as error:
        raise _unfit(path, like, file_format, error) from error
    except OSError as error:
        raise AudioFileError(f"{path} cannot be written: {_reason(error)}.") from error


def write_audio(path: str | os.PathLike, audio: np.ndarray, sample_rate: int, like: AudioFile) -> float:
    """Writes a recording, whole or not at all; a file that stands there is replaced.

    Args:
        path: its extension chooses the format.
        audio: (channels, samples), float.
        sample_rate: Hz.
        like: the input, whose bit depth is kept where the format has it, and which is never written to.

    Returns:
        By how many dB the level of the whole recording was lowered so that its peaks fit: 0 where they did.

    Raises:
        AudioFileError: the path, the format or the disk do not allow it.
        ValueError: the audio has samples that are not finite.
    """
    if not np.isfinite(audio).all():
        raise ValueError(f"The audio for {path} has samples that are not finite; nothing was written.")
    check_destination(path, like.path)
    file_format, subtype = _format_for(path, like)
    peak, lowered_db = float(np.abs(audio).max(initial=0.0)), 0.0
    if peak > 1 and subtype not in FLOATS:
        lowered_db = 20 * np.log10(peak)
        audio = audio / np.float32(peak)
    try:
        write_whole(path, lambda part: _write_samples(part, audio, sample_rate, file_format, subtype))
    except soundfile.LibsndfileError as error:
        raise _unfit(path, like, file_format, error) from error
    return float(lowered_db)


def _format_for(path: str | os.PathLike, like: AudioFile) -> tuple[str, str]:
    ending = Path(path).suffix.lower()
    formats = soundfile.available_formats()
    known = [e for e, name in WRITABLE.items() if name in formats]
    if ending not in known:
        what = f"a file that ends in {ending}" if ending else "a file without an extension"
        raise AudioFileError(f"{path} cannot be written: {what} is not a known format. These work: "
                             f"{', '.join(known)}.")
    file_format = WRITABLE[ending]
    wanted = INSTEAD.get(like.subtype, ("PCM_24", "PCM_16"))
    if like.subtype in INSTEAD and like.subtype not in NARROW:
        wanted = (like.subtype, *wanted)
    fits = [subtype for subtype in wanted if soundfile.check_format(file_format, subtype)]
    return file_format, fits[0] if fits else soundfile.default_subtype(file_format)


def _write_samples(path: Path, audio: np.ndarray, sample_rate: int, file_format: str, subtype: str) -> None:
    with open(path, "rb+", buffering=0) as raw:
        target = _Remembering(raw)
        try:
            with soundfile.SoundFile(target, "w", int(sample_rate), audio.shape[0], subtype,
                                     format=file_format) as file:
                for start in range(0, audio.shape[1], CHUNK_FRAMES):
                    file.write(np.ascontiguousarray(audio[:, start:start + CHUNK_FRAMES].T))
        # Of a short write either libsndfile tells or soundfile asserts that there was none.
        except (soundfile.SoundFileError, AssertionError):
            if target.error is None:
                raise
        if target.error is not None:
            raise target.error


class _Remembering:
    """A file for libsndfile, which reports every failure as "System error": keeps the real one."""

    def __init__(self, raw: io.FileIO):
        self.raw, self.error = raw, None
        self.seek, self.tell, self.read, self.readinto = raw.seek, raw.tell, raw.read, raw.readinto

    def write(self, data: bytes) -> int:
        done = 0
        try:
            while done < len(data):
                done += self.raw.write(data[done:])
        except BaseException as error:  # even Ctrl-C would get lost in the C code that called
            self.error = error
        return done


def _unfit(path, like: AudioFile, file_format: str, error: soundfile.LibsndfileError) -> AudioFileError:
    channels = f"{like.channels} channel{'s' if like.channels > 1 else ''}"
    return AudioFileError(f"{path} cannot be written: {file_format} does not take {channels} at "
                          f"{like.sample_rate} Hz ({_plain(error.error_string)}). WAV does.")


def _reason(error: Exception) -> str:
    """What went wrong, as the system says it, to stand inside a sentence."""
    text = getattr(error, "strerror", None) or str(error)
    return text[:1].lower() + text[1:].rstrip(".")


def _plain(text: str) -> str:
    return text.strip().removeprefix("Error :").strip().rstrip(".")
