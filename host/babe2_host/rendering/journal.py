"""Keeps the finished blocks of a render next to its output, so that one that was killed can resume."""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import stat
from collections.abc import Iterator
from pathlib import Path

from safetensors import SafetensorError

from babe2_fx.files import FileError, Place, reason, whole_file
from babe2_fx.folders import PART, Folder

ENDING = ".unfinished"
# A block, or what a kill left of one; .part and .tmp were those of earlier versions.
OURS = re.compile(rf"[0-9a-f]{{32}}-[0-9]{{5,}}\.(safetensors|part)|\.tmp\w{{6}}|{PART.pattern}")


class FolderJournal:
    """The `Journal` of a render as a folder: OUT.wav.unfinished next to OUT.wav.

    Each block is a safetensors file with a checksum, which is there whole or not at all. The folder is made with the
    first block, and is not followed if it is a link.

    Args:
        output: the file that the render is to make; of a `Place`, the blocks come into its folder, whatever becomes
            of the folder's name.

    Attributes:
        found: how many blocks were read from it.
        problem: why blocks could not be kept, or None. A render goes on without them.
    """

    def __init__(self, output: str | os.PathLike):
        self._held = output.folder if isinstance(output, Place) else None
        real = output.real if isinstance(output, Place) else Path(os.path.realpath(output))
        self.folder = real.with_name(real.name + ENDING)
        self.found = 0
        self.problem: str | None = None

    def read(self, name: str) -> dict | None:
        """The tensors of a block as they were written under this name; None if they are missing or damaged."""
        try:
            with self._open() as folder:
                tensors, digest = _read(folder, self._file(name))
        except (OSError, SafetensorError, ValueError):
            return None
        if digest != _digest(name, tensors):
            return None
        self.found += 1
        return tensors

    def write(self, name: str, tensors: dict) -> None:
        """Keeps a block. One with numbers that are not finite is not worth it: it would be the same again."""
        if self.problem or not all(value.isfinite().all() for value in tensors.values()):
            return
        from safetensors.torch import save  # imports torch, hence only here
        tensors = {key: value.contiguous() for key, value in tensors.items()}
        try:
            with Place(self.folder / self._file(name), folder=self._open(make=True)) as place, (
                    whole_file(place)) as part:
                # Not save_file, which makes a file of its own, and leaves that when it is killed.
                part.write_bytes(save(tensors, {"sha256": _digest(name, tensors)}))
        except (OSError, SafetensorError, FileError) as error:
            self.problem = reason(error)

    def blocks(self) -> int:
        """How many blocks are in the folder."""
        with contextlib.suppress(OSError), self._open() as folder:
            return sum(name.endswith(".safetensors") for name in folder.names())
        return 0

    def clear(self) -> None:
        """Deletes the folder, but nothing in it that is not a journal's."""
        with contextlib.suppress(OSError), self._parent() as parent:
            with parent.subfolder(self.folder.name) as folder:
                for name in folder.names():
                    if OURS.fullmatch(name):
                        folder.unlink(name)
            os.rmdir(parent.at(self.folder.name), dir_fd=parent.fd)

    @contextlib.contextmanager
    def _parent(self) -> Iterator[Folder]:
        if self._held:
            yield self._held
            return
        with Folder(self.folder.parent) as folder:
            yield folder

    def _open(self, make: bool = False) -> Folder:
        with self._parent() as parent:
            return parent.subfolder(self.folder.name, make)

    @staticmethod
    def _file(name: str) -> str:
        return f"{name}.safetensors"


def _read(folder: Folder, name: str) -> tuple[dict, str | None]:
    """The tensors in a file, and the checksum that it says they have. Raises OSError, SafetensorError."""
    from safetensors import safe_open
    facts = folder.stat(name)
    if facts is None or not stat.S_ISREG(facts.st_mode):
        raise FileNotFoundError(name)
    with safe_open(folder.entry(name), framework="pt") as file:
        return {key: file.get_tensor(key) for key in file.keys()}, (file.metadata() or {}).get("sha256")


def _digest(name: str, tensors: dict) -> str:
    """A checksum of a block: of its name, and of its tensors' names, shapes and contents."""
    digest = hashlib.sha256(name.encode())
    for key, value in sorted(tensors.items()):
        digest.update(f"\n{key} {value.dtype} {tuple(value.shape)}\n".encode())
        digest.update(value.contiguous().numpy().tobytes())
    return digest.hexdigest()
