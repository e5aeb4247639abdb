"""The one path from an audio file through a board to an audio file, for every command and program."""

from __future__ import annotations

import os
import time
from collections.abc import Generator
from dataclasses import dataclass, replace

import numpy as np

from babe2_fx.audio.mapped import all_finite
from babe2_fx.errors import UserError

from ..audio.recording import Recording
from ..audio.writing import check_audio_output, not_carried, write_audio
from ..boards.board import Board
from .journal import FolderJournal


class RenderError(UserError):
    """A board that does not give audio; the message says so."""


@dataclass(frozen=True)
class Rendered:
    """A finished render: audio (channels, samples) as it was written but for its level, which was lowered by
    `lowered_db`; blocks that were taken from an unfinished render; seconds taken; and what there is to say."""

    audio: np.ndarray
    sample_rate: int
    lowered_db: float
    resumed_blocks: int
    taken_s: float
    notes: tuple[str, ...]


def output_rate(recording: Recording, board: Board) -> int:
    """Hz of what comes out: the board's, else the recording's."""
    return board.sample_rate or recording.sample_rate


def check_render(recording: Recording, output: str | os.PathLike, board: Board, *sources: str | os.PathLike,
                 depth: str | None = None) -> None:
    """Finds out before a long render whether its result can be written. Raises FileError."""
    trial = replace(recording, sample_rate=output_rate(recording, board))
    check_audio_output(output, trial, *sources, depth=depth or board.depth)


def render(recording: Recording, output: str | os.PathLike, board: Board, *, depth: str | None = None,
           resume: bool = False, seed: int = 0) -> Generator:
    """Renders a recording through a board into a file, which appears whole or not at all.

    Finished blocks are kept beside the output until it is written (see `FolderJournal`).

    Args:
        recording: as `read_recording` gives it.
        output: its extension chooses the format.
        depth: "16", "24" or "float"; None: the board's, else the recording's.
        resume: whether to take the blocks that an earlier render of the same finished, rather than begin anew.
        seed: of the dither.

    Yields `Progress`; its value is a `Rendered`. Closing it cancels and keeps the finished blocks.

    Raises:
        FileError: the output cannot be written.
        RenderError: the board gives what is no audio.
        Whatever the plugins raise.
    """
    started = time.monotonic()
    journal = FolderJournal(output)
    if not resume:
        journal.clear()
    rate = output_rate(recording, board)
    audio = _resampled(recording.audio, recording.sample_rate, rate)
    length = audio.shape[1]
    if length <= len(audio):  # which dimension holds the channels could not be told
        audio = np.pad(audio, ((0, 0), (0, len(audio) + 1 - length)))
    audio = (yield from board.run(audio, rate, journal=journal))[:, :length]
    if not all_finite(audio):
        raise RenderError("The board gave samples that are not finite numbers; one of its plugins is at fault. Nothing "
                          "was written.")
    notes = []
    for effect in board.effects("GenerativeEQ"):
        if effect.result:
            notes.extend(effect.result.notes)
            before, after = effect.ltas_distance_db
            if np.isfinite([before, after]).all():
                notes.append(f"Long-term spectrum: {before:.1f} dB from the target before, {after:.1f} dB after "
                             "(Eq. 14 of the paper).")
    lowered_db = write_audio(output, audio, rate, recording, depth=depth or board.depth, seed=seed)
    if lowered_db:
        notes.append(f"The rendered peaks did not fit the file's integer samples; the level of the whole recording was "
                     f"lowered by {lowered_db:.2f} dB.")
    notes.extend(not_carried(output, audio, rate, recording))
    if journal.problem:
        notes.append(f"Finished blocks could not be kept in {journal.folder} ({journal.problem}); had the render been "
                     "stopped, it could not have gone on.")
    journal.clear()
    return Rendered(audio, rate, lowered_db, journal.found, time.monotonic() - started, tuple(notes))


def _resampled(audio: np.ndarray, source_hz: int, target_hz: int) -> np.ndarray:
    if source_hz == target_hz or not audio.size:
        return audio
    import torch

    from babe2_fx.audio.resampling import resample  # imports torch, hence only here
    return resample(torch.from_numpy(audio), source_hz, target_hz).numpy()
