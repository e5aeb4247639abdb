"""The one renderer, of command, batch, service and app: a recording through a board, to audio or into a file.

    run = render(recording, board, journal=journal, passage=(0, 441000))
    for now in run:                         # a `Progress` after each step; leaving the loop early is allowed
        print(f"{now.share_done:.0%}")
    rendered = run.value                    # a `Rendered`

`run.close()` cancels; blocks that are finished stay in the journal, and the same render goes on after them. A pause is
a loop that waits before it asks for the next step.
"""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Generator
from dataclasses import dataclass, replace

import numpy as np

from babe2_fx.audio.mapped import all_finite, as_tensor
from babe2_fx.audio.reading import AudioFile
from babe2_fx.errors import UserError
from babe2_fx.files import NotInPlaceError, Place
from babe2_fx.progress import Run

from ..audio.recording import Recording
from ..audio.writing import audio_destination, not_carried, write_audio
from ..boards.board import Board
from .journal import FolderJournal


class RenderError(UserError):
    """A board that does not give audio; the message says so."""


@dataclass(frozen=True)
class Rendered:
    """A finished render.

    Attributes:
        audio: (channels, samples) float32, before any change of level for a file.
        sample_rate: Hz.
        results: the `RestorationResult` of each restoration in the board, in order.
        resumed_blocks: how many blocks were taken from the journal.
        taken_s: seconds from the start to the end, pauses included.
        notes: what the user should know of it, as sentences.
        lowered_db: by how much the level was lowered so that the peaks fit into the file; 0 where there is none.
    """

    audio: np.ndarray
    sample_rate: int
    results: tuple
    resumed_blocks: int
    taken_s: float
    notes: tuple[str, ...]
    lowered_db: float = 0.0


def render(recording: AudioFile, board: Board, *, journal: FolderJournal | None = None,
           passage: tuple[int, int] | None = None) -> Run:
    """Renders a recording through a board to audio.

    Args:
        recording: audio (channels, samples) and its sample rate; it is not changed.
        board: made of plugins, of values (`boards.values.make_plugins`), of a recipe (`Recipe.make`), or of a file. Its
            `sample_rate` is that of the result; None: as `output_rate` says.
        journal: keeps finished blocks, and gives those of the same render that was stopped. It is not cleared.
        passage: first and last sample (not included) of the recording, of what is rendered; None: all. What comes
            before a restoration in the board hears the whole, and the restoration goes by the whole.

    Returns:
        A `Run` of `Progress`, whose value is a `Rendered`.

    Raises while it runs:
        RenderError: the board gives what is not audio.
        Whatever the plugins raise.
    """
    return Run(_render(recording, board, journal, passage))


def _render(recording: AudioFile, board: Board, journal: FolderJournal | None,
            passage: tuple[int, int] | None) -> Generator:
    started = time.monotonic()
    rate = output_rate(recording, board)
    audio = _resampled(recording.audio, recording.sample_rate, rate)
    first, last = passage or (0, recording.audio.shape[1])
    first, last = (round(at * rate / recording.sample_rate) for at in (first, last))
    last = min(last, audio.shape[1]) if passage else audio.shape[1]
    if audio.shape[1] <= len(audio):  # it would be unclear which dimension holds the channels
        audio = np.pad(audio, ((0, 0), (0, len(audio) + 1 - audio.shape[1])))
    audio = yield from board.run(audio, rate, journal=journal, passage=passage and (first, last))
    audio = audio[:, :last - first]
    if not all_finite(audio):
        raise RenderError("The board gave samples that are not finite numbers; one of its plugins is at fault. Nothing "
                          "was written.")
    results, notes = [], []
    if rate > recording.sample_rate and not board.sample_rate:
        own = recording.sample_rate
        notes.append(f"The recording is at {own} Hz. The result is at {rate} Hz, to hold what was restored above "
                     f"{own / 2:g} Hz; ask for a rate of {own} Hz if you do not want that.")
    elif rate != recording.sample_rate:
        notes.append(f"Converted from the recording's {recording.sample_rate} Hz to {rate} Hz first.")
    for effect in board.effects("GenerativeEQ"):
        if effect.result:
            results.append(effect.result)
            notes.extend(effect.result.notes)
            before, after = effect.ltas_distance_db
            if np.isfinite([before, after]).all():
                notes.append(f"Long-term spectrum: {before:.1f} dB from the target before, {after:.1f} dB after "
                             "(Eq. 14 of the paper).")
    if journal and journal.problem:
        notes.append(f"Finished blocks could not be kept in {journal.folder} ({journal.problem}); had the render been "
                     "stopped, it could not have gone on.")
    return Rendered(audio, rate, tuple(results), journal.found if journal else 0, time.monotonic() - started,
                    tuple(notes))


def render_file(recording: Recording, output: str | os.PathLike, board: Board, *, depth: str | None = None,
                resume: bool = False, seed: int = 0) -> Run:
    """As `render`, into a file that appears whole or not at all, with the recording's tags and chunks.

    Finished blocks are kept next to the output until it is written (see `FolderJournal`).

    Args:
        recording: as `read_recording` gives it.
        output: its extension chooses the format. A path, or the `Place` of a `render_destination`.
        depth: "16", "24" or "float"; None: the board's, else the recording's.
        resume: whether to take the blocks that an earlier render of the same finished, rather than start over.
        seed: of the dither.

    Raises while it runs, besides what `render` does:
        FileError: the output cannot be written. NotInPlaceError: something else has come to be there.
    """
    return Run(_render_file(recording, output, board, depth, resume, seed))


def _render_file(recording: Recording, output: str | os.PathLike, board: Board, depth: str | None, resume: bool,
                 seed: int) -> Generator:
    started = time.monotonic()
    journal = FolderJournal(output)
    if not resume:
        journal.clear()
    done = yield from render(recording, board, journal=journal)
    try:
        lowered_db = write_audio(output, done.audio, done.sample_rate, recording, depth=depth or board.depth, seed=seed)
    except NotInPlaceError:  # it is written, under another name
        journal.clear()
        raise
    notes = list(done.notes)
    if lowered_db:
        notes.append(f"The rendered peaks did not fit the file's integer samples; the level of the whole recording was "
                     f"lowered by {lowered_db:.2f} dB.")
    notes.extend(not_carried(output, done.audio, done.sample_rate, recording, depth=depth or board.depth))
    journal.clear()
    return replace(done, lowered_db=lowered_db, taken_s=time.monotonic() - started, notes=tuple(notes))


def output_rate(recording: AudioFile, board: Board) -> int:
    """Hz of what comes out: the board's, else the recording's or a prior's that is higher.

    At its own rate, a recording of 8 kHz would have no room for the highs that were made.
    """
    if board.sample_rate:
        return board.sample_rate
    return max(recording.sample_rate, *(effect.prior.sample_rate for effect in board.effects("GenerativeEQ")), 0)


def render_destination(recording: Recording, output: str | os.PathLike, board: Board, *sources: str | os.PathLike,
                       depth: str | None = None, follow: bool = True,
                       replaces: bool = True) -> contextlib.AbstractContextManager[Place]:
    """The `Place` of what `render_file` makes, held for the time of a with-block; its room on the disk is reserved.

    Args:
        sources: files that must not be written to, besides the recording.
        depth: as in `render_file`.
        follow, replaces: as in `Place`.

    Raises FileError, before a long render, if its result cannot be written.
    """
    trial = replace(recording, sample_rate=output_rate(recording, board))
    return audio_destination(output, trial, *sources, depth=depth or board.depth, follow=follow, replaces=replaces)


def _resampled(audio: np.ndarray, source_hz: int, target_hz: int) -> np.ndarray:
    if source_hz == target_hz or not audio.size:
        return audio
    from babe2_fx.audio.resampling import resample  # imports torch, hence only here
    return resample(as_tensor(audio), source_hz, target_hz).numpy()
