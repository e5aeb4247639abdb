"""Folders that are held open, and swept of what killed processes left in them."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import platform
import re
import secrets
import shutil
import stat
import time
from pathlib import Path

try:
    import fcntl
except ImportError:  # on Windows, where a file that is open cannot be deleted
    fcntl = None  # type: ignore[assignment]

HOLDS = os.open in os.supports_dir_fd and hasattr(os, "O_DIRECTORY")  # whether folders can be held open; not on Windows
NOFOLLOW, PATH_ONLY = getattr(os, "O_NOFOLLOW", 0), getattr(os, "O_PATH", 0)
# An unfinished file, by the computer that makes it (its name, then its boot) and a number. Earlier versions gave the
# number alone.
PART = re.compile(r"\.babe2-(?:([0-9a-f]{6})([0-9a-f]{6})-)?[0-9a-f]{12}\.part")
ABANDONED_S = 7 * 86400.0  # without a change, after which a part is nobody's even where locks say nothing
PATIENCE_S = 5.0  # for another process that tidies a folder up, which takes milliseconds


class Folder:
    """A folder that is held open: its files are those in it, whatever takes its name meanwhile.

    On Windows, where folders cannot be held, it goes by the name.

    Args:
        path: of the folder. With `follow=False` no part of it may be a link, which makes it the folder that a check of
            the path was about.

    Attributes:
        path: as it was when the folder was opened, with links followed.
    """

    def __init__(self, path: str | os.PathLike, *, follow: bool = True):
        self.path = Path(os.path.realpath(path)) if follow else Path(path)
        self.fd: int | None = None
        if HOLDS:
            self.fd = _opened(self.path) if follow else _opened_without_links(self.path)
        elif not self.path.is_dir() or self.path != Path(os.path.realpath(path)):
            raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), os.fspath(path))

    def __enter__(self) -> Folder:
        return self

    def __exit__(self, *error) -> None:
        self.close()

    def close(self) -> None:
        if self.fd is not None:
            os.close(self.fd)
            self.fd = None

    def at(self, name: str) -> str:
        """What functions with a `dir_fd` take for a file in it, together with `fd`."""
        return name if self.fd is not None else os.fspath(self.path / name)

    def entry(self, name: str) -> Path:
        """The path of a file in it, for what opens files by their paths: through the open folder, where a system has
        such paths."""
        if self.fd is not None:
            with contextlib.suppress(OSError):
                through = Path(f"/proc/self/fd/{self.fd}")
                if os.path.samestat(os.stat(f"{through}/."), os.fstat(self.fd)):
                    return through / name
        return self.path / name

    def subfolder(self, name: str, make: bool = False) -> Folder:
        """A folder in it, which must not be a link; with `make` it is made if it is not there. Raises OSError."""
        if make:
            with contextlib.suppress(FileExistsError):
                os.mkdir(self.at(name), dir_fd=self.fd)
        inside = Folder.__new__(Folder)
        inside.path, inside.fd = self.path / name, None
        if self.fd is not None:
            inside.fd = os.open(name, os.O_RDONLY | os.O_DIRECTORY | NOFOLLOW, dir_fd=self.fd)
        elif not stat.S_ISDIR(os.lstat(inside.path).st_mode):
            raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), os.fspath(inside.path))
        return inside

    def names(self) -> list[str]:
        return os.listdir(self.fd if self.fd is not None else self.path)

    def stat(self, name: str) -> os.stat_result | None:
        """The status of an entry, of a link itself rather than its target; None if there is no such entry."""
        try:
            return os.stat(self.at(name), dir_fd=self.fd, follow_symlinks=False)
        except FileNotFoundError:
            return None

    def unlink(self, name: str) -> None:
        os.unlink(self.at(name), dir_fd=self.fd)

    def rename(self, name: str, to: str) -> None:
        """Gives a file another name, in the place of what has it."""
        os.replace(self.at(name), self.at(to), src_dir_fd=self.fd, dst_dir_fd=self.fd)

    def link(self, name: str, to: str) -> None:
        """Gives a file another name that none has. Raises FileExistsError. The first name may be gone or not."""
        if self.fd is None:
            os.rename(self.at(name), self.at(to))  # on Windows this replaces nothing
            return
        try:
            os.link(name, to, src_dir_fd=self.fd, dst_dir_fd=self.fd,
                    follow_symlinks=os.link not in os.supports_follow_symlinks)
        except FileExistsError:
            raise
        except OSError:  # a file system without links: an empty file takes the name first
            os.close(os.open(to, os.O_WRONLY | os.O_CREAT | os.O_EXCL, dir_fd=self.fd))
            try:
                self.rename(name, to)
            except OSError:
                self.unlink(to)
                raise

    def now_at(self) -> Path | None:
        """Where the folder is now, if it was moved or another has taken its place; None if it is where it was."""
        if self.fd is None:
            return None
        with contextlib.suppress(OSError):
            if os.path.samestat(os.stat(self.path), os.fstat(self.fd)):
                return None
        with contextlib.suppress(OSError):
            return Path(os.readlink(f"/proc/self/fd/{self.fd}"))
        return Path("a folder whose name is not known")

    def claim(self) -> None:
        """Deletes what killed processes left of files they were making, and keeps others from doing so from now on.

        All who make files in a folder share a lock on it, which ends with their processes. Whoever gets it alone
        knows that no part in it is being written on this computer.
        """
        alone = fcntl is None or self._locked(fcntl.LOCK_EX)
        if alone is not False:
            self._sweep(bool(alone))
        if fcntl is not None:
            until = time.monotonic() + PATIENCE_S
            while self._locked(fcntl.LOCK_SH) is False and time.monotonic() < until:
                time.sleep(0.01)

    def _locked(self, kind: int) -> bool | None:
        """Whether the lock was free; None on systems that have no locks, such as some network disks."""
        if self.fd is None:
            return None
        try:
            fcntl.flock(self.fd, kind | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        except OSError:
            return None
        return True

    def _sweep(self, alone: bool) -> None:
        with contextlib.suppress(OSError):
            for name in self.names():
                made = PART.fullmatch(name)
                if made and (facts := self.stat(name)):
                    # The lock says nothing of other computers that have the disk too.
                    here = alone and (made[1] is None or made[1] == _here()[:6] or made[2] == _here()[6:])
                    if here or time.time() - facts.st_mtime > ABANDONED_S:
                        with contextlib.suppress(OSError):
                            if stat.S_ISDIR(facts.st_mode):
                                shutil.rmtree(self.at(name), dir_fd=self.fd)
                            else:
                                self.unlink(name)


def part_name() -> str:
    """A name for a file that is being made, which `Folder.claim` recognises."""
    return f".babe2-{_here()}-{secrets.token_hex(6)}.part"


def _opened(path: Path) -> int:
    try:
        return os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    except PermissionError:  # a folder that one may write to but not list
        if not PATH_ONLY:
            raise
        return os.open(path, PATH_ONLY | os.O_DIRECTORY)


def _opened_without_links(path: Path) -> int:
    fd = os.open(path.anchor, os.O_RDONLY | os.O_DIRECTORY)
    for number, name in enumerate(path.parts[1:], 2):
        last = number == len(path.parts)
        kind = os.O_RDONLY if last or not PATH_ONLY else PATH_ONLY  # many may not list the folders on the way
        try:
            inside = os.open(name, kind | os.O_DIRECTORY | NOFOLLOW, dir_fd=fd)
        finally:
            os.close(fd)
        fd = inside
    return fd


def _here() -> str:
    """This computer, by its name and, as containers have names of their own, by its boot; each by six digits."""
    boot = b""
    with contextlib.suppress(OSError):
        boot = Path("/proc/sys/kernel/random/boot_id").read_bytes()
    return "".join(hashlib.sha256(what).hexdigest()[:6] for what in (platform.node().encode(), boot))
