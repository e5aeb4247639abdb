"""What is really in a file of audio, found before it is decoded: which recordings, and where they end."""

from __future__ import annotations

from pathlib import Path
from typing import BinaryIO

from ..files import FileError
from . import containers, mpeg, streams
from .views import MOST_PARTS, Contents, Part, Source, tags_before

JUNK = 1 << 16  # bytes in front of a recording in which it is looked for


def contents(file: BinaryIO, path: Path) -> Contents:
    """The recordings in a file. Raises FileError: a part of it is missing; OSError as the file system does."""
    source = Source(file, path)
    base = tags_before(source)
    head = source.get(base, 40)
    found = Contents()
    if head[:4] == streams.FLAC:
        found = streams.flac(source, base)
    elif head[:4] == streams.OGG:
        found = streams.ogg(source, base)
    elif head[:4] in (b".snd", b"dns.") or containers.layout_of(head):
        found = _containers(source, base)
    elif mpeg.begins_at(source, base):
        found = mpeg.mpeg(source, base)
    if len(found.parts) > MOST_PARTS:
        raise FileError(f"{path} cannot be read: it holds more than {MOST_PARTS} recordings one after the other.",
                        "too-many", path=path)
    return found


def contents_after_junk(file: BinaryIO, path: Path) -> Contents:
    """The recordings in a file that no decoder knows by how it begins, if there are any."""
    source = Source(file, path)
    start, stop = tags_before(source) + 1, min(JUNK, source.size)
    for pattern, back, survey in ((streams.OGG + b"\0\2", 0, streams.ogg),
                                  (streams.FLAC + b"\0\0\0\x22", 0, streams.flac), (b"WAVEfmt ", 8, _containers)):
        at = source.find(pattern, start, stop)
        if at - back >= start:
            return survey(source, at - back)
    at = mpeg.first_frame(source, start, stop)
    return mpeg.mpeg(source, at) if at >= 0 else Contents()


def _containers(source: Source, base: int) -> Contents:
    """One file with a header, or several one after the other."""
    parts: list[Part] = []
    said: list[str] = []
    differs, at = base > 0, base
    while len(parts) <= MOST_PARTS:
        head = source.get(at, 40)
        layout = containers.layout_of(head)
        found = containers.in_chunks(source, at, layout) if layout else containers.au(source, at)
        if found is None:
            if not parts:
                return Contents()
            break
        parts.append(found.part)
        differs = differs or found.differs
        said += [found.said] if found.said else []
        if not found.next:
            break
        at = found.next
    if len(parts) > 1:
        said.insert(0, f"{source.path} holds {len(parts)} files one after the other; they were joined.")
    return Contents(tuple(parts) if differs or len(parts) > 1 else (), tuple(said))
