"""Writes recordings: in the format, bit depth and with the tags that the input had, whole or not at all."""

from __future__ import annotations

import contextlib
import io
import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import soundfile

from babe2_fx.audio.mapped import all_finite, chunks, peak
from babe2_fx.audio.reading import plain
from babe2_fx.files import FileError, Place, reason, write_whole

from .aiff import append_chunks
from .carrying import GAIN, TAGS, WAVES, carried
from .changes import Change, Lost, sentences
from .chunks import Extras
from .destinations import check_destination, destination
from .recording import Recording, one_line
from .riff import write_wave
from .tags import TAGLESS, Tags, set_strings, unwritten, wave_chunks, write_tags

CHUNK_FRAMES = 1 << 16  # a large Vorbis file written in one call overflows libsndfile's stack
WRITABLE = {".wav": "WAV", ".flac": "FLAC", ".aiff": "AIFF", ".aif": "AIFF", ".ogg": "OGG", ".mp3": "MP3",
            ".w64": "W64", ".rf64": "RF64", ".caf": "CAF", ".au": "AU", ".bwf": "WAV", ".wave": "WAV", ".aifc": "AIFF",
            ".oga": "OGG", ".snd": "AU"}
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


@contextlib.contextmanager
def audio_destination(path: str | os.PathLike, like: Recording, *sources: str | os.PathLike, depth: str | None = None,
                      follow: bool = True, replaces: bool = True) -> Iterator[Place]:
    """The `Place` for a recording that takes long to make, held for the time of the block; `write_audio` takes it.

    Whether the recording can be written there is found out by writing the input once. That checks everything at once
    (folder, format, channels, rate, space on the disk), and the room on the disk is kept.

    Raises:
        FileError: as `destination`, and for formats that cannot be written or cannot hold this.
    """
    with destination(path, like.path, *sources, follow=follow, replaces=replaces) as place:
        file_format, subtype = _format_for(path, like, depth)
        _check_size(path, like.audio, file_format, subtype)
        extras, _ = _extras_for(like.audio, like.sample_rate, like, file_format, subtype)
        try:
            # What is made has other highs, so that it may be packed less well.
            place.reserve(lambda part: _write_file(part, like.audio, like.sample_rate, file_format, subtype, like,
                                                   extras), _bytes(like.audio, subtype))
        except soundfile.LibsndfileError as error:
            raise _unfit(path, like, file_format, error) from error
        except OSError as error:
            raise FileError(f"{path} cannot be written: {reason(error)}.") from error
        yield place


def check_audio_output(path: str | os.PathLike, like: Recording, *sources: str | os.PathLike,
                       depth: str | None = None) -> None:
    """As `audio_destination`, of what is written at once. Nothing is left behind."""
    with audio_destination(path, like, *sources, depth=depth):
        pass


def write_audio(path: str | os.PathLike, audio: np.ndarray, sample_rate: int, like: Recording, *,
                depth: str | None = None, seed: int = 0, start: int = 0) -> float:
    """Writes a recording, whole or not at all; an existing file is replaced, unless a `Place` does not allow it.

    Channels that are rounded to 16 or 24 bits get TPDF dither first; those that need no rounding stay as they
    are. A WAV file of more than 4 GB becomes RF64. Tags are carried over, and from WAV to WAV the chunks that
    archives live by; `not_carried` says what is not.

    Args:
        path: its extension chooses the format. A path, or the `Place` of an `audio_destination`.
        audio: (channels, samples), float.
        sample_rate: Hz.
        like: the input, whose bit depth is kept where the format has it, and which is never written to.
        depth: one of `DEPTHS`, in place of the input's.
        seed: of the dither.
        start: the sample of the input that the audio begins with, where it is not all of it.

    Returns:
        By how many dB the level of the whole recording was lowered so that its peaks fit: 0 where they did.

    Raises:
        FileError: the path, the format or the disk do not allow it.
        ValueError: the audio has samples that are not finite.
    """
    if not all_finite(audio):
        raise ValueError(f"The audio for {path} has samples that are not finite; nothing was written.")
    if not isinstance(path, Place):
        check_destination(path, like.path)
    file_format, subtype = _format_for(path, like, depth)
    _check_size(path, audio, file_format, subtype)
    highest, gain = peak(audio), np.float32(1.0)
    if highest > 1 and subtype not in FLOATS:
        # Two steps of room: one for the dither, and the largest number is a step below 1.
        to = 1 - 2.0 ** (2 - BITS[subtype]) if subtype in BITS else 1.0
        gain = np.float32(to / highest)
    extras, _ = _extras_for(audio, sample_rate, like, file_format, subtype, start)
    try:
        write_whole(path, lambda part: _write_file(part, audio, sample_rate, file_format, subtype, like, extras,
                                                   seed, gain))
    except soundfile.LibsndfileError as error:
        raise _unfit(path, like, file_format, error) from error
    return -20 * float(np.log10(gain)) if gain != 1 else 0.0


def not_carried(path: str | os.PathLike, audio: np.ndarray, sample_rate: int, like: Recording, *,
                depth: str | None = None, start: int = 0) -> tuple[str, ...]:
    """What of the input besides its audio is not in the file that `write_audio` makes of the same arguments.

    Sentences for the user, one for each reason; none where nothing is missing.
    """
    file_format, subtype = _format_for(path, like, depth)
    extras, lost = _extras_for(audio, sample_rate, like, file_format, subtype, start)
    tags = [chunk.name.lower() for chunk in extras.chunks]
    if like.tags.gains:
        lost.append(GAIN)
    if "id3 " not in tags and "list/info" not in tags:
        lost += [Lost(what, "tags this program cannot translate") for what in like.tags.unread]
    if file_format in TAGLESS:
        lost += [Lost("the tags", f"{file_format} files cannot hold tags")] if like.tags else []
    else:
        lost += [Lost(what, f"tags with no place in {file_format} files") for what in unwritten(like.tags, file_format)]
    return (*like.notes, *sentences(like.path, path, lost))


def _extras_for(audio: np.ndarray, sample_rate: int, like: Recording, file_format: str, subtype: str,
                start: int = 0) -> tuple[Extras, list[Lost]]:
    """What a file holds besides this audio, and what of the input it does not."""
    change = Change((like.sample_rate, int(sample_rate)), (like.audio.shape[1], audio.shape[1]),
                    (like.channels, audio.shape[0]), (like.subtype, subtype), start)
    extras, lost = carried(like.extras, file_format, change)
    if file_format in WAVES and not any(chunk.name.lower() in TAGS for chunk in extras.chunks):
        extras = replace(extras, chunks=extras.chunks + wave_chunks(like.tags))
    return extras, lost


def _format_for(path: str | os.PathLike, like: Recording, depth: str | None) -> tuple[str, str]:
    ending = Path(path).suffix.lower()
    formats = soundfile.available_formats()
    known = [e for e, name in WRITABLE.items() if name in formats]
    if ending not in known:
        what = f"a file that ends in {ending}" if ending else "a file without an extension"
        raise FileError(f"{path} cannot be written: {what} is not a known format. These work: "
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
        raise FileError(f"{path} cannot be written with a bit depth of {depth}: {file_format} {has}.")
    return DEPTHS[depth]


def _check_size(path: str | os.PathLike, audio: np.ndarray, file_format: str, subtype: str) -> None:
    if file_format == "AIFF" and _bytes(audio, subtype) > LARGEST_AIFF:
        raise FileError(f"{path} cannot be written: AIFF files hold 4 GB at most. WAV files hold more.")


def _bytes(audio: np.ndarray, subtype: str) -> int:
    """Of samples that are not packed; 0 where there is no such thing."""
    return audio.size * {"DOUBLE": 64, "FLOAT": 32, **BITS}.get(subtype, 0) // 8


def _write_file(path: Path, audio: np.ndarray, sample_rate: int, file_format: str, subtype: str,
                like: Recording, extras: Extras, seed: int = 0, gain: np.float32 = np.float32(1.0)) -> None:
    """Writes samples, tags and chunks to an existing file."""
    with open(path, "rb+", buffering=0) as raw:
        target = _Remembering(raw)
        try:
            _write_samples(target, audio, int(sample_rate), file_format, subtype, like.tags, extras, seed, gain)
        # A short write is either reported by libsndfile or trips an assertion in soundfile.
        except (soundfile.SoundFileError, AssertionError):
            if target.error is None:
                raise
        if target.error is not None:
            raise target.error
    try:
        write_tags(path, like.tags, extras, file_format, subtype)
        if file_format == "AIFF":
            append_chunks(path, extras.chunks)
    except OSError:
        raise
    except Exception as error:  # such as a picture of more than FLAC's 16 MB
        raise FileError(f"The tags of {like.path} do not fit into a file of the format {file_format} "
                             f"({one_line(error)}). They fit into WAV.") from error


def _write_samples(target: _Remembering, audio: np.ndarray, sample_rate: int, file_format: str, subtype: str,
                   tags: Tags, extras: Extras, seed: int, gain: np.float32) -> None:
    channels, samples = audio.shape
    blocks = _blocks(audio, subtype, seed, gain)
    if file_format in WAVES:  # without libsndfile, which does not write other chunks and dates float files
        write_wave(target.write_or_raise, blocks, samples, channels, sample_rate, subtype,
                   extras, rf64=file_format == "RF64")
        return
    with soundfile.SoundFile(target, "w", sample_rate, channels, subtype, format=file_format) as file:
        set_strings(file, tags, extras)
        for block in blocks:
            file.write(block.astype(np.int32) << 8 if subtype == "PCM_24" else block)


def _blocks(audio: np.ndarray, subtype: str, seed: int, gain: np.float32) -> Iterator[np.ndarray]:
    """The samples times `gain` in blocks of (samples, channels), in whole numbers where the subtype has those."""
    def cut() -> Iterator[np.ndarray]:
        for part in chunks(audio.shape[1], audio, length=CHUNK_FRAMES):
            yield np.ascontiguousarray((audio[:, part] * gain if gain != 1 else audio[:, part]).T)

    if subtype not in BITS:
        yield from cut()
        return
    steps = 2 ** (BITS[subtype] - 1)
    rng = np.random.default_rng(seed)
    # 32 bits are finer than the samples, which have 24; and a channel that is whole already is not rounded.
    rounds = np.zeros(len(audio), dtype=bool)
    for block in cut() if BITS[subtype] < 32 else ():
        rounds |= (block * np.float32(steps) % 1).any(axis=0)
        if rounds.all():
            break
    for block in cut():
        scaled = block.astype(np.float64) * steps
        if rounds.any():  # triangular, from -1 to 1 step: leaves noise of a constant level where rounding would distort
            scaled += (rng.random(scaled.shape) - rng.random(scaled.shape)) * rounds
        # A peak within two steps of full scale stays on the last one, which is no more than dither does.
        yield np.rint(scaled).clip(-steps, steps - 1).astype(np.int16 if steps == 1 << 15 else np.int32)


class _Remembering:
    """A file for libsndfile, which reports every failure as "System error": this one keeps the real error."""

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


def _unfit(path, like: Recording, file_format: str, error: soundfile.LibsndfileError) -> FileError:
    channels = f"{like.channels} channel{'s' if like.channels > 1 else ''}"
    return FileError(f"{path} cannot be written: {file_format} does not take {channels} at "
                          f"{like.sample_rate} Hz ({plain(error.error_string)}). WAV does.")
