"""Board: a Pedalboard that also takes offline effects, such as GenerativeEQ."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping
from reprlib import repr as shown

from babe2_fx.audio.reading import HIGHEST_RATE, LOWEST_RATE

from ..audio.writing import DEPTHS
from .board_files import read_board, write_board
from .catalogue import find_board
from .mix import Mix
from .parts import Parts, flat
from .plugins import BoardError, OfflineEffect
from .values import CONTAINERS, EXTERNAL_PLUGIN

__all__ = ["Board", "Mix", "OfflineEffect"]


class Board(Parts):
    """Plugins and offline effects in a row, called as a Pedalboard is.

    Takes Pedalboard's plugins (VST3 and Audio Units too), Pedalboards, Chains, Mixes, Boards, offline
    effects and None (which does nothing) in any order. It is a list of them: it can do what a list can, a slice is a
    Board, and items are compared by identity. Neighbouring plugins of Pedalboard run as one Pedalboard; without
    offline effects the output is Pedalboard's to the last bit, also when streaming with `reset=False`. For offline
    effects in parallel there is `babe2_host.Mix`, for Pedalboard's own Mix takes its own plugins alone.

    Threads may call one board at the same time, as they may a Pedalboard: a call resets what it passes
    through, and Pedalboard locks its plugins meanwhile. An edit is heard from the next call on.

    `copy.deepcopy` and pickles have other plugins with the same parameters; `copy.copy` is a list of the same ones.

    Args:
        plugins: what to begin with.
        title: what the board is for, in a few words.
        sample_rate: Hz of the files that are rendered with it, 8000 to 192000; None: as each input.
        depth: their samples, "16", "24" or "float"; None: as each input. Neither changes what a call does.

    Raises:
        TypeError: something that is not a plugin.
        ValueError: an instrument, which does not take audio; a board inside itself; a bad title, rate or depth.

    Examples:
        >>> import numpy as np
        >>> from pedalboard import Gain, HighpassFilter
        >>> board = Board([HighpassFilter(40), Gain(-3)])
        >>> board(np.zeros((2, 44100), dtype=np.float32), 44100).shape
        (2, 44100)
    """

    def __init__(self, plugins: Iterable | None = None, *, title: str = "", sample_rate: int | None = None,
                 depth: str | None = None):
        self.title, self.sample_rate, self.depth = title, sample_rate, depth
        super().__init__(plugins)

    @property
    def title(self) -> str:
        """What it is for, in a few words."""
        return self._title

    @title.setter
    def title(self, title: str) -> None:
        if not isinstance(title, str):
            raise ValueError(f"title must be text, not {shown(title)}.")
        self._title = title

    @property
    def sample_rate(self) -> int | None:
        """Hz of the files that are rendered with it; None: as each input."""
        return self._sample_rate

    @sample_rate.setter
    def sample_rate(self, sample_rate: int | None) -> None:
        if sample_rate is not None and (type(sample_rate) is not int or not LOWEST_RATE <= sample_rate <= HIGHEST_RATE):
            raise ValueError(f"sample_rate must be a whole number of Hz from {LOWEST_RATE} to {HIGHEST_RATE}, not "
                             f"{shown(sample_rate)}.")
        self._sample_rate = sample_rate

    @property
    def depth(self) -> str | None:
        """Their samples, "16", "24" or "float"; None: as each input."""
        return self._depth

    @depth.setter
    def depth(self, depth: str | None) -> None:
        if depth is not None and depth not in tuple(DEPTHS):
            raise ValueError(f"depth must be one of {', '.join(DEPTHS)}, not {shown(depth)}.")
        self._depth = depth

    def _flat(self) -> list:
        return flat(list(self._plugins))

    def __repr__(self) -> str:
        said = "".join(f", {name}={value!r}" for name in ("title", "sample_rate", "depth")
                       if (value := getattr(self, name)))
        return f"{super().__repr__()[:-1]}{said})"

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
            raise BoardError(f"{error} To allow it, pass allow_external=True.", error.code, **error.fields) from error

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
