"""The state of a run on disk: saved whole or not at all, with the one before it kept."""

from __future__ import annotations

import logging
import os
import pickle
import zipfile
from pathlib import Path

import torch

from ..files import whole_file
from .config import TrainingError

log = logging.getLogger(__name__)

CURRENT, PREVIOUS = "state.pt", "state.previous.pt"


def save_state(folder: Path, state: dict) -> None:
    """Writes a state of plain values and tensors. Whenever the process is killed, the last one or this one is left."""
    with whole_file(folder / CURRENT) as part:
        torch.save(state, part)
        if (folder / CURRENT).exists():
            os.replace(folder / CURRENT, folder / PREVIOUS)


def load_state(folder: Path) -> dict | None:
    """The last good state, on the CPU, or None if there is none. Raises TrainingError if all are damaged."""
    damaged = []
    for path in (folder / CURRENT, folder / PREVIOUS):
        if not path.exists():
            continue
        try:
            state = torch.load(path, map_location="cpu", weights_only=True)
            if isinstance(state, dict) and "step" in state:
                return state
            damaged.append(f"{path} (not the state of a run)")
        except (RuntimeError, OSError, EOFError, ValueError, pickle.UnpicklingError, zipfile.BadZipFile) as error:
            damaged.append(f"{path} ({str(error).splitlines()[0] if str(error) else type(error).__name__})")
        log.warning("%s is damaged; looking for the state before it.", path)
    if damaged:
        raise TrainingError(f"The run cannot go on: its state is damaged in {' and '.join(damaged)}. "
                            "Start over with --restart.")
    return None
