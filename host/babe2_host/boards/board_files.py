"""Boards as TOML files that a person can edit."""

from __future__ import annotations

import os
import tomllib
from collections.abc import Callable, Mapping
from pathlib import Path

from babe2_fx.files import write_whole
from babe2_fx.texts import read_text

from ..audio.destinations import check_destination
from .plugins import BoardError, unknown
from .values import checked_title, make_plugins, plugin_values

FORMAT = "babe2-board-1"
OUTPUT = ("sample_rate", "depth")  # what files come out as that are rendered with the board
KEYS = ("format", "title", *OUTPUT, "plugins")
LARGEST_FILE = 1 << 20  # bytes; a board of a thousand plugins has a tenth of it


def read_board(path: str | os.PathLike, make: Callable, effects: Mapping[str, Callable] | None = None,
               allow_external: bool = False):
    """As `Board.load`, of a file; `make` is the class of the board."""
    path = Path(path)
    content = _content(path)
    if content.get("format") != FORMAT:
        raise BoardError(f"{path} is not a board that this version can read: it must have the line "
                         f'format = "{FORMAT}" at its top.')
    for key in content:
        if key not in KEYS:
            raise BoardError(f"{path}: {unknown('key', key, KEYS)} Each plugin begins with a line [[plugins]].")
    plugins = make_plugins(content.get("plugins", []), where=str(path), folder=path.parent, effects=effects,
                           allow_external=allow_external)
    try:
        return make(plugins, title=checked_title(content, str(path)),
                     **{key: content[key] for key in OUTPUT if key in content})
    except ValueError as error:
        raise BoardError(f"{path}: {error}") from error


def read_title(path: Path) -> str:
    """The title in a board file, which is not looked into further. Raises BoardError."""
    return checked_title(_content(path), str(path))


def write_board(board, path: str | os.PathLike) -> None:
    """As `Board.save`."""
    import tomlkit  # only here, since few who load boards write them
    path = Path(path)
    document = tomlkit.document()
    document.update({"format": FORMAT, "title": board.title})
    document.update({key: getattr(board, key) for key in OUTPUT if getattr(board, key) is not None})
    document["plugins"] = _toml(plugin_values(board, where=str(path), folder=path.parent))
    try:
        text = tomlkit.dumps(document).encode()
    except UnicodeEncodeError as error:
        raise BoardError(f"{path} cannot be written: some text in the board is not Unicode.") from error
    write_whole(check_destination(path), lambda part: part.write_bytes(text))


def _content(path: Path) -> dict:
    if not os.path.isfile(path):
        raise BoardError(f"{path} is not a file." if os.path.exists(path) else f"There is no board {path}.")
    try:
        if path.stat().st_size > LARGEST_FILE:
            raise BoardError(f"{path} is larger than a board ever is; it is another kind of file.")
        return tomllib.loads(read_text(path, LARGEST_FILE, unicode=True))
    except OSError as error:
        raise BoardError(f"{path} cannot be read: {error.strerror}.") from error
    except (ValueError, RecursionError) as error:  # not TOML, not UTF-8, or brackets without end
        raise BoardError(f"{path} is not a TOML file: {str(error).rstrip('.')}.") from error


def _toml(tables: list[dict]):
    """Plugins as tables with [[plugins]] headers, the plugins within a plugin last; other values on one line."""
    import tomlkit
    if not tables:
        return []
    array = tomlkit.aot()
    for values in tables:
        table = tomlkit.table()
        for key, value in values.items():
            table.add(key, _toml(value) if key == "plugins" else _inline(value))
        array.append(table)
    return array


def _inline(value):
    import tomlkit
    if isinstance(value, list):
        array = tomlkit.array()
        array.extend(map(_inline, value))
        return array
    if isinstance(value, dict):
        table = tomlkit.inline_table()
        table.update({key: _inline(item) for key, item in value.items()})
        return table
    return value
