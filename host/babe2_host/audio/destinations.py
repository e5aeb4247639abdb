"""Where results may be written, found out before they are made."""

from __future__ import annotations

import os
from pathlib import Path

from babe2_fx.files import FileError, reason, whole_file


def check_destination(path: str | os.PathLike, *sources: str | os.PathLike) -> Path:
    """The file that writing to `path` would make or replace (links followed), known to be writable.

    Args:
        sources: the user's own files, which must never be written to.

    Raises:
        FileError: the folder is missing or cannot be written to, or the path is one of `sources`, a folder, a device
            or a pipe.
    """
    path = Path(path)
    try:
        real = Path(os.path.realpath(path))
        for source in sources:
            if real.exists() and Path(source).exists() and os.path.samefile(real, source):
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
        # Permissions alone do not say (read-only disks, quotas, root).
        with whole_file(real, trial=True) as temporary:
            temporary.write_bytes(b"\0")
        return real
    except (OSError, ValueError) as error:  # ValueError: a zero byte in the name
        raise FileError(f"{path} cannot be written: {reason(error)}.", "not-writable", path=path) from error
