"""Board: a Pedalboard that also takes offline effects, such as GenerativeEQ, and boards kept in files."""

from __future__ import annotations

import ast
import difflib
import inspect
import math
import os
import threading
import tomllib
from collections.abc import Callable, Iterable, Iterator, Mapping, MutableSequence
from dataclasses import dataclass, field
from fnmatch import fnmatch
from importlib import import_module
from importlib.resources import files
from pathlib import Path
from reprlib import repr as shown  # of what a file has there, which may be long
from typing import Protocol, runtime_checkable

import numpy as np
import pedalboard
from pedalboard import Chain, Convolution, Mix, Pedalboard, Plugin

from babe2_fx.errors import UserError
from babe2_fx.weights import config_folder

from .audio_files import AudioFileError, check_destination, write_whole

FORMAT = "babe2-board-1"
KEYS = ("format", "title", "plugins")
LARGEST_FILE = 1 << 20  # bytes; a board of a thousand plugins has a tenth of it
DEEPEST = 20  # boards in boards


class BoardError(UserError):
    """A board file that cannot be used or written; the message says which, where and why."""


@runtime_checkable
class OfflineEffect(Protocol):
    """An effect that a Board takes beside Pedalboard's own: one that needs the whole signal at once.

    `process` is given float32 in the shape that the board was given, and returns float32 of the same shape.
    It refuses `reset=False` with a ValueError if it cannot go on from one call to the next. To be kept in
    board files it needs a `repr` like Name(parameter=value, ...) with plain values, as a dataclass has.
    """

    is_effect: bool

    def process(self, input_array: np.ndarray, sample_rate: float, buffer_size: int,
                reset: bool) -> np.ndarray: ...

    def reset(self) -> None: ...


class Board(MutableSequence):
    """Plugins and offline effects in a row, called as a Pedalboard is.

    Takes Pedalboard's plugins (VST3 and Audio Units too), Pedalboards, Chains, Mixes, Boards and offline
    effects in any order. It is a list of them: what a list can do with its items it can, a slice is a Board,
    and items are told apart by identity. Neighbouring plugins of Pedalboard run as one Pedalboard; without
    offline effects the output is Pedalboard's to the last bit, also when streaming with `reset=False`.

    Threads may call one board at the same time, as they may a Pedalboard: a call resets what it passes
    through, and Pedalboard locks its plugins meanwhile. An edit is heard from the next call on.

    Args:
        plugins: what to begin with.
        title: what the board is for, in a few words.

    Raises:
        TypeError: something that is not a plugin.
        ValueError: an instrument, which does not take audio; a board inside itself.

    Examples:
        >>> from pedalboard import Gain, HighpassFilter
        >>> board = Board([HighpassFilter(40), Gain(-3)])
        >>> board(np.zeros((2, 44100), dtype=np.float32), 44100).shape
        (2, 44100)
    """

    is_effect = True
    is_instrument = False

    def __init__(self, plugins: Iterable | None = None, *, title: str = ""):
        self.title = title
        self._plugins = [self._checked(plugin) for plugin in plugins or []]
        self._lock = threading.Lock()
        # The first run of native plugins is there even if it is empty: it takes what comes in as Pedalboard
        # does, with its rules on shapes and types. It remains one object, for it remembers the last layout.
        self._first = Pedalboard([Chain([])])
        self._arranged: list = []
        self._stages: list = [self._first]

    # --------------------------------------------------------------------------------------------- processing

    def __call__(self, input_array: np.ndarray, sample_rate: float, buffer_size: int = 8192,
                 reset: bool = True) -> np.ndarray:
        return self.process(input_array, sample_rate, buffer_size, reset)

    def process(self, input_array: np.ndarray, sample_rate: float, buffer_size: int = 8192,
                reset: bool = True) -> np.ndarray:
        """Runs audio through all plugins.

        Args:
            input_array: (samples,), (channels, samples) or (samples, channels), float32 or float64; which are
                the channels, Pedalboard's rule tells.
            sample_rate: Hz.
            buffer_size: samples that native plugins are given at a time.
            reset: whether to begin anew, rather than go on from the last call.

        Returns:
            float32 of the same shape; with `reset=False` it may be shorter, as Pedalboard's.

        Raises:
            ValueError: an offline effect cannot go on from the last call; `buffer_size` is 0.
            RuntimeError, TypeError: as Pedalboard; or an offline effect returns what is not audio of its
                input's shape.
        """
        if buffer_size == 0:  # Pedalboard would never return
            raise ValueError("buffer_size must be at least 1, not 0.")
        audio = input_array
        for stage in self._arrange():
            if isinstance(stage, Plugin):
                audio = stage.process(audio, sample_rate, buffer_size, reset)
            else:
                audio = _same_shape(stage, audio, stage.process(audio, sample_rate, buffer_size, reset))
        return audio

    def reset(self) -> None:
        """Clears what plugins remember of the audio (tails, delay lines) and of its layout."""
        for stage in self._arrange():
            stage.reset()

    def _arrange(self) -> list:
        """What to run one after another: Pedalboards of neighbouring native plugins, and offline effects."""
        flat = list(self._flat())
        # In a list, for Python's objects of what is in a Mix live, with their ids, only while they are held.
        natives = [part for plugin in flat if isinstance(plugin, Plugin) for part in _parts(plugin)]
        if len(set(map(id, natives))) < len(natives):  # which Pedalboard can only see within one run
            raise RuntimeError("The same plugin instance is used several times in this Board, which would "
                               "cause undefined results. Make another instance for each place.")
        with self._lock:
            if len(flat) != len(self._arranged) or any(a is not b for a, b in zip(flat, self._arranged)):
                runs, stages = [[]], [self._first]
                for plugin in flat:
                    if isinstance(plugin, Plugin):
                        runs[-1].append(plugin)
                    else:
                        stages += [plugin, None]
                        runs.append([])
                stages[2::2] = [Pedalboard(run) if run else None for run in runs[1:]]
                self._first[0] = Chain(runs[0])
                self._arranged, self._stages = flat, [stage for stage in stages if stage is not None]
            return self._stages

    def _flat(self) -> Iterator:
        """All plugins in order; those of Boards within instead of these."""
        for plugin in list(self._plugins):
            if isinstance(plugin, Board):
                yield from plugin._flat()
            else:
                yield plugin

    # ------------------------------------------------------------------------------------------- being a list

    def __len__(self) -> int:
        return len(self._plugins)

    def __getitem__(self, index):
        return Board(self._plugins[index]) if isinstance(index, slice) else self._plugins[index]

    def __setitem__(self, index, value):
        if isinstance(index, slice):
            value = [self._checked(plugin) for plugin in value]
        else:
            value = self._checked(value)
        self._plugins[index] = value

    def __delitem__(self, index):
        del self._plugins[index]

    def insert(self, index: int, plugin) -> None:
        """Puts a plugin before the one at `index`. Raises IndexError where there is none, as Pedalboard."""
        if not -len(self) <= index <= len(self):
            raise IndexError(f"index {index} is out of range for a Board of {len(self)}")
        self._plugins.insert(index, self._checked(plugin))

    def extend(self, plugins: Iterable) -> None:
        """Appends all, or none if one of them cannot be used."""
        self[len(self):] = plugins

    def __contains__(self, plugin) -> bool:
        return any(own is plugin for own in self._plugins)

    def index(self, plugin, start: int = 0, stop: int | None = None) -> int:
        """Where a plugin is. Raises ValueError if it is not there."""
        for index in range(*slice(start, stop).indices(len(self))):
            if self._plugins[index] is plugin:
                return index
        raise ValueError(f"{plugin!r} is not in this Board.")

    def count(self, plugin) -> int:
        """How often a plugin is there."""
        return sum(own is plugin for own in self._plugins)

    def __copy__(self) -> "Board":
        return Board(self._plugins, title=self.title)

    def _checked(self, plugin):
        if isinstance(plugin, type):
            raise TypeError(f"{plugin.__name__} is a class; put an instance of it into the Board: "
                            f"{plugin.__name__}(...).")
        if not isinstance(plugin, (Plugin, OfflineEffect)):
            raise TypeError("A Board takes Pedalboard's plugins, Boards and offline effects (objects with "
                            f"process, reset and is_effect), not {plugin!r}.")
        if not plugin.is_effect:
            raise ValueError(f"{plugin!r} is an instrument, which takes no audio and cannot be in a Board.")
        if isinstance(plugin, Board) and any(part is self for part in plugin._boards()):
            raise ValueError("A Board cannot be put into itself.")
        return plugin

    def _boards(self) -> Iterator["Board"]:
        yield self
        for plugin in self._plugins:
            if isinstance(plugin, Board):
                yield from plugin._boards()

    def __repr__(self) -> str:
        title = f", title={self.title!r}" if self.title else ""
        return f"Board([{', '.join(map(_expression, self._plugins))}]{title})"

    # -------------------------------------------------------------------------------------------------- files

    @classmethod
    def load(cls, path: str | os.PathLike, effects: Mapping[str, Callable] | None = None,
             allow_external: bool = False) -> "Board":
        """The board in a TOML file. Nothing in the file is run, unless `allow_external`.

        Args:
            path: the file; `find_board` knows the names of those that ship.
            effects: offline effects beside GenerativeEQ that the file may name, classes by their names.
            allow_external: whether it may name VST3 plugins and Audio Units. They are programs: this is for
                files from people to be trusted.

        Raises:
            BoardError: the file is missing, not a board, or something in it is wrong; the message says where.
        """
        return _Reader(Path(path), dict(effects or {}), allow_external).board()

    def save(self, path: str | os.PathLike) -> None:
        """Writes the board to a TOML file, whole or not at all.

        Of VST3 plugins and Audio Units it keeps the parameters that do not have their first values, as the
        plugin displays them.

        Raises:
            BoardError: the file cannot be written, or a plugin cannot be kept in one; the message says which.
        """
        import tomlkit  # only here, since few who load boards write them
        path = Path(path)
        try:
            document = tomlkit.document()
            document.update({"format": FORMAT, "title": self.title})
            document["plugins"] = _toml(_entries(self._plugins, path, ""))
            text = tomlkit.dumps(document).encode()
            real = check_destination(path)
            write_whole(real, lambda part: part.write_bytes(text))
        except AudioFileError as error:
            raise BoardError(str(error)) from error
        except UnicodeEncodeError as error:
            raise BoardError(f"{path} cannot be written: a text in the board is not Unicode.") from error


def _parts(plugin: Plugin | None) -> Iterator[Plugin]:
    """A native plugin and all within it."""
    if plugin is not None:  # which Pedalboard's containers take, and pass over
        yield plugin
        if isinstance(plugin, pedalboard.PluginContainer):
            for part in plugin:
                yield from _parts(part)


def _same_shape(effect: OfflineEffect, given: np.ndarray, returned) -> np.ndarray:
    """What an offline effect returned, float32, if it is audio of the shape it was given."""
    name = type(effect).__name__
    if not isinstance(returned, np.ndarray) or not np.issubdtype(returned.dtype, np.floating):
        what = getattr(returned, "dtype", type(returned).__name__)
        raise TypeError(f"{name} returned {what} instead of floating-point audio; that effect is at fault.")
    if returned.shape != given.shape:
        raise RuntimeError(f"{name} was given audio of shape {given.shape} and returned {returned.shape}; "
                           "that effect is at fault.")
    return returned.astype(np.float32, copy=False)


# --------------------------------------------------------------------------------- what a board file may name

CONTAINERS = {"Board": Board, "Pedalboard": Pedalboard, "Chain": Chain, "Mix": Mix}
EXTERNAL = ("VST3Plugin", "AudioUnitPlugin")
_ABSTRACT = ("Plugin", "PluginContainer", "ExternalPlugin", "IIRFilter")
NATIVE = {kind.__name__: kind for kind in vars(pedalboard).values()
          if isinstance(kind, type) and issubclass(kind, Plugin)
          and kind.__name__ not in (*CONTAINERS, *EXTERNAL, *_ABSTRACT)}
OFFLINE = {"GenerativeEQ": "babe2_fx"}  # and the module to get it from, which takes seconds
# Parameters that name a file, relative to the board's; and those that are objects of a running program.
FILES = {"Convolution": "impulse_response_filename", "GenerativeEQ": "target", "VST3Plugin": "path",
         "AudioUnitPlugin": "path"}
NOT_IN_FILES = {"GenerativeEQ": ("progress", "prior")}
# What Pedalboard takes, but answers with silence, an explosion or an endless run. The first that fits counts.
LIMITS = {"target_sample_rate": (1, 384000), "*_hz": (0, 96000), "*_ms": (0, 100000), "*_db": (-200, 200),
          "ratio": (1, 1e6), "drive": (1, 1e6), "q": (1e-3, 1e3), "feedback": (-1, 1), "depth": (0, 1),
          "mix": (0, 1)}


@dataclass
class _External:
    """Where external plugins of one kind came from, and the raw values that their parameters begin with."""

    path: str
    plugin_name: str | None
    raw_values: dict[str, float] = field(default_factory=dict)


_externals: dict[str, _External] = {}  # by a plugin's identifier


def load_external(path: str | os.PathLike, parameters: Mapping | None = None, plugin_name: str | None = None,
                  kind: str = "VST3Plugin") -> Plugin:
    """A VST3 plugin or Audio Unit that can be kept in a board file.

    One from `pedalboard.load_plugin` cannot, for Pedalboard does not tell which file it came from.

    Args:
        path: the plugin's file or bundle.
        parameters: its parameters by the names that `plugin.parameters` has.
        plugin_name: which one, of a file with several.
        kind: "VST3Plugin", or "AudioUnitPlugin" on macOS.

    Raises:
        BoardError: it cannot be loaded, or has no such parameter or value.
    """
    try:
        return _load_external(Path(path), parameters or {}, plugin_name, kind)
    except ValueError as error:
        raise BoardError(f"{path}: {error}") from error


def _load_external(path: Path, parameters: Mapping, plugin_name: str | None, kind: str) -> Plugin:
    if not hasattr(pedalboard, kind):
        raise ValueError("Audio Units exist on macOS alone." if kind == "AudioUnitPlugin" else
                         f"this computer's Pedalboard has no {kind}.")
    path = path.absolute()
    if not os.path.exists(path):
        raise ValueError(f"there is no plugin {path}.")
    try:
        plugin = getattr(pedalboard, kind)(str(path), plugin_name=plugin_name)
    except (ImportError, RuntimeError, ValueError) as error:
        raise ValueError(f"{path} cannot be loaded: {str(error).strip().rstrip('.')}.") from error
    known = plugin.parameters
    _externals[plugin.identifier] = _External(str(path), plugin_name,
                                              {name: item.raw_value for name, item in known.items()})
    for name, value in parameters.items():
        if name not in known:
            raise ValueError(_unknown("parameter", name, known))
        _set(plugin, name, value)
    return plugin


def _set(plugin: Plugin, name: str, value) -> None:
    """Sets a parameter. Raises ValueError that names it, which Pedalboard's own errors do not always."""
    try:
        if value != value:
            raise ValueError("it must be a number")
        setattr(plugin, name, value)
    except (ValueError, TypeError, RuntimeError) as error:
        raise ValueError(f"{name} cannot be {shown(value)}: {str(error).strip().rstrip('.')}.") from error


def _names(kind: type) -> list[str]:
    """The parameters of a class of native plugins, in Pedalboard's order."""
    return [name for base in reversed(kind.__mro__) for name, item in vars(base).items()
            if isinstance(item, property) and item.fset]


def _blank(kind: type) -> Plugin:
    """A plugin of this class, to try values on."""
    if kind is Convolution:
        return Convolution(np.ones((1, 1), dtype=np.float32), sample_rate=44100)
    return kind()


def _values(plugin: Plugin) -> dict:
    """A native plugin's parameters, numbers with as few digits as say the same."""
    blank, values = _blank(type(plugin)), {}
    if isinstance(plugin, Convolution):
        if plugin.impulse_response_filename is None:
            raise ValueError("its impulse response was given as numbers. Write it to an audio file and make "
                             "the Convolution from that.")
        values["impulse_response_filename"] = os.path.abspath(plugin.impulse_response_filename)
    for name in _names(type(plugin)):
        value = getattr(plugin, name)
        values[name] = _shortest(blank, name, value) if isinstance(value, float) else value
    return values


def _shortest(blank: Plugin, name: str, value: float) -> float:
    """Most parameters are 32-bit, where 0.1 is 0.10000000149, and some gains are kept as factors."""
    for digits in range(1, 17):
        short = float(f"{value:.{digits}g}")
        try:
            setattr(blank, name, short)
        except ValueError:  # rounded out of its range
            continue
        if getattr(blank, name) == value:
            return short
    return value


def _expression(plugin) -> str:
    """A plugin as Python, with `from pedalboard import *`; its own repr if that cannot be."""
    name = type(plugin).__name__
    if type(plugin) in (Pedalboard, Chain, Mix):
        return f"{name}([{', '.join(map(_expression, plugin))}])"
    try:
        if name in EXTERNAL:
            origin = _origin(plugin)
            chosen = f", plugin_name={origin.plugin_name!r}" if origin.plugin_name else ""
            return f"{name}({origin.path!r}, parameter_values={_changed(plugin, origin)!r}{chosen})"
        if type(plugin) is NATIVE.get(name):
            values = {key: f"{type(value).__qualname__}.{value.name}" if _is_enum(value) else repr(value)
                      for key, value in _values(plugin).items()}
            return f"{name}({', '.join(f'{key}={value}' for key, value in values.items())})"
    except ValueError:
        pass
    return repr(plugin)


def _is_enum(value) -> bool:
    return hasattr(type(value), "__members__")


def _origin(plugin) -> _External:
    if plugin.identifier not in _externals:
        raise ValueError("it is not known which file it came from. Make it with "
                         "`babe2_host.board.load_external`.")
    return _externals[plugin.identifier]


def _changed(plugin, origin: _External) -> dict:
    """The parameters of an external plugin that do not have their first values."""
    return {name: item.type(getattr(plugin, name)) for name, item in plugin.parameters.items()
            if item.raw_value != origin.raw_values.get(name)}


def _unknown(what: str, name: str, there: Iterable[str]) -> str:
    there = sorted(there)
    near = difflib.get_close_matches(name, there, 1)
    meant = f" Did you mean {near[0]!r}?" if near else ""
    return f"There is no {what} called {shown(name)}.{meant} Possible: {', '.join(there) or 'none'}."


def _plain(name: str, value):
    """A value as TOML can hold it: a text, a finite number, true or false, or a list of such."""
    if isinstance(value, (list, tuple)):
        return [_plain(name, item) for item in value]
    if not isinstance(value, (str, int, float)):
        raise ValueError(f"{name} must be a text, a number, true or false, or a list of these, not "
                         f"{shown(value)}.")
    if isinstance(value, float) and not math.isfinite(value):
        raise ValueError(f"{name} must be a finite number, not {value!r}.")
    return value


def _number(name: str, value) -> float:
    """A number for a native plugin, if it is in the parameter's range."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise ValueError(f"{name} must be a number, not {shown(value)}.")
    try:
        number = float(value)
    except OverflowError:
        number = math.inf
    if not math.isfinite(number):
        raise ValueError(f"{name} must be a finite number, not {number}.")
    fitting = (limits for pattern, limits in LIMITS.items() if fnmatch(name, pattern))
    low, high = next(fitting, (number, number))
    if not low <= number <= high:
        raise ValueError(f"{name} must lie from {low:g} to {high:g}, not {number:g}.")
    return number


# --------------------------------------------------------------------------------------------- reading a file

@dataclass(frozen=True)
class _Reader:
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
                raise BoardError(f"{self.path}: {_unknown('key', key, KEYS)} Each plugin begins with a line "
                                 "[[plugins]].")
        return Board(self._plugins(content.get("plugins", []), ""), title=self._title(content, ""))

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
        raise BoardError(f"{self.path}, plugin {position}: {_unknown('plugin', name, known)}")

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
        plugin = _load_external(path, parameters or {}, chosen, name)
        if not plugin.is_effect:
            raise ValueError(f"{path} is an instrument, which does not take audio.")
        return plugin

    def _native(self, kind: type, values: dict) -> Plugin:
        if kind is Convolution:
            plugin = Convolution(str(self._impulse_response(values.pop("impulse_response_filename", None))))
            _check_known(values, _names(kind), "impulse_response_filename")
        else:
            plugin = kind()
            _check_known(values, _names(kind))
        for name, value in values.items():
            _set(plugin, name, self._native_value(name, value, getattr(plugin, name)))
        return plugin

    @staticmethod
    def _native_value(name: str, value, now):
        """A value from the file, of the kind that the parameter has now."""
        if isinstance(now, bool):
            if not isinstance(value, bool):
                raise ValueError(f"{name} must be true or false, not {shown(value)}.")
            return value
        if _is_enum(now):
            members = type(now).__members__
            if not isinstance(value, str):
                raise ValueError(f"{name} must be one of {', '.join(members)}, not {shown(value)}.")
            if value not in members:
                raise ValueError(_unknown(name, value, members))
            return members[value]
        return _number(name, value)

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
        value = _plain(key, value)
        for kinds, words in ((bool, "true or false"), ((int, float), "a number"), (str, "a text")):
            if isinstance(default, kinds):
                if not isinstance(value, kinds) or isinstance(value, bool) != isinstance(default, bool):
                    raise ValueError(f"{key} must be {words}, not {shown(value)}.")
                break
        return value


def _check_known(values: dict, known: Iterable[str], *more: str) -> None:
    for key in values:
        if key not in known:
            raise ValueError(_unknown("parameter", key, (*known, *more)))


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
        origin = _origin(plugin)
        chosen = {"plugin_name": origin.plugin_name} if origin.plugin_name else {}
        values = {"path": origin.path} | chosen | {"parameters": _changed(plugin, origin)}
    elif type(plugin) is NATIVE.get(name):
        values = {key: value.name if _is_enum(value) else value for key, value in _values(plugin).items()}
        for key, value in values.items():
            if isinstance(value, float):
                _number(key, value)
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
            values[keyword.arg] = _plain(keyword.arg, value)
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


# --------------------------------------------------------------------------------------- boards by their name

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
        raise BoardError(f"{_unknown('board', text, list_boards())} A file is given with its ending, .toml.")
    return (shipped | users)[text]


def _boards_in(folder: Path) -> dict[str, Path]:
    return {path.stem: path for path in folder.glob("*.toml")}


def _shipped_folder() -> Path:
    return Path(str(files("babe2_host"))) / "boards"


def _users_folder() -> Path:
    return config_folder() / "boards"
