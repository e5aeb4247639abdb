"""What is run for the parts of a Board or Mix: Pedalboards of neighbouring native plugins, and offline effects."""

from __future__ import annotations

import inspect
from collections.abc import Generator, Iterator
from dataclasses import replace
from itertools import groupby

import numpy as np
import pedalboard
from pedalboard import Pedalboard, Plugin

from babe2_fx.audio.mapped import copied, release
from babe2_fx.progress import Run

from .plugins import OfflineEffect


def stages_of(parts: list) -> list:
    """What to run, in order, for native plugins, offline effects and `Parallel`s in a row."""
    stages: list = []
    for native, neighbours in groupby(parts, lambda part: isinstance(part, Plugin)):
        row = list(neighbours)
        stages += [Pedalboard(row)] if native else row
    return stages


def run_stages(stages: list, audio: np.ndarray, sample_rate: float, buffer_size: int, reset: bool, journal,
               passage: tuple[int, int] | None) -> Generator:
    """Runs audio through stages: yields `Progress` of all that report theirs, and returns float32 of the same shape.

    journal, passage: as of `Board.run`.
    """
    telling, done, given = sum(map(_telling, stages)), 0, audio
    for stage in stages:
        if isinstance(stage, Plugin):
            audio = stage.process(audio, sample_rate, buffer_size, reset)
            continue
        if not getattr(stage, "only_reads", False) and np.may_share_memory(audio, given):
            audio = copied(audio)
        if hasattr(stage, "run"):
            own = _telling(stage)

            def of_all(now, before=done, own=own):
                return replace(now, share_done=(before + own * now.share_done) / telling)
            options = {}
            if passage and _takes_passage(stage):
                options, passage = {"passage": passage}, None
            run = Run(stage.run(audio, sample_rate, buffer_size, reset, journal, **options))
            expected = audio[..., slice(*options["passage"])] if options else audio
            audio = _same_shape(stage, expected, (yield from run.map(of_all)))
            done += own
        else:
            audio = _same_shape(stage, audio, stage.process(audio, sample_rate, buffer_size, reset))
    return audio[..., slice(*passage)] if passage else audio


class Parallel:
    """Branches side by side, some of them with offline effects: all are given the same audio, and their outputs added.

    Every branch is run from the first sample to the last, so that they stay together: an offline effect returns what it
    was given sample by sample, and Pedalboard makes up for the latency of its plugins.

    Args:
        branches: the parts of each, in a row; one without parts lets the audio through.
    """

    only_reads = True

    def __init__(self, branches: list[list]):
        self.branches = branches
        self.stages = [stages_of(branch) for branch in branches]

    def run(self, audio: np.ndarray, sample_rate: float, buffer_size: int, reset: bool, journal=None,
            passage: tuple[int, int] | None = None) -> Generator:
        """As an `OfflineEffect`'s."""
        if not reset:
            raise ValueError("A Mix with offline effects needs the whole recording at once and cannot be streamed with "
                             "reset=False.")
        telling, done, total = _telling(self), 0, None
        for stages in self.stages:
            own = sum(map(_telling, stages))

            def of_all(now, before=done, own=own):
                return replace(now, share_done=(before + own * now.share_done) / telling)
            branch = Run(run_stages(stages, audio, sample_rate, buffer_size, reset, journal, passage))
            made = yield from branch.map(of_all)
            if total is None:
                total = copied(made)
            else:
                np.add(total, made, out=total)
            release(total, made)
            done += own
        return total

    def reset(self) -> None:
        for stages in self.stages:
            for stage in stages:
                stage.reset()


def native_plugins(parts: list) -> Iterator[Plugin]:
    """All native plugins among these and within them."""
    for part in parts:
        if isinstance(part, Parallel):
            for branch in part.branches:
                yield from native_plugins(branch)
        elif isinstance(part, Plugin):
            yield part
            if isinstance(part, pedalboard.PluginContainer):
                yield from native_plugins(list(part))  # which may have a None, that Pedalboard passes over


def same_parts(one: list, other: list) -> bool:
    """Whether two lists, or lists of lists, hold the same objects."""
    return len(one) == len(other) and all(
        same_parts(a, b) if isinstance(a, list) and isinstance(b, list) else a is b for a, b in zip(one, other))


def _telling(stage) -> int:
    """How many effects there report their progress."""
    if isinstance(stage, Parallel):
        return sum(_telling(inner) for stages in stage.stages for inner in stages)
    return 0 if isinstance(stage, Plugin) else int(hasattr(stage, "run"))


def _takes_passage(stage) -> bool:
    """Whether a stage that can be run step by step can make a passage alone, and goes by the whole for it."""
    if isinstance(stage, Parallel):
        return any(hasattr(inner, "run") and _takes_passage(inner) for stages in stage.stages for inner in stages)
    return "passage" in inspect.signature(stage.run).parameters


def _same_shape(effect: OfflineEffect, given: np.ndarray, returned) -> np.ndarray:
    """What an offline effect returned, float32, if it is audio of the shape it was given."""
    name = type(effect).__name__
    if not isinstance(returned, np.ndarray) or not np.issubdtype(returned.dtype, np.floating):
        what = getattr(returned, "dtype", type(returned).__name__)
        raise TypeError(f"{name} returned {what} instead of floating-point audio; that effect is at fault.")
    if returned.shape != given.shape:
        raise RuntimeError(f"{name} was given audio of shape {given.shape} and returned {returned.shape}; "
                           "that effect is at fault.")
    return np.asarray(returned, dtype=np.float32)
