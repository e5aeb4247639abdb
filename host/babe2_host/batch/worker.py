"""A worker of a batch: makes one file after the other on one device, in this process or in another one."""

from __future__ import annotations

import functools
import logging
import os
import platform
import shutil
import tempfile
import time
from collections import deque
from collections.abc import Callable, Generator, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field, fields, replace
from pathlib import Path

import numpy as np

from babe2_fx.audio.reading import samples_of
from babe2_fx.errors import UserError
from babe2_fx.progress import Run

from ..audio.recording import Recording, read_recording
from ..boards.board import Board
from ..console import sentence, version
from ..rendering.journal import ENDING, FolderJournal
from ..rendering.recipe import Recipe, facts_key
from ..rendering.render import Rendered, render_destination, render_file
from ..states import JobState
from .job_list import BatchError, Job
from .manifest import described, is_as_written, is_made, may_replace

LARGEST_AHEAD = 1 << 26  # samples of a recording that is read while another is rendered: 256 MB

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Task:
    """A job as a worker gets it: its number, what the manifest knows of its file, whether it may be replaced anyway.

    key: of the recipe's facts where the batch was begun, None: it was begun here · given: the recording, `described`,
    if all checks before have been made · content: its bytes, where the worker does not see its file; with the finished
    blocks of an earlier run by their names.
    """

    number: int
    job: Job
    entry: dict
    overwrite: bool = False
    key: str | None = None
    given: dict | None = None
    content: bytes | None = field(default=None, repr=False)
    blocks: dict[str, bytes] = field(default_factory=dict, repr=False)


@dataclass(frozen=True)
class Event:
    """What a worker reports of a task: UNFINISHED (it begins: the recording and the recipe's facts, to be on the record
    before it goes on), RUNNING (with `Progress`), DONE (with what was made, `described`, the record of it, and the
    `Rendered`), AS_BEFORE or FAILED.

    reason, code: of a failure, the sentence and the error's code · files: what is to be put into the output folder for
    a worker that does not see it, by name.
    """

    number: int
    state: JobState
    now: object = None
    given: dict | None = None
    facts: dict | None = None
    made: dict | None = None
    record: dict = field(default_factory=dict)
    rendered: Rendered | None = None
    reason: str = ""
    code: str = ""  # of a failure that was a UserError
    files: dict[str, bytes] = field(default_factory=dict, repr=False)


def render_job(job: Job, folder: str | os.PathLike, board: Board | None = None, recording: Recording | None = None, *,
               follow: bool = True, replaces: Callable[[], bool] = lambda: False) -> Run:
    """Renders one file, going on after the blocks that an earlier run finished. The one piece of work of a batch.

    board, recording: what the recipe makes and what is in the file, of a caller who has them · follow: as in `Place` ·
    replaces: says, once the place of the result is held, whether what is there may be replaced.

    A run of `Progress`, whose value is the `Rendered`. It raises as `read_recording`, `Recipe.make`,
    `render_destination` and `render_file`.
    """
    return Run(_render_job(job, folder, board, recording, follow, replaces))


def _render_job(job: Job, folder: str | os.PathLike, board: Board | None, recording: Recording | None, follow: bool,
                replaces: Callable[[], bool]) -> Generator:
    output = Path(folder) / job.name
    recording = recording or read_recording(job.source)
    board = board or job.recipe.make()
    if follow:
        output.parent.mkdir(parents=True, exist_ok=True)
    effects = board.effects("GenerativeEQ")
    with render_destination(recording, output, board, *job.recipe.sources(board), depth=job.recipe.depth,
                            follow=follow) as place:
        if not replaces():
            place.found = None
        return (yield from render_file(recording, place, board, depth=job.recipe.depth, resume=True,
                                       seed=effects[0].seed if effects else 0))


def look(task: Task, folder: Path, key: str) -> dict | None:
    """The recording, `described`; None if what is to be made of it is there. Raises BatchError if it may not be."""
    job, output = task.job, folder / task.job.name
    if not os.path.isfile(job.source):
        raise BatchError(f"{job.source} is not there, or is not a regular file.")
    given = described(job.source)
    if is_made(task.entry, output, given["sha256"], key):
        return None
    if not task.overwrite and not may_replace(task.entry, output):
        raise BatchError(f"{output} is there and was not made by this batch, or was changed since.",
                         "not-replaced", path=output)
    return given


class Worker:
    """Renders what it is given, in order. Meanwhile it reads the next recording and, on a GPU, writes the last.

    On the CPU rendering takes all cores, so there a result is finished before the next is begun; reading takes one
    thread. It does nothing between calls of `step` but that, so what it reports can be put on record before it goes on.

    Args:
        folder: the output folder.
        overlaps: whether results are written while the next is rendered; None: on a GPU.
        remote: whether its events go to another process: they are kept small, and reported every `interval_s`.
        prior_of: gives the prior to use in the place of a preset's own; None: that itself.
    """

    def __init__(self, folder: str | os.PathLike, overlaps: bool | None = None, remote: bool = False,
                 prior_of: Callable | None = None):
        self.folder, self.overlaps, self.remote, self._prior_of = Path(folder), overlaps, remote, prior_of
        self._make = functools.lru_cache(4)(self._board)  # the same for many files; a target may be many recordings
        self._facts = functools.lru_cache(1024)(lambda recipe: recipe.facts(self._make(recipe)))
        self._threads = ThreadPoolExecutor(1, "ahead"), ThreadPoolExecutor(1, "behind")
        self._waiting: deque[tuple[Task, Future]] = deque()
        self._written: Future | None = None  # the event of the last result
        self._run = self._events()
        self._own = None

    def about(self, lock: str, stamp: tuple, source: str, source_stamp: tuple) -> dict:
        """Who it is, and whether it sees the files that have these stamps (`stamp_of`)."""
        return {"host": platform.node(), "pid": os.getpid(), "version": version("babe2-fx"),
                "shares": stamp_of(lock) == stamp and stamp_of(source)[1:] == source_stamp[1:]}

    def step(self, tasks: list[Task] = (), interval_s: float = 0.0) -> list[Event]:
        """Takes more tasks and works on, until something has to be put on record or `interval_s` have passed.

        Returns its events; with nothing left to do, none.
        """
        for task in tasks:
            self._waiting.append((task, self._begin_look(task)))
        events, until = [], time.monotonic() + interval_s
        while True:
            event = next(self._run)
            if event is None:
                return events
            if self.remote and events and events[-1].state == event.state == JobState.RUNNING and (
                    events[-1].number == event.number):  # only the last report of it is needed
                event = replace(event, files=events.pop().files | event.files)
            events.append(event)
            if event.state != JobState.RUNNING or time.monotonic() >= until:
                return [_small(event) for event in events] if self.remote else events

    def close(self) -> list[Event]:
        """Cancels what is at work; its finished blocks are kept. Returns the events that were left."""
        self._run.close()
        for thread in self._threads:
            thread.shutdown(cancel_futures=thread is self._threads[0])
        if self._own:
            self._own.cleanup()
        return [self._written.result()] if self._written else []

    # ------------------------------------------------------------------------------------------------- pieces

    def _board(self, recipe: Recipe) -> Board:
        board = recipe.make()
        for effect in board.effects("GenerativeEQ") if self._prior_of else ():
            effect.prior = self._prior_of(effect.prior)
        return board

    def _begin_look(self, task: Task) -> Future:
        """All that comes before a render, in a thread, except the board: plugins want the thread that they run in."""
        try:
            recipe = task.job.recipe
            self._make(recipe)
            facts = self._facts(recipe)
            if task.key not in (None, facts_key(facts)):
                raise BatchError(f"The weights, the target or the board on {platform.node()} are not those of the "
                                 "computer that the batch was begun on.")
            return self._threads[0].submit(self._look, task, facts)
        except Exception as error:
            failed = Future()
            failed.set_exception(error)
            return failed

    def _look(self, task: Task, facts: dict) -> tuple[dict | None, Recording | None, dict, Task]:
        if task.content is not None:
            task = self._unpacked(task)
        given = task.given or look(task, self.folder, facts_key(facts))
        recording = None
        if given is not None and _samples(task.job.source) <= LARGEST_AHEAD:
            recording = read_recording(task.job.source)
        return given, recording, facts, task

    def _events(self) -> Iterator[Event | None]:
        """Events, endlessly; None when there is nothing to do."""
        while True:
            if self._waiting:
                task, looked = self._waiting.popleft()
                yield from self._job(task, looked)
            else:
                yield self._take_written()

    def _job(self, task: Task, looked: Future) -> Iterator[Event]:
        try:
            given, recording, facts, task = looked.result()
            del looked  # which holds the recording
        except Exception as error:  # one failure must not stop the others
            yield self._failed(task, error)
            return
        if given is None:
            yield Event(task.number, JobState.AS_BEFORE)
            return
        yield Event(task.number, JobState.UNFINISHED, given=given, facts=facts)
        board = self._make(task.job.recipe)
        folder = self.folder if task.content is None else self._folder_of(task)
        run = render_job(task.job, folder, board, recording, replaces=lambda: (
            task.overwrite or is_as_written(task.entry, folder / task.job.name)))
        del recording
        sent = set(task.blocks)
        try:
            for now in run:
                if now.share_done >= 1 and self._writes_overlapping(board):
                    if self._written:  # one at a time
                        yield self._take_written()
                    self._written = self._threads[1].submit(self._finish, task, folder, run)
                    return
                yield Event(task.number, JobState.RUNNING, now, files=self._new_blocks(task, sent))
                if self._written and self._written.done():
                    yield self._take_written()
            last = self._ended(task, folder, run.value)
        except Exception as error:
            last = self._failed(task, error)
        except BaseException:
            run.close()
            raise
        if self._written:
            yield self._take_written()
        yield last

    def _writes_overlapping(self, board: Board) -> bool:
        effects = board.effects("GenerativeEQ")
        if len(effects) > 1:  # the results in them are of one file at a time
            return False
        if self.overlaps is None:
            return any(effect.prior.device.type == "cuda" for effect in effects)
        return self.overlaps

    def _finish(self, task: Task, folder: Path, run: Run) -> Event:
        try:
            return self._ended(task, folder, run.finish())
        except Exception as error:
            return self._failed(task, error)

    def _take_written(self) -> Event | None:
        written, self._written = self._written, None
        return written.result() if written else None

    def _ended(self, task: Task, folder: Path, rendered: Rendered) -> Event:
        output, files = folder / task.job.name, {}
        try:
            made = described(output)
            if task.content is not None:
                files = {task.job.name: output.read_bytes()}
                rendered = replace(rendered, notes=tuple(self._named(task, note) for note in rendered.notes))
                shutil.rmtree(folder, ignore_errors=True)
            record = {"duration_s": round(rendered.audio.shape[1] / rendered.sample_rate, 3),
                      "time_taken_s": round(rendered.taken_s, 3), "resumed_blocks": rendered.resumed_blocks,
                      "level_lowered_db": round(rendered.lowered_db, 3), "notes": list(rendered.notes)}
            return Event(task.number, JobState.DONE, made=made, record=record, rendered=rendered, files=files)
        except Exception as error:
            return self._failed(task, error)

    def _failed(self, task: Task, error: Exception) -> Event:
        logger.debug("A job failed.", exc_info=error)
        reason = reason_of(error)
        if task.content is not None:
            reason = self._named(task, reason)
            shutil.rmtree(self._folder_of(task), ignore_errors=True)
        return Event(task.number, JobState.FAILED, reason=reason, code=getattr(error, "code", ""))

    # ----------------------------------------------------------------------------- files that have to be shipped

    def _folder_of(self, task: Task) -> Path:
        self._own = self._own or tempfile.TemporaryDirectory(prefix="babe2-")
        return Path(self._own.name, str(task.number))

    def _unpacked(self, task: Task) -> Task:
        """A task whose recording and blocks lie in a folder of this worker's own."""
        folder = self._folder_of(task)
        shutil.rmtree(folder, ignore_errors=True)
        source = folder / "in" / task.job.source.name
        kept = FolderJournal(folder / task.job.name).folder
        for path, content in [(source, task.content)] + [(kept / name, data) for name, data in task.blocks.items()]:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
        return replace(task, job=replace(task.job, source=source), content=b"")

    def _named(self, task: Task, text: str) -> str:
        """A sentence with the names of files as the user knows them."""
        folder = self._folder_of(task)
        return text.replace(f"{folder / 'in'}{os.sep}", "").replace(f"{folder}{os.sep}", "")

    def _new_blocks(self, task: Task, sent: set[str]) -> dict[str, bytes]:
        """What of the finished blocks the batch does not have yet, by name in the output folder."""
        if task.content is None:
            return {}
        new = [file for file in blocks_of(self._folder_of(task) / task.job.name) if file.name not in sent]
        sent.update(file.name for file in new)
        return {f"{task.job.name}{ENDING}/{file.name}": file.read_bytes() for file in new}


def reason_of(error: Exception) -> str:
    """Why a file failed, in a line."""
    return sentence(error) or f"{type(error).__name__}: {' '.join(str(error).split())}"


def blocks_of(output: Path) -> list[Path]:
    """The finished blocks of a render, as files."""
    return sorted(FolderJournal(output).folder.glob("*.safetensors"))


def stamp_of(path: str | os.PathLike) -> tuple:
    """What is equal where two computers see one file; () if this one sees none."""
    try:
        stat = os.stat(path)
    except OSError:
        return ()
    return stat.st_ino, stat.st_mtime_ns, stat.st_size


def _samples(source: Path) -> int:
    try:
        samples, channels, _ = samples_of(source)
        return samples * channels
    except UserError:
        return 0


def _small(event: Event) -> Event:
    """An event without the audio in it, which nobody in another process needs."""
    large = {item.name: None for item in fields(event.now) if item.name in ("denoised", "removed")} if event.now else {}
    rendered = event.rendered
    if rendered:
        rendered = replace(rendered, audio=np.empty((len(rendered.audio), 0), np.float32), results=())
    return replace(event, now=replace(event.now, **large) if event.now else None, rendered=rendered)
