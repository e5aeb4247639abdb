"""Names in pictures: with a font that has their letters, escaped where none has, and never as formulas."""

import warnings

import matplotlib
import pytest
from fontTools.fontBuilder import FontBuilder
from fontTools.pens.ttGlyphPen import TTGlyphPen
from matplotlib import font_manager
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from babe2_host.tools import lettering
from babe2_host.tools.lettering import FONT

RARE = "\U000f1234"  # for private use: no font that is installed has it


@pytest.fixture
def rare_font(tmp_path, monkeypatch):
    """A font that has RARE, a square, installed for a test."""
    pen = TTGlyphPen(None)
    pen.moveTo((0, 0))
    for corner in ((0, 800), (800, 800), (800, 0)):
        pen.lineTo(corner)
    pen.closePath()
    font = FontBuilder(1000)
    font.setupGlyphOrder([".notdef", "rare"])
    font.setupCharacterMap({ord(RARE): "rare"})
    font.setupGlyf({".notdef": TTGlyphPen(None).glyph(), "rare": pen.glyph()})
    font.setupHorizontalMetrics({".notdef": (900, 0), "rare": (900, 0)})
    font.setupHorizontalHeader(ascent=800, descent=-200)
    font.setupNameTable({"familyName": "Rare", "styleName": "Regular"})
    font.setupOS2()
    font.setupPost()
    font.save(tmp_path / "rare.ttf")
    monkeypatch.setattr(font_manager.fontManager, "ttflist", list(font_manager.fontManager.ttflist))
    font_manager.fontManager.addfont(tmp_path / "rare.ttf")
    lettering._fonts.cache_clear()
    yield
    lettering._fonts.cache_clear()


def drawn(name: str) -> str:
    """The name as it is drawn. Raises for what matplotlib warns of, such as letters that it does not have."""
    with warnings.catch_warnings(), lettering.lettering(name) as (title,):
        warnings.simplefilter("error")
        figure = Figure()
        FigureCanvasAgg(figure)
        figure.suptitle(title)
        figure.canvas.draw()
    return title


def test_letters_of_a_font_that_is_installed_are_drawn(rare_font):
    assert drawn(f"04 {RARE}.wav") == f"04 {RARE}.wav"
    with lettering.lettering(RARE):
        assert matplotlib.rcParams["font.family"] == ["Rare"]
    with lettering.lettering("a" + RARE):
        assert matplotlib.rcParams["font.family"] == [FONT, "Rare"]


def test_letters_that_no_font_has_are_escaped_not_boxes():
    assert drawn(f"04 {RARE}.wav") == r"04 \U000f1234.wav"


@pytest.mark.parametrize("name", ["$a_{b}$ $", r"\frac{$^_$", "$", "a_b^c", "100 % & #.wav", "Ünïcode ΩЖ عربي.wav"])
def test_no_name_is_a_formula(name):
    assert drawn(name) == name


def test_names_that_are_no_text_or_would_move_others_are_drawn_escaped():
    name = b"caf\xe9\n\x1b[31m".decode("utf-8", "surrogateescape") + "\u202e.wav"
    assert drawn(name) == r"caf\xe9\n\x1b[31m\u202e.wav"
