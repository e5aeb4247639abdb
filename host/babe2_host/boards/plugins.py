"""What is known of Pedalboard's plugins: parameters, their limits, and the files that external ones came from."""

from __future__ import annotations

import difflib
import math
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatch
from pathlib import Path
from reprlib import repr as shown  # of what a file has there, which may be long
from typing import Protocol, runtime_checkable

import numpy as np
import pedalboard
from pedalboard import Chain, Convolution, Mix, Pedalboard, Plugin

from babe2_fx.errors import UserError


@runtime_checkable
class OfflineEffect(Protocol):
    """An effect that a Board takes besides Pedalboard's own: one that needs the whole signal at once.

    `process` is given float32 in the shape that the board was given, and returns float32 of the same shape. It may
    write on what it is given; one that says `only_reads = True` does not, and may be given the caller's own array. It
    refuses `reset=False` with a ValueError if it cannot go on from one call to the next. To be kept in
    board files it needs a `repr` like Name(parameter=value, ...) with plain values, as a dataclass has. To report
    its progress it has `run(input_array, sample_rate, buffer_size, reset, journal)`, a `Run` or generator, as
    GenerativeEQ.
    """

    is_effect: bool

    def process(self, input_array: np.ndarray, sample_rate: float, buffer_size: int,
                reset: bool) -> np.ndarray: ...

    def reset(self) -> None: ...


class BoardError(UserError):
    """A board file that cannot be used or written; the message says which, where and why."""


EXTERNAL = ("VST3Plugin", "AudioUnitPlugin")
_ABSTRACT = ("Plugin", "PluginContainer", "ExternalPlugin", "IIRFilter")
NATIVE = {kind.__name__: kind for kind in vars(pedalboard).values()
          if isinstance(kind, type) and issubclass(kind, Plugin)
          and not issubclass(kind, pedalboard.PluginContainer) and kind.__name__ not in (*EXTERNAL, *_ABSTRACT)}
# Values beyond these are accepted by Pedalboard, but give silence, an explosion or an endless run. The first match
# counts.
LIMITS = {"target_sample_rate": (1, 384000), "*_hz": (0, 96000), "*_ms": (0, 100000), "*_db": (-200, 200),
          "ratio": (1, 1e6), "drive": (1, 1e6), "q": (1e-3, 1e3), "feedback": (-1, 1), "depth": (0, 1),
          "mix": (0, 1)}


@dataclass
class _External:
    """Where external plugins of one kind came from, and the initial raw values of their parameters."""

    path: str
    plugin_name: str | None
    raw_values: dict[str, float] = field(default_factory=dict)


_externals: dict[str, _External] = {}  # by a plugin's identifier


def load_external(path: str | os.PathLike, parameters: Mapping | None = None, plugin_name: str | None = None,
                  kind: str = "VST3Plugin") -> Plugin:
    """A VST3 plugin or Audio Unit that can be kept in a board file.

    One from `pedalboard.load_plugin` cannot, because Pedalboard does not say which file it came from.

    Args:
        path: the plugin's file or bundle.
        parameters: its parameters by the names that `plugin.parameters` has.
        plugin_name: which one, of a file with several.
        kind: "VST3Plugin", or "AudioUnitPlugin" on macOS.

    Raises:
        BoardError: it cannot be loaded, or has no such parameter or value.
    """
    try:
        return load_plugin(Path(path), parameters or {}, plugin_name, kind)
    except ValueError as error:
        raise BoardError(f"{path}: {error}") from error


def load_plugin(path: Path, parameters: Mapping, plugin_name: str | None, kind: str) -> Plugin:
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
            raise ValueError(unknown("parameter", name, known))
        set_parameter(plugin, name, value)
    return plugin


def set_parameter(plugin: Plugin, name: str, value) -> None:
    """Sets a parameter. Raises ValueError that names it, which Pedalboard's own errors do not always."""
    try:
        if value != value:
            raise ValueError("it must be a number")
        setattr(plugin, name, value)
    except (ValueError, TypeError, RuntimeError) as error:
        raise ValueError(f"{name} cannot be {shown(value)}: {str(error).strip().rstrip('.')}.") from error


def parameter_names(kind: type) -> list[str]:
    """The parameters of a class of native plugins, in Pedalboard's order."""
    return [name for base in reversed(kind.__mro__) for name, item in vars(base).items()
            if isinstance(item, property) and item.fset]


def _blank(kind: type) -> Plugin:
    """A plugin of this class, to try values on."""
    if kind is Convolution:
        return Convolution(np.ones((1, 1), dtype=np.float32), sample_rate=44100)
    return kind()


def parameter_values(plugin: Plugin) -> dict:
    """A native plugin's parameters, numbers with as few digits as possible."""
    blank, values = _blank(type(plugin)), {}
    if isinstance(plugin, Convolution):
        if plugin.impulse_response_filename is None:
            raise ValueError("its impulse response was given as numbers. Write it to an audio file and make "
                             "the Convolution from that.")
        values["impulse_response_filename"] = os.path.abspath(plugin.impulse_response_filename)
    for name in parameter_names(type(plugin)):
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


def expression(plugin) -> str:
    """A plugin as Python, with `from pedalboard import *`; its own repr if that is impossible."""
    name = type(plugin).__name__
    if type(plugin) in (Pedalboard, Chain, Mix):
        return f"{name}([{', '.join(map(expression, plugin))}])"
    try:
        if name in EXTERNAL:
            origin = origin_of(plugin)
            chosen = f", plugin_name={origin.plugin_name!r}" if origin.plugin_name else ""
            return f"{name}({origin.path!r}, parameter_values={changed_parameters(plugin, origin)!r}{chosen})"
        if type(plugin) is NATIVE.get(name):
            values = {key: f"{type(value).__qualname__}.{value.name}" if is_enum(value) else repr(value)
                      for key, value in parameter_values(plugin).items()}
            return f"{name}({', '.join(f'{key}={value}' for key, value in values.items())})"
    except ValueError:
        pass
    return repr(plugin)


def is_enum(value) -> bool:
    return hasattr(type(value), "__members__")


def origin_of(plugin) -> _External:
    if plugin.identifier not in _externals:
        raise ValueError("it is not known which file it came from. Make it with `babe2_host.load_external`.")
    return _externals[plugin.identifier]


def changed_parameters(plugin, origin: _External) -> dict:
    """The parameters of an external plugin that differ from their initial values."""
    return {name: item.type(getattr(plugin, name)) for name, item in plugin.parameters.items()
            if item.raw_value != origin.raw_values.get(name)}


def unknown(what: str, name: str, there: Iterable[str]) -> str:
    there = sorted(there)
    near = difflib.get_close_matches(name, there, 1)
    meant = f" Did you mean {near[0]!r}?" if near else ""
    return f"There is no {what} called {shown(name)}.{meant} Possible: {', '.join(there) or 'none'}."


def plain(name: str, value):
    """A value as TOML can hold it: text, a finite number, true or false, or a list or a table of these."""
    if isinstance(value, (list, tuple)):
        return [plain(name, item) for item in value]
    if isinstance(value, dict) and all(isinstance(key, str) for key in value):
        return {key: plain(name, item) for key, item in value.items()}
    if not isinstance(value, (str, int, float)):
        raise ValueError(f"{name} must be text, a number, true or false, or a list or a table of these, not "
                         f"{shown(value)}.")
    if isinstance(value, float) and not math.isfinite(value):
        raise ValueError(f"{name} must be a finite number, not {value!r}.")
    return value


def checked_number(name: str, value) -> float:
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
