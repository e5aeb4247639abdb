"""Which files are recordings: batches, watched folders, training, targets, evaluation and dialogs ask here."""

from __future__ import annotations

import contextlib
import functools
import mimetypes
import os
import sys
from collections.abc import Iterable
from pathlib import Path

from . import containers, mpeg, streams
from .views import Source, tags_before

# What libsndfile reads, by the names that such files usually have; the first ones are what a dialog offers first.
COMMON = (".wav", ".flac", ".aiff", ".aif", ".mp3", ".ogg", ".opus", ".bwf", ".wave", ".rf64", ".bw64", ".w64", ".caf",
          ".aifc", ".au", ".snd", ".oga", ".mp2")
RARE = (".bwav", ".wavex", ".mp1", ".mpa", ".mpga", ".spx", ".voc", ".svx", ".8svx", ".16sv", ".nist", ".sph", ".ircam",
        ".pvf", ".paf", ".avr", ".sds", ".sd2", ".htk", ".wve", ".xi", ".mat4", ".mat5")
# What the system's own decoders read on macOS and Windows. They are recordings elsewhere too: which cannot be read is
# then said of each.
SYSTEM = (".m4a", ".m4b", ".mp4", ".aac", ".wma")
READABLE = COMMON + RARE + SYSTEM
# Audio that nothing here reads: not tried, but never passed over without a word.
UNREADABLE = (".ape", ".wv", ".tta", ".dsf", ".dff", ".mpc", ".ra", ".ac3", ".eac3", ".dts", ".amr", ".mka", ".weba",
              ".shn", ".tak", ".ofr", ".m4p", ".aa", ".aax", ".oma", ".alac")
# Names of what is being written, or was kept from before.
BY_THE_WAY = (".part", ".partial", ".tmp", ".temp", ".crdownload", ".download", ".bak")
MAGIC = (b"Creative Voice File", b"NIST_1A", b" paf", b"fap ", b"PVF1", b"2BIT", b"ALawSoundFile**",
         b"Extended Instrument: ", b"\x64\xa3\x01\0", b"\x64\xa3\x02\0", b"\x64\xa3\x03\0", b"\0\x01\xa3\x64",
         b"\0\x02\xa3\x64", b"\0\x03\xa3\x64")
_KINDS = mimetypes.MimeTypes()  # without the system's lists, which differ


def dialog_patterns(*endings: str) -> str:
    """The usual names of recordings as file dialogs take them, "*.wav *.flac", with some `endings` of others after."""
    return " ".join(f"*{ending}" for ending in (*COMMON, *SYSTEM, *endings))


def is_recording(path: str | os.PathLike) -> bool:
    """Whether a file is a recording to be read: by its ending, or by how it begins where the ending says nothing."""
    return _kind(path) == "recording"


def sentence_on_others(paths: Iterable[Path], folder: str | os.PathLike) -> str:
    """Which files of a folder look like audio that cannot be read; "" if none do."""
    others = [path for path in paths if _kind(path) == "other"]
    if not others:
        return ""
    names = ", ".join(path.name for path in others[:3]) + (f" and {len(others) - 3} more" if len(others) > 3 else "")
    count = "1 file" if len(others) == 1 else f"{len(others)} files"
    was = "was" if len(others) == 1 else "were"
    return f"{count} in {folder} with audio that cannot be read here {was} passed over: {names}."


def _kind(path: str | os.PathLike) -> str:
    """"recording", "other" for audio that cannot be read, or ""."""
    ending = Path(path).suffix.lower()
    if ending in READABLE:
        return "recording"
    if ending in UNREADABLE:
        return "other"
    said = _KINDS.guess_type("name" + ending)[0] or ""
    may_be_audio = said.startswith(("audio/", "video/")) or said in ("", "application/octet-stream")
    if ending in BY_THE_WAY or not may_be_audio:
        return ""
    with contextlib.suppress(OSError, ValueError):
        there = os.stat(path)
        return _kind_by_content(os.fspath(path), there.st_ino, there.st_size, there.st_mtime_ns)
    return ""


@functools.lru_cache(1 << 14)  # a watched folder is looked at every second
def _kind_by_content(path: str, inode: int, size: int, changed: int) -> str:
    """By how a file begins; the answer is kept as long as the file stays the same."""
    if not os.path.isfile(path) or not size:
        return ""
    with open(path, "rb", buffering=0) as file:
        source = Source(file, Path(path))
        base = tags_before(source)
        head = source.get(base, 64)
        if containers.layout_of(head) or head.startswith((*MAGIC, streams.FLAC + b"\0\0\0\x22", b"dns.")):
            return "recording"
        if head[:4] == b"FORM" and head[8:12] in (b"8SVX", b"16SV") or head[:4] == b".snd" and head[4:6] == b"\0\0":
            return "recording"
        if head[:4] == streams.OGG and any(codec in head[27:] for codec in streams.CODECS):
            return "recording"
        if mpeg.begins_at(source, base, near_end=False):
            return "recording"
    is_system = head[4:11] == b"ftypM4A" or head[:8] == bytes.fromhex("3026b2758e66cf11")
    if is_system:
        return "recording" if sys.platform in ("darwin", "win32") else "other"
    return "other" if head[:4] in (b"MAC ", b"wvpk", b"TTA1", b"DSD ", b"FRM8", b"MPCK") else ""
