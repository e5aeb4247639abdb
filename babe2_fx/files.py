"""Files that appear whole or not at all, in the folder that was meant, and never in place of one that is not known."""

from __future__ import annotations

import contextlib
import errno
import filecmp
import itertools
import os
import stat
from collections.abc import Callable, Iterator
from pathlib import Path

from .errors import UserError
from .folders import NOFOLLOW, Folder, part_name

ACL = "system.posix_acl_access"


class FileError(UserError):
    """A file that cannot be read or written; the sentence names it."""


class NotInPlaceError(FileError):
    """A result that is finished but could not be put where it was to go; the sentence says why, and where it is."""

    exit_code = 1  # of a command: the mistake is not in what was asked for


class Place:
    """Where a file is to go: a folder, held open, and a name in it; links are followed once, when it is made.

    Held from the checks before a long work to its end, it makes sure of two things: the file comes into the folder
    that was checked, whatever becomes of the folder's name; and nothing is replaced that was not there at the check,
    or was changed since. Writing is by `whole_file` and `write_whole`. As a path it is the one that it was given.

    Args:
        path: of the file. With `follow=False` neither it nor a folder in it may be a link.
        replaces: whether what is there now may be replaced.
        folder: the file's folder, if it is open already, wherever that is by now; it is closed with the place.

    Attributes:
        real: the file's path, with links followed.
        found: what may be replaced, by its `os.stat_result`; None: nothing.

    Raises OSError: the folder cannot be opened.
    """

    def __init__(self, path: str | os.PathLike, *, follow: bool = True, replaces: bool = True,
                 folder: Folder | None = None):
        self.path, self._given = path, folder is not None
        self.real = Path(os.path.realpath(path)) if follow and not folder else Path(path)
        self.folder = folder or Folder(self.real.parent, follow=follow)
        self.folder.claim()
        self.found = self.folder.stat(self.real.name) if replaces else None
        self._room: int | None = None  # a descriptor

    def __fspath__(self) -> str:
        return os.fspath(self.path)

    def __str__(self) -> str:
        return str(self.path)

    def __enter__(self) -> Place:
        return self

    def __exit__(self, *error) -> None:
        self.close()

    def close(self) -> None:
        """Gives back the room that was reserved, and lets go of the folder."""
        self._release()
        self.folder.close()

    def reserve(self, write: Callable[[Path], object], size: int = 0) -> None:
        """Has `write(temporary path)` make the file for a trial, and keeps its room on the disk until it is written.

        The room is held by a file that has no name, so it is freed when the process ends. Windows has no such files,
        and no room is kept there.

        Args:
            size: bytes to keep besides, up to this many, if they are to be had.

        Raises what `write` does, and OSError.
        """
        self._release()
        with whole_file(self, trial=True) as temporary:
            write(temporary)
            if self.folder.fd is not None:
                self._room = os.open(temporary, os.O_RDWR)
                with contextlib.suppress(OSError, AttributeError):  # AttributeError: macOS
                    os.posix_fallocate(self._room, 0, size)

    def _release(self) -> None:
        if self._room is not None:
            os.close(self._room)
            self._room = None

    def _put(self, part: _Part) -> None:
        """Puts a finished part in the file's place. Raises NotInPlaceError if it is not free."""
        folder, name = self.folder, self.real.name
        now = folder.stat(name)
        if now and self.found and _stamp(now) == _stamp(self.found):
            part.replace(name, now)
        else:
            try:
                folder.link(part.name, name)
            except FileExistsError as error:
                if not _equal(part.path, folder.entry(name)):
                    kept = self._kept(part)
                    raise NotInPlaceError(f"{self} appeared or was changed while its result was being made, and is not "
                                          f"replaced; the result is {kept}.", "appeared", path=self.path,
                                          kept=kept) from error
        elsewhere = None if self._given else folder.now_at()
        if elsewhere:
            raise NotInPlaceError(f"The folder of {self} was moved or replaced while the result was being made; "
                                  f"the result is {elsewhere / name}.", "moved", path=self.path,
                                  kept=elsewhere / name)

    def _kept(self, part: _Part) -> Path:
        """Gives a finished part a name near its own that is free."""
        stem = self.real.stem
        stem = stem if len(os.fsencode(stem)) < 240 else stem[:50]  # file systems take 255 bytes
        for number in itertools.count(2):
            name = f"{stem} ({number}){self.real.suffix}"
            with contextlib.suppress(FileExistsError):
                self.folder.link(part.name, name)
                return self.real.with_name(name)
        raise AssertionError


class _Part:
    """A file that is being made, under a name that others recognise."""

    def __init__(self, folder: Folder, private: bool):
        self.folder, self.name, self.private = folder, part_name(), private
        self.path = folder.entry(self.name)
        self.fd: int | None = None

    def make(self) -> None:
        try:  # not mkstemp: the file should have the permissions of any new file
            self.fd = os.open(self.folder.at(self.name), os.O_RDWR | os.O_CREAT | os.O_EXCL,
                              0o600 if self.private else 0o666, dir_fd=self.folder.fd)
        except FileNotFoundError as error:
            raise FileNotFoundError(errno.ENOENT, "its folder was deleted meanwhile", str(self.path)) from error
        self.mode = stat.S_IMODE(os.fstat(self.fd).st_mode)

    def finish(self) -> None:
        """Puts it on the disk. Some libraries have replaced the file by one that only its owner can read."""
        self.close()
        fd = os.open(self.folder.at(self.name), os.O_RDWR | NOFOLLOW, dir_fd=self.folder.fd)
        try:
            if os.chmod in os.supports_fd:
                os.chmod(fd, self.mode)
            os.fsync(fd)  # some file systems report a full disk only now
        finally:
            os.close(fd)

    def replace(self, name: str, old: os.stat_result) -> None:
        """Puts it in the place of another file, with the access that this has, as far as its owner may."""
        with contextlib.suppress(OSError, AttributeError):  # AttributeError: Windows
            if (old.st_uid, old.st_gid) != (os.geteuid(), os.getegid()):
                os.chown(self.path, old.st_uid, old.st_gid)
        if not self.private:
            with contextlib.suppress(OSError):
                os.chmod(self.path, stat.S_IMODE(old.st_mode) & 0o777)
            with contextlib.suppress(OSError, AttributeError):  # AttributeError: not Linux
                os.setxattr(self.path, ACL, os.getxattr(self.folder.entry(name), ACL))
        self.folder.rename(self.name, name)

    def close(self) -> None:
        if self.fd is not None:
            os.close(self.fd)
            self.fd = None

    def discard(self) -> None:
        self.close()
        with contextlib.suppress(OSError):
            self.folder.unlink(self.name)


@contextlib.contextmanager
def whole_file(path: str | os.PathLike, *, private: bool = False, trial: bool = False) -> Iterator[Path]:
    """A temporary file next to `path` (links followed) that takes its place if the block succeeds, else vanishes.

    A file that is replaced leaves its permissions to the new one.

    Args:
        path: a path, at which anything is replaced; or a `Place`, which knows what may be.
        private: whether only its owner may access the file, from the first moment.
        trial: whether this only tests if the file can be written: it vanishes either way.

    Raises OSError as the file system does, and NotInPlaceError for a `Place`.
    """
    with contextlib.nullcontext(path) if isinstance(path, Place) else Place(path) as place:
        if not trial:
            place._release()
        part = _Part(place.folder, private)
        try:  # from before it is there: Ctrl-C may come at any moment
            part.make()
            yield part.path
            part.finish()
            if place is path and not trial:
                place._put(part)
            elif not trial:
                old = place.folder.stat(place.real.name)
                part.replace(place.real.name, old) if old else place.folder.rename(part.name, place.real.name)
        finally:
            try:
                part.discard()
            except BaseException:  # a signal, at this very moment; the next ones are ignored
                part.discard()
                raise


def write_whole(path: str | os.PathLike, write: Callable[[Path], object]) -> None:
    """Has `write(temporary path)` make a file, then puts it at `path`, as `whole_file` does. Raises FileError."""
    try:
        with whole_file(path) as temporary:
            write(temporary)
    except OSError as error:
        raise FileError(f"{path} could not be written: {reason(error)}.", "not-written", path=path) from error


def reason(error: Exception) -> str:
    """What went wrong, in the system's words, for use inside a sentence: "no space left on device"."""
    text = getattr(error, "strerror", None) or str(error)
    return text[:1].lower() + text[1:].rstrip(".")


def _stamp(facts: os.stat_result) -> tuple:
    return facts.st_dev, facts.st_ino, facts.st_size, facts.st_mtime_ns


def _equal(one: Path, other: Path) -> bool:
    """Whether both are files with the same content, as a process leaves one that is killed right after it was done."""
    try:
        return filecmp.cmp(one, other, shallow=False)
    except OSError:
        return False
