"""The one error meant for the user to read."""

from __future__ import annotations

import re

LONGEST = 2000  # characters of a sentence; what makes one longer is the content of a file that it quotes


class UserError(Exception):
    """Something the user gave cannot be used.

    `str(error)` is a sentence: what, which file, what to do. To word it differently, or to add what can be
    done where it is shown, go by `code` and `fields`; never edit the sentence.

    Args:
        sentence: what the user reads; the middle of one that is longer than `LONGEST` is left out.
        code: the kind of error, for programs; by default the name of its class in kebab case.
        fields: what the sentence is about, by name: a path, a setting, a value.
    """

    def __init__(self, sentence: str, code: str = "", **fields):
        if len(sentence) > LONGEST:
            sentence = f"{sentence[:LONGEST // 2 - 2]} … {sentence[-LONGEST // 2 + 1:]}"
        super().__init__(sentence)
        kind = re.sub(r"(?<=[a-z])(?=[A-Z])", "-", type(self).__name__.removesuffix("Error")).lower()
        self.code, self.fields = code or kind, fields

    def __reduce__(self):
        return _unpickled, (type(self), str(self), self.code, self.fields)


def _unpickled(kind: type[UserError], sentence: str, code: str, fields: dict) -> UserError:
    return kind(sentence, code, **fields)
