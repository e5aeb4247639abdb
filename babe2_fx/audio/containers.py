"""How much audio there really is in a WAV, RF64, BW64, W64, AIFF, CAF or AU file, whatever its header says.

A size in a header is a claim. Recorders that were killed leave 0, pipes the largest number, sizes beyond 4 GB wrap, and
some programs count their own header. What follows the samples decides: chunks, another file, or more samples.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import islice

from ..files import FileError
from .views import Part, Source, truncated, without_tags

MOST_CHUNKS = 4096
MOST_TRIED = 256  # places where chunks may begin, and chunks from there on: random bytes have hardly any
MOST_CHANNELS = 1024  # as libsndfile has it
TAIL = 1 << 24  # bytes before the end in which chunks after the samples are looked for
GUID = bytes.fromhex("f3acd3118cd100c04f8edb8a")  # ends the names of W64 chunks
W64_HEAD = b"riff" + bytes.fromhex("2e91cf11a5d628db04c10000")
TAGS = (b"ID3", b"TAG", b"APETAGEX", b"LYRICSBEGIN")


@dataclass(frozen=True)
class Layout:
    """How a container is made of chunks.

    head: bytes before the first · name: bytes of a chunk's name · size: its size as `struct` has it · counted: bytes
    of its own header that the size counts · align: at what multiple of bytes the next begins · data: the name of the
    one with the samples · lead: bytes in that before them · before, after: chunks that a decoder needs, and those that
    may follow the samples · large: whether the sizes of those beyond 4 GB are in a chunk named `ds64`.
    """

    head: int
    name: int
    size: str
    counted: int
    align: int
    data: bytes
    lead: int
    before: tuple[bytes, ...]
    after: tuple[bytes, ...]
    large: bool = False

    @property
    def header(self) -> int:
        return self.name + struct.calcsize(self.size)


_AFTER_WAVE = (b"LIST", b"id3 ", b"ID3 ", b"bext", b"iXML", b"axml", b"chna", b"cart", b"_PMX", b"DISP", b"inst",
               b"cue ", b"plst", b"smpl", b"fact", b"PEAK", b"levl", b"JUNK", b"junk", b"FLLR", b"PAD ", b"acid",
               b"strc", b"umid", b"ubxt", b"qlty", b"afsp", b"minf", b"elm1", b"regn", b"LGWV", b"SMED")
_AFTER_AIFF = (b"NAME", b"AUTH", b"(c) ", b"ANNO", b"MARK", b"INST", b"COMT", b"MIDI", b"APPL", b"AESD", b"SAXL",
               b"ID3 ", b"PEAK", b"CHAN", b"bext", b"basc", b"trns", b"cate", b"LGWV")
_AFTER_CAF = (b"pakt", b"kuki", b"info", b"strg", b"mark", b"regn", b"chan", b"midi", b"ovvw", b"peak", b"umid",
              b"uuid", b"free", b"edct", b"inst")
WAVE = Layout(12, 4, "<I", 0, 2, b"data", 0, (b"fmt ", b"fact"), _AFTER_WAVE)
RF64 = replace(WAVE, large=True)  # and BW64
RIFX = Layout(12, 4, ">I", 0, 2, b"data", 0, (b"fmt ", b"fact"), _AFTER_WAVE)
AIFF = Layout(12, 4, ">I", 0, 2, b"SSND", 8, (b"COMM", b"FVER"), _AFTER_AIFF)
CAF = Layout(8, 4, ">q", 0, 1, b"data", 4, (), _AFTER_CAF)
W64 = Layout(40, 16, "<Q", 24, 8, b"data" + GUID, 0, (b"fmt " + GUID, b"fact" + GUID),
             tuple(name + GUID for name in (b"fact", b"levl", b"list", b"bext", b"junk", b"LIST")))


def layout_of(head: bytes) -> Layout | None:
    """The layout of the container that begins with these bytes, 40 at least."""
    if head[8:12] == b"WAVE":
        return {b"RIFF": WAVE, b"RF64": RF64, b"BW64": RF64, b"RIFX": RIFX}.get(head[:4])
    if head[:4] == b"FORM" and head[8:12] in (b"AIFF", b"AIFC"):
        return AIFF
    if head[:4] == b"caff":
        return CAF
    return W64 if head[:16] == W64_HEAD and head[24:28] == b"wave" else None


@dataclass(frozen=True)
class Found:
    """A container in a file: its part, whether that differs from what a decoder would see by itself, what its header
    states wrongly ("" if nothing), and where another container follows it (0 if none does)."""

    part: Part
    differs: bool
    said: str = ""
    next: int = 0


def in_chunks(source: Source, base: int, layout: Layout) -> Found | None:
    """The container at `base`; None if it has no samples that could be found.

    Raises FileError: a part of it is missing, or it has more channels than can be read.
    """
    kept: dict[bytes, range] = {}
    odd = unpadded = False
    for name, at, start, stated in chunks_of(source, base + layout.head, source.size, layout):
        unpadded = unpadded or layout.align == 2 and (at - base) % 2 == 1
        if name == layout.data:
            break
        if name in layout.before and start + stated <= source.size:
            kept.setdefault(name, range(at, start + stated))
        odd = odd or stated % 2 == 1
    else:
        return None
    _check_channels(source, layout, kept)
    start, stated = start + layout.lead, stated - layout.lead
    if layout is AIFF:
        start += int.from_bytes(source.get(start - 8, 4), "big")
    stop, said, following = _extent(source, base, start, stated, layout)
    # What libsndfile does not find its way through by itself: in RF64 chunks of odd sizes, or samples whose size stands
    # at their head too; odd chunks without padding; and BW64 at all.
    small = layout is RF64 and source.get(at + 4, 4) != b"\xff\xff\xff\xff"
    differs = bool(said) or unpadded or layout is RF64 and (odd or small or source.get(base, 4) == b"BW64")
    if not differs or layout.before and layout.before[0] not in kept:
        return Found(Part((range(base, following or source.size),)), False, "", following)
    return Found(Part(_corrected(source, base, layout, kept, start, stop)), True, said, following)


def au(source: Source, base: int) -> Found:
    """The AU file at `base`. Raises FileError: a part of it is missing."""
    head, order = source.get(base, 12), "<" if source.get(base, 4) == b"dns." else ">"
    first, stated = struct.unpack(f"{order}2I", head[4:12].ljust(8, b"\0"))
    start = min(base + first, source.size)
    stop, said, _ = _extent(source, base, start, stated, None)
    pieces = (range(base, base + 8), b"\xff\xff\xff\xff", range(base + 12, stop))
    return Found(Part(pieces), bool(said), said)


# ------------------------------------------------------------------------------------------ where the samples end

def _extent(source: Source, base: int, start: int, stated: int, layout: Layout | None) -> tuple[int, str, int]:
    """Where the samples that begin at `start` end, what of this the header states wrongly, and where another
    container begins. `layout`: None for files without chunks."""
    path, stop = source.path, start + stated
    unknown = stated <= 0 or stop > source.size and _means_unknown(stated)
    if not unknown and stop <= source.size:
        is_end, following = _ends_at(source, start, stated, layout)
        if is_end:
            return stop, "", following
    following = _next_container(source, start, layout)
    end = following or max(without_tags(source), start)
    real = _chunks_before(source, start, end, layout) if layout else end
    there = real - start
    if unknown:
        # A header without samples says 0 rightly.
        return real, f"The header of {path} does not say how long it is." if there or stated else "", following
    if stop > real:
        # Where the chunks after the samples are there, no samples are missing either.
        if real >= source.size and stop - real > max(start - base, min(stated // 200, 1 << 14)):
            raise truncated(path, f"its header promises {stated} bytes of audio but only {there} are there")
        return real, f"The header of {path} promises {stop - real} bytes more than there are.", following
    return real, f"The header of {path} states {stated} bytes of audio, but {there} are there.", following


def _means_unknown(stated: int) -> bool:
    """Whether a size that goes beyond the file's end is one of those that programs write to a pipe."""
    return 0x7FFF0000 <= stated <= 0x80001000 or 0xFFFF0000 <= stated <= 0xFFFFFFFF or stated >= 1 << 50


def _ends_at(source: Source, start: int, stated: int, layout: Layout | None) -> tuple[bool, int]:
    """Whether what stands after the stated samples is not more of them; and the place of another container after it."""
    stop = start + stated
    if source.size - stop < 8 or source.get(stop, 11).startswith(TAGS) or source.is_zero(stop, source.size):
        return True, 0
    if layout is None:
        return False, 0
    for place in sorted({stop, stop + -stated % layout.align}):
        if layout_of(source.get(place, 40)):
            return True, place
        known, end = False, place
        for name, at, content, size in chunks_of(source, place, source.size, layout):
            if layout_of(source.get(at, 40)):
                return True, at
            end = content + size
            known = known or name in layout.after
            if end > source.size and not known:
                break
        if known or place < end and source.size - layout.align < end <= source.size:
            return True, 0
    return False, 0


def _next_container(source: Source, start: int, layout: Layout | None) -> int:
    """Where another WAV file begins within what looks like the samples of one; 0 if none does."""
    at = source.find(b"WAVEfmt ", start, source.size) if layout in (WAVE, RF64) else -1
    return at - 8 if at - 8 >= start and layout_of(source.get(at - 8, 40)) else 0


def _chunks_before(source: Source, start: int, end: int, layout: Layout) -> int:
    """Where the trailing chunks begin, which must run exactly up to `end`; `end` itself if no chunks trail."""
    first = max(start, end - TAIL)
    block = source.get(first, end - first)
    for match in islice(re.finditer(b"|".join(map(re.escape, layout.after)), block), MOST_TRIED):
        at = first + match.start()
        reached = at
        for _, _, content, size in islice(chunks_of(source, at, end, layout), MOST_TRIED):
            reached = content + size
        if end - layout.align < reached <= end:
            return at
    return end


def chunks_of(source: Source, at: int, end: int, layout: Layout) -> Iterator[tuple[bytes, int, int, int]]:
    """Chunks from a place on: name, where it begins, where its content does, and the stated size of that.

    After one that goes beyond the end, or has a negative size, nothing follows.
    """
    large: dict[bytes, int] = {}
    for _ in range(MOST_CHUNKS):
        head = source.get(at, layout.header)
        if at + layout.header > end or len(head) < layout.header or not is_name(head[:4]):
            return
        name, start = head[:layout.name], at + layout.header
        size = struct.unpack(layout.size, head[layout.name:])[0] - layout.counted
        if layout.large and size == 0xFFFFFFFF:
            size = large.get(name, size)
        yield name, at, start, size
        if layout.large and name == b"ds64" and not large:
            large = _large_sizes(source.get(start, min(size, 28 + 12 * MOST_CHUNKS)))
        at = start + size
        if size < 0 or at > end:
            return
        # The next one begins after some padding, of which there are programs that do not know.
        if size % layout.align and not (layout.align == 2 and is_name(source.get(at, 4))):
            at += -size % layout.align


def is_name(name: bytes) -> bool:
    """Whether four bytes can be the name of a chunk."""
    return len(name) == 4 and all(0x20 <= byte < 0x7F for byte in name)


def _large_sizes(ds64: bytes) -> dict[bytes, int]:
    """Sizes by name from the content of `ds64` (EBU Tech 3306, ITU-R BS.2088)."""
    if len(ds64) < 16:
        return {}
    sizes = {b"data": struct.unpack_from("<Q", ds64, 8)[0]}
    for at in range(28, len(ds64) - 11, 12):
        sizes.setdefault(ds64[at:at + 4], struct.unpack_from("<Q", ds64, at + 4)[0])
    return sizes


# ------------------------------------------------------------------------------------------------- what is shown

def _corrected(source: Source, base: int, layout: Layout, kept: dict[bytes, range], start: int,
               stop: int) -> tuple[bytes | range, ...]:
    """The container with only what a decoder needs, and with sizes that are true."""
    samples, size = range(start, stop), stop - start
    before: list[bytes | range] = []
    for name in layout.before:
        if name in kept:
            before += [kept[name], bytes(-len(kept[name]) % layout.align)]
    if layout is CAF:  # its packet table may stand before the samples or after them
        at = start - layout.lead - 8
        return range(base, at), struct.pack(">q", size + layout.lead), range(start - layout.lead, stop)
    if layout is W64:
        total = layout.head + sum(map(len, before)) + layout.header + size
        return (source.get(base, 16) + struct.pack("<Q", total) + source.get(base + 24, 16), *before,
                layout.data + struct.pack("<Q", size + layout.counted), samples)
    if layout is AIFF:  # a size of 0 is taken for all that is there, of more than 4 GB too
        return b"FORM\0\0\0\0" + source.get(base + 8, 4), *before, b"SSND" + bytes(12), samples
    if layout is RF64 or layout is WAVE and size + sum(map(len, before)) >= 0xFFFFFF00:
        ds64 = struct.pack("<4sIQQQI", b"ds64", 28, size + sum(map(len, before)) + 48, size, 0, 0)
        return b"RF64\xff\xff\xff\xffWAVE" + ds64, *before, b"data\xff\xff\xff\xff", samples
    riff = struct.pack(layout.size, min(4 + sum(map(len, before)) + 8 + size, 0xFFFFFFFF))
    return (source.get(base, 4) + riff + b"WAVE", *before,
            b"data" + struct.pack(layout.size, min(size, 0xFFFFFFFF)), samples)


def _check_channels(source: Source, layout: Layout, kept: dict[bytes, range]) -> None:
    """Raises FileError where a header has more channels than libsndfile reads, whose words for that are others."""
    wave = b"fmt ", 10, "<H"
    where = {WAVE: wave, RF64: wave, RIFX: (b"fmt ", 10, ">H"), AIFF: (b"COMM", 8, ">H")}.get(layout)
    if where and where[0] in kept:
        field = source.get(kept[where[0]].start + where[1], 2)
        channels = struct.unpack(where[2], field.ljust(2, b"\0"))[0]
        if not 1 <= channels <= MOST_CHANNELS:
            raise FileError(f"{source.path} cannot be read: its header states {channels} channels; there must be from "
                            f"1 to {MOST_CHANNELS}.", "channels", path=source.path)
