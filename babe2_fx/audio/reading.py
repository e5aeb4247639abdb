"""The reader of recordings, for library, training, command and app: it refuses damaged files and says why.

What a header says of a file's length is a claim. A file is decoded until nothing more comes, in room that grows with
what does come; and what was found is said where it is not what the header promised.
"""

from __future__ import annotations

import contextlib
import io
import os
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
import soundfile

from ..files import FileError, reason
from .contents import contents, contents_after_junk
from .foreign import NotDecodedError, foreign
from .mapped import Growing, all_finite, allocate, chunks
from .views import Contents, Part, View, truncated

LOWEST_RATE, HIGHEST_RATE = 8000, 192000  # Hz
CHUNK_FRAMES = 1 << 16
UNKNOWN_FRAMES = 1 << 62  # libsndfile's number of samples where a header does not say it is larger
# libsndfile accepts a chunk that is shorter than stated and only notes it in its log.
SHORT_CHUNK = re.compile(r"^\s*(?:BODY|Data Size)\s*: (\d+) \(should be (\d+)\)", re.M)
SAMPLES_A_BYTE = 16  # that a header is believed at once; room for more is made when they come
MOST_SAMPLES_A_BYTE = 1024  # of what is large: hours of digital silence have fewer
LARGE_SAMPLES = 1 << 28
MP3_SLACK = 4 * 1152  # samples by which a header's length of MP3, also within a WAV, may differ from what is decoded
UNRECOGNISED, UNSUPPORTED = 1, 4  # libsndfile's codes for what another decoder may know


class _Kind(NamedTuple):
    """What a part of a file is, as libsndfile names it."""

    rate: int
    channels: int
    format: str
    subtype: str


@dataclass(frozen=True)
class AudioFile:
    """A recording as read: audio (channels, samples) float32, ±1, in a file of its own if large (see
    `mapped.allocate`) · sample_rate in Hz · format and subtype, in libsndfile's names · notes: what a user should know
    of how it was read, as sentences."""

    path: Path
    audio: np.ndarray
    sample_rate: int
    format: str
    subtype: str
    notes: tuple[str, ...] = ()

    @property
    def channels(self) -> int:
        return self.audio.shape[0]

    @property
    def duration_s(self) -> float:
        return self.audio.shape[1] / self.sample_rate


def read_audio(path: str | os.PathLike) -> AudioFile:
    """Reads a whole recording, with libsndfile or else with Pedalboard. Several in one file are joined.

    Raises:
        FileError: there is no such file, or it is empty, truncated, not audio, without samples, with samples that
            are not finite, at a sample rate outside 8 to 192 kHz, or made of recordings that cannot be joined.
        RoomError: neither the memory nor the folder for temporary files has room for it.
    """
    path = Path(path)
    with _opened(path) as file:
        found = _survey(path, file)
        try:
            recording = _decoded(path, file, found)
        except soundfile.LibsndfileError as error:
            if found.parts or error.code not in (UNRECOGNISED, UNSUPPORTED):
                raise _not_audio(path, plain(error.error_string)) from error
            recording = _read_with_pedalboard(path, error)
    _check_samples(recording)
    return recording


@contextlib.contextmanager
def open_audio(path: str | os.PathLike) -> Iterator[soundfile.SoundFile]:
    """A file open in libsndfile, for its format and its strings; of several recordings in it the first.

    Raises FileError: libsndfile does not read it; or as `read_audio`.
    """
    path = Path(path)
    with _opened(path) as file:
        found = _survey(path, file)
        try:
            sound, _ = _sound(path, file, None if found.as_it_is or not found.parts else found.parts[0])
        except soundfile.LibsndfileError as error:
            raise _not_audio(path, plain(error.error_string)) from error
        with sound:
            yield sound


def read_passage(path: str | os.PathLike, first: int, samples: int) -> tuple[np.ndarray, int]:
    """Samples `first` to `first + samples` (channels, samples) as far as there are any, and the rate in Hz.

    Raises FileError and RoomError as `read_audio`; FileError where libsndfile does not read the file.
    """
    with open_audio(path) as file:
        if first + samples <= file.frames < UNKNOWN_FRAMES:
            file.seek(first)
            audio = allocate(file.channels, samples)
            for part in chunks(samples, audio, length=CHUNK_FRAMES):
                block = file.read(part.stop - part.start, "float32", always_2d=True)
                if len(block) < part.stop - part.start:
                    break
                audio[:, part] = block.T
            else:
                return audio, file.samplerate
    whole = read_audio(path)  # its header promises less than that, or more than is there
    return whole.audio[:, first:first + samples], whole.sample_rate


def samples_of(path: str | os.PathLike) -> tuple[int, int, int]:
    """Samples, channels and rate in Hz by the headers of a file; 0 samples where they do not say how many.

    Raises FileError as `open_audio`.
    """
    path, samples = Path(path), 0
    with _opened(path) as file:
        found = _survey(path, file)
        try:
            for part in found.parts or (None,):
                with _sound(path, file, part)[0] as sound:
                    frames = sound.frames if part is None or part.promised is None else part.promised
                    samples += frames if frames < UNKNOWN_FRAMES else 0
                    channels, rate = sound.channels, sound.samplerate
        except soundfile.LibsndfileError as error:
            raise _not_audio(path, plain(error.error_string)) from error
    return samples, channels, rate


def duration_s(path: str | os.PathLike) -> float:
    """How long a recording is by its headers, in s; 0 where they do not say or it cannot be read."""
    try:
        samples, _, rate = samples_of(path)
    except FileError:
        return 0.0
    return samples / rate


# ---------------------------------------------------------------------------------------------------- opening

@contextlib.contextmanager
def _opened(path: Path) -> Iterator[io.FileIO]:
    """A file known to be a regular one that is not empty, open as bytes. Raises FileError."""
    try:
        if path.is_dir():
            raise FileError(f"{path} is a folder, not a recording.", "folder", path=path)
        if not path.exists():
            raise FileError(f"There is no file {path}.", "missing", path=path)
        if not path.is_file():
            raise FileError(f"{path} is not a regular file.", "not-a-file", path=path)
        if path.stat().st_size == 0:
            raise FileError(f"{path} is empty (0 bytes).", "empty", path=path)
        file = open(path, "rb", buffering=0)
    except (OSError, ValueError) as error:  # ValueError: a zero byte in the name
        raise FileError(f"{path} cannot be read: {reason(error)}.", "not-readable", path=path) from error
    with file:
        try:
            yield file
        except OSError as error:
            raise FileError(f"{path} cannot be read: {reason(error)}.", "not-readable", path=path) from error


def _survey(path: Path, file: io.FileIO) -> Contents:
    """What is in a file, behind junk too where libsndfile does not know it as it stands."""
    found = contents(file, path)
    if found.parts or found.as_it_is:
        return found
    try:
        with _sound(path, file, None)[0] as sound:
            behind_junk = sound.format == "MP3"  # found by its decoder, which then guesses how long it is
    except soundfile.LibsndfileError as error:
        behind_junk = error.code == UNRECOGNISED
    return contents_after_junk(file, path) if behind_junk else found


def _sound(path: Path, file: io.FileIO, part: Part | None) -> tuple[soundfile.SoundFile, View]:
    """A part of a file, or the file as it stands, open in libsndfile."""
    view = View(file, part or Part((range(path.stat().st_size),)))
    # soundfile encodes names strictly, and takes one that ends in .raw for its word.
    name = str(path) if sys.platform == "win32" else os.fsencode(path)
    return soundfile.SoundFile(view if part or path.suffix.lower() == ".raw" else name), view


# --------------------------------------------------------------------------------------------------- decoding

def _decoded(path: Path, file: io.FileIO, found: Contents) -> AudioFile:
    """All parts of a file, joined. Raises LibsndfileError where libsndfile does not read one."""
    growing, first, said = None, None, list(found.found)
    for number, part in enumerate(found.parts or (None,), 1):
        sound, view = _sound(path, file, part)
        with sound:
            if growing is None or first is None:
                first = _Kind(sound.samplerate, sound.channels, sound.format, sound.subtype)
                _check_rate(path, first.rate)
                growing = Growing(sound.channels, _believed(path, sound, part))
            elif (sound.samplerate, sound.channels) != first[:2]:
                raise FileError(
                    f"{path} holds {len(found.parts)} recordings one after the other. Number {number} has "
                    f"{_channels(sound.channels)} at {sound.samplerate} Hz and cannot be joined to what is before it, "
                    f"{first.channels} at {first.rate} Hz. Split the file with another program.", "not-joined",
                    path=path)
            notes = _decode(path, sound, view, growing, part.promised if part else None)
            said += [note for note in notes if note not in said]
    assert growing is not None and first is not None  # there is one part at least
    audio = growing.taken()
    if said and audio.size:
        said.append(f"All that is there was read, {audio.shape[1] / first.rate:.2f} s.")
    return AudioFile(path, audio, first.rate, first.format, first.subtype, (" ".join(said),) if said else ())


def _channels(count: int) -> str:
    return "1 channel" if count == 1 else f"{count} channels"


def _believed(path: Path, sound: soundfile.SoundFile, part: Part | None) -> int:
    """For how many samples there is to be room before any has come."""
    stated = part.promised if part and part.promised else sound.frames
    known = stated < UNKNOWN_FRAMES
    return min(stated, (SAMPLES_A_BYTE if known else 2) * path.stat().st_size // sound.channels)


def _decode(path: Path, sound: soundfile.SoundFile, view: View, growing: Growing, promised: int | None) -> list[str]:
    """Appends all that comes; returns what of it the header stated wrongly. Raises FileError for damage."""
    for stated, there in SHORT_CHUNK.findall(sound.extra_info):
        if int(there) < int(stated):
            raise truncated(path, f"its header promises {stated} bytes of audio but only {there} are there")
    expected = sound.frames if promised is None else promised
    known, before = 0 < expected < UNKNOWN_FRAMES, growing.done
    sound.seekable = lambda: False  # or soundfile seeks after each chunk, and MP3 decoders leave a gap
    buffer = np.empty((CHUNK_FRAMES, sound.channels), np.float32)
    while True:
        done = growing.done - before
        count = min(CHUNK_FRAMES, expected - done) if known and done < expected else CHUNK_FRAMES
        try:
            chunk = sound.read(out=buffer[:count])
        except soundfile.LibsndfileError as error:
            if known and done >= expected:
                break  # something else follows
            of = f" of {expected / sound.samplerate:.2f} s" if known else ""
            raise FileError(f"{path} is damaged or truncated: after {done / sound.samplerate:.2f} s{of} it cannot be "
                            f"decoded ({plain(error.error_string)}).", "damaged", path=path) from error
        finally:
            view.check()
        if not len(chunk):
            break
        growing.add(chunk.T)
        _check_ratio(path, growing)
    done = growing.done - before
    if known and done < expected - (MP3_SLACK if sound.subtype.startswith("MPEG") else 0):
        raise truncated(path, f"its header promises {expected} samples but only {done} are there")
    if expected == 0 and promised is not None or expected >= UNKNOWN_FRAMES:
        return [f"The header of {path} does not say how long it is."]
    if done > expected and sound.format == "FLAC":
        return [f"The header of {path} states {expected} samples, but {done} are there."]
    return []


def _check_ratio(path: Path, growing: Growing) -> None:
    """Raises FileError where a small file would fill the disk."""
    samples = growing.done * growing.channels
    if samples > LARGE_SAMPLES and samples > MOST_SAMPLES_A_BYTE * path.stat().st_size:
        raise FileError(f"{path} is not read any further: its {path.stat().st_size} bytes hold more than {samples} "
                        "samples, as no recording does.", "too-long", path=path)


def _read_with_pedalboard(path: Path, first_error: soundfile.LibsndfileError) -> AudioFile:
    """Reads what libsndfile does not know, in a process of its own."""
    try:
        with foreign(path) as (about, blocks):
            _check_rate(path, about["rate"])
            growing = Growing(about["channels"], min(about["frames"], 2 * path.stat().st_size))
            for block in blocks:
                growing.add(block)
                _check_ratio(path, growing)
    except NotDecodedError as error:
        if error.code == "not-audio":
            raise _not_audio(path, plain(first_error.error_string)) from error
        raise
    if growing.done < about["frames"] - MP3_SLACK:
        raise truncated(path, f"its header promises {about['frames']} samples but only {growing.done} are there")
    return AudioFile(path, growing.taken(), about["rate"], path.suffix.lstrip(".").upper() or "unknown", "unknown")


# --------------------------------------------------------------------------------------------------- checking

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


def _not_audio(path: Path, why: str) -> FileError:
    return FileError(f"{path} is not an audio file that can be read ({why}).", "not-audio", path=path)


def plain(text: str) -> str:
    """libsndfile's words for an error, for use inside a sentence."""
    return text.strip().removeprefix("Error :").strip().rstrip(".")
