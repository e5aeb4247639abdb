"""What a session is about, as one value; and its history, so that everything can be undone."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from .chain import Effect
from .curve import TargetCurve
from .options import RenderOptions
from .take import Take

MOST_STEPS = 500


@dataclass(frozen=True)
class Document:
    """target: None for the preset's own · before, after: effects around the restoration · current: the id of the take
    that is shown and heard."""

    target: TargetCurve | None = None
    options: RenderOptions = field(default_factory=RenderOptions)
    before: tuple[Effect, ...] = ()
    after: tuple[Effect, ...] = ()
    takes: tuple[Take, ...] = ()
    current: str | None = None

    @property
    def take(self) -> Take | None:
        return next((take for take in self.takes if take.id == self.current), None)

    @property
    def runs_programs(self) -> bool:
        """Whether an effect that is switched on is a VST3 plugin or an Audio Unit."""
        return any(effect.is_program and effect.enabled for effect in (*self.before, *self.after))

    def with_programs_off(self) -> Document:
        """The same with all of those switched off."""
        before, after = (tuple(replace(effect, enabled=effect.enabled and not effect.is_program) for effect in effects)
                         for effects in (self.before, self.after))
        return replace(self, before=before, after=after)


class History:
    """Documents in the order in which they came about. What is pushed with one key in a row (a drag) is one step."""

    def __init__(self, first: Document):
        self._steps: list[tuple[Document, str]] = [(first, "")]
        self._at = 0
        self._key = None

    @property
    def now(self) -> Document:
        return self._steps[self._at][0]

    def push(self, document: Document, label: str, key: object = None) -> None:
        """A new document. `label` says what was done: "Move point"."""
        del self._steps[self._at + 1:]
        if key is not None and key == self._key and self._at:
            self._steps[self._at] = (document, label)
        else:
            self._steps.append((document, label))
            del self._steps[:-MOST_STEPS]
            self._at = len(self._steps) - 1
        self._key = key

    def amend(self, change) -> None:
        """Applies `change(document)` to every document, past and future: for what is not an edit of the user's."""
        self._steps = [(change(document), label) for document, label in self._steps]

    @property
    def undo_label(self) -> str | None:
        """What undo would take back; None if there is nothing."""
        return self._steps[self._at][1] if self._at else None

    @property
    def redo_label(self) -> str | None:
        return self._steps[self._at + 1][1] if self._at + 1 < len(self._steps) else None

    def undo(self) -> None:
        self._at, self._key = max(self._at - 1, 0), None

    def redo(self) -> None:
        self._at, self._key = min(self._at + 1, len(self._steps) - 1), None
