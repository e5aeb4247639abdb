"""A session: a recording, what is to be done to it, and what was made of it."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from babe2_fx.catalogue.presets import load_preset
from babe2_fx.errors import UserError
from babe2_fx.files import write_whole
from babe2_host.audio.destinations import check_destination
from babe2_host.audio.recording import Recording
from babe2_host.rendering.journal import FolderJournal
from babe2_host.tools.weights import pull

from . import engine
from .chain import processed
from .curve import TargetCurve
from .document import Document, History
from .events import Event
from .handing_out import write_take
from .listening import Listening
from .render import RenderJob, RenderState
from .take import Take
from .tasks import InlineTasks, Tasks


@dataclass
class View:
    """What is seen, kept with a session but no step of its history: times in s, frequencies in Hz, levels in dB."""

    selection_s: tuple[float, float] | None = None
    time_s: tuple[float, float] | None = None
    frequency_hz: tuple[float, float] | None = None
    level_db: tuple[float, float] | None = None
    timeline: str = "spectrogram"
    lower: str = "restored"
    hidden: tuple[str, ...] = ()
    position_s: float = 0.0
    loop: bool = False
    version: str = "original"


class Session:
    """The document and everything around it. Views listen to its events and call its methods.

    changed: the document, the recording or what is known of them · progressed: how far a render is (`RenderState`) ·
    reported: a sentence for the user, and whether it is an error · prior: stands in for the presets' priors ·
    folder: where finished blocks of a render are kept, or None.
    """

    def __init__(self, tasks: Tasks | None = None, prior=None, folder: Path | None = None):
        self.tasks, self.prior, self.folder = tasks or InlineTasks(), prior, folder
        self.changed, self.progressed, self.reported = Event(), Event(), Event()
        self.view, self.path = View(), None
        self.recording: Recording | None = None
        self.input_spectrum = None
        self.preset_target: TargetCurve | None = None
        self.selected: set[int] = set()  # indices of the target's points
        self.job: RenderJob | None = None
        self.loading = False
        self.history = History(Document())
        self._saved = self.document
        self._preset_of = None
        self.listening = Listening(self)

    @property
    def document(self) -> Document:
        return self.history.now

    @property
    def modified(self) -> bool:
        """Whether there is work that is in no file."""
        return self.document is not self._saved and self.document != self._saved

    @property
    def title(self) -> str:
        if self.path:
            return Path(self.path).stem
        return self.recording.path.name if self.recording else "Untitled"

    def report(self, error: Exception | str) -> None:
        """Tells the user something; an exception as a sentence."""
        is_error = isinstance(error, Exception)
        self.reported(engine.sentence(error) if is_error else error, is_error)

    # ------------------------------------------------------------------------------------------------ editing

    def edit(self, label: str, key: object = None, **changes) -> None:
        """One step of the history: parts of the document replaced."""
        self.history.push(replace(self.document, **changes), label, key)
        self._after_change()

    def undo(self) -> None:
        self.history.undo()
        self._after_change()

    def redo(self) -> None:
        self.history.redo()
        self._after_change()

    def _after_change(self) -> None:
        count = len(self.document.target.points) if self.document.target else 0
        self.selected = {index for index in self.selected if index < count}
        self._find_preset_target()
        self.changed()

    @property
    def shown_target(self) -> TargetCurve | None:
        """The target that counts: the user's or the preset's; None while that is not known yet."""
        return self.document.target or self.preset_target

    def set_target(self, target: TargetCurve | None, label: str, key: object = None,
                   selected: set[int] | None = None) -> None:
        """Another target; None for the preset's. selected: the points that are selected then."""
        if selected is not None:
            self.selected = selected
        before = self.shown_target
        if target and before and target is not before and target.origin == before.origin:
            target = replace(target, origin=before.origin.removesuffix(", edited") + ", edited")
        self.edit(label, key, target=target)

    def change_target(self, change, label: str, key: object = None) -> None:
        """Applies `change(curve) -> curve` to the shown target; the preset's becomes the user's by that."""
        curve = self.shown_target
        if curve is None:
            self.report("There is no target yet. Load one from a reference recording or a curve.")
            return
        try:
            self.set_target(change(curve), label, key)
        except (UserError, ValueError) as error:
            self.report(error)

    def load_target(self, path: str) -> None:
        """The target from a reference recording or a curve's file, in the background."""
        self.tasks.run(lambda: engine.target_from_file(path),
                       lambda curve: self.set_target(curve, "Load target", selected=set()), self.report)

    def set_options(self, label: str, key: object = None, **changes) -> None:
        """Changes how to render. Expert settings that no longer have an effect become the preset's again; a change that
        cannot be made is reported, and nothing changes."""
        self._use(lambda: self.document.options.changed(**changes), label, key)

    def use_settings(self, take: Take) -> None:
        """Takes over a take's target and settings."""
        self.selected = set()
        self._use(take.options.changed, "Use a take's settings", target=take.target)

    def _use(self, make, label: str, key: object = None, **changes) -> None:
        try:
            options, idle = make()
        except (UserError, ValueError) as error:
            self.report(error)
            self.changed()  # views show what is
            return
        self.edit(label, key, options=options, **changes)
        if idle:
            self.report(" ".join(f"{name} is as the preset has it again: it does nothing with {why}."
                                 for name, why in idle.items()))

    def install_model(self, progress, ended) -> None:
        """Downloads the published model of the preset. progress: called with bytes done and all (None: not known),
        on another thread; ended: called with None or with what went wrong."""
        name = load_preset(self.document.options.preset).weights

        def installed(_) -> None:
            self._preset_of = None  # its spectrum can be known now
            ended(None)
        self.tasks.run(lambda: pull(name, False, progress), installed, ended)

    def _find_preset_target(self) -> None:
        """Loads the prior's spectrum when the preset has changed."""
        options = self.document.options
        if self._preset_of == options.preset:
            return
        self._preset_of, self.preset_target = options.preset, None

        def done(curve) -> None:
            if self._preset_of == options.preset:
                self.preset_target = curve
                self.changed()

        def failed(error) -> None:
            if self._preset_of == options.preset:
                self.report(error)
        self.tasks.run(lambda: engine.preset_curve(options, self.prior), done, failed)

    # -------------------------------------------------------------------------------------------------- files

    def start(self) -> None:
        """Prepares what is needed before a recording is open."""
        self._after_change()

    def open_recording(self, path: str) -> None:
        """Begins a new session with a recording, read in the background. What was there is gone once it is read."""
        self.load(lambda: engine.opened(path), self.begin)

    def load(self, read: Callable[[], object], done: Callable[[object], None], failed=None) -> None:
        """Reads something in the background, `loading` meanwhile; an error is given to `failed`, or else reported."""
        def ended(then):
            def end(value) -> None:
                self.loading = False
                self.changed()
                then(value)
            return end
        self.loading = True
        self.changed()
        self.tasks.run(read, ended(done), ended(failed or self.report))

    def begin(self, recording: Recording, document: Document | None = None, view: View | None = None,
              path: str | None = None, modified: bool = False) -> None:
        """A session with this recording; what was set for the one before (target, chain, options) stays with it,
        but for the takes, unless a document is given."""
        self.cancel()
        document = document or replace(self.document, takes=(), current=None)
        self.recording, self.view, self.path = recording, view or View(), path
        self.history = History(document)
        self._saved = None if modified else document
        self.input_spectrum = None
        self._after_change()
        for note in recording.notes:
            self.report(note)

        def done(found) -> None:
            if self.recording is recording:
                self.input_spectrum = found
                self.changed()
        self.tasks.run(lambda: engine.spectrum(recording.audio, recording.sample_rate), done, self.report)

    def mark_saved(self, path: str | None = None) -> None:
        self._saved = self.document
        self.path = path or self.path
        self.changed()

    def export(self, path: str, depth: str | None, tags: dict[str, str]) -> None:
        """Writes the current take, after the chain, in the background.

        Args:
            depth: "16", "24", "float", or None for the recording's.
            tags: by name, in place of the recording's; "" for none.
        """
        take, recording, seed = self.document.take, self.recording, self.document.options.seed
        if take is None:
            self.report("There is nothing to export yet: restore the recording first.")
            return
        texts = dict(recording.tags.texts) | {name: (text,) for name, text in tags.items()}
        texts = {name: values for name, values in texts.items() if any(values)}
        like = replace(recording, tags=replace(recording.tags, texts=texts))

        audio = self.after_chain()
        self.tasks.run(lambda: write_take(path, audio(), take.start, like, depth, seed),
                       lambda said: self.report(" ".join(said)), self.report)

    def after_chain(self) -> Callable[[], np.ndarray]:
        """Gives the current take's audio after the chain, (channels, samples), on any thread."""
        document, rate, ready = self.document, self.recording.sample_rate, self.listening.ready
        return lambda: processed(document.after, document.take.audio, rate) if ready is None else ready

    def export_eq(self, path: str) -> None:
        """Writes what was learned in the current take as JSON, as the command line does."""
        learned = self.document.take.learned

        def work() -> None:
            text = json.dumps(learned.export(), indent=1) + "\n"
            write_whole(check_destination(path), lambda part: part.write_text(text, encoding="utf-8"))
        self.tasks.run(work, lambda _: self.report(f"Wrote {path}."), self.report)

    # -------------------------------------------------------------------------------------------------- takes

    def add_take(self, take: Take) -> None:
        """Keeps a render. That is no step to undo: undoing an edit of the target must not throw an hour away."""
        self.history.amend(lambda document: replace(document, takes=(*document.takes, take), current=take.id))
        self._after_change()

    def choose_take(self, take_id: str | None) -> None:
        if take_id != self.document.current:
            self.edit("Choose take", current=take_id)

    def rename_take(self, take_id: str, name: str) -> None:
        name = name.strip()
        if name:
            self.edit("Rename take", takes=tuple(replace(take, name=name) if take.id == take_id else take
                                                 for take in self.document.takes))

    def remove_take(self, take_id: str) -> None:
        left = tuple(take for take in self.document.takes if take.id != take_id)
        current = self.document.current
        if current == take_id:
            current = left[-1].id if left else None
        self.edit("Delete take", takes=left, current=current)

    # ----------------------------------------------------------------------------------------------- rendering

    def span(self, passage_only: bool) -> tuple[int, int]:
        """The samples to render: the selection, or everything."""
        rate, samples = self.recording.sample_rate, self.recording.audio.shape[1]
        if passage_only and self.view.selection_s:
            begin, end = (round(s * rate) for s in self.view.selection_s)
            return max(begin, 0), min(end, samples)
        return 0, samples

    def render(self, passage_only: bool = False) -> bool:
        """Starts a render in its own thread; returns whether it could."""
        if self.recording is None:
            self.report("Open a recording first: File > Open, or drop one on the window.")
            return False
        if self.job is not None:
            return False
        begin, end = self.span(passage_only)
        if end - begin < self.recording.sample_rate // 10:
            self.report("The selected passage is shorter than a tenth of a second. Select a longer one.")
            return False
        try:
            self.document.options.settings  # noqa: B018  (raises what is wrong with them)
        except (UserError, ValueError) as error:
            self.report(error)
            return False
        number = 1 + max((int(take.name.split()[1]) for take in self.document.takes
                          if take.name.startswith(("Take ", "Preview ")) and take.name.split()[1].isdigit()), default=0)
        name = f"{'Preview' if passage_only and self.view.selection_s else 'Take'} {number}"
        document = self.document
        job = RenderJob(self.recording, (begin, end), document.options, document.target, document.before, name,
                        self.prior, FolderJournal(self.folder / "render") if self.folder else None)
        self.job = job

        def heard(function):  # of this job alone, on the session's thread
            return lambda value: self.tasks.call_here(lambda: function(value) if self.job is job else None)
        job.start(heard(self._progress), heard(self._rendered), heard(self._render_failed))
        self.progressed(RenderState())
        return True

    def _progress(self, state: RenderState) -> None:
        self.progressed(replace(state, paused=self.job.paused))

    def _rendered(self, take: Take) -> None:
        self.job = None
        self.add_take(take)
        self.progressed(None)

    def _render_failed(self, error: Exception) -> None:
        self.job = None
        self.progressed(None)
        self.report(error)

    def pause(self, paused: bool = True) -> None:
        if self.job:
            self.job.pause() if paused else self.job.resume()
            self.progressed(replace(self.job.state, paused=paused))

    def cancel(self) -> None:
        """Ends a render at once. Its finished blocks are kept, so that the same render goes on from there."""
        if self.job:
            self.job.cancel()
            self.job = None
            self.progressed(None)

