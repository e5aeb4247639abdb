"""Boards as TOML files that a person can edit."""

from __future__ import annotations

import ast
import inspect
import os
import tomllib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from reprlib import repr as shown  # of what a file has there, which may be long

import pedalboard
from pedalboard import Chain, Convolution, Mix, Pedalboard, Plugin

from babe2_fx.files import FileError, write_whole

from ..audio.destinations import check_destination
from .board import Board, OfflineEffect
from .plugins import (
    EXTERNAL,
    NATIVE,
    BoardError,
    changed_parameters,
    checked_number,
    is_enum,
    load_plugin,
    origin_of,
    parameter_names,
    parameter_values,
    plain,
    set_parameter,
    unknown,
)

FORMAT = "babe2-board-1"
OUTPUT = ("sample_rate", "depth")  # what files come out as that are rendered with the board
KEYS = ("format", "title", *OUTPUT, "plugins")
LARGEST_FILE = 1 << 20  # bytes; a board of a thousand plugins has a tenth of it
DEEPEST = 20  # boards in boards
CONTAINERS = {"Board": Board, "Pedalboard": Pedalboard, "Chain": Chain, "Mix": Mix}
# Offline effects, and the module to get each from, which takes seconds.
OFFLINE = {"GenerativeEQ": "babe2_fx", "SpectralGate": "babe2_host.boards.effects",
           "PeakNormalize": "babe2_host.boards.effects"}
# Parameters that name a file, relative to the board's; and those that are objects of a running program.
FILES = {"Convolution": "impulse_response_filename", "GenerativeEQ": "target", "VST3Plugin": "path",
         "AudioUnitPlugin": "path"}
NOT_IN_FILES = {"GenerativeEQ": ("progress", "prior")}


def read_board(path: str | os.PathLike, effects: Mapping[str, Callable] | None = None,
               allow_external: bool = False) -> Board:
    """As `Board.load`, of a file."""
    return Reader(Path(path), dict(effects or {}), allow_external).board()


def write_board(board: Board, path: str | os.PathLike) -> None:
    """As `Board.save`."""
    import tomlkit  # only here, since few who load boards write them
    path = Path(path)
    try:
        document = tomlkit.document()
        document.update({"format": FORMAT, "title": board.title})
        document.update({key: getattr(board, key) for key in OUTPUT if getattr(board, key) is not None})
        document["plugins"] = _toml(_entries(board, path, ""))
        text = tomlkit.dumps(document).encode()
        real = check_destination(path)
        write_whole(real, lambda part: part.write_bytes(text))
    except FileError as error:
        raise BoardError(str(error)) from error
    except UnicodeEncodeError as error:
        raise BoardError(f"{path} cannot be written: a text in the board is not Unicode.") from error


# --------------------------------------------------------------------------------------------- reading a file

@dataclass(frozen=True)
class Reader:
    """Makes the plugins that one file names. Errors name the file and the plugin's position in it."""

    path: Path
    effects: dict[str, Callable]
    allow_external: bool

    def board(self) -> Board:
        content = self._content()
        if content.get("format") != FORMAT:
            raise BoardError(f"{self.path} is not a board that this version can read: it must have the line "
                             f'format = "{FORMAT}" at its top.')
        for key in content:
            if key not in KEYS:
                raise BoardError(f"{self.path}: {unknown('key', key, KEYS)} Each plugin begins with a line "
                                 "[[plugins]].")
        plugins = self._plugins(content.get("plugins", []), "")
        output = {key: content[key] for key in OUTPUT if key in content}
        try:
            return Board(plugins, title=self._title(content, ""), **output)
        except ValueError as error:
            raise BoardError(f"{self.path}: {error}") from error

    def title(self) -> str:
        return self._title(self._content(), "")

    def _content(self) -> dict:
        if not os.path.isfile(self.path):
            raise BoardError(f"{self.path} is not a file." if os.path.exists(self.path) else
                             f"There is no board {self.path}.")
        try:
            if self.path.stat().st_size > LARGEST_FILE:
                raise BoardError(f"{self.path} is larger than a board ever is; it is another kind of file.")
            return tomllib.loads(self.path.read_text(encoding="utf-8"))
        except BoardError:
            raise
        except OSError as error:
            raise BoardError(f"{self.path} cannot be read: {error.strerror}.") from error
        except (ValueError, RecursionError) as error:  # not TOML, not UTF-8, or brackets without end
            raise BoardError(f"{self.path} is not a TOML file: {str(error).rstrip('.')}.") from error

    def _title(self, table: dict, where: str) -> str:
        title = table.get("title", "")
        if not isinstance(title, str):
            raise BoardError(f"{self.path}{where}: title must be a text, not {shown(title)}.")
        return title

    def _plugins(self, entries, position: str) -> list:
        """Plugins of a list of tables; `position` is that of the plugin around them, "2." for the second."""
        if position.count(".") > DEEPEST:
            raise BoardError(f"{self.path} has plugins more than {DEEPEST} deep in each other.")
        if not isinstance(entries, list):
            where = f", plugin {position[:-1]}" if position else ""
            raise BoardError(f"{self.path}{where}: plugins must be a list of tables, not {shown(entries)}.")
        return [self._plugin(entry, f"{position}{number}") for number, entry in enumerate(entries, 1)]

    def _plugin(self, entry, position: str):
        where = f"{self.path}, plugin {position}"
        if not isinstance(entry, dict):
            raise BoardError(f"{where} must be a table, not {shown(entry)}.")
        values = dict(entry)
        name = values.pop("plugin", None)
        if not isinstance(name, str):
            raise BoardError(f'{where} must say what it is, such as plugin = "Gain"' +
                             ("." if name is None else f", not {shown(name)}."))
        where = f"{where} ({name})"
        try:
            if name in self.effects or name in OFFLINE:
                return self._offline(name, values)
            if name in CONTAINERS:
                return self._container(name, values, position)
            if name in EXTERNAL:
                return self._external(name, values)
            if name in NATIVE:
                return self._native(NATIVE[name], values)
        except BoardError:  # of a plugin within it
            raise
        except (ValueError, TypeError, ArithmeticError, RuntimeError, ImportError, OSError) as error:
            raise BoardError(f"{where}: {error}") from error
        known = {*CONTAINERS, *EXTERNAL, *NATIVE, *OFFLINE, *self.effects}
        raise BoardError(f"{self.path}, plugin {position}: {unknown('plugin', name, known)}")

    def _container(self, name: str, values: dict, position: str):
        known = ("title", "plugins") if name == "Board" else ("plugins",)
        _check_known(values, known)
        plugins = self._plugins(values.get("plugins", []), f"{position}.")
        if name == "Board":
            return Board(plugins, title=self._title(values, f", plugin {position}"))
        for plugin in plugins:
            if not isinstance(plugin, Plugin):
                raise ValueError(f"Pedalboard's {name} takes Pedalboard's own plugins alone, not "
                                 f"{type(plugin).__name__}; a Board takes both.")
        return CONTAINERS[name](plugins)

    def _external(self, name: str, values: dict) -> Plugin:
        _check_known(values, ("path", "parameters", "plugin_name"))
        path, chosen, parameters = (values.get(key) for key in ("path", "plugin_name", "parameters"))
        if not isinstance(path, str) or not isinstance(chosen, str | None):
            raise ValueError("it needs a path, and both path and plugin_name must be texts.")
        if not isinstance(parameters, dict | None):
            raise ValueError("parameters must be a table, such as { gain_db = 3.0 }, not "
                             f"{shown(parameters)}.")
        path = self.path.parent / path
        if not self.allow_external:
            raise ValueError(f"{path} is a program, which would run on this computer; that has not been "
                             "allowed. If you trust both it and this board, load the board with "
                             "allow_external=True.")
        plugin = load_plugin(path, parameters or {}, chosen, name)
        if not plugin.is_effect:
            raise ValueError(f"{path} is an instrument, which does not take audio.")
        return plugin

    def _native(self, kind: type, values: dict) -> Plugin:
        if kind is Convolution:
            plugin = Convolution(str(self._impulse_response(values.pop("impulse_response_filename", None))))
            _check_known(values, parameter_names(kind), "impulse_response_filename")
        else:
            plugin = kind()
            _check_known(values, parameter_names(kind))
        for name, value in values.items():
            set_parameter(plugin, name, self._native_value(name, value, getattr(plugin, name)))
        return plugin

    @staticmethod
    def _native_value(name: str, value, now):
        """A value from the file, of the kind that the parameter has now."""
        if isinstance(now, bool):
            if not isinstance(value, bool):
                raise ValueError(f"{name} must be true or false, not {shown(value)}.")
            return value
        if is_enum(now):
            members = type(now).__members__
            if not isinstance(value, str):
                raise ValueError(f"{name} must be one of {', '.join(members)}, not {shown(value)}.")
            if value not in members:
                raise ValueError(unknown(name, value, members))
            return members[value]
        return checked_number(name, value)

    def _impulse_response(self, name) -> Path:
        """An audio file. Pedalboard would take any other for no impulse response at all, and say nothing."""
        if not isinstance(name, str):
            raise ValueError("impulse_response_filename must name an audio file.")
        path = (self.path.parent / name).absolute()
        if not os.path.isfile(path):
            raise ValueError(f"there is no impulse response {path}.")
        try:
            with pedalboard.io.AudioFile(str(path)) as audio:
                frames = audio.frames
        except (ValueError, RuntimeError, OSError):
            frames = 0
        if not frames:
            raise ValueError(f"{path} is not an audio file, or is empty; it cannot be an impulse response.")
        return path

    def _offline(self, name: str, values: dict):
        make = self.effects.get(name) or getattr(import_module(OFFLINE[name]), name)
        parameters = inspect.signature(make).parameters
        never = NOT_IN_FILES.get(name, ())
        known = {key: item.default for key, item in parameters.items()
                 if item.kind is not item.VAR_KEYWORD and key not in never}
        if len(known) + len(never) == len(parameters):
            _check_known(values, known)
        else:  # it takes more by any name, and says itself which
            _check_known({key: 0 for key in values if key in never}, known)
        values = {key: self._offline_value(key, value, known.get(key)) for key, value in values.items()}
        file = FILES.get(name)
        if isinstance(values.get(file), str):
            values[file] = str(self.path.parent / values[file])
        try:
            effect = make(**values)
        except (ValueError, TypeError) as error:
            more = f" Parameters of {name} are: {', '.join(known)}." if set(values) - set(known) else ""
            raise ValueError(f"{error}{more}") from error
        if not isinstance(effect, OfflineEffect) or not effect.is_effect:
            raise ValueError(f"{name} was registered as an effect, but is none.")
        return effect

    @staticmethod
    def _offline_value(key: str, value, default):
        """A value from the file, of the kind of the parameter's default."""
        value = plain(key, value)
        for kinds, words in ((bool, "true or false"), ((int, float), "a number"), (str, "a text")):
            if isinstance(default, kinds):
                if not isinstance(value, kinds) or isinstance(value, bool) != isinstance(default, bool):
                    raise ValueError(f"{key} must be {words}, not {shown(value)}.")
                break
        return value


def _check_known(values: dict, known: Iterable[str], *more: str) -> None:
    for key in values:
        if key not in known:
            raise ValueError(unknown("parameter", key, (*known, *more)))


# --------------------------------------------------------------------------------------------- writing a file

def _entries(plugins: Iterable, path: Path, position: str) -> list[dict]:
    """Plugins as the tables of a board file at `path`."""
    entries = []
    for number, plugin in enumerate(plugins, 1):
        try:
            entries.append(_entry(plugin, path, f"{position}{number}"))
        except BoardError:
            raise
        except ValueError as error:
            raise BoardError(f"{path} was not written: plugin {position}{number} ({type(plugin).__name__}) "
                             f"cannot be kept in a file: {error}") from error
    return entries


def _entry(plugin, path: Path, position: str) -> dict:
    name = type(plugin).__name__
    if plugin is None:  # in a Mix: the dry signal, which is what a Chain of nothing gives
        return {"plugin": "Chain", "plugins": []}
    if type(plugin) is CONTAINERS.get(name):
        title = {"title": plugin.title} if name == "Board" and plugin.title else {}
        return {"plugin": name} | title | {"plugins": _entries(plugin, path, f"{position}.")}
    if name in EXTERNAL:
        origin = origin_of(plugin)
        chosen = {"plugin_name": origin.plugin_name} if origin.plugin_name else {}
        values = {"path": origin.path} | chosen | {"parameters": changed_parameters(plugin, origin)}
    elif type(plugin) is NATIVE.get(name):
        values = {key: value.name if is_enum(value) else value for key, value in parameter_values(plugin).items()}
        for key, value in values.items():
            if isinstance(value, float):
                checked_number(key, value)
    elif isinstance(plugin, Plugin) or name in NATIVE or name in CONTAINERS:
        raise ValueError("it is not one of Pedalboard's own classes.")
    else:
        values = _offline_values(plugin, name)
    file = FILES.get(name)
    if isinstance(values.get(file), str):
        values[file] = _beside(values[file], path)
    return {"plugin": name} | values


def _offline_values(effect: OfflineEffect, name: str) -> dict:
    """The parameters of an offline effect, from its repr."""
    try:
        call = ast.parse(repr(effect), mode="eval").body
    except (SyntaxError, ValueError):
        call = None
    if not isinstance(call, ast.Call) or call.args or getattr(call.func, "id", None) != name:
        raise ValueError(f"its repr does not have the form {name}(parameter=value, ...).")
    values, parameters = {}, inspect.signature(type(effect)).parameters
    for keyword in call.keywords:
        try:
            value = ast.literal_eval(keyword.value)
        except ValueError as error:
            more = "; give it as a file" if FILES.get(name) == keyword.arg else ""
            raise ValueError(f"its {keyword.arg} is not a plain value{more}.") from error
        if value is not None or keyword.arg not in parameters or parameters[keyword.arg].default is not None:
            values[keyword.arg] = plain(keyword.arg, value)
    return values


def _beside(file: str, board: Path) -> str:
    """A file's name; relative if it lies in the board's folder, so that the folder can be moved."""
    file, folder = Path(os.path.abspath(file)), Path(os.path.abspath(board)).parent
    return file.relative_to(folder).as_posix() if file.is_relative_to(folder) else str(file)


def _toml(entries: list[dict]):
    """Tables with [[plugins]] headers, the plugins within a plugin last."""
    import tomlkit
    if not entries:
        return []
    tables = tomlkit.aot()
    for entry in entries:
        table = tomlkit.table()
        for key, value in entry.items():
            if isinstance(value, dict):
                inline = tomlkit.inline_table()
                inline.update(value)
                value = inline
            table.add(key, _toml(value) if key == "plugins" else value)
        tables.append(table)
    return tables
