"""Reads recordings as users have them, and writes files that appear whole or not at all."""

from __future__ import annotations

import contextlib
import io
import os
import re
import secrets
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import soundfile

from babe2_fx.arrays import all_finite, peak, pieces, rest, room
from babe2_fx.errors import UserError

from .chunks import TIMED, WaveExtras, read_extras, write_wave
from .tags import TAGLESS, Tags, read_tags, set_strings, wave_chunks, write_tags

LOWEST_RATE, HIGHEST_RATE = 8000, 192000  # Hz
CHUNK_FRAMES = 1 << 16  # a large Vorbis file written in one call overflows libsndfile's stack
WRITABLE = {".wav": "WAV", ".flac": "FLAC", ".aiff": "AIFF", ".aif": "AIFF", ".ogg": "OGG", ".mp3": "MP3",
            ".w64": "W64", ".rf64": "RF64", ".caf": "CAF", ".au": "AU"}
WAVES = ("WAV", "WAVEX", "RF64")
DEPTHS = {"16": "PCM_16", "24": "PCM_24", "float": "FLOAT"}  # what a user may ask for
BITS = {"PCM_16": 16, "PCM_24": 24, "PCM_32": 32}
FLOATS = ("FLOAT", "DOUBLE")
LARGEST_AIFF = 0xFFFFFFFF - (1 << 20)  # bytes of samples; leaves room for the rest
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
        raise AudioFileError(f"{path} cannot be read: {_reason(error)}.") from error


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
    audio = room(file.channels, frames)
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
        if done % (CHUNK_FRAMES << 8) == 0:
            rest(audio)
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
        notes.append(f"The tags of {path} cannot be read and are not carried over ({_one_line(error)}).")
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


def check_audio_output(path: str | os.PathLike, like: AudioFile, *sources: str | os.PathLike,
                       depth: str | None = None) -> None:
    """Finds out before a long render whether its result can be written to `path`, by writing the input once.

    That tells of all at once (folder, format, channels, rate, room on the disk). Nothing is left behind.

    Raises:
        AudioFileError: as `check_destination`, and for formats that cannot be written or cannot hold this.
    """
    real = check_destination(path, like.path, *sources)
    file_format, subtype = _format_for(path, like, depth)
    _check_size(path, like.audio, file_format, subtype)
    try:
        with whole_file(real) as temporary:
            _write_file(temporary, like.audio, like.sample_rate, file_format, subtype, like)
            raise _Rehearsed
    except _Rehearsed:
        return
    except soundfile.LibsndfileError as error:
        raise _unfit(path, like, file_format, error) from error
    except OSError as error:
        raise AudioFileError(f"{path} cannot be written: {_reason(error)}.") from error


def write_audio(path: str | os.PathLike, audio: np.ndarray, sample_rate: int, like: AudioFile, *,
                depth: str | None = None, seed: int = 0) -> float:
    """Writes a recording, whole or not at all; a file that stands there is replaced.

    Samples that are rounded to 16 or 24 bits get TPDF dither first; those that need no rounding stay as they
    are. A WAV file of more than 4 GB becomes RF64. Tags are carried over, and from WAV to WAV the chunks that
    archives live by; `not_carried` tells what is not.

    Args:
        path: its extension chooses the format.
        audio: (channels, samples), float.
        sample_rate: Hz.
        like: the input, whose bit depth is kept where the format has it, and which is never written to.
        depth: one of `DEPTHS`, in the place of the input's.
        seed: of the dither.

    Returns:
        By how many dB the level of the whole recording was lowered so that its peaks fit: 0 where they did.

    Raises:
        AudioFileError: the path, the format or the disk do not allow it.
        ValueError: the audio has samples that are not finite.
    """
    if not all_finite(audio):
        raise ValueError(f"The audio for {path} has samples that are not finite; nothing was written.")
    check_destination(path, like.path)
    file_format, subtype = _format_for(path, like, depth)
    _check_size(path, audio, file_format, subtype)
    highest, gain = peak(audio), np.float32(1.0)
    if highest > 1 and subtype not in FLOATS:
        # Two steps of room: one for the dither, and the largest number is a step below 1.
        to = 1 - 2.0 ** (2 - BITS[subtype]) if subtype in BITS else 1.0
        gain = np.float32(to / highest)
    try:
        write_whole(path, lambda part: _write_file(part, audio, sample_rate, file_format, subtype, like,
                                                   seed, gain))
    except soundfile.LibsndfileError as error:
        raise _unfit(path, like, file_format, error) from error
    return -20 * float(np.log10(gain)) if gain != 1 else 0.0


def not_carried(path: str | os.PathLike, audio: np.ndarray, sample_rate: int,
                like: AudioFile) -> tuple[str, ...]:
    """What of the input beside its audio is not in the file that `write_audio` makes of the same arguments.

    Sentences for the user; none where all is there.
    """
    said, file_format = list(like.notes), WRITABLE.get(Path(path).suffix.lower())
    chunks = _lost_chunks(audio, sample_rate, like)
    reason = "it has not the input's length, rate and channels"
    if file_format not in WAVES:
        # Tags are carried by themselves.
        chunks = [c.name for c in like.extras.chunks if c.name.lower() not in ("list/info", "id3 ")]
        reason = "only WAV files can have them"
    if chunks:
        names = ", ".join(dict.fromkeys(name.strip() for name in chunks))
        said.append(f"{path} is without these chunks of {like.path}, for {reason}: {names}.")
    if like.tags and file_format in TAGLESS:
        said.append(f"{path} is without the tags of {like.path}: {file_format} files cannot have any.")
    return tuple(said)


def _lost_chunks(audio: np.ndarray, sample_rate: int, like: AudioFile) -> list[str]:
    """The names of the WAV chunks that do not hold for a result."""
    wrong = () if (sample_rate, audio.shape[1]) == (like.sample_rate, like.audio.shape[1]) else TIMED
    wrong += () if audio.shape[0] == like.channels else ("chna",)
    return [chunk.name for chunk in like.extras.chunks if chunk.name in wrong]


def _extras_for(audio: np.ndarray, sample_rate: int, like: AudioFile) -> WaveExtras:
    """What a WAV file of this audio holds beside it."""
    lost = _lost_chunks(audio, sample_rate, like)
    chunks = tuple(chunk for chunk in like.extras.chunks if chunk.name not in lost)
    if not any(chunk.name.lower() in ("list/info", "id3 ") for chunk in chunks):
        chunks += wave_chunks(like.tags)
    return WaveExtras(chunks, like.extras.channel_mask if audio.shape[0] == like.channels else None)


def _format_for(path: str | os.PathLike, like: AudioFile, depth: str | None) -> tuple[str, str]:
    ending = Path(path).suffix.lower()
    formats = soundfile.available_formats()
    known = [e for e, name in WRITABLE.items() if name in formats]
    if ending not in known:
        what = f"a file that ends in {ending}" if ending else "a file without an extension"
        raise AudioFileError(f"{path} cannot be written: {what} is not a known format. These work: "
                             f"{', '.join(known)}.")
    file_format = WRITABLE[ending]
    if depth is not None:
        return file_format, _subtype_of_depth(path, file_format, depth)
    wanted = INSTEAD.get(like.subtype, ("PCM_24", "PCM_16"))
    if like.subtype in INSTEAD and like.subtype not in NARROW:
        wanted = (like.subtype, *wanted)
    fits = [subtype for subtype in wanted if soundfile.check_format(file_format, subtype)]
    return file_format, fits[0] if fits else soundfile.default_subtype(file_format)


def _subtype_of_depth(path: str | os.PathLike, file_format: str, depth: str) -> str:
    if depth not in DEPTHS:
        raise ValueError(f"The bit depth must be one of {', '.join(DEPTHS)}, not {depth!r}.")
    fits = [name for name, subtype in DEPTHS.items() if soundfile.check_format(file_format, subtype)]
    if depth not in fits:
        has = f"has a bit depth of {' or '.join(fits)}" if fits else "has no bit depth to choose"
        raise AudioFileError(f"{path} cannot be written with a bit depth of {depth}: {file_format} {has}.")
    return DEPTHS[depth]


def _check_size(path: str | os.PathLike, audio: np.ndarray, file_format: str, subtype: str) -> None:
    size = audio.size * {"DOUBLE": 64, "FLOAT": 32, **BITS}.get(subtype, 0) // 8
    if file_format == "AIFF" and size > LARGEST_AIFF:
        raise AudioFileError(f"{path} cannot be written: AIFF files hold 4 GB at most. WAV files hold more.")


def _write_file(path: Path, audio: np.ndarray, sample_rate: int, file_format: str, subtype: str,
                like: AudioFile, seed: int = 0, gain: np.float32 = np.float32(1.0)) -> None:
    """Writes samples, tags and chunks to a file that is there."""
    with open(path, "rb+", buffering=0) as raw:
        target = _Remembering(raw)
        try:
            _write_samples(target, audio, int(sample_rate), file_format, subtype, like, seed, gain)
        # Of a short write either libsndfile tells or soundfile asserts that there was none.
        except (soundfile.SoundFileError, AssertionError):
            if target.error is None:
                raise
        if target.error is not None:
            raise target.error
    try:
        write_tags(path, like.tags, file_format, subtype)
    except OSError:
        raise
    except Exception as error:  # such as a picture of more than FLAC's 16 MB
        raise AudioFileError(f"The tags of {like.path} do not fit into a file of the format {file_format} "
                             f"({_one_line(error)}). They fit into WAV.") from error


def _write_samples(target: _Remembering, audio: np.ndarray, sample_rate: int, file_format: str, subtype: str,
                   like: AudioFile, seed: int, gain: np.float32) -> None:
    channels, samples = audio.shape
    blocks = _blocks(audio, subtype, seed, gain)
    if file_format in WAVES:  # without libsndfile, which does not write other chunks and dates float files
        write_wave(target.write_or_raise, blocks, samples, channels, sample_rate, subtype,
                   _extras_for(audio, sample_rate, like), rf64=file_format == "RF64")
        return
    with soundfile.SoundFile(target, "w", sample_rate, channels, subtype, format=file_format) as file:
        set_strings(file, like.tags)
        for block in blocks:
            file.write(block.astype(np.int32) << 8 if subtype == "PCM_24" else block)


def _blocks(audio: np.ndarray, subtype: str, seed: int, gain: np.float32) -> Iterator[np.ndarray]:
    """The samples times `gain` in blocks of (samples, channels), in whole numbers where the subtype has those."""
    def cut() -> Iterator[np.ndarray]:
        for part in pieces(audio.shape[1], audio, length=CHUNK_FRAMES):
            yield np.ascontiguousarray((audio[:, part] * gain if gain != 1 else audio[:, part]).T)

    if subtype not in BITS:
        yield from cut()
        return
    steps = 2 ** (BITS[subtype] - 1)
    rng = np.random.default_rng(seed)
    # 32 bits are finer than the samples, which have 24; and what is whole already is not rounded.
    rounds = BITS[subtype] < 32 and any((block * np.float32(steps) % 1).any() for block in cut())
    for block in cut():
        scaled = block.astype(np.float64) * steps
        if rounds:  # triangular, from -1 to 1 step: leaves noise of one level where rounding would distort
            scaled += rng.random(scaled.shape) - rng.random(scaled.shape)
        # A peak within two steps of full scale stays on the last one, which is no more than dither does.
        yield np.rint(scaled).clip(-steps, steps - 1).astype(np.int16 if steps == 1 << 15 else np.int32)


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

    def write_or_raise(self, data: bytes) -> None:
        if self.write(data) < len(data):
            raise self.error


def _unfit(path, like: AudioFile, file_format: str, error: soundfile.LibsndfileError) -> AudioFileError:
    channels = f"{like.channels} channel{'s' if like.channels > 1 else ''}"
    return AudioFileError(f"{path} cannot be written: {file_format} does not take {channels} at "
                          f"{like.sample_rate} Hz ({_plain(error.error_string)}). WAV does.")


def _reason(error: Exception) -> str:
    """What went wrong, as the system says it, to stand inside a sentence."""
    text = getattr(error, "strerror", None) or str(error)
    return text[:1].lower() + text[1:].rstrip(".")


def _one_line(error: Exception) -> str:
    """Another library's error, to stand in parentheses."""
    return " ".join(str(error).split())[:100] or type(error).__name__


def _plain(text: str) -> str:
    return text.strip().removeprefix("Error :").strip().rstrip(".")
