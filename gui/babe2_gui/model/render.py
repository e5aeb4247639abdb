"""A render of the session's recording: how far it is, and the take that comes of it."""

from __future__ import annotations

import time
from collections.abc import Generator
from dataclasses import dataclass, replace

from babe2_host.audio.recording import Recording
from babe2_host.boards.board import Board
from babe2_host.rendering.journal import FolderJournal
from babe2_host.rendering.render import Rendered, render

from .chain import Effect, board_of, processed
from .curve import TargetCurve
from .engine import effect_for
from .options import RenderOptions
from .take import Learned, Take
from .work import Work


@dataclass(frozen=True)
class RenderState:
    """How far a render is: share 0 to 1, the words for it, seconds left (None: not known yet) and the EQ learned so
    far."""

    share: float = 0.0
    block: int = 0
    blocks: int = 0
    step: int = 0
    steps: int = 0
    sigma: float = 0.0
    left_s: float | None = None
    learned: Learned | None = None
    paused: bool = False

    @classmethod
    def of(cls, now, left_s: float | None = None, learned: Learned | None = None) -> "RenderState":
        """From the engine's `Progress`."""
        return cls(now.share_done, now.block, now.blocks, now.step, now.steps, now.sigma, left_s, learned)

    def words(self) -> str:
        """For the user: "Step 5 of 12 · block 1 of 3 · sigma 0.023"."""
        if not self.steps:
            return "Preparing…"
        block = f" · block {self.block} of {self.blocks}" if self.blocks > 1 else ""
        return f"Step {self.step} of {self.steps}{block} · sigma {self.sigma:.2g}"

    def left_words(self) -> str:
        if self.paused:
            return "Paused"
        if self.left_s is None:
            return ""
        return f"{clock(self.left_s)} left"


def clock(seconds: float) -> str:
    """ "1:23:45" or "2:05"."""
    minutes, seconds = divmod(max(round(seconds), 0), 60)
    return f"{minutes // 60}:{minutes % 60:02}:{seconds:02}" if minutes >= 60 else f"{minutes}:{seconds:02}"


class RenderJob(Work):
    """One render, whose progress is a `RenderState` and which comes to a `Take`.

    Args:
        recording: all of it, which tells of its noise and its spectrum.
        passage: first and last sample (not included) of what is rendered.
        before: effects that it goes through first.
        prior: stands in for the preset's.
        journal: where finished blocks are kept until the render is done, so that it can go on after it was cancelled
            or killed; None: nowhere.
    """

    def __init__(self, recording: Recording, passage: tuple[int, int], options: RenderOptions,
                 target: TargetCurve | None, before: tuple[Effect, ...], name: str, prior=None,
                 journal: FolderJournal | None = None):
        super().__init__(name)
        self.recording, self.passage, self.journal = recording, passage, journal
        self.options, self.target, self.before, self.prior = options, target, before, prior
        self.state = RenderState()

    def steps(self) -> Generator[RenderState, None, Take]:
        recording, before = self.recording, self.before
        if any(effect.is_program for effect in before):
            recording = replace(recording, audio=processed(before, recording.audio, recording.sample_rate))
            before = ()
        board = Board([*board_of(before), effect_for(self.options, self.target, self.prior)],
                      sample_rate=recording.sample_rate)
        started = time.monotonic()

        def state(now) -> RenderState:
            elapsed_s = time.monotonic() - started - self.paused_s
            left_s = elapsed_s * (1 - now.share_done) / now.share_done if now.share_done > 0 else None
            self.state = RenderState.of(now, left_s, Learned.of(now) if now.equalizer else None)
            return self.state
        rendered = yield from render(recording, board, journal=self.journal, passage=self.passage).map(state)
        notes = list(rendered.notes)
        if rendered.resumed_blocks:
            notes.append(f"{rendered.resumed_blocks} blocks were taken from a render that was cancelled.")
        if self.journal:
            self.journal.clear()
        return self._take(rendered, tuple(notes))

    def _take(self, rendered: Rendered, notes: tuple[str, ...]) -> Take:
        result = rendered.results[0]
        eq = result.equalizer
        learned = Learned(result.frequencies_hz, result.response_db, eq.breakpoints_hz if eq else (),
                          eq.slopes_db_per_octave if eq else (), result.reference_hz, result.deviation_db)
        return Take(self.name, rendered.audio, self.passage[0], self.options, self.target, learned,
                    (result.ltas_hz, result.input_ltas_db, result.restored_ltas_db), notes,
                    rendered.taken_s - self.paused_s)
