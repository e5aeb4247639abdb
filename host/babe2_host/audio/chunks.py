"""What recordings hold besides their samples, as it stands in the file: chunks of WAV, RF64, BW64, W64, AIFF and CAF,
blocks of FLAC.

Archives live by these: `bext` says where a transfer comes from, `cue ` and `MARK` name places in it. What becomes of
each in another file is decided in `carrying`.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from babe2_fx.audio.containers import AIFF, CAF, MOST_CHUNKS, RF64, RIFX, W64, WAVE, chunks_of, layout_of
from babe2_fx.audio.streams import FLAC, blocks
from babe2_fx.audio.views import Source, id3_size

MOST_BYTES = 64 << 20  # of all the chunks that are carried together
EXTENSIBLE = 0xFFFE  # WAVE_FORMAT_EXTENSIBLE
KINDS = {"WAV": "WAV", "WAVEX": "WAV", "RF64": "WAV", "W64": "W64", "AIFF": "AIFF", "FLAC": "FLAC", "CAF": "CAF",
         "AU": "AU", "MP3": "MP3"}  # by the names that libsndfile has for formats
# The samples, what only says how to read them, and room to grow. A new file has its own.
TECHNICAL = {
    "WAV": ("fmt ", "data", "fact", "ds64", "PEAK", "JUNK", "junk", "PAD ", "pad ", "FLLR", "fllr", "FILL", "fill",
            "filr", "slnt", "LIST/wavl"),
    "AIFF": ("COMM", "SSND", "FVER", "PEAK", "FLLR", "JUNK", "PAD "),
    "CAF": ("desc", "data", "pakt", "kuki", "free", "peak", "info"),  # libsndfile reads the texts of `info`
    "FLAC": ("STREAMINFO", "PADDING", "SEEKTABLE", "VORBIS_COMMENT", "PICTURE"),  # mutagen reads the last two
    "AU": (), "MP3": ()}
TECHNICAL["W64"] = TECHNICAL["WAV"]
FLAC_BLOCKS = ("STREAMINFO", "PADDING", "APPLICATION", "SEEKTABLE", "VORBIS_COMMENT", "CUESHEET", "PICTURE")
LAYOUTS = {"WAV": (WAVE, RF64, RIFX), "W64": (W64,), "AIFF": (AIFF,), "CAF": (CAF,)}


@dataclass(frozen=True)
class Chunk:
    """A chunk as it stands in a file: its name ("bext"; a list's with its type, "LIST/adtl"; a FLAC application's with
    its own, "APPLICATION/riff"), what is in it (a list's type and an application's name included), and whether it
    stands after the samples."""

    name: str
    content: bytes = field(repr=False)
    after_data: bool = False


@dataclass(frozen=True)
class Extras:
    """What a file holds besides its samples and what only says how to read them.

    chunks: in the file's order · channel_mask: which speaker each channel is for, where a WAV file says · unread: names
    of chunks that are damaged or too large to be carried · kind: one of the values of `KINDS`, or "RIFX", a WAV file
    whose numbers are big-endian.
    """

    chunks: tuple[Chunk, ...] = ()
    channel_mask: int | None = None
    unread: tuple[str, ...] = ()
    kind: str = "WAV"


def read_extras(path: str | os.PathLike, kind: str = "WAV") -> Extras:
    """Reads what can be carried to another file. What the sizes promise is never believed.

    A file that is not of this kind has nothing. Raises OSError as the file system does.
    """
    chunks, unread, room, after, mask, technical = [], [], MOST_BYTES, False, None, TECHNICAL[kind]
    with open(path, "rb") as file:
        source = Source(file, Path(path))
        for name, start, size in scan(source, kind):
            if name in ("LIST", "APPLICATION") and size >= 4:
                name += "/" + source.get(start, 4).decode("latin-1")
            if name in ("data", "SSND"):
                after = True
            elif name == "RIFX":
                kind = name
                continue
            elif name == "fmt " and size >= 24 and kind == "WAV":
                mask = _channel_mask(source.get(start, 24))
            if name in technical or name == "LIST":  # one that is too short to be a list
                continue
            if size > room or start + size > source.size:
                unread.append(name)
                continue
            chunks.append(Chunk(name, source.get(start, size), after))
            room -= size
    return Extras(tuple(chunks), mask, tuple(dict.fromkeys(unread)), kind)


def _channel_mask(fmt: bytes) -> int | None:
    """From the first 24 bytes of a `fmt ` chunk, of which the file's end may have cut some off."""
    extensible = len(fmt) == 24 and fmt[:2] == struct.pack("<H", EXTENSIBLE)
    return struct.unpack_from("<I", fmt, 20)[0] if extensible else None


# --------------------------------------------------------------------------------------------------- scanning

def scan(source: Source, kind: str = "WAV") -> Iterator[tuple[str, int, int]]:
    """The chunks of a file: (name, where its content begins, its size in bytes). A list is one chunk.

    ID3 tags in front of the file, where some programs put them, come first, as chunks named "id3 "; then for a
    big-endian WAV file a chunk named "RIFX". The size is the stated one; where it goes beyond the file's end, nothing
    follows.
    """
    at = 0
    for _ in range(MOST_CHUNKS):
        size = id3_size(source.get(at, 10))
        if not size:
            break
        yield "id3 ", at, size
        at += size
    yield from {"FLAC": _scan_flac, "AU": _scan_au, "MP3": _scan_mp3}.get(kind, _scan_chunks)(source, at, kind)


def _scan_chunks(source: Source, at: int, kind: str) -> Iterator[tuple[str, int, int]]:
    layout = layout_of(source.get(at, 40))
    if layout is None or layout not in LAYOUTS[kind]:
        return
    if layout is RIFX:
        yield "RIFX", 0, 0
    for name, _, start, size in chunks_of(source, at + layout.head, source.size, layout):
        if size < 0 and layout is not CAF:
            return
        known = "LIST" if name[:4] == b"list" else name[:4].decode("ascii")  # as W64 has it
        yield known, start, size if size >= 0 else source.size - start  # in CAF, -1: as long as the file


def _scan_flac(source: Source, at: int, kind: str) -> Iterator[tuple[str, int, int]]:
    for number, start, size in blocks(source, at) if source.get(at, 4) == FLAC else ():
        yield FLAC_BLOCKS[number] if number < len(FLAC_BLOCKS) else f"block of type {number}", start, size


def _scan_au(source: Source, at: int, kind: str) -> Iterator[tuple[str, int, int]]:
    """The one text that a Sun/NeXT file may have: from its header to its samples."""
    head = source.get(at, 8)
    if len(head) < 8 or head[:4] not in (b".snd", b"dns."):
        return
    first = int.from_bytes(head[4:], "big" if head[:1] == b"." else "little")
    if 24 < first <= source.size and source.get(at + 24, min(first - 24, MOST_BYTES)).strip(b"\0 "):
        yield "ANNO", at + 24, first - 24


def _scan_mp3(source: Source, at: int, kind: str) -> Iterator[tuple[str, int, int]]:
    """What taggers put behind the samples."""
    end = source.size
    for name, length, first in (("ID3v1", 128, b"TAG"), ("APE", 32, b"APETAGEX")):
        if end - at >= length and source.get(end - length, len(first)) == first:
            yield name, end - length, length
            end -= length
