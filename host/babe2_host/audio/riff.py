"""RIFF chunks: what WAV and RF64 files hold besides their samples, and the writing of both.

Archives live by these chunks: `bext` says where a transfer comes from, `cue ` and `LIST/adtl` mark and name
places in it. They are carried from file to file byte for byte, before or after the samples as they were.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import BinaryIO

import numpy as np

# A list is known by its type too. What is not named here is left behind: it describes the old samples (PEAK,
# MD5, levl), is room to grow (JUNK, FLLR), or is unknown, and may no longer be true.
CARRIED = ("bext", "iXML", "axml", "chna", "cart", "_PMX", "DISP", "inst", "id3 ", "ID3 ", "LIST/INFO",
           "cue ", "LIST/adtl", "plst", "smpl")
WAVES = ("WAV", "WAVEX", "RF64")  # the formats, as libsndfile names them, that have chunks
TIMED = ("cue ", "LIST/adtl", "plst", "smpl")  # these count samples
LARGEST_RIFF = 0xFFFFFFFF  # bytes that a RIFF file's 32 bits can state; the last value means "unknown"
MOST_CHUNKS = 4096  # in a file, and in a list: more is not a recording
MOST_BYTES = 64 << 20  # of all the chunks that are carried together
PCM, FLOAT, EXTENSIBLE = 1, 3, 0xFFFE  # WAVE_FORMAT_...
GUID_END = bytes.fromhex("000000001000800000aa00389b71")  # of WAVE_FORMAT_EXTENSIBLE's subformats
SAMPLE_TYPES = {"PCM_16": (PCM, 16), "PCM_24": (PCM, 24), "PCM_32": (PCM, 32), "FLOAT": (FLOAT, 32),
                "DOUBLE": (FLOAT, 64)}


@dataclass(frozen=True)
class Chunk:
    """A chunk as it stands in a file: its name ("bext"; a list's with its type, "LIST/adtl"), what is in it
    (a list's type included), and whether it stands after the samples."""

    name: str
    content: bytes = field(repr=False)
    after_data: bool = False


@dataclass(frozen=True)
class WaveExtras:
    """What a WAV or RF64 file holds besides its samples.

    chunks: in the file's order · channel_mask: which speaker each channel is for, where the file says ·
    unread: names of chunks that are damaged or too large to be carried.
    """

    chunks: tuple[Chunk, ...] = ()
    channel_mask: int | None = None
    unread: tuple[str, ...] = ()


# ---------------------------------------------------------------------------------------------------- reading

def read_extras(path: str | os.PathLike) -> WaveExtras:
    """Reads the chunks that can be carried to another file. What the sizes promise is never believed.

    A file that is not RIFF has none. Raises OSError as the file system does.
    """
    chunks, unread, room, after, mask = [], [], MOST_BYTES, False, None
    with open(path, "rb") as file:
        length = os.fstat(file.fileno()).st_size
        for name, start, size in scan(file):
            if name == "LIST" and size >= 4:
                file.seek(start)
                name += "/" + file.read(4).decode("latin-1")
            if name == "data":
                after = True
            elif name == "fmt " and size >= 24:
                file.seek(start)
                mask = _channel_mask(file.read(24))
            elif name in CARRIED:
                if size > room or start + size > length:
                    unread.append(name)
                    continue
                file.seek(start)
                chunks.append(Chunk(name, file.read(size), after))
                room -= size
    return WaveExtras(tuple(chunks), mask, tuple(unread))


def scan(file: BinaryIO) -> Iterator[tuple[str, int, int]]:
    """The chunks of a RIFF, RF64 or BW64 file of waves: (name, where its content begins, its size in bytes).

    The size is the stated one; where it goes beyond the file's end, nothing follows. A list is one chunk.
    """
    end = file.seek(0, os.SEEK_END)
    file.seek(0)
    head = file.read(12)
    if len(head) < 12 or head[:4] not in (b"RIFF", b"RF64", b"BW64") or head[8:] != b"WAVE":
        return
    at, large_sizes = 12, {}
    for _ in range(MOST_CHUNKS):
        file.seek(at)
        head = file.read(8)
        if len(head) < 8 or not _is_name(head[:4]):
            return  # the end, or what is not a chunk
        name, (size,) = head[:4].decode("ascii"), struct.unpack("<I", head[4:])
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
            at += 0 if here[:1] != b"\0" and _is_name(here) else 1


def _is_name(name: bytes) -> bool:
    return len(name) == 4 and all(0x20 <= byte < 0x7F for byte in name)


def _large_sizes(ds64: bytes) -> dict[str, int]:
    """Sizes by name from the content of an RF64 file's `ds64` (EBU Tech 3306)."""
    if len(ds64) < 28:
        return {}
    sizes = {"data": struct.unpack_from("<Q", ds64, 8)[0]}
    for at in range(28, len(ds64) - 11, 12):
        sizes.setdefault(ds64[at:at + 4].decode("latin-1"), struct.unpack_from("<Q", ds64, at + 4)[0])
    return sizes


def _channel_mask(fmt: bytes) -> int | None:
    return struct.unpack_from("<I", fmt, 20)[0] if fmt[:2] == struct.pack("<H", EXTENSIBLE) else None


def read_info(content: bytes) -> dict[str, str]:
    """The values of a `LIST/INFO` chunk by their four-letter names; the first of each counts."""
    texts, at = {}, 4
    for _ in range(MOST_CHUNKS):
        name, size = content[at:at + 4], content[at + 4:at + 8]
        if len(size) < 4 or not _is_name(name):
            break
        end = at + 8 + struct.unpack("<I", size)[0]
        if end > len(content):
            break
        text = content[at + 8:end].split(b"\0")[0]
        try:
            text = text.decode("utf-8")
        except UnicodeDecodeError:
            text = text.decode("cp1252", "replace")  # what old programs wrote
        if text.strip():
            texts.setdefault(name.decode("ascii"), text.strip())
        at = end + end % 2  # a list begins at an even place, so this is the place in the file
    return texts


def info_chunk(texts: dict[str, str]) -> Chunk:
    """A `LIST/INFO` chunk of these values by their four-letter names, in UTF-8."""
    parts = [b"INFO"]
    for name, text in texts.items():
        content = text.replace("\0", " ").encode("utf-8", "replace") + b"\0"
        parts.append(_chunk(name, content))
    return Chunk("LIST/INFO", b"".join(parts))


# ---------------------------------------------------------------------------------------------------- writing

def write_wave(write: Callable[[bytes], object], blocks: Iterable[np.ndarray], frames: int, channels: int,
               sample_rate: int, sample_type: str, extras: WaveExtras = WaveExtras(),
               rf64: bool = False) -> None:
    """Writes a WAV file from its beginning to its end, or an RF64 file where 4 GB are not enough.

    Args:
        write: takes all bytes it is given, or raises.
        blocks: arrays (samples, channels) that add up to `frames`: whole numbers of the sample type's bits,
            or floats for FLOAT and DOUBLE.
        sample_type: one of `SAMPLE_TYPES`.
        rf64: writes RF64 in any case.
    """
    head, tail = wave_frame(frames, channels, sample_rate, sample_type, extras, rf64)
    write(head)
    for block in blocks:
        write(_packed(block, sample_type))
    write(tail)


def wave_frame(frames: int, channels: int, sample_rate: int, sample_type: str,
               extras: WaveExtras = WaveExtras(), rf64: bool = False) -> tuple[bytes, bytes]:
    """All that stands before the samples of a WAV or RF64 file and all that stands after them."""
    tag, bits = SAMPLE_TYPES[sample_type]
    bytes_per_frame = channels * bits // 8
    fmt = struct.pack("<HIIHH", channels, sample_rate, sample_rate * bytes_per_frame, bytes_per_frame, bits)
    if extras.channel_mask is not None:
        speakers = struct.pack("<HHIH", 22, bits, extras.channel_mask, tag) + GUID_END
        fmt = struct.pack("<H", EXTENSIBLE) + fmt + speakers
    else:
        fmt = struct.pack("<H", tag) + fmt + (b"\0\0" if tag != PCM else b"")
    fixed = _chunk("fmt ", fmt)
    if tag != PCM:
        fixed += _chunk("fact", struct.pack("<I", min(frames, 0xFFFFFFFF)))
    size = frames * bytes_per_frame
    padding = b"\0" * (size % 2)
    others = sum(len(_chunk(c.name, c.content)) for c in extras.chunks)
    total = 4 + len(fixed) + others + 8 + size + len(padding)
    rf64 = rf64 or total >= LARGEST_RIFF
    before, after = [], []
    for chunk in extras.chunks:
        # In RF64 libsndfile does not step over a chunk's padding, and then finds no samples.
        late = chunk.after_data or rf64 and len(chunk.content) % 2
        (after if late else before).append(_chunk(chunk.name, chunk.content))
    head, tail = fixed + b"".join(before) + b"data", padding + b"".join(after)
    if not rf64:
        return b"RIFF" + struct.pack("<I", total) + b"WAVE" + head + struct.pack("<I", size), tail
    ds64 = _chunk("ds64", struct.pack("<QQQI", total + 36, size, frames, 0))
    return b"RF64\xff\xff\xff\xffWAVE" + ds64 + head + b"\xff\xff\xff\xff", tail


def _chunk(name: str, content: bytes) -> bytes:
    return name[:4].encode("ascii") + struct.pack("<I", len(content)) + content + b"\0" * (len(content) % 2)


def _packed(block: np.ndarray, sample_type: str) -> bytes:
    if sample_type != "PCM_24":
        kind = {"PCM_16": "<i2", "PCM_32": "<i4", "FLOAT": "<f4", "DOUBLE": "<f8"}[sample_type]
        return block.astype(kind).tobytes()
    return block.astype("<i4").reshape(-1, 1).view(np.uint8)[:, :3].tobytes()
