"""VST3 plugins and Audio Units, loaded in a process of their own.

Plugins want the main thread, which the window needs; and one that crashes must not take the app with it. What they are
to do goes to the process's standard input and what comes of it to its standard output, both pickled: plugins as their
values (see `babe2_host.boards.values`), audio as arrays.
"""

from __future__ import annotations

import os
import pickle
import subprocess
import sys

import numpy as np

from babe2_host.boards.board import Board
from babe2_host.boards.plugins import BoardError
from babe2_host.boards.values import make_plugins, plugin_values

from .engine import sentence

# -P: without it, Python takes modules from the working folder, where a stranger's files may lie.
APART = (sys.executable, "-P", "-m", "babe2_gui.model.plugins_apart")
WHERE = "The chain"  # begins the host's sentences on plugins


# ---------------------------------------------------------------------------------------------- in the app

def ask(command: str, *args):
    """Has a process do one of COMMANDS and waits for what it returns. Raises BoardError."""
    try:
        done = subprocess.run(APART, input=request(command, *args), stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
                              creationflags=getattr(subprocess, "CREATE_NO_WINDOW", 0), check=False)
    except OSError as error:
        raise BoardError(f"No process could be started for the plugins: {error.strerror}.") from error
    return answer(done.stdout)


def request(command: str, *args) -> bytes:
    """What the process is to read."""
    return pickle.dumps((command, args), protocol=5)


def answer(data: bytes):
    """What the process found, of all that it wrote. Raises BoardError if a plugin failed or crashed."""
    try:
        value, why = pickle.loads(data)
    except (EOFError, pickle.UnpicklingError) as error:
        raise BoardError("A plugin ended its process unexpectedly. Switch it off, or remove it from the "
                         "chain.") from error
    if why:
        raise BoardError(why)
    return value


# ------------------------------------------------------------------------------------------ in the process

def load(values: dict) -> dict:
    """The values of a plugin as it is when it is loaded."""
    return plugin_values(make_plugins([values], where=WHERE, allow_external=True), where=WHERE)[0]


def edit(values: dict) -> dict:
    """Shows a plugin's editor until it is closed; its values then."""
    plugins = make_plugins([values], where=WHERE, allow_external=True)
    plugins[0].show_editor()
    return plugin_values(plugins, where=WHERE)[0]


def process(values: list[dict], audio: np.ndarray, sample_rate: float) -> np.ndarray:
    """Audio (channels, samples) through plugins."""
    return Board(make_plugins(values, where=WHERE, allow_external=True))(audio, sample_rate)


def save(values: list[dict], title: str, path: str) -> None:
    """Writes a board file."""
    Board(make_plugins(values, where=WHERE, allow_external=True), title=title).save(path)


COMMANDS = {"load": load, "edit": edit, "process": process, "save": save}


def main() -> int:
    with os.fdopen(os.dup(1), "wb") as out:
        os.dup2(2, 1)  # what plugins print is not the answer
        command, args = pickle.load(sys.stdin.buffer)
        try:
            found = COMMANDS[command](*args), ""
        except Exception as error:  # whatever a plugin leads to
            found = None, str(error) if isinstance(error, RuntimeError) else sentence(error)
        pickle.dump(found, out, protocol=5)
    return 0


if __name__ == "__main__":
    sys.exit(main())
