"""What VST3 plugins and Audio Units do for the app, in a process of its own.

`python -m babe2_gui.model.plugins_apart load SOURCE BOARD` writes a board as its plugins are when they are loaded,
`edit BOARD` shows the editor of its one plugin until that is closed, and `process BOARD IN.npy OUT.npy SAMPLE_RATE`
runs audio through it. Plugins want the main thread, which the window needs; and one that crashes must not take the app
with it.
"""

from __future__ import annotations

import sys

import numpy as np

from babe2_gui.model.chain import SAYS
from babe2_gui.model.engine import sentence
from babe2_host.boards.board import Board


def main(argv: list[str] | None = None) -> int:
    command, *args = sys.argv[1:] if argv is None else argv
    try:
        {"load": load, "edit": edit, "process": process}[command](*args)
    except Exception as error:  # whatever a plugin leads to
        said = str(error) if isinstance(error, RuntimeError) else sentence(error)
        print(SAYS + " ".join(said.split()), file=sys.stderr)
        return 1
    return 0


def load(source: str, path: str) -> None:
    Board.load(source, allow_external=True).save(path)


def edit(path: str) -> None:
    board = Board.load(path, allow_external=True)
    board[0].show_editor()
    board.save(path)


def process(path: str, source: str, result: str, sample_rate: str) -> None:
    np.save(result, Board.load(path, allow_external=True)(np.load(source), float(sample_rate)))


if __name__ == "__main__":
    sys.exit(main())
