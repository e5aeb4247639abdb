"""Keeps what can be heard in step with a session: versions at matched loudness, made in the background."""

from __future__ import annotations

import numpy as np

from .chain import processed
from .engine import equalized
from .events import Event
from .loudness import SILENCE_LUFS, loudness_lufs
from .mixer import Mixer, Source

KEPT = 6  # takes that are ready to be heard at once
VERSIONS = {"original": "Original", "equalized": "EQ only", "restored": "Restored"}


class Listening:
    """The mixer of a session's recording and what goes into it.

    changed: called when versions come or go · matched: whether all versions are as loud as the original.
    """

    def __init__(self, session):
        self.session, self.tasks = session, session.tasks
        self.changed, self.replaced = Event(), Event()
        self.mixer: Mixer | None = None
        self.matched = True
        self._audio: dict[str, tuple[np.ndarray, int, float]] = {}  # version: audio, start, gain that matches
        self._made_of: dict[str, object] = {}
        self._ready: dict = {}  # what was made of the latest takes, so that they are compared without waiting
        session.changed.connect(self.refresh)

    @property
    def restored(self) -> tuple[np.ndarray, int] | None:
        """What is heard as the restored version, after the chain: audio (channels, samples) and where it begins; None
        while there is none. That is the previous take, until the current one is ready."""
        held = self._audio.get("restored")
        return held[:2] if held else None

    @property
    def ready(self) -> np.ndarray | None:
        """The current take after the chain, (channels, samples); None while it is being made."""
        held = self._ready.get(self._made_of.get("restored"))
        return held[0] if held else None

    def refresh(self) -> None:
        """Looks at what the session is now, and makes what is missing."""
        recording = self.session.recording
        if recording is None:
            self.mixer, self._audio, self._made_of = None, {}, {}
            return
        if self._made_of.get("original") is not recording:
            self.mixer = Mixer(Source(recording.audio), recording.sample_rate)
            self._audio, self._made_of, self._ready = {}, {"original": recording}, {}
            self.replaced()
        self._refresh_restored()

    def _refresh_restored(self) -> None:
        document, recording = self.session.document, self.session.recording
        take, after = document.take, tuple(effect for effect in document.after if effect.enabled)
        key = (take.id, repr(after)) if take else None
        if key == self._made_of.get("restored"):
            return
        self._made_of["restored"] = key
        if take is None:
            self._put("restored", None)
            return
        if key in self._ready:
            self._put("restored", self._ready[key])
            return

        def work():
            audio = processed(after, take.audio, recording.sample_rate)
            return audio, take.start, _matching_gain(recording, audio, take.start)
        self._make("restored", key, work)

    def equalize(self) -> None:
        """Makes the plain equalizer's version, if what there is no longer fits the target."""
        document, recording = self.session.document, self.session.recording
        if recording is None:
            return
        key = (document.options.preset, document.target)
        if key == self._made_of.get("equalized"):
            return
        self._made_of["equalized"] = key

        def work():
            audio = equalized(recording.audio, recording.sample_rate, document.options, document.target,
                              self.session.prior)
            return audio, 0, _matching_gain(recording, audio, 0)
        self._make("equalized", key, work)

    def _make(self, name: str, key, work) -> None:
        recording = self.session.recording

        def current() -> bool:
            return self._made_of.get(name) == key and self.session.recording is recording

        def done(held) -> None:
            if self.session.recording is recording and name == "restored":
                self._ready = dict([*self._ready.items(), (key, held)][-KEPT:])
            if current():
                self._put(name, held)

        def failed(error) -> None:
            if current():
                if self.session.view.version == name:
                    self.session.view.version = "original"
                self._made_of.pop(name, None)
                self._put(name, None)
                self.session.report(error)
        self.tasks.run(work, done, failed)

    def _put(self, name: str, held) -> None:
        if held is None:
            self._audio.pop(name, None)
        else:
            self._audio[name] = held
        self._to_mixer(name)
        self.changed()

    def _to_mixer(self, name: str) -> None:
        held = self._audio.get(name)
        self.mixer.set_source(name, held and Source(held[0], held[1], held[2] if self.matched else 1.0))

    def set_matched(self, matched: bool) -> None:
        self.matched = matched
        if self.mixer:
            for name in self._audio:
                self._to_mixer(name)
        self.changed()


def _matching_gain(recording, audio: np.ndarray, start: int) -> float:
    """The gain at which audio is as loud as the recording where both are, without clipping."""
    original = recording.audio[:, start:start + audio.shape[1]]
    mine, its = (loudness_lufs(x, recording.sample_rate) for x in (audio, original))
    if min(mine, its) <= SILENCE_LUFS:
        return 1.0
    gain, peak = 10 ** ((its - mine) / 20), float(np.abs(audio).max())
    return min(gain, 1 / peak) if peak else gain
