"""Files that appear whole or not at all."""

from __future__ import annotations

import contextlib
import os
import secrets
from collections.abc import Callable, Iterator
from pathlib import Path

from .errors import UserError


class FileError(UserError):
    """A file that cannot be read or written; the sentence names it."""


@contextlib.contextmanager
def whole_file(path: str | os.PathLike, *, private: bool = False, trial: bool = False) -> Iterator[Path]:
    """A temporary file next to `path` (links followed) that takes its place if the block succeeds, else vanishes.

    Args:
        private: whether only its owner may access the file, from the first moment.
        trial: whether this only tests if the file can be written: it vanishes either way.

    Raises OSError as the file system does.
    """
    path = Path(os.path.realpath(path))
    temporary = path.parent / f".babe2-{secrets.token_hex(6)}.part"
    try:
        # Not mkstemp: the file should have the permissions of any new file.
        os.close(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600 if private else 0o666))
        mode = temporary.stat().st_mode
        yield temporary
        temporary.chmod(mode)  # some libraries replace the file with one that only its owner can read
        with open(temporary, "rb+") as file:
            os.fsync(file.fileno())  # some file systems report a full disk only now
        if not trial:
            os.replace(temporary, path)
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink()


def write_whole(path: str | os.PathLike, write: Callable[[Path], object]) -> None:
    """Has `write(temporary path)` make a file, then puts it at `path`. Raises FileError."""
    try:
        with whole_file(path) as temporary:
            write(temporary)
    except OSError as error:
        raise FileError(f"{path} could not be written: {reason(error)}.", "not-written", path=path) from error


def reason(error: Exception) -> str:
    """What went wrong, in the system's words, for use inside a sentence: "no space left on device"."""
    text = getattr(error, "strerror", None) or str(error)
    return text[:1].lower() + text[1:].rstrip(".")
