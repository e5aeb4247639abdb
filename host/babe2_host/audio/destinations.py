"""Where results may be written, found out before they are made."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

from babe2_fx.files import FileError, Place, reason, whole_file


@contextlib.contextmanager
def destination(path: str | os.PathLike, *sources: str | os.PathLike, follow: bool = True,
                replaces: bool = True) -> Iterator[Place]:
    """The `Place` of a file that `path` would make or replace, known to be writable, held for the time of the block.

    Args:
        sources: the user's own files, which must never be written to; of a folder, the files in it.
        follow, replaces: as in `Place`.

    Raises:
        FileError: the folder is missing or cannot be written to, or the path is one of `sources`, a folder, a device
            or a pipe.
    """
    given, path = path, Path(path)
    try:
        real = Path(os.path.realpath(path))
        if real.exists() and any(os.path.samefile(real, file) for source in sources for file in files_of(source)):
            raise FileError(f"{path} is an input and is not written over; give the output another name.",
                            "is-an-input", path=path)
        if real.is_dir():
            raise FileError(f"{path} is a folder; give a file name in it.", "folder", path=path)
        if real.exists() and not real.is_file():
            raise FileError(f"{path} is not a regular file and cannot be replaced.", "not-a-file", path=path)
        if real.parent.exists() and not real.parent.is_dir():
            raise FileError(f"{path} cannot be written: {path.parent} is a file, not a folder.", "no-folder", path=path)
        if not real.parent.is_dir():
            raise FileError(f"{path} cannot be written: there is no folder {path.parent}.", "no-folder", path=path)
        place = Place(given, follow=follow, replaces=replaces)
    except (OSError, ValueError) as error:  # ValueError: a zero byte in the name
        raise _not_writable(path, error) from error
    with place:
        try:  # permissions alone do not say (read-only disks, quotas, root)
            with whole_file(place, trial=True) as temporary:
                temporary.write_bytes(b"\0")
        except OSError as error:
            raise _not_writable(path, error) from error
        yield place


def check_destination(path: str | os.PathLike, *sources: str | os.PathLike) -> Path:
    """As `destination`, of what is written at once: the file that would be made or replaced, links followed."""
    with destination(path, *sources) as place:
        return place.real


def files_of(source: str | os.PathLike) -> list[Path]:
    """A file, if it is there; of a folder, the files in it."""
    source = Path(source)
    files = list(source.iterdir()) if os.path.isdir(source) else [source]
    return [file for file in files if os.path.exists(file)]


def _not_writable(path: Path, error: Exception) -> FileError:
    return FileError(f"{path} cannot be written: {reason(error)}.", "not-writable", path=path)
