"""What a job reads, held from the check to the end of the job, so that nothing can take its place in between."""

from __future__ import annotations

import contextlib
import os
import shutil
import stat
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from babe2_fx.files import reason
from babe2_fx.folders import NOFOLLOW, Folder

from .places import lies_in, service_folder
from .records import OPENED, JobError, JobRecord
from .requests import target_files


@dataclass(frozen=True)
class Held:
    """record: of the job, with the paths of what is held for those of its files · paths: from each to its own."""

    record: JobRecord
    paths: dict[Path, str]

    def told(self, text: str) -> str:
        """A sentence about what is held, in terms of the user's own files."""
        for held, path in self.paths.items():
            text = text.replace(str(held), path)
        return text


@contextlib.contextmanager
def held(record: JobRecord, allowed: list[Path]) -> Iterator[Held]:
    """Holds the recording, the target and the weights that a job names, in a folder that is the service's own.

    They are links to the very files, or copies where another disk or another owner allows none.

    Args:
        allowed: the folders that the job may use.

    Raises JobError: a path leads elsewhere since it was checked, or to a folder that may no longer be used.
    """
    folder = service_folder() / "held"
    shutil.rmtree(folder, ignore_errors=True)  # of a service that was killed
    parts = {"input": record.input, "target": record.target,
             "preset": record.preset if os.path.isabs(record.preset or "") else None}
    held_at = {part: folder / part / os.path.basename(path) for part, path in parts.items() if path}
    try:
        for part, at in held_at.items():
            at.parent.mkdir(parents=True)
            _hold(parts[part], at, allowed)
        yield Held(replace(record, **{part: str(at) for part, at in held_at.items()}),
                   {at: parts[part] for part, at in held_at.items()})
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _hold(path: str, held_at: Path, allowed: list[Path]) -> None:
    if os.path.isdir(path):  # a target
        check_place(path, allowed)
        held_at.mkdir()
        for file in target_files({"target": path}):
            if os.path.isfile(file):
                real = os.path.realpath(file)
                check_place(real, allowed)
                _take(Path(real), held_at / os.path.basename(file))
        return
    check_place(path, allowed)
    _take(Path(path), held_at)
    settings = Path(path).with_suffix(".toml")  # weights may have settings next to them
    if held_at.parent.name == "preset" and settings.is_file():
        check_place(str(settings), allowed)
        _take(settings, held_at.with_suffix(".toml"))


def check_place(path: str, allowed: list[Path]) -> None:
    """Raises JobError unless a path that was checked still leads where it did, and that may still be used."""
    if os.path.realpath(path) != path or not lies_in(path, allowed):
        raise JobError(f"{path} leads elsewhere now, or to a folder that jobs may no longer use.")


def _take(path: Path, held_at: Path) -> None:
    """Links or copies the regular file at a path of which no part may be a link."""
    try:
        with Folder(path.parent, follow=False) as folder, open(
                os.open(folder.at(path.name), OPENED | NOFOLLOW, dir_fd=folder.fd), "rb") as file:
            facts = os.fstat(file.fileno())
            if not stat.S_ISREG(facts.st_mode):
                raise JobError(f"{path} is not a regular file.")
            with contextlib.suppress(OSError):
                os.link(folder.at(path.name), held_at, src_dir_fd=folder.fd,
                        follow_symlinks=os.link not in os.supports_follow_symlinks)
                if os.path.samestat(os.lstat(held_at), facts):
                    return
                held_at.unlink()  # another file, or a link, has come by the name just now
            with open(held_at, "wb") as copy:
                shutil.copyfileobj(file, copy, 1 << 20)
            os.utime(held_at, ns=(facts.st_atime_ns, facts.st_mtime_ns))
    except FileNotFoundError as error:
        raise JobError(f"There is no file {path}.") from error
    except OSError as error:
        raise JobError(f"{path} cannot be used: {reason(error)}.") from error
