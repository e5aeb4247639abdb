"""What there really is in an Ogg or FLAC file: streams one after the other, junk between them, wrong lengths."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from .views import MOST_PARTS, Contents, Part, Source, truncated, without_tags

OGG, FLAC = b"OggS", b"fLaC"
MOST_BLOCKS = 4096  # of a FLAC file's metadata
FLAC_HEAD = 42  # bytes of the marker, a block's header and STREAMINFO
OGG_FLAC, OGG_FLAC_HEAD = b"\x7fFLAC", 9  # begins the first packet; bytes before the marker of FLAC itself
CODECS = (b"\x01vorbis", b"OpusHead", OGG_FLAC, b"Speex   ")
OF_STREAM, FIRST, LAST = 1, 2, 4  # flags of an Ogg page


# --------------------------------------------------------------------------------------------------------- Ogg

@dataclass
class _Link:
    """A link of an Ogg chain: the serial number of its first stream of audio, and the pages of that, next to next:
    whole ones, or of FLAC, which libsndfile reads outside Ogg, what is in them."""

    serial: int | None = None
    is_flac: bool = False
    begun: bool = False  # whether pages other than streams' first ones have come
    others: bool = False  # whether there are streams of something else in it
    ended: bool = False
    pages: list[range] = field(default_factory=list)


def ogg(source: Source, base: int) -> Contents:
    """The streams of the Ogg file at `base`.

    Raises FileError: the last one has no end.
    """
    links: list[_Link] = []
    junk, at, whole = 0, base, True
    while at < source.size:
        head = source.get(at, 27 + 255)
        if head[:5] != OGG + b"\0":
            following = source.find(OGG + b"\0", at + 1, source.size)
            if following < 0:
                break
            junk, at = junk + following - at, following
            continue
        if len(head) < 27:
            whole = False
            break
        segments = head[26]
        length = 27 + segments + sum(head[27:27 + segments])
        whole = len(head) >= 27 + segments and at + length <= source.size
        _add(links, source, at, min(at + length, source.size), head)
        at += length
    links = [link for link in links if link.serial is not None]
    if not links:
        return Contents()
    if not (whole and links[-1].ended):
        raise truncated(source.path, "its last page is not the end of a stream")
    if len(links) == 1 and links[0].pages == [range(links[0].pages[0].stop)] and not links[0].others:
        return Contents()
    said = []
    if len(links) > 1:
        said.append(f"{source.path} holds {len(links)} streams one after the other; they were joined.")
    if junk:
        said.append(f"{junk} bytes in {source.path} belong to no Ogg stream and were passed over.")
    return Contents(tuple(_part(source, link) for link in links), tuple(said))


def _part(source: Source, link: _Link) -> Part:
    return _endless(source, link.pages) if link.is_flac else Part(tuple(link.pages))


def _add(links: list[_Link], source: Source, at: int, stop: int, head: bytes) -> None:
    flags, serial = head[5], int.from_bytes(head[14:18], "little")
    if flags & FIRST:
        if not links or links[-1].begun:
            links.append(_Link())
        link, first = links[-1], at + 27 + head[26]
        if link.serial is None and source.get(first, 8).startswith(CODECS):
            link.serial, link.is_flac = serial, head[27 + head[26]:].startswith(OGG_FLAC)
        elif link.serial != serial:
            link.others = True
    elif not links:
        return
    link = links[-1]
    link.begun = link.begun or not flags & FIRST
    if serial != link.serial:
        return
    link.ended = bool(flags & LAST)
    if link.is_flac:
        at += 27 + head[26] + (OGG_FLAC_HEAD if flags & FIRST else 0)
    if link.pages and link.pages[-1].stop == at:
        link.pages[-1] = range(link.pages[-1].start, stop)
    else:
        link.pages.append(range(at, stop))


# -------------------------------------------------------------------------------------------------------- FLAC

def flac(source: Source, base: int) -> Contents:
    """The streams of the FLAC file at `base`, to be read to their ends: as if they did not say how long they are."""
    parts: list[Part] = []
    said, end, first = [], without_tags(source), base
    while base >= 0 and len(parts) <= MOST_PARTS:
        following = _next_flac(source, _frames_at(source, base), end)
        parts.append(_endless(source, [range(base, following if following >= 0 else end)]))
        base = following
    if len(parts) > 1:
        said.append(f"{source.path} holds {len(parts)} FLAC files one after the other; they were joined.")
    return Contents(tuple(parts), tuple(said), as_it_is=first == 0 and len(parts) == 1)


def blocks(source: Source, base: int) -> Iterator[tuple[int, int, int]]:
    """The blocks of metadata of the FLAC file at `base`: type, where the content begins, its size as stated."""
    at = base + len(FLAC)
    for _ in range(MOST_BLOCKS):
        head = source.get(at, 4)
        if len(head) < 4:
            return
        size = int.from_bytes(head[1:], "big")
        yield head[0] & 0x7F, at + 4, size
        at += 4 + size
        if head[0] & 0x80:
            return


def _endless(source: Source, stretches: list[range]) -> Part:
    """FLAC in some stretches of a file, as if it did not say how long it is."""
    first, *others = stretches
    head = source.get(first.start, FLAC_HEAD)
    without_length = bytes([head[21] & 0xF0]) + bytes(4) if len(head) == FLAC_HEAD else b""
    return Part((head[:21] + without_length, range(first.start + 21 + len(without_length), first.stop), *others),
                promised=int.from_bytes(head[21:26], "big") & 0xFFFFFFFFF)


def _frames_at(source: Source, base: int) -> int:
    """Where the metadata of a FLAC file ends."""
    at = base + len(FLAC)
    for _, start, size in blocks(source, base):
        at = start + size
    return at


def _next_flac(source: Source, start: int, end: int) -> int:
    """Where another FLAC file begins, or -1."""
    while (start := source.find(FLAC, start, end)) >= 0:
        head = source.get(start, 8)
        if head[4:5] in (b"\0", b"\x80") and head[5:] == b"\0\0\x22":
            return start
        start += 1
    return -1
