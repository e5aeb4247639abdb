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
from typing import BinaryIO

from .id3 import tag_size

MOST_CHUNKS = 4096  # in a file, and in a list: more is not a recording
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
W64_RIFF = b"riff\x2e\x91\xcf\x11\xa5\xd6\x28\xdb\x04\xc1\x00\x00"


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
        length = os.fstat(file.fileno()).st_size
        for name, start, size in scan(file, kind):
            file.seek(start)
            if name in ("LIST", "APPLICATION") and size >= 4:
                name += "/" + file.read(4).decode("latin-1")
                file.seek(start)
            if name in ("data", "SSND"):
                after = True
            elif name == "RIFX":
                kind = name
                continue
            elif name == "fmt " and size >= 24 and kind == "WAV":
                mask = _channel_mask(file.read(24))
            if name in technical or name == "LIST":  # one that is too short to be a list
                continue
            if size > room or start + size > length:
                unread.append(name)
                continue
            chunks.append(Chunk(name, file.read(size), after))
            room -= size
    return Extras(tuple(chunks), mask, tuple(dict.fromkeys(unread)), kind)


def _channel_mask(fmt: bytes) -> int | None:
    """From the first 24 bytes of a `fmt ` chunk, of which the file's end may have cut some off."""
    extensible = len(fmt) == 24 and fmt[:2] == struct.pack("<H", EXTENSIBLE)
    return struct.unpack_from("<I", fmt, 20)[0] if extensible else None


# --------------------------------------------------------------------------------------------------- scanning

def scan(file: BinaryIO, kind: str = "WAV") -> Iterator[tuple[str, int, int]]:
    """The chunks of a file: (name, where its content begins, its size in bytes). A list is one chunk.

    ID3 tags in front of the file, where some programs put them, come first, as chunks named "id3 "; then for a
    big-endian WAV file a chunk named "RIFX". The size is the stated one; where it goes beyond the file's end, nothing
    follows.
    """
    end = file.seek(0, os.SEEK_END)
    at = 0
    for _ in range(MOST_CHUNKS):
        file.seek(at)
        size = tag_size(file.read(10))
        if not size:
            break
        yield "id3 ", at, size
        at += size
    scanner = {"WAV": _scan_riff, "W64": _scan_w64, "AIFF": _scan_aiff, "CAF": _scan_caf, "FLAC": _scan_flac,
               "AU": _scan_au, "MP3": _scan_mp3}[kind]
    yield from scanner(file, at, end)


def _scan_riff(file: BinaryIO, at: int, end: int) -> Iterator[tuple[str, int, int]]:
    file.seek(at)
    head = file.read(12)
    if len(head) < 12 or head[:4] not in (b"RIFF", b"RF64", b"BW64", b"RIFX") or head[8:] != b"WAVE":
        return
    at, large_sizes, order = at + 12, {}, "<I"
    if head[:4] == b"RIFX":
        order = ">I"
        yield "RIFX", 0, 0
    for _ in range(MOST_CHUNKS):
        file.seek(at)
        head = file.read(8)
        if len(head) < 8 or not is_name(head[:4]):
            return  # the end, or what is not a chunk
        name, (size,) = head[:4].decode("ascii"), struct.unpack(order, head[4:])
        if size == 0xFFFFFFFF:
            size = large_sizes.get(name, size)
        yield name, at + 8, size
        if name == "ds64" and not large_sizes:
            file.seek(at + 8)
            large_sizes = _large_sizes(file.read(min(size, 28 + 12 * MOST_CHUNKS)))
        at += 8 + size
        if at > end:  # perhaps by more than can be sought
            return
        if size % 2:  # chunks begin at even places, but there are programs that do not know
            file.seek(at)
            here = file.read(4)
            at += 0 if here[:1] != b"\0" and is_name(here) else 1


def is_name(name: bytes) -> bool:
    return len(name) == 4 and all(0x20 <= byte < 0x7F for byte in name)


def _large_sizes(ds64: bytes) -> dict[str, int]:
    """Sizes by name from the content of an RF64 or BW64 file's `ds64` (EBU Tech 3306, ITU-R BS.2088)."""
    if len(ds64) < 28:
        return {}
    sizes = {"data": struct.unpack_from("<Q", ds64, 8)[0]}
    for at in range(28, len(ds64) - 11, 12):
        sizes.setdefault(ds64[at:at + 4].decode("latin-1"), struct.unpack_from("<Q", ds64, at + 4)[0])
    return sizes


def _scan_w64(file: BinaryIO, at: int, end: int) -> Iterator[tuple[str, int, int]]:
    """Sony's Wave64: names are GUIDs that begin with RIFF's names, sizes have 64 bits and include the header."""
    file.seek(at)
    head = file.read(40)
    if len(head) < 40 or head[:16] != W64_RIFF or head[24:28] != b"wave":
        return
    at += 40
    for _ in range(MOST_CHUNKS):
        file.seek(at)
        head = file.read(24)
        if len(head) < 24 or not is_name(head[:4]):
            return
        size = struct.unpack("<Q", head[16:])[0]
        if size < 24:
            return
        yield {b"list": "LIST"}.get(head[:4], head[:4].decode("ascii")), at + 24, size - 24
        at += size + -size % 8
        if at > end:
            return


def _scan_aiff(file: BinaryIO, at: int, end: int) -> Iterator[tuple[str, int, int]]:
    file.seek(at)
    head = file.read(12)
    if len(head) < 12 or head[:4] != b"FORM" or head[8:] not in (b"AIFF", b"AIFC"):
        return
    yield from _big_endian(file, at + 12, end, ">4sI", 2)


def _scan_caf(file: BinaryIO, at: int, end: int) -> Iterator[tuple[str, int, int]]:
    file.seek(at)
    if file.read(4) == b"caff":
        yield from _big_endian(file, at + 8, end, ">4sq", 1)


def _big_endian(file: BinaryIO, at: int, end: int, header: str, even: int) -> Iterator[tuple[str, int, int]]:
    length = struct.calcsize(header)
    for _ in range(MOST_CHUNKS):
        file.seek(at)
        head = file.read(length)
        if len(head) < length or not is_name(head[:4]):
            return
        name, size = struct.unpack(header, head)
        if size < 0:  # in CAF: as long as the file
            size = end - at - length
        yield name.decode("ascii"), at + length, size
        at += length + size + -size % even
        if at > end:
            return


def _scan_flac(file: BinaryIO, at: int, end: int) -> Iterator[tuple[str, int, int]]:
    file.seek(at)
    if file.read(4) != b"fLaC":
        return
    at += 4
    for _ in range(MOST_CHUNKS):
        file.seek(at)
        head = file.read(4)
        if len(head) < 4:
            return
        number, size = head[0] & 0x7F, int.from_bytes(head[1:], "big")
        yield FLAC_BLOCKS[number] if number < len(FLAC_BLOCKS) else f"block of type {number}", at + 4, size
        at += 4 + size
        if head[0] & 0x80 or at > end:
            return


def _scan_au(file: BinaryIO, at: int, end: int) -> Iterator[tuple[str, int, int]]:
    """The one text that a Sun/NeXT file may have: from its header to its samples."""
    file.seek(at)
    head = file.read(8)
    if len(head) < 8 or head[:4] not in (b".snd", b"dns."):
        return
    first = int.from_bytes(head[4:], "big" if head[:1] == b"." else "little")
    if 24 < first <= end:
        file.seek(at + 24)
        if file.read(min(first - 24, MOST_BYTES)).strip(b"\0 "):
            yield "ANNO", at + 24, first - 24


def _scan_mp3(file: BinaryIO, at: int, end: int) -> Iterator[tuple[str, int, int]]:
    """What taggers put behind the samples."""
    for name, length, first in (("ID3v1", 128, b"TAG"), ("APE", 32, b"APETAGEX")):
        if end - at >= length:
            file.seek(end - length)
            if file.read(len(first)) == first:
                yield name, end - length, length
                end -= length
