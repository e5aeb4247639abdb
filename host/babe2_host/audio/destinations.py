"""Files that appear whole or not at all, and what must not be written over."""

from __future__ import annotations

import contextlib
import os
import secrets
from collections.abc import Callable, Iterator
from pathlib import Path

from .reading import AudioFileError, reason


def check_destination(path: str | os.PathLike, *sources: str | os.PathLike) -> Path:
    """The file that writing to `path` would make or replace (links followed), known to be writable.

    Args:
        sources: the user's own files, which must never be written to.

    Raises:
        AudioFileError: the folder is missing or cannot be written to, or the path is one of `sources`, a
            folder, a device or a pipe.
    """
    path = Path(path)
    try:
        real = Path(os.path.realpath(path))
        for source in sources:
            if real.exists() and Path(source).exists() and os.path.samefile(real, source):
                raise AudioFileError(f"{path} is an input and is not written over; give the output another "
                                     "name.")
        if real.is_dir():
            raise AudioFileError(f"{path} is a folder; give a file name in it.")
        if real.exists() and not real.is_file():
            raise AudioFileError(f"{path} is not a regular file and cannot be replaced.")
        if real.parent.exists() and not real.parent.is_dir():
            raise AudioFileError(f"{path} cannot be written: {path.parent} is a file, not a folder.")
        if not real.parent.is_dir():
            raise AudioFileError(f"{path} cannot be written: there is no folder {path.parent}.")
        with whole_file(real) as temporary:  # permissions alone do not tell (read-only disks, quotas, root)
            temporary.write_bytes(b"\0")
            raise Rehearsed
    except Rehearsed:
        return real
    except (OSError, ValueError) as error:
        if isinstance(error, AudioFileError):
            raise
        raise AudioFileError(f"{path} cannot be written: {reason(error)}.") from error


class Rehearsed(Exception):
    """Ends a trial: what was written is thrown away."""


@contextlib.contextmanager
def whole_file(path: Path) -> Iterator[Path]:
    """A temporary file beside `path` that takes its place when the block ends well, and else vanishes.

    Raises OSError as the file system does.
    """
    temporary = path.parent / f".babe2-{secrets.token_hex(6)}.part"
    try:
        with open(temporary, "xb"):  # not mkstemp: the file is to have the permissions of any new file
            pass
        yield temporary
        with open(temporary, "rb+") as file:
            os.fsync(file.fileno())  # some file systems only now say that the disk is full
        os.replace(temporary, path)
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink()


def write_whole(path: str | os.PathLike, write: Callable[[Path], object]) -> None:
    """Has `write(temporary path)` make a file, then puts it at `path`. Raises AudioFileError."""
    try:
        with whole_file(Path(os.path.realpath(path))) as temporary:
            write(temporary)
    except OSError as error:
        raise AudioFileError(f"{path} could not be written: {reason(error)}.") from error
