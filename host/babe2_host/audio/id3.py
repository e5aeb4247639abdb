"""ID3 tags, taken apart with bounds before mutagen reads them: a small compressed frame may promise gigabytes.

`take_apart` walks the frames itself, so that the time is linear and nothing is unpacked without measure; `plain_tag`
makes a tag of those that are understood, with nothing compressed in it, which is all that mutagen gets to see.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterable
from dataclasses import dataclass, field

from babe2_fx.audio.views import id3_size

from . import tag_values

MOST_FRAMES = 4096
MOST_UNPACKED = 4 << 20  # bytes, of all the compressed frames of a tag together
COMPRESSED, ENCRYPTED, UNSYNCHRONISED, LENGTH_STATED, GROUPED = 8, 4, 2, 1, 64  # a frame's flags in ID3v2.4
LOUDNESS = ("RVA", "RVA2", "RVAD", "XRVA", "RGAD")
LOUDNESS_TEXTS = tuple(name.encode("ascii") for name in tag_values.LOUDNESS)


@dataclass(frozen=True)
class Frame:
    """A frame of an ID3 tag: its name of three or four letters · raw: as it stands in the tag, header included ·
    content: unpacked, or None where that would be too large or cannot be done."""

    name: str
    raw: bytes = field(repr=False)
    content: bytes | None = field(repr=False)

    @property
    def unreadable(self) -> str:
        """In words, where the content is None."""
        return f"a damaged, encrypted or too large ID3 frame ({self.name.rstrip(chr(0))})"

    @property
    def tells_loudness(self) -> bool:
        """Whether it says how loud the samples are: ReplayGain and its relatives."""
        if self.name in ("TXXX", "TXX", "COMM", "COM"):
            start = 1 if self.name[0] == "T" else 4  # after the encoding, and a comment's language
            described = (self.content or b"")[start:start + 80].replace(b"\0", b"").lstrip(b"\xff\xfe").lower()
            return described.startswith(LOUDNESS_TEXTS)
        return self.name in LOUDNESS


def tag_size(head: bytes) -> int:
    """As `id3_size`, of the versions that are known."""
    return id3_size(head) if head[3:4] in (b"\2", b"\3", b"\4") else 0


def take_apart(tag: bytes) -> tuple[int, list[Frame]]:
    """The version (2, 3 or 4) and the frames of an ID3v2 tag; a tag that is not one has none, damage ends it."""
    size = tag_size(tag)
    if not size:
        return 4, []
    version, flags = tag[3], tag[5]
    body = tag[10:10 + _syncsafe(tag[6:10])]
    if flags & 0x80 and version < 4:
        body = _synchronised(body)
    at, room, frames = _after_extended_header(body, version, flags), MOST_UNPACKED, []
    header = 6 if version == 2 else 10
    while at + header < len(body) and len(frames) < MOST_FRAMES:
        name, length = _frame_header(body, at, version)
        if not name:
            break  # padding, or what is not a frame
        end = at + header + length
        if end > len(body):  # cut off
            frames.append(Frame(name, body[at:], None))
            break
        content = body[at + header:end]
        if version > 2:
            content = _content(content, version, body[at + 9], bool(flags & 0x80), room)
            if content is not None and _is_compressed(version, body[at + 9]):
                room -= len(content)
        if length:
            frames.append(Frame(name, body[at:end], content))
        at = end
    return version, frames


def plain_tag(version: int, frames: Iterable[Frame]) -> bytes:
    """A tag of these frames as unpacked, without flags; those that could not be unpacked are left out."""
    parts = []
    for frame in frames:
        if frame.content is not None:
            name, size = frame.name.encode("ascii"), len(frame.content)
            parts.append((name + size.to_bytes(3, "big") if version == 2 else struct.pack(">4sIH", name, size, 0))
                         + frame.content)
    # Sizes of ID3v2.4 can be understood in two ways; its frames read the same in 2.3, where they cannot.
    return _tag(min(version, 3), 0, b"".join(parts))


def still_true(tag: bytes) -> tuple[bytes, list[Frame]]:
    """The tag without the frames that say how loud the samples were and those that cannot be unpacked, and these.

    A tag without such frames is returned unchanged.
    """
    version, frames = take_apart(tag)
    left = [frame for frame in frames if frame.tells_loudness or frame.content is None]
    if not left:
        return tag, []
    body = b"".join(frame.raw for frame in frames if frame not in left)
    return _tag(version, tag[5] & 0x80 if version == 4 else 0, body), left


def _tag(version: int, flags: int, body: bytes) -> bytes:
    size = bytes(len(body) >> shift & 0x7F for shift in (21, 14, 7, 0))
    return b"ID3" + bytes([version, 0, flags]) + size + body


def _syncsafe(four: bytes) -> int:
    return sum((byte & 0x7F) << shift for byte, shift in zip(four, (21, 14, 7, 0), strict=True))


def _synchronised(data: bytes) -> bytes:
    return data.replace(b"\xff\0", b"\xff")


def _after_extended_header(body: bytes, version: int, flags: int) -> int:
    if not flags & 0x40 or version == 2 or len(body) < 4 or body[:4].isalnum():  # some set the flag and write none
        return 0
    return _syncsafe(body[:4]) if version == 4 else 4 + int.from_bytes(body[:4], "big")


def _frame_header(body: bytes, at: int, version: int) -> tuple[str, int]:
    """A frame's name and the size of its content; no name where none begins."""
    letters = 3 if version == 2 else 4
    name = body[at:at + letters]
    if not _is_name(name, letters):
        return "", 0
    if version == 2:
        return name.decode("ascii"), int.from_bytes(body[at + 3:at + 6], "big")
    four = body[at + 4:at + 8]
    size = int.from_bytes(four, "big")
    # iTunes used to write the sizes of ID3v2.4 as in 2.3: a frame must begin where one ends.
    if version == 4 and max(four) < 0x80 and (size < 0x80 or _frame_begins(body, at + 10 + _syncsafe(four))
                                             or not _frame_begins(body, at + 10 + size)):
        size = _syncsafe(four)
    return name.decode("ascii"), size


def _frame_begins(body: bytes, at: int) -> bool:
    name = body[at:at + 4]
    return at == len(body) or name[:1] == b"\0" or _is_name(name, 4)


def _is_name(name: bytes, letters: int) -> bool:
    given = name[:3] + name[3:].rstrip(b"\0")  # some write the names of ID3v2.2 into later tags
    return len(name) == letters and given.isalnum() and given.isascii() and given == given.upper()


def _is_compressed(version: int, flags: int) -> bool:
    return bool(flags & (COMPRESSED if version == 4 else 0x80))


def _content(data: bytes, version: int, flags: int, unsynchronised: bool, room: int) -> bytes | None:
    """A frame's content after its flags are undone; None where it is encrypted, damaged or larger than the room."""
    if flags & (ENCRYPTED if version == 4 else 0x40):
        return None
    compressed = _is_compressed(version, flags)
    grouped = 1 if flags & (GROUPED if version == 4 else 0x20) else 0
    if version == 4:
        data = data[grouped + (4 if flags & (COMPRESSED | LENGTH_STATED) else 0):]
        if flags & UNSYNCHRONISED or unsynchronised:
            data = _synchronised(data)
    else:
        data = data[grouped + (4 if compressed else 0):]
    if not compressed:
        return data
    unpacker = zlib.decompressobj()
    try:
        content = unpacker.decompress(data, room + 1)
    except zlib.error:
        return None
    return content if len(content) <= room else None
