"""What a door is by which files from strangers come in, and how one is tried; `doors` has all of them."""

import contextlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from hypothesis import strategies as st

import originals
from babe2_fx.errors import LONGEST

MB = 1 << 20
HOMES = ("BABE2_CONFIG", "BABE2_CACHE", "BABE2_DATA")  # where the program keeps what it keeps
JOBS = "BABE2_DATA/jobs"


@dataclass(frozen=True)
class Door:
    """A way in.

    whole: files that it lets in, each a name and its content · files: a strategy of others · enter: opens the file at
    a path, and raises AssertionError if what comes of it is not what was promised · refusals: the errors that are
    sentences · most_memory: bytes that it may take, by the file's size.
    """

    name: str
    whole: Callable[[], list[tuple[str, bytes]]]
    files: Callable[[], st.SearchStrategy[tuple[str, bytes]]]
    enter: Callable[[Path], object]
    refusals: tuple[type[Exception], ...] = ()
    most_memory: Callable[[int], int] = lambda size: 64 * MB + 2000 * size


class Refused(Exception):
    """What is refused without an error of the program's own."""


@dataclass(frozen=True)
class Trial:
    """What came of a file: read or refused · memory: bytes taken at most, where the system says."""

    read: bool
    memory: int


def attempt(door: Door, folder: Path, name: str, content: bytes) -> Trial:
    """Tries a door with one file, in a furnished folder. Raises whatever it should not."""
    path = folder / name
    path.write_bytes(content)
    before = _memory("VmRSS")
    with contextlib.suppress(OSError):  # from here on, the most is counted anew
        Path("/proc/self/clear_refs").write_text("5")
    try:
        door.enter(path)
        read = True
    except door.refusals as refusal:
        read, sentence = False, str(refusal)
        assert 0 < len(sentence) <= LONGEST, f"a refusal of {len(sentence)} characters: {sentence[:200]}"
    taken = max(0, _memory("VmHWM") - before)
    assert taken <= door.most_memory(len(content)), f"{taken} bytes of memory for a file of {len(content)}"
    return Trial(read, taken)


def _memory(name: str) -> int:
    """What Linux says of this process's memory, in bytes; 0 elsewhere."""
    with contextlib.suppress(OSError), open("/proc/self/status", encoding="ascii") as status:
        return next(1024 * int(line.split()[1]) for line in status if line.startswith(name))
    return 0


def furnish(folder: Path) -> dict[str, str]:
    """Puts into a folder what files name that stand in it; returns the environment that keeps all else in it too."""
    for home in HOMES:
        (folder / home).mkdir(exist_ok=True)
    (folder / JOBS).mkdir()
    originals.furnish(folder)
    originals.furnish(folder / JOBS)
    return {home: str(folder / home) for home in HOMES}
