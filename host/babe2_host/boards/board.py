"""Board: a Pedalboard that also takes offline effects, such as GenerativeEQ."""

from __future__ import annotations

import inspect
import os
import threading
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, MutableSequence
from dataclasses import replace
from reprlib import repr as shown

import numpy as np
import pedalboard
from pedalboard import Chain, Pedalboard, Plugin

from babe2_fx.audio.reading import HIGHEST_RATE, LOWEST_RATE
from babe2_fx.progress import Run

from ..audio.writing import DEPTHS
from .board_files import read_board, write_board
from .catalogue import find_board
from .plugins import BoardError, OfflineEffect, expression
from .values import CONTAINERS, EXTERNAL_PLUGIN


class Board(MutableSequence):
    """Plugins and offline effects in a row, called as a Pedalboard is.

    Takes Pedalboard's plugins (VST3 and Audio Units too), Pedalboards, Chains, Mixes, Boards and offline
    effects in any order. It is a list of them: it can do what a list can, a slice is a Board,
    and items are compared by identity. Neighbouring plugins of Pedalboard run as one Pedalboard; without
    offline effects the output is Pedalboard's to the last bit, also when streaming with `reset=False`.

    Threads may call one board at the same time, as they may a Pedalboard: a call resets what it passes
    through, and Pedalboard locks its plugins meanwhile. An edit is heard from the next call on.

    Args:
        plugins: what to begin with.
        title: what the board is for, in a few words.
        sample_rate: Hz of the files that are rendered with it, 8000 to 192000; None: as each input.
        depth: their samples, "16", "24" or "float"; None: as each input. Neither changes what a call does.

    Raises:
        TypeError: something that is not a plugin.
        ValueError: an instrument, which does not take audio; a board inside itself; a bad rate or depth.

    Examples:
        >>> from pedalboard import Gain, HighpassFilter
        >>> board = Board([HighpassFilter(40), Gain(-3)])
        >>> board(np.zeros((2, 44100), dtype=np.float32), 44100).shape
        (2, 44100)
    """

    is_effect = True
    is_instrument = False

    def __init__(self, plugins: Iterable | None = None, *, title: str = "", sample_rate: int | None = None,
                 depth: str | None = None):
        if sample_rate is not None and (type(sample_rate) is not int or not LOWEST_RATE <= sample_rate <= HIGHEST_RATE):
            raise ValueError(f"sample_rate must be a whole number of Hz from {LOWEST_RATE} to {HIGHEST_RATE}, not "
                             f"{shown(sample_rate)}.")
        if depth is not None and depth not in tuple(DEPTHS):
            raise ValueError(f"depth must be one of {', '.join(DEPTHS)}, not {shown(depth)}.")
        self.title, self.sample_rate, self.depth = title, sample_rate, depth
        self._plugins = [self._checked(plugin) for plugin in plugins or []]
        self._lock = threading.Lock()
        # The first run of native plugins exists even if it is empty: it accepts input by Pedalboard's rules on
        # shapes and types. It stays one object, because it remembers the last layout.
        self._first = Pedalboard([Chain([])])
        self._arranged: list = []
        self._stages: list = [self._first]

    # --------------------------------------------------------------------------------------------- processing

    def process(self, input_array: np.ndarray, sample_rate: float, buffer_size: int = 8192,
                reset: bool = True) -> np.ndarray:
        """Runs audio through all plugins.

        Args:
            input_array: (samples,), (channels, samples) or (samples, channels), float32 or float64; which are
                the channels is decided by Pedalboard's rule.
            sample_rate: Hz.
            buffer_size: samples that native plugins are given at a time.
            reset: whether to start afresh, rather than continue from the last call.

        Returns:
            float32 of the same shape; with `reset=False` it may be shorter, as Pedalboard's.

        Raises:
            ValueError: an offline effect cannot go on from the last call; `buffer_size` is 0.
            RuntimeError, TypeError: as Pedalboard; or an offline effect returns what is not audio of its
                input's shape.
        """
        return self.run(input_array, sample_rate, buffer_size, reset).finish()

    __call__ = process

    def run(self, input_array: np.ndarray, sample_rate: float, buffer_size: int = 8192, reset: bool = True,
            journal=None, passage: tuple[int, int] | None = None) -> Run:
        """As `process`, step by step: a run of `Progress`, of all offline effects that report theirs.

        Its value is the output. Closing it cancels.

        Args:
            journal: for those effects, to keep finished blocks in.
            passage: first and last sample (not included) of what is to come back, in an array whose channels come
                first. A restoration still goes by the whole recording, and restores the passage alone.
        """
        if buffer_size == 0:  # Pedalboard would never return
            raise ValueError("buffer_size must be at least 1, not 0.")
        return Run(self._run(self._arrange(), input_array, sample_rate, buffer_size, reset, journal, passage))

    @staticmethod
    def _run(stages: list, audio: np.ndarray, sample_rate: float, buffer_size: int, reset: bool, journal,
             passage: tuple[int, int] | None) -> Generator:
        telling, done = sum(hasattr(stage, "run") for stage in stages), 0
        for stage in stages:
            if stage is stages[0] and not len(stage[0]) and len(stages) > 1 and _planar(audio):
                continue  # nothing to do, without the copies that Pedalboard makes
            if isinstance(stage, Plugin):
                audio = stage.process(audio, sample_rate, buffer_size, reset)
            elif hasattr(stage, "run"):
                def of_all(now, before=done):
                    return replace(now, share_done=(before + now.share_done) / telling)
                options = {}
                if passage and "passage" in inspect.signature(stage.run).parameters:
                    options, passage = {"passage": passage}, None
                run = Run(stage.run(audio, sample_rate, buffer_size, reset, journal, **options))
                given = audio[..., slice(*options["passage"])] if options else audio
                audio = _same_shape(stage, given, (yield from run.map(of_all)))
                done += 1
            else:
                audio = _same_shape(stage, audio, stage.process(audio, sample_rate, buffer_size, reset))
        return audio[..., slice(*passage)] if passage else audio

    def reset(self) -> None:
        """Clears what plugins remember of the audio (tails, delay lines) and of its layout."""
        for stage in self._arrange():
            stage.reset()

    def _arrange(self) -> list:
        """What to run, in order: Pedalboards of neighbouring native plugins, and offline effects."""
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
        """Puts a plugin before the one at `index`. Raises IndexError where there is none, as Pedalboard does."""
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

    def effects(self, name: str) -> list:
        """The offline effects of this class name in it and in the boards in it, in order."""
        return [plugin for plugin in self._flat() if type(plugin).__name__ == name]

    def __copy__(self) -> "Board":
        return Board(self._plugins, title=self.title, sample_rate=self.sample_rate, depth=self.depth)

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
        said = "".join(f", {name}={value!r}" for name in ("title", "sample_rate", "depth")
                       if (value := getattr(self, name)))
        return f"Board([{', '.join(map(expression, self._plugins))}]{said})"

    # -------------------------------------------------------------------------------------------------- files

    @classmethod
    def load(cls, path: str | os.PathLike, effects: Mapping[str, Callable] | None = None,
             allow_external: bool = False) -> "Board":
        """The board in a TOML file. Nothing in the file is run, unless `allow_external`.

        Args:
            path: the file, or the name of a board that ships or is the user's own, as `list_boards` has it.
            effects: offline effects besides those of this package that the file may name, classes by their names.
            allow_external: whether it may name VST3 plugins and Audio Units. They are programs: this is for
                files from people to be trusted.

        Raises:
            BoardError: the file is missing, not a board, or something in it is wrong; the message says where.
        """
        try:
            return read_board(find_board(path), cls, effects, allow_external)
        except BoardError as error:
            if error.code != EXTERNAL_PLUGIN:
                raise
            raise BoardError(f"{error} That is allow_external=True.", error.code, **error.fields) from error

    def save(self, path: str | os.PathLike) -> None:
        """Writes the board to a TOML file, whole or not at all.

        Of VST3 plugins and Audio Units it keeps the parameters that differ from their initial values, as the
        plugin displays them.

        Raises:
            FileError: the file cannot be written.
            BoardError: a plugin cannot be kept in a file; the message says which.
        """
        write_board(self, path)


CONTAINERS["Board"] = Board  # boards in boards


def _planar(audio) -> bool:
    """Whether this is what Pedalboard's plugins give to each other: (channels, samples) float32 of a clear shape."""
    return isinstance(audio, np.ndarray) and audio.dtype == np.float32 and audio.ndim == 2 and (
        0 < audio.shape[0] < audio.shape[1])


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
