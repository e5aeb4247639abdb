"""Tags as values: what they are called, and which of them stay behind.

They have the names of Vorbis comments, in lower case: title, artist, date, isrc, ...
"""

from __future__ import annotations

from dataclasses import dataclass, field

MOST_TEXTS, MOST_PICTURES = 4096, 256  # of a file: more is not a recording, and takes for ever to write
LOUDNESS = ("replaygain_", "r128_", "itunnorm")  # of the old samples
STALE = (*LOUDNESS, "itun", "encoder")  # a comment named iTun... is iTunes' own bookkeeping, of the old coding


@dataclass(frozen=True)
class Tags:
    """texts: by name, one or more each · pictures: covers and the like, each as the content of a FLAC picture
    block, which says what it shows · unread: what else is there, in words, which has no place in `texts` · gains:
    whether there are ReplayGain values, which are true of the old samples only."""

    texts: dict[str, tuple[str, ...]] = field(default_factory=dict)
    pictures: tuple[bytes, ...] = field(default=(), repr=False)
    unread: tuple[str, ...] = ()
    gains: bool = False

    def __bool__(self) -> bool:
        return bool(self.texts or self.pictures)
