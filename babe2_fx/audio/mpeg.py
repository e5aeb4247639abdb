"""What there really is in an MP3 file: every frame is counted, for few headers say how many there are, and some say it
wrongly; and files that were joined, tags and junk between them included, are told apart."""

from __future__ import annotations

import functools
import re
import struct
from dataclasses import dataclass, field
from typing import NamedTuple

from .views import Contents, Part, Source, tags_before

CONFIRMED = 4  # frames in a row that are no accident
SLACK = 4  # frames by which a header may differ from what is there: common among whole files
KBITS = {  # bits a second / 1000 by version 1 or not and layer
    (True, 1): (32, 64, 96, 128, 160, 192, 224, 256, 288, 320, 352, 384, 416, 448),
    (True, 2): (32, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384),
    (True, 3): (32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320),
    (False, 1): (32, 48, 56, 64, 80, 96, 112, 128, 144, 160, 176, 192, 224, 256),
    (False, 2): (8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
    (False, 3): (8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160)}
LONGEST_FRAME = 2881  # bytes
WINDOW = 1 << 12  # bytes that are searched at a time
MAY_FOLLOW = re.compile(rb"\xff[\xe2-\xe7\xf2-\xf7\xfa-\xff][\x10-\xef]|ID3|TAG|APETAGEX", re.S)
XING = (b"Xing", b"Info")
RATES = (44100, 48000, 32000)  # Hz, of version 1; 2 and 2.5 have halves and quarters


class Frame(NamedTuple):
    """What a frame's header says: its bytes, samples, where the text Xing or Info stands in one that has no audio, and
    what is the same in all frames of a file (version, layer, rate, whether it is mono)."""

    size: int
    samples: int
    info_at: int
    kind: tuple


@dataclass
class _Run:
    """Frames of one kind, one after the other: how many, where; and where the frame that states their number is."""

    frame: Frame
    info: int | None = None
    count: int = 0
    ranges: list[range] = field(default_factory=list)

    def add(self, at: int, size: int) -> None:
        if self.ranges and self.ranges[-1].stop == at:
            self.ranges[-1] = range(self.ranges[-1].start, at + size)
        else:
            self.ranges.append(range(at, at + size))


def frame_of(head: bytes) -> Frame | None:
    """The frame that begins with these bytes, if one does. One without a stated bit rate cannot be followed."""
    return _frame_of(head[:4])


@functools.lru_cache(4096)
def _frame_of(head: bytes) -> Frame | None:
    if len(head) < 4 or head[0] != 0xFF or head[1] & 0xE0 != 0xE0:
        return None
    version, layer = head[1] >> 3 & 3, 4 - (head[1] >> 1 & 3)
    bits, rate, padding, mono = head[2] >> 4, head[2] >> 2 & 3, head[2] >> 1 & 1, head[3] >> 6 == 3
    if version == 1 or layer == 4 or bits in (0, 15) or rate == 3:
        return None
    first = version == 3
    hz = RATES[rate] // {3: 1, 2: 2, 0: 4}[version]
    bytes_s = KBITS[first, layer][bits - 1] * 125
    samples = 384 if layer == 1 else 1152 if layer == 2 or first else 576
    size = (96 * bytes_s // hz + padding) * 4 if layer == 1 else samples * bytes_s // hz + padding
    return Frame(size, samples, 4 + ((17 if mono else 32) if first else 9 if mono else 17), (version, layer, hz, mono))


def begins_at(source: Source, at: int, near_end: bool = True) -> bool:
    """Whether frames of one kind follow each other for a while, or, `near_end`, up to the file's end."""
    kind = None
    for _ in range(CONFIRMED):
        frame = frame_of(source.get(at, 4))
        if frame is None or kind not in (None, frame.kind):
            return False
        kind, at = frame.kind, at + frame.size
        if at >= source.size:
            return near_end
    return True


def first_frame(source: Source, start: int, stop: int) -> int:
    """Where the frames of an MP3 begin between two places, or -1."""
    at = start
    while (at := source.find(b"\xff", at, stop)) >= 0:
        if begins_at(source, at, near_end=False):
            return at
        at += 1
    return -1


def mpeg(source: Source, base: int) -> Contents:
    """The MP3 files that are in one whose tags before the first frame end at `base`."""
    runs, junk = _runs(source, base)
    if not runs:
        return Contents()
    if len(runs) == 1 and len(runs[0].ranges) == 1 and runs[0].ranges[0].start - base <= 1024 and _says_right(
            source, runs[0]):
        return Contents(as_it_is=True)
    said = []
    if len(runs) > 1:
        said.append(f"{source.path} holds {len(runs)} MP3 files one after the other; they were joined.")
    if junk:
        said.append(f"{junk} bytes in {source.path} are not MP3 and were passed over.")
    return Contents(tuple(_part(source, run, said) for run in runs), tuple(said))


def _runs(source: Source, base: int) -> tuple[list[_Run], int]:
    """All frames of a file, and how many bytes between them are neither frames nor tags."""
    runs: list[_Run] = []
    at, junk, sure = base, 0, False  # sure: the last frame ended here
    while at + 4 <= source.size:
        head = source.get(at, 40)
        frame = frame_of(head)
        run = runs[-1] if runs else None
        follows = frame is not None and run is not None and sure and frame.kind == run.frame.kind
        if frame is None or not (follows or begins_at(source, at)):
            after = _after_tag(source, at, head)
            if not after:
                after = _resync(source, at)
                junk += after - at if after < source.size and runs else 0
            at, sure = after, False
            continue
        if at + frame.size > source.size:
            break  # the last one is not whole
        is_info = frame.kind[1] == 3 and (head[frame.info_at:frame.info_at + 4] in XING
                                          or head[36:40] == b"VBRI")
        if is_info or run is None or frame.kind != run.frame.kind:
            runs.append(run := _Run(frame, at if is_info else None))
        if not is_info:
            run.add(at, frame.size)
            run.count += 1
        at, sure = at + frame.size, True
    return [run for run in runs if run.count], junk


def _after_tag(source: Source, at: int, head: bytes) -> int:
    """Where the tag that begins at `at` ends; 0 if none does."""
    if head[:3] == b"ID3":
        after = tags_before(source, at)
        return after if after > at else 0
    if head[:3] == b"TAG":
        return min(at + 128, source.size)
    if head[:8] == b"APETAGEX" and len(head) >= 24:
        return min(at + 32 + int.from_bytes(head[12:16], "little"), source.size)
    return 0


def _resync(source: Source, at: int) -> int:
    """The next place from which frames or a tag may follow."""
    at += 1
    while at < source.size:
        block = source.get(at, WINDOW)
        if found := MAY_FOLLOW.search(block):
            return at + found.start()
        at += max(len(block) - len(b"APETAGEX"), 1)
    return source.size


def _says_right(source: Source, run: _Run) -> bool:
    """Whether a decoder finds the right length in a run by itself: only where a frame states it."""
    stated, size = _stated(source, run)
    # A file that was cut short is left to the decoder, which will miss what is missing.
    return stated > 0 and (0 <= stated - run.count <= SLACK or stated > run.count and not _all_bytes_there(run, size))


def _stated(source: Source, run: _Run) -> tuple[int, int]:
    """Frames and bytes that a run's first frame states; 0: it does not."""
    if run.info is None:
        return 0, 0
    at = run.info + run.frame.info_at
    if source.get(at, 4) not in XING:
        vbri = source.get(run.info + 36, 18)
        return int.from_bytes(vbri[14:18], "big"), int.from_bytes(vbri[10:14], "big")
    flags = int.from_bytes(source.get(at + 4, 4), "big")
    frames = int.from_bytes(source.get(at + 8, 4), "big") if flags & 1 else 0
    size = int.from_bytes(source.get(at + (12 if flags & 1 else 8), 4), "big") if flags & 2 else 0
    return frames, size


def _all_bytes_there(run: _Run, size: int) -> bool:
    """Whether a file has as many bytes as it says, give or take a few frames."""
    there = run.ranges[-1].stop - run.ranges[0].start
    return bool(size) and size <= there + (SLACK + 1) * run.frame.size


def _part(source: Source, run: _Run, said: list[str]) -> Part:
    """A run as a decoder reads all of it."""
    samples = run.count * run.frame.samples
    # A decoder guesses the length from the file's and its first frame: here, far more than there is.
    unknown = Part(tuple(run.ranges), samples, LONGEST_FRAME * (run.count + 1) * 16)
    if run.info is None:
        return unknown
    info = bytearray(source.get(run.info, run.frame.size))
    if _says_right(source, run):
        return Part((bytes(info), *run.ranges))
    stated, _ = _stated(source, run)
    if stated:
        said.append(f"The header of {source.path} states {stated} MP3 frames, but {run.count} are there.")
    if not stated or bytes(info[run.frame.info_at:][:4]) not in XING:
        return unknown
    at = run.frame.info_at + 8
    info[at:at + 4] = struct.pack(">I", run.count)
    # How much silence LAME's tag says is at the end was true of another end.
    flags = int.from_bytes(info[at - 4:at], "big")
    lame = at + 4 + 4 * (flags >> 1 & 1) + 100 * (flags >> 2 & 1) + 4 * (flags >> 3 & 1)
    if len(info) >= lame + 24:
        info[lame + 22] &= 0xF0
        info[lame + 23] = 0
    return Part((bytes(info), *run.ranges))
