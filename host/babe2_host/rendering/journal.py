"""Keeps the finished blocks of a render next to its output, so that one that was killed can resume."""

from __future__ import annotations

import contextlib
import os
import re
from pathlib import Path

from safetensors import SafetensorError

from babe2_fx.files import whole_file

ENDING = ".unfinished"
# A block, or what a kill left of one; the second kind of name was that of an earlier version.
OURS = re.compile(r"[0-9a-f]{32}-[0-9]{5,}\.(safetensors|part)|\.babe2-[0-9a-f]{12}\.part")


class FolderJournal:
    """The `Journal` of a render as a folder: OUT.wav.unfinished next to OUT.wav.

    Each block is a safetensors file, which is there whole or not at all. The folder is made with the first block.

    Args:
        output: the file that the render is to make.

    Attributes:
        found: how many blocks were read from it.
        problem: why blocks could not be kept, or None. A render goes on without them.
    """

    def __init__(self, output: str | os.PathLike):
        real = Path(os.path.realpath(output))
        self.folder = real.with_name(real.name + ENDING)
        self.found = 0
        self.problem: str | None = None

    def read(self, name: str) -> dict | None:
        from safetensors.torch import load_file  # imports torch, hence only here
        try:
            tensors = load_file(self._file(name))
        except (OSError, SafetensorError, ValueError):  # missing or damaged: the block is rendered again
            return None
        self.found += 1
        return tensors

    def write(self, name: str, tensors: dict) -> None:
        if self.problem:
            return
        from safetensors.torch import save_file
        try:
            self.folder.mkdir(exist_ok=True)
            with whole_file(self._file(name)) as part:
                save_file({key: value.contiguous() for key, value in tensors.items()}, part)
        except (OSError, SafetensorError) as error:
            self.problem = getattr(error, "strerror", None) or str(error)

    def blocks(self) -> int:
        """How many blocks are in the folder."""
        return len(list(self.folder.glob("*.safetensors"))) if self.folder.is_dir() else 0

    def clear(self) -> None:
        """Deletes the folder, but nothing in it that is not a journal's."""
        with contextlib.suppress(OSError):
            for file in self.folder.iterdir():
                if OURS.fullmatch(file.name):
                    file.unlink()
            self.folder.rmdir()

    def _file(self, name: str) -> Path:
        return self.folder / f"{name}.safetensors"
