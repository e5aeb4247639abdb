"""Plugins as plain values: the tables of a board file, and what the app edits.

A plugin is a dict: its class's name as `plugin`, and its parameters by their names, as in {"plugin": "Gain", "gain_db":
3.0}. Plugins within a plugin are a list under `plugins`.
"""

from __future__ import annotations

import ast
import inspect
import os
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from reprlib import repr as shown  # of what a file has there, which may be long

import pedalboard
from pedalboard import Chain, Convolution, Mix, Pedalboard, Plugin

from babe2_fx.audio.reading import samples_of
from babe2_fx.errors import UserError
from babe2_fx.files import FileError
from babe2_fx.settings import NAMES, REMOVED, check_values

from .plugins import (
    EXTERNAL,
    NATIVE,
    BoardError,
    OfflineEffect,
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

EXTERNAL_PLUGIN = "external-plugin"  # the code of the error about one that is not allowed
DEEPEST = 20  # boards in boards
CONTAINERS: dict[str, type] = {"Pedalboard": Pedalboard, "Chain": Chain}  # and Board and Mix, which add themselves
# Offline effects, and the module to get each from, which takes seconds.
OFFLINE = {"GenerativeEQ": "babe2_fx", "SpectralGate": "babe2_host.boards.effects",
           "PeakNormalize": "babe2_host.boards.effects"}
# Parameters that name a file, relative to the board's; and those that are objects of a running program.
FILES = {"Convolution": "impulse_response_filename", "GenerativeEQ": "target", "VST3Plugin": "path",
         "AudioUnitPlugin": "path"}
NOT_IN_FILES = {"GenerativeEQ": ("progress", "prior")}


def make_plugins(values, *, where: str, folder: str | os.PathLike = "", effects: Mapping[str, Callable] | None = None,
                 allow_external: bool = False) -> list:
    """Makes plugins from their values.

    Args:
        values: a list of dicts.
        where: what begins the sentence of an error: a file's name, or "The chain".
        folder: what names of files are relative to.
        effects: offline effects besides those of this package, classes by their names.
        allow_external: whether VST3 plugins and Audio Units may be loaded, which are programs.

    Raises BoardError naming the position of the plugin at fault.
    """
    return _Maker(where, Path(folder), dict(effects or {}), allow_external).plugins(values)


def plugin_values(plugins: Iterable, *, where: str, folder: str | os.PathLike | None = None) -> list[dict]:
    """The values of plugins, from which they can be made again.

    Args:
        where: as of `make_plugins`.
        folder: names of files in it become relative to it, so that it can be moved; None: all stay whole.

    Raises BoardError naming the position of a plugin that plain values do not make.
    """
    return _values(plugins, where, folder and Path(os.path.abspath(folder)), "")


# ------------------------------------------------------------------------------------------ values to plugins

@dataclass(frozen=True)
class _Maker:
    """Makes plugins of values. Errors name the position of the plugin at fault."""

    where: str
    folder: Path
    effects: dict[str, Callable]
    allow_external: bool

    def plugins(self, entries, position: str = "") -> list:
        """Plugins of a list of tables; `position` is that of the plugin around them, "2." for the second."""
        if position.count(".") > DEEPEST:
            raise BoardError(f"{self.where} has plugins more than {DEEPEST} deep in each other.")
        if not isinstance(entries, list):
            within = f", plugin {position[:-1]}" if position else ""
            raise BoardError(f"{self.where}{within}: plugins must be a list of tables, not {shown(entries)}.")
        return [self._plugin(entry, f"{position}{number}") for number, entry in enumerate(entries, 1)]

    def _plugin(self, entry, position: str):
        where = f"{self.where}, plugin {position}"
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
        except BoardError as error:
            if error.code != EXTERNAL_PLUGIN or "where" in error.fields:  # of a plugin within it
                raise
            raise BoardError(f"{where}: {error}", error.code, where=where, why=str(error), **error.fields) from error
        except (UserError, ValueError, TypeError, ArithmeticError, RuntimeError, ImportError, OSError) as error:
            raise BoardError(f"{where}: {error}", getattr(error, "code", ""), where=where, why=str(error)) from error
        known = {*CONTAINERS, *EXTERNAL, *NATIVE, *OFFLINE, *self.effects}
        raise BoardError(f"{self.where}, plugin {position}: {unknown('plugin', name, known)}")

    def _container(self, name: str, values: dict, position: str):
        known = ("title", "plugins") if name == "Board" else ("plugins",)
        _check_known(values, known)
        plugins = self.plugins(values.get("plugins", []), f"{position}.")
        if name == "Board":
            return CONTAINERS[name](plugins, title=checked_title(values, f"{self.where}, plugin {position}"))
        if name == "Mix":
            return CONTAINERS[name](plugins)
        return CONTAINERS[name]([self._own(plugin, name) for plugin in plugins])

    @staticmethod
    def _own(plugin, around: str) -> Plugin:
        """A plugin as one of Pedalboard's own, which are all that its containers take."""
        why = ""
        if isinstance(plugin, CONTAINERS["Mix"]):
            try:
                return plugin.native()
            except ValueError as error:
                why = f" ({error})"
        if not isinstance(plugin, Plugin):
            raise ValueError(f"Pedalboard's {around} takes Pedalboard's own plugins alone, not this "
                             f"{type(plugin).__name__}{why}; a Board takes both.")
        return plugin

    def _external(self, name: str, values: dict) -> Plugin:
        _check_known(values, ("path", "parameters", "plugin_name"))
        path, chosen, parameters = (values.get(key) for key in ("path", "plugin_name", "parameters"))
        if not isinstance(path, str) or not isinstance(chosen, str | None):
            raise ValueError("it needs a path, and both path and plugin_name must be text.")
        if not isinstance(parameters, dict | None):
            raise ValueError("parameters must be a table, such as { gain_db = 3.0 }, not "
                             f"{shown(parameters)}.")
        path = self.folder / path
        if not self.allow_external:
            raise BoardError(f"{path} is a program, which would run on this computer; that has not been allowed. Allow "
                             "it if you trust both it and this board.", EXTERNAL_PLUGIN, path=path)
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
        """An audio file. Of any other file Pedalboard would silently make no impulse response."""
        if not isinstance(name, str):
            raise ValueError("impulse_response_filename must name an audio file.")
        path = (self.folder / name).absolute()
        if not os.path.isfile(path):
            raise ValueError(f"there is no impulse response {path}.")
        try:
            samples_of(path)  # Pedalboard's own decoder may hang on what this refuses
            with pedalboard.io.AudioFile(str(path)) as audio:
                frames = audio.frames
        except (FileError, ValueError, RuntimeError, OSError):
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
        if name in OFFLINE or len(known) + len(never) == len(parameters):
            removed = [key for key in values if key in REMOVED] if name == "GenerativeEQ" else []
            if removed:
                check_values({removed[0]: values[removed[0]]})  # says what became of it
            _check_known(values, (*known, *(NAMES if name == "GenerativeEQ" else ())))
        values = {key: self._offline_value(key, value, known.get(key)) for key, value in values.items()}
        file = FILES.get(name)
        if isinstance(values.get(file), str):
            values[file] = str(self.folder / values[file])
        effect = make(**values)
        if not isinstance(effect, OfflineEffect) or not effect.is_effect:
            raise ValueError(f"{name} was registered as an effect, but is not one.")
        return effect

    @staticmethod
    def _offline_value(key: str, value, default):
        """A value from the file, of the kind of the parameter's default."""
        value = plain(key, value)
        for kinds, words in ((bool, "true or false"), ((int, float), "a number"), (str, "text")):
            if isinstance(default, kinds):
                if not isinstance(value, kinds) or isinstance(value, bool) != isinstance(default, bool):
                    raise ValueError(f"{key} must be {words}, not {shown(value)}.")
                break
        return value


def _check_known(values: dict, known: Iterable[str], *more: str) -> None:
    for key in values:
        if key not in known:
            raise ValueError(unknown("parameter", key, (*known, *more)))


def checked_title(values: dict, where: str) -> str:
    """The title among the values of a board. Raises BoardError."""
    title = values.get("title", "")
    if not isinstance(title, str):
        raise BoardError(f"{where}: title must be text, not {shown(title)}.")
    return title


# ------------------------------------------------------------------------------------------ plugins to values

def _values(plugins: Iterable, where: str, folder: Path | None, position: str) -> list[dict]:
    entries = []
    for number, plugin in enumerate(plugins, 1):
        try:
            entries.append(_value(plugin, where, folder, f"{position}{number}"))
        except BoardError:
            raise
        except ValueError as error:
            raise BoardError(f"{where}, plugin {position}{number} ({type(plugin).__name__}), cannot be kept in a file: "
                             f"{error}", where=where, why=str(error)) from error
    return entries


def _value(plugin, where: str, folder: Path | None, position: str) -> dict:
    name = type(plugin).__name__
    if plugin is None:  # the audio as it is, which is what a Chain of nothing gives
        return {"plugin": "Chain", "plugins": []}
    if type(plugin) in (CONTAINERS.get(name), Mix):
        title = {"title": plugin.title} if name == "Board" and plugin.title else {}
        return {"plugin": name} | title | {"plugins": _values(plugin, where, folder, f"{position}.")}
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
        whole = Path(os.path.abspath(values[file]))
        inside = folder is not None and whole.is_relative_to(folder)
        values[file] = whole.relative_to(folder).as_posix() if inside else str(whole)
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
