"""The chunks of AIFF files, which libsndfile does not write."""

from __future__ import annotations

import errno
import os
import struct
from collections.abc import Iterable

from .chunks import Chunk

LARGEST_FORM = 0xFFFFFFFF  # bytes that its 32 bits can state


def append_chunks(path: str | os.PathLike, chunks: Iterable[Chunk]) -> None:
    """Puts chunks at the end of a finished AIFF file. Raises OSError as the file system does."""
    packed = b"".join(chunk.name.encode("ascii") + struct.pack(">I", len(chunk.content)) + chunk.content
                      + b"\0" * (len(chunk.content) % 2) for chunk in chunks)
    if not packed:
        return
    with open(path, "rb+") as file:
        end = file.seek(0, os.SEEK_END)
        size = end + end % 2 + len(packed) - 8
        if size > LARGEST_FORM:
            raise OSError(errno.EFBIG, os.strerror(errno.EFBIG))
        file.write(b"\0" * (end % 2) + packed)
        file.seek(4)
        file.write(struct.pack(">I", size))
