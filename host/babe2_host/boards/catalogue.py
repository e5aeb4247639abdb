"""Boards by their names: those that ship, and the user's own."""

from __future__ import annotations

import os
from importlib.resources import files
from pathlib import Path

from babe2_fx.catalogue.weights import config_folder

from .board_files import read_title
from .plugins import BoardError, unknown


def list_boards() -> list[str]:
    """Names, sorted, of the boards that ship with this program and of the user's.

    The latter are the files `boards/NAME.toml` in the configuration folder.
    """
    return sorted({**_boards_in(_users_folder()), **_boards_in(_shipped_folder())})


def find_board(name_or_path: str | os.PathLike) -> Path:
    """The file of a board, given its name as `list_boards` has it, or a path.

    Raises:
        BoardError: there is none; or a user's board has the name of one that ships.
    """
    text = os.fspath(name_or_path)
    if text.endswith(".toml") or os.path.dirname(text):
        if not os.path.exists(text):
            raise BoardError(f"There is no board {text}.")
        return Path(text)
    shipped, users = _boards_in(_shipped_folder()), _boards_in(_users_folder())
    if text in shipped and text in users:
        raise BoardError(f"{users[text]} has the name of a board that ships with this program; rename it.")
    if text not in shipped and text not in users:
        raise BoardError(f"{unknown('board', text, list_boards())} A file is given with its ending, .toml.")
    return (shipped | users)[text]


def describe_boards() -> list[str]:
    """A line for each board: its name, and its title or what is wrong with its file."""
    lines = []
    for name in list_boards():
        try:
            lines.append(f"{name:16} {read_title(find_board(name))}")
        except BoardError as error:
            lines.append(f"{name:16} cannot be used: {error}")
    return lines


def _boards_in(folder: Path) -> dict[str, Path]:
    return {path.stem: path for path in folder.glob("*.toml")}


def _shipped_folder() -> Path:
    return Path(str(files("babe2_host"))) / "boards"


def _users_folder() -> Path:
    return config_folder() / "boards"
