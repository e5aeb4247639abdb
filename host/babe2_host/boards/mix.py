"""Mix: Pedalboard's Mix, which also takes Boards and offline effects."""

from __future__ import annotations

from collections.abc import Iterable

import pedalboard
from pedalboard import Chain, Plugin

from .parts import Parts, flat
from .stages import Parallel, same_parts
from .values import CONTAINERS


class Mix(Parts):
    """Plugins, Boards and offline effects side by side: each is given the same audio, and their outputs are added.

    They are added as Pedalboard's Mix adds them: as they are, so that two that change nothing come out 6 dB louder, and
    to the sample, with the latency of plugins made up for. None is the audio itself. A Mix of nothing is silent. A Mix
    is a list of its branches, and does what a Board does, alone or in one.

    Without offline effects the output is Pedalboard's to the last bit, also when streaming with `reset=False`.

    Args:
        plugins: the branches. For several plugins in a row in one of them, put them into a Board.

    Raises:
        TypeError: something that is not a plugin.
        ValueError: an instrument, which does not take audio; a Mix inside itself.

    Examples:
        A restoration 6 dB below the recording itself, which has lost none of what it had:

        >>> import numpy as np
        >>> from pedalboard import Gain
        >>> from babe2_fx import GenerativeEQ
        >>> from babe2_host import Board
        >>> mix = Mix([None, Board([GenerativeEQ("piano", quality="draft"), Gain(-6)])])
        >>> len(mix), len(mix.effects("GenerativeEQ"))
        (2, 1)
        >>> Mix([None, Gain(0)])(np.ones((2, 44100), dtype=np.float32), 44100).max()
        np.float32(2.0)
    """

    def __init__(self, plugins: Iterable | None = None):
        super().__init__(plugins)

    def _begin(self) -> None:
        super()._begin()
        self._branches: list[list] = []
        self._made: Parallel | pedalboard.Mix = pedalboard.Mix([])

    def _flat(self) -> list:
        branches = [flat([part]) for part in list(self._plugins)]
        with self._lock:  # made once for the same parts: Pedalboard's Mix has a state
            if not same_parts(branches, self._branches):
                native = all(isinstance(part, Plugin) for branch in branches for part in branch)
                self._made = pedalboard.Mix(list(map(_one, branches))) if native else Parallel(branches)
                self._branches = branches
            return [self._made]

    def native(self) -> pedalboard.Mix:
        """The same as Pedalboard's own Mix, for its Chains and Pedalboards. Raises ValueError for offline effects."""
        made, = self._flat()
        if isinstance(made, Parallel):
            raise ValueError("it has offline effects, which Pedalboard's own Mix does not take")
        return made

    def __getstate__(self) -> dict:
        return {name: value for name, value in super().__getstate__().items() if name not in ("_branches", "_made")}


def _one(branch: list[Plugin]) -> Plugin | None:
    """A row of plugins as one."""
    return Chain(branch) if len(branch) > 1 else branch[0] if branch else None


CONTAINERS["Mix"] = Mix
