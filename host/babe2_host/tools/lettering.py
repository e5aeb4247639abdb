"""Names of files in pictures: in a font that has their letters, where one is installed, and never as formulas."""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Iterator

from babe2_fx.texts import JOINERS, printable

FONT = "DejaVu Sans"  # comes with matplotlib
PLACEHOLDERS = ("last resort", "blank")  # fonts that have every letter, as a box or as nothing
WITHOUT_SHAPE = JOINERS + "\ufe0e\ufe0f"  # they say how their neighbours are drawn


@contextlib.contextmanager
def lettering(*names: str) -> Iterator[list[str]]:
    """The names as they can be drawn while this lasts.

    Their letters are looked for in matplotlib's own font and then in those that are installed. What none of them has
    is escaped, rather than drawn as a box.
    """
    import matplotlib
    names = tuple(printable(name).translate(dict.fromkeys(map(ord, WITHOUT_SHAPE))) for name in names)
    fonts, missing = _fonts(frozenset("".join(names)))
    # A $ in a name does not begin a formula.
    with matplotlib.rc_context({"font.family": fonts, "text.parse_math": False}):
        yield ["".join(_escaped(letter) if letter in missing else letter for letter in name) for name in names]


@functools.lru_cache(64)
def _fonts(letters: frozenset[str]) -> tuple[list[str], frozenset[str]]:
    """The families that have these letters between them, and the letters that none has."""
    from matplotlib import get_data_path
    from matplotlib.font_manager import fontManager, get_font
    upright = [font for font in fontManager.ttflist if font.style == "normal" and (
        font.name == FONT or not font.fname.startswith(get_data_path())  # its others are for formulas
        and not any(word in font.name.lower() for word in PLACEHOLDERS))]
    families, missing = [], letters
    # Among those that have most of a script, that of ordinary weight looks best.
    for font in sorted(upright, key=lambda font: (font.name != FONT, abs(int(font.weight) - 400), font.name)):
        if not missing:
            break
        with contextlib.suppress(OSError, RuntimeError):  # one that is damaged, or has pictures for letters
            had = {letter for letter in missing if ord(letter) in get_font(font.fname).get_charmap()}
            if had:
                families.append(font.name)
                missing -= had
    return families or [FONT], missing


def _escaped(letter: str) -> str:
    return letter.encode("unicode_escape").decode()
