"""What Board and Mix have in common: a list of plugins, Pedalboard's call, copies and pickles."""

from __future__ import annotations

import copy
import pickle
import threading
from abc import abstractmethod
from collections.abc import Iterable, Iterator, MutableSequence

import numpy as np
from pedalboard import Chain, Pedalboard, Plugin

from babe2_fx.attributes import SettledAttributes
from babe2_fx.progress import Run

from . import copies  # noqa: F401 - teaches pickle and copy to take Pedalboard's plugins
from .plugins import OfflineEffect, expression
from .stages import native_plugins, run_stages, same_parts, stages_of


class Parts(SettledAttributes, MutableSequence):
    """A list of plugins, Boards, Mixes, offline effects and None, which stands for a plugin that does nothing."""

    is_effect = True
    is_instrument = False

    def __init__(self, plugins: Iterable | None = None):
        self._plugins = [self._checked(plugin) for plugin in plugins or []]
        self._begin()

    def _begin(self) -> None:
        """Makes what is not copied or pickled: it is made from the parts."""
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
                the channels is decided by Pedalboard's rule. It is not written to.
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
        stages = self._arrange()
        if isinstance(input_array, np.ndarray):
            input_array = np.asarray(input_array)  # of a subclass, the samples
            if not len(stages[0][0]) and len(stages) > 1 and _planar(input_array):
                stages = stages[1:]  # the first has nothing to do, and Pedalboard would copy the audio
        return Run(run_stages(stages, input_array, sample_rate, buffer_size, reset, journal, passage))

    def reset(self) -> None:
        """Clears what plugins remember of the audio (tails, delay lines) and of its layout."""
        for stage in self._arrange():
            stage.reset()

    def _arrange(self) -> list:
        """What to run, in order."""
        flat = self._flat()
        # In a list, for Python's objects of what is in a Mix live, with their ids, only while they are held.
        natives = list(native_plugins(flat))
        if len(set(map(id, natives))) < len(natives):  # which Pedalboard can only see within one run
            raise RuntimeError(f"The same plugin instance is used several times in this {type(self).__name__}, which "
                               "would cause undefined results. Make another instance for each place.")
        with self._lock:
            if not same_parts(flat, self._arranged):
                stages = stages_of(flat)
                first = list(stages.pop(0)) if flat and isinstance(flat[0], Plugin) else []
                self._first[0] = Chain(first)
                self._arranged, self._stages = flat, [self._first, *stages]
            return self._stages

    @abstractmethod
    def _flat(self) -> list:
        """Native plugins, offline effects and `Parallel`s that do in a row what this does."""

    def effects(self, name: str) -> list:
        """The offline effects of this class name in it and in the Boards and Mixes in it, in order."""
        return [part for _, part in self._positions() if type(part).__name__ == name]

    def _positions(self, around: str = "") -> Iterator[tuple[str, object]]:
        """All plugins but Boards and Mixes, with their positions as board files have them: "2.1"."""
        for number, plugin in enumerate(list(self._plugins), 1):
            if isinstance(plugin, Parts):
                yield from plugin._positions(f"{around}{number}.")
            else:
                yield f"{around}{number}", plugin

    # ------------------------------------------------------------------------------------------- being a list

    def __len__(self) -> int:
        return len(self._plugins)

    def __getitem__(self, index):
        if not isinstance(index, slice):
            return self._plugins[index]
        part = copy.copy(self)
        part._plugins = self._plugins[index]
        return part

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
            raise IndexError(f"index {index} is out of range for a {type(self).__name__} of {len(self)}")
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
        raise ValueError(f"{plugin!r} is not in this {type(self).__name__}.")

    def count(self, plugin) -> int:
        """How often a plugin is there."""
        return sum(own is plugin for own in self._plugins)

    def _checked(self, plugin):
        own = type(self).__name__
        if plugin is None:  # which Pedalboard takes too, and passes over
            return plugin
        if isinstance(plugin, type):
            raise TypeError(f"{plugin.__name__} is a class; put an instance of it into the {own}: "
                            f"{plugin.__name__}(...).")
        if not isinstance(plugin, (Plugin, OfflineEffect)):
            raise TypeError(f"A {own} takes Pedalboard's plugins, Boards, Mixes and offline effects (objects with "
                            f"process, reset and is_effect), not {plugin!r}.")
        if not plugin.is_effect:
            raise ValueError(f"{plugin!r} is an instrument, which takes no audio and cannot be in a {own}.")
        if isinstance(plugin, Parts) and any(part is self for part in plugin._containers()):
            raise ValueError(f"A {own} cannot be put into itself.")
        return plugin

    def _containers(self) -> Iterator["Parts"]:
        yield self
        for plugin in self._plugins:
            if isinstance(plugin, Parts):
                yield from plugin._containers()

    # ------------------------------------------------------------------------------------ copies and pickles

    def __getstate__(self) -> dict:
        made = ("_lock", "_first", "_arranged", "_stages")
        return {name: value for name, value in vars(self).items() if name not in made} | {
            "_plugins": list(self._plugins)}

    def __setstate__(self, state: dict) -> None:
        self.__dict__.update(state)
        self._begin()

    def __copy__(self):
        """Another list of the same plugins."""
        other = type(self).__new__(type(self))
        other.__setstate__(self.__getstate__())
        return other

    def __deepcopy__(self, memo: dict):
        """Another list of other plugins with the same parameters. Raises TypeError if one cannot be copied."""
        self._try_each(lambda part: copy.deepcopy(part, memo), "copied")
        other = memo[id(self)] = type(self).__new__(type(self))
        other.__setstate__(copy.deepcopy(self.__getstate__(), memo))
        return other

    def __reduce_ex__(self, protocol):
        """For pickle. Raises TypeError if a plugin cannot be pickled."""
        self._try_each(pickle.dumps, "pickled")
        return super().__reduce_ex__(2)  # the first that has __getstate__

    def _try_each(self, do, done: str) -> None:
        for position, part in self._positions():
            try:
                do(part)
            except Exception as error:
                name = type(part).__name__
                raise TypeError(f"This {type(self).__name__} cannot be {done}: its plugin {position} ({name}) cannot, "
                                f"because {str(error).rstrip('.')}. Where all plugins can be kept in a file, use "
                                "`board.save` and `Board.load`.") from error

    def __repr__(self) -> str:
        return f"{type(self).__name__}([{', '.join(map(expression, self._plugins))}])"


def flat(parts: Iterable) -> list:
    """Parts with what Boards and Mixes among them stand for in their place, and without None."""
    found: list = []
    for part in parts:
        if isinstance(part, Parts):
            found += part._flat()
        elif part is not None:
            found.append(part)
    return found


def _planar(audio: np.ndarray) -> bool:
    """Whether this is what Pedalboard's plugins give to each other: (channels, samples) float32 of a clear shape."""
    return audio.dtype == np.float32 and audio.ndim == 2 and 0 < audio.shape[0] < audio.shape[1]
