"""The state of a run on disk: saved whole or not at all, with the one before it kept."""

from __future__ import annotations

import logging
import math
import os
import shutil
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import filelock
import torch
from torch import Tensor, nn

from ..files import whole_file
from ..priors import PriorError
from ..priors.gate import LEVELS, check_curves, check_finite, check_number
from ..priors.torch_file import open_torch_file
from ..texts import printable
from .config import TrainingError

log = logging.getLogger(__name__)

CURRENT, PREVIOUS = "state.pt", "state.previous.pt"
MEMORY = {"adam": {"step", "exp_avg", "exp_avg_sq"}, "muon": {"momentum_buffer"}}  # of an optimiser, for each parameter


def run_folder(output: Path) -> Path:
    """Where the run that makes a prior file keeps its state. Raises TrainingError if `output` is no such name."""
    if output.suffix != ".safetensors":
        raise TrainingError(f"The prior must be a file NAME.safetensors, not {output}.")
    if printable(output.name) != output.name:
        raise TrainingError(f"The prior cannot be called {output.name}: its preset has to name it, and a preset is "
                            "text. Give -o another name.")
    return output.with_suffix(".run")


@contextmanager
def claimed(output: Path, restart: bool, base: Path | None = None) -> Iterator[None]:
    """Keeps a prior file and its run for this process alone; with `restart`, what an earlier run left is deleted.

    Raises TrainingError if another process has it, if the file is there without a run that could go on, or if it is
    `base`, the prior to start from.
    """
    if base and output.exists() and os.path.samefile(output, base):
        raise TrainingError(f"{output} is the prior to start from, which stays as it is. Give another -o.")
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


def load_state(folder: Path, *needed: str) -> dict | None:
    """The last good state, on the CPU, or None before the first; nothing in its file is run.

    needed: what it must hold besides the step. Raises TrainingError if all are damaged.
    """
    damaged = []
    for path in (folder / CURRENT, folder / PREVIOUS):
        if not path.exists():
            continue
        try:
            with open_torch_file(path) as file:
                state = file.whole()
            _check(state, needed)
            return state
        except PriorError as error:
            damaged.append(str(error).rstrip("."))
        except ValueError as error:
            damaged.append(f"{path} {error}")
        log.warning("%s is damaged; looking for the state before it.", path)
    if damaged:
        raise TrainingError(f"The run cannot go on, for its state is damaged: {'; '.join(damaged)}. "
                            "Start over with --restart.")
    return None


def take_up(state: dict, networks: dict[str, nn.Module],
            optimisers: dict[str, tuple[torch.optim.Optimizer, float]]) -> None:
    """Brings networks and optimisers, by their names, to what a state says of them.

    The optimisers' rates and other settings stay those of this run. Raises TrainingError if the state is not theirs.
    """
    try:
        for name, network in networks.items():
            for key, value in state[name].items():
                check_finite(key, value)
            network.load_state_dict(state[name])
        for name, (optimiser, _) in optimisers.items():
            saved = state["optimisers"][name]["state"]
            parameters = [parameter for group in optimiser.param_groups for parameter in group["params"]]
            for index, values in saved.items():
                if set(values) != MEMORY[name]:
                    raise ValueError(f"{name} remembers other things")
                for key, value in values.items():
                    if check_finite(key, value).shape not in (torch.Size(), parameters[index].shape):
                        raise ValueError(f"{key} has the shape {tuple(value.shape)}")
            optimiser.load_state_dict(optimiser.state_dict() | {"state": saved})
    except (AttributeError, IndexError, KeyError, RuntimeError, TypeError, ValueError) as error:
        why = str(error).strip().splitlines()[-1].strip().rstrip(".") if str(error).strip() else type(error).__name__
        raise TrainingError(f"The run cannot go on: its state is not that of such a run ({why}). "
                            "Start over with --restart.") from error


def _check(state: object, needed: tuple[str, ...]) -> None:
    """Raises ValueError, the end of a sentence, unless this is the state of a run."""
    if not isinstance(state, dict) or type(state.get("step")) is not int or state["step"] < 0:
        raise ValueError("is not the state of a run")
    lacking = [name for name in needed if name not in state]
    if lacking:
        raise ValueError(f"is the state of another kind of run: it has no {lacking[0]}")
    if "seconds" in state and not (type(state["seconds"]) in (int, float) and 0 <= state["seconds"] < math.inf):
        raise ValueError("does not say how long it has run")
    if "config" in state and not isinstance(state["config"], dict):
        raise ValueError("does not say how it was begun")
    if "curves" in state:
        _check_curves(state["curves"])


def _check_curves(curves: object) -> None:
    if not (isinstance(curves, dict) and {"ltas", "ltas_spread_db", "sigma_data", "level"} <= set(curves)):
        raise ValueError("lacks what it measured of its material")
    for name in ("sigma_data", "level"):
        if type(curves[name]) not in (int, float):
            raise ValueError(f"has no number for its {name}")
        check_number(name, curves[name], *LEVELS)
    tensors = {name: value for name, value in curves.items() if name not in ("sigma_data", "level")}
    if not all(isinstance(value, Tensor) for value in tensors.values()):
        raise ValueError("has measured something that is not a curve")
    check_curves(tensors)
