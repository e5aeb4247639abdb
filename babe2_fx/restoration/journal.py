"""Where finished blocks are kept, so an interrupted run can resume after them with the same result."""

from __future__ import annotations

import hashlib
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from ..audio.mapped import chunks
from ..version import __version__


class Journal(Protocol):
    """Keeps the finished blocks of runs, by name."""

    def read(self, name: str) -> dict[str, Tensor] | None:
        """What was written under this name, or None."""

    def write(self, name: str, tensors: dict[str, Tensor]) -> None:
        """Keeps tensors under a name, whole or not at all. What it cannot keep is dropped without an error."""


def fingerprint(audio: np.ndarray, *what) -> str:
    """A name for a run, equal only for runs with equal results on one machine.

    audio: (channels, samples) · what: everything else the result depends on, by its `repr`. The versions of this
    program and of PyTorch are included: another version may compute something else.
    """
    digest = hashlib.sha256(repr((__version__, torch.__version__, audio.shape, *what)).encode())
    for channel in audio:
        for part in chunks(len(channel), audio):
            digest.update(np.ascontiguousarray(channel[part]).data)
    return digest.hexdigest()[:32]
