"""The state of a run on disk: saved whole or not at all, with the one before it kept."""

from __future__ import annotations

import logging
import os
import pickle
import shutil
import zipfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import filelock
import torch

from ..files import whole_file
from ..texts import printable
from .config import TrainingError

log = logging.getLogger(__name__)

CURRENT, PREVIOUS = "state.pt", "state.previous.pt"


def run_folder(output: Path) -> Path:
    """Where the run that makes a prior file keeps its state. Raises TrainingError if `output` is no such name."""
    if output.suffix != ".safetensors":
        raise TrainingError(f"The prior must be a file NAME.safetensors, not {output}.")
    if printable(output.name) != output.name:
        raise TrainingError(f"The prior cannot be called {output.name}: its preset has to name it, and a preset is "
                            "text. Give -o another name.")
    return output.with_suffix(".run")


@contextmanager
def claimed(output: Path, restart: bool) -> Iterator[None]:
    """Keeps a prior file and its run for this process alone; with `restart`, what an earlier run left is deleted.

    Raises TrainingError if another process has it, or if the file is there without a run that could go on.
    """
    run = run_folder(output)
    run.mkdir(parents=True, exist_ok=True)
    with ExitStack() as stack:
        try:
            stack.enter_context(filelock.FileLock(run / "lock", timeout=0))
        except filelock.Timeout as error:
            raise TrainingError(f"Another process is training {output} now.") from error
        states = [run / CURRENT, run / PREVIOUS]
        if restart:
            for path in states:
                path.unlink(missing_ok=True)
            shutil.rmtree(run / "logs", ignore_errors=True)
        elif output.exists() and not any(path.exists() for path in states):
            raise TrainingError(f"{output} already exists. Give another -o, or replace it with --restart.")
        yield


def check_same_run(run: Path, begun: dict, now: dict) -> None:
    """Raises TrainingError if a run was started with other settings than those of now, naming the first of them."""
    for name, value in now.items():
        if begun.get(name) != value:
            raise TrainingError(f"{run} holds a run that was started with {name} = {begun.get(name)}, not {value}. "
                                "Keep that value, give another -o, or start over with --restart.")


def save_state(folder: Path, state: dict) -> None:
    """Writes a state of plain values and tensors. Whenever the process is killed, the last one or this one is left."""
    with whole_file(folder / CURRENT) as part:
        torch.save(state, part)
        if (folder / CURRENT).exists():
            os.replace(folder / CURRENT, folder / PREVIOUS)


def load_state(folder: Path) -> dict | None:
    """The last good state, on the CPU, or None before the first. Raises TrainingError if all are damaged."""
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
