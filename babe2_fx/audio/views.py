"""Files as they should be seen: stretches of one, with what is wrong in its headers corrected, for libsndfile."""

from __future__ import annotations

import bisect
import io
import os
from dataclasses import dataclass
from itertools import accumulate
from pathlib import Path
from typing import BinaryIO

from ..files import FileError

BLOCK = 1 << 18  # bytes that are read at a time
MOST_PARTS = 4096  # of a file: more than a station plays in a week
ID3V1 = 128  # bytes


@dataclass(frozen=True)
class Part:
    """A recording within a file: the bytes that a decoder should see, each piece given or a stretch of the file.

    promised: how many samples are stated, 0 if that is not known; None: as many as the decoder says · length: bytes
    that the decoder is told are there, for one that guesses the number of samples from that; 0: as many as are.
    """

    pieces: tuple[bytes | range, ...]
    promised: int | None = None
    length: int = 0


@dataclass(frozen=True)
class Contents:
    """What a file really holds: the recordings in it, in order; none where a decoder should see the file as it is.

    found: what its headers state wrongly, as sentences · as_it_is: whether to find a passage in it, or its length by
    its header, a decoder should see the file as it is even so.
    """

    parts: tuple[Part, ...] = ()
    found: tuple[str, ...] = ()
    as_it_is: bool = False


class Source:
    """A file's bytes by their places. What does not fit into the file is left out, never an error."""

    def __init__(self, file: BinaryIO, path: Path):
        self.path, self.size = path, os.fstat(file.fileno()).st_size
        self._file, self._at, self._block = file, 0, b""

    def get(self, at: int, count: int) -> bytes:
        """The `count` bytes from `at` on, fewer at the end."""
        first = at - self._at
        if first < 0 or first + count > len(self._block):
            if at >= self.size or count <= 0:
                return b""
            self._file.seek(at)
            self._block, self._at, first = self._file.read(max(count, BLOCK)), at, 0
        return self._block[first:first + count]

    def find(self, pattern: bytes, start: int, stop: int) -> int:
        """Where `pattern` first stands between two places, or -1."""
        stop = min(stop, self.size)
        while start + len(pattern) <= stop:
            self.get(start, len(pattern))  # the block that is held begins there or before
            at = self._block.find(pattern, start - self._at, stop - self._at)
            if at >= 0:
                return self._at + at
            start = max(self._at + len(self._block) - len(pattern) + 1, start + 1)
        return -1

    def is_zero(self, start: int, stop: int) -> bool:
        """Whether there is nothing but zeros between two places."""
        for at in range(start, stop, BLOCK):
            block = self.get(at, min(BLOCK, stop - at))
            if block.count(0) < len(block):
                return False
        return True


class View(io.RawIOBase):
    """The pieces of a `Part` as one file to read. An error in it is kept for `check`: the C code that calls would
    lose it, Ctrl-C included."""

    def __init__(self, file: io.FileIO, part: Part):
        self._file, self._pieces = file, [piece for piece in part.pieces if len(piece)] or [b""]
        self._ends = list(accumulate(map(len, self._pieces)))
        self._length = part.length or self._ends[-1]
        self._at = 0
        self._error: BaseException | None = None

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        base = {os.SEEK_SET: 0, os.SEEK_CUR: self._at, os.SEEK_END: self._length}[whence]
        self._at = max(base + offset, 0)
        return self._at

    def tell(self) -> int:
        return self._at

    def readinto(self, buffer) -> int:
        done, target = 0, memoryview(buffer)
        try:
            while done < len(target):
                number = bisect.bisect_right(self._ends, self._at)
                if number == len(self._pieces):
                    if self._length > self._ends[-1] and self._at >= self._length - ID3V1:
                        done, target[:] = len(target), bytes(len(target))  # where a decoder looks for a tag
                    break
                piece = self._pieces[number]
                first = self._at - (self._ends[number] - len(piece))
                count = min(len(piece) - first, len(target) - done)
                if isinstance(piece, range):
                    self._file.seek(piece.start + first)
                    count = self._file.readinto(target[done:done + count]) or 0
                    if not count:
                        break
                else:
                    target[done:done + count] = piece[first:first + count]
                done, self._at = done + count, self._at + count
        except BaseException as error:
            self._error = error
        return done

    def check(self) -> None:
        """Raises what went wrong in reading, if anything did."""
        if self._error is not None:
            raise self._error


def tags_before(source: Source, at: int = 0) -> int:
    """Where what is not an ID3v2 tag begins."""
    while size := id3_size(source.get(at, 10)):
        at += size
    return min(at, source.size)


def id3_size(head: bytes) -> int:
    """Bytes of the ID3v2 tag that begins with these ten, its header and footer included; 0 where none begins."""
    if len(head) < 10 or head[:3] != b"ID3" or max(head[6:10]) > 0x7F:
        return 0
    footer = 10 if head[3] == 4 and head[5] & 0x10 else 0
    return 10 + (head[6] << 21 | head[7] << 14 | head[8] << 7 | head[9]) + footer


def without_tags(source: Source) -> int:
    """Where the tags begin that programs put after the end of a file: ID3v1, APE and Lyrics3."""
    end = source.size
    while True:
        footer = source.get(max(end - 32, 0), 32)
        if source.get(max(end - 128, 0), 3) == b"TAG":
            end -= 128
        elif footer[:8] == b"APETAGEX":
            has_head = footer[23] & 0x80
            end -= int.from_bytes(footer[12:16], "little") + (32 if has_head else 0)
        elif footer[-9:] == b"LYRICS200" and footer[-15:-9].isdigit():
            end -= 15 + int(footer[-15:-9])
        else:
            return max(end, 0)
        if end <= 0:
            return 0


def truncated(path: Path, how: str) -> FileError:
    """The error for a file that is cut short."""
    return FileError(f"{path} is truncated: {how}. Copy it again, or save what is there from an audio editor.",
                     "truncated", path=path)
