"""WAV and RF64 files: their lists of texts, and their writing with all their chunks."""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterable

import numpy as np

from babe2_fx.audio.containers import MOST_CHUNKS, is_name

from .chunks import EXTENSIBLE, Chunk, Extras

LARGEST_RIFF = 0xFFFFFFFF  # bytes that a RIFF file's 32 bits can state; the last value means "unknown"
PCM, FLOAT = 1, 3  # WAVE_FORMAT_...
GUID_END = bytes.fromhex("000000001000800000aa00389b71")  # of WAVE_FORMAT_EXTENSIBLE's subformats
SAMPLE_TYPES = {"PCM_16": (PCM, 16), "PCM_24": (PCM, 24), "PCM_32": (PCM, 32), "FLOAT": (FLOAT, 32),
                "DOUBLE": (FLOAT, 64)}


def read_info(content: bytes) -> dict[str, str]:
    """The values of a `LIST/INFO` chunk by their four-letter names; the first of each counts."""
    texts, at = {}, 4
    for _ in range(MOST_CHUNKS):
        name, size = content[at:at + 4], content[at + 4:at + 8]
        if len(size) < 4 or not is_name(name):
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
               sample_rate: int, sample_type: str, extras: Extras = Extras(),
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
               extras: Extras = Extras(), rf64: bool = False) -> tuple[bytes, bytes]:
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
